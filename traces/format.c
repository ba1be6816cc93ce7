/* SPDX-License-Identifier: Apache-2.0
 *
 * format.c: the table of formats.
 */
#include "traces/format.h"

#include <string.h>

const struct trace_format *const trace_formats[] = {
#define FORMAT(name) &format_##name,
#include "traces/registry.def"
#undef FORMAT
};
const size_t trace_format_count = sizeof(trace_formats) / sizeof(trace_formats[0]);

const struct trace_format *trace_format_find(const char *name)
{
    for (size_t i = 0; i < trace_format_count; i++) {
        if (strcmp(trace_formats[i]->name, name) == 0) {
            return trace_formats[i];
        }
    }
    return NULL;
}

const struct trace_format *trace_format_detect(const char *head, size_t byte_count)
{
    for (size_t i = 0; i < trace_format_count; i++) {
        if (trace_formats[i]->detect(head, byte_count)) {
            return trace_formats[i];
        }
    }
    return NULL;
}

bool trace_head_has(const char *head, size_t byte_count, const char *text)
{
    const char *const end = memchr(head, '\n', byte_count);
    const size_t line_bytes = end != NULL ? (size_t)(end - head) : byte_count;
    return memmem(head, line_bytes, text, strlen(text)) != NULL;
}

bool trace_head_begins(const char *head, size_t byte_count, const char *text)
{
    const size_t text_bytes = strlen(text);
    return byte_count >= text_bytes && memcmp(head, text, text_bytes) == 0;
}
