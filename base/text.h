/* SPDX-License-Identifier: Apache-2.0
 *
 * text.h: a string that grows (reports, tables, generated files).
 */
#ifndef STACKSIM_BASE_TEXT_H
#define STACKSIM_BASE_TEXT_H

#include "base/err.h"

#include <stddef.h>

struct text {
    char *bytes; /* NUL-terminated once anything was added; NULL before */
    size_t length;
    size_t capacity;
};

/* A zeroed struct text is an empty one. text_fini frees and zeroes it. */
void text_fini(struct text *text);
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t byte_count);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
/* The content, "" when empty; borrowed until the next change. */
const char *text_str(const struct text *text);

#endif
