/* SPDX-License-Identifier: Apache-2.0
 *
 * text.c: see text.h. The ceiling is far above any report and far below what would make
 * a machine swap, so reaching it is a bug of ours.
 */
#include "base/text.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 31)

void text_fini(struct text *text)
{
    mem_free(text->bytes);
    *text = (struct text){NULL, 0, 0};
}

/* Room for byte_count more and the NUL. */
static void reserve(struct text *text, size_t byte_count)
{
    CHECK(byte_count < TEXT_BYTES_MAX - text->length,
          "a text of %zu bytes would grow by %zu", text->length, byte_count);
    void *bytes = text->bytes;
    const bool grown = mem_grow(&bytes, &text->capacity, text->length + byte_count + 1,
                                1, TEXT_BYTES_MAX);
    CHECK(grown, "a text of %zu bytes would grow by %zu", text->length, byte_count);
    text->bytes = bytes;
}

void text_add_bytes(struct text *text, const char *bytes, size_t byte_count)
{
    reserve(text, byte_count);
    if (byte_count > 0) {
        memcpy(text->bytes + text->length, bytes, byte_count);
    }
    text->length += byte_count;
    text->bytes[text->length] = '\0';
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    const int needed = vsnprintf(NULL, 0, format, args);
    CHECK(needed >= 0, "format \"%s\" cannot be printed", format);
    reserve(text, (size_t)needed);
    (void)vsnprintf(text->bytes + text->length, (size_t)needed + 1, format, again);
    text->length += (size_t)needed;
    va_end(again);
    va_end(args);
}

const char *text_str(const struct text *text)
{
    return text->bytes != NULL ? text->bytes : "";
}
