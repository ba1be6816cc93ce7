/* SPDX-License-Identifier: Apache-2.0
 *
 * html.c: runs of harmless bytes are copied whole.
 */
#include "reports/html.h"

static const char *replacement(char byte)
{
    switch (byte) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
    case '\n':
        return NULL;
    default:
        return (unsigned char)byte < 0x20 || byte == 0x7f ? "\xef\xbf\xbd" : NULL;
    }
}

void html_add(struct text *out, const char *text)
{
    const char *from = text;
    const char *at = text;
    for (; *at != '\0'; at++) {
        const char *const safe = replacement(*at);
        if (safe != NULL) {
            text_add_bytes(out, from, (size_t)(at - from));
            text_add(out, safe);
            from = at + 1;
        }
    }
    text_add_bytes(out, from, (size_t)(at - from));
}
