/* SPDX-License-Identifier: Apache-2.0
 *
 * usage.c: finds numbers behind keys instead of parsing, because the beginning of the
 * text is missing.
 */
#include "router/usage.h"

#include <stdbool.h>
#include <string.h>

/* The number behind "key": in [from, end); false when there is none. */
static bool number_of(const char *from, const char *end, const char *key,
                      uint32_t *value)
{
    const size_t length = strlen(key);
    const char *at = memmem(from, (size_t)(end - from), key, length);
    if (at == NULL) {
        return false;
    }
    at += length;
    while (at < end && (*at == ' ' || *at == ':')) {
        at++;
    }
    uint64_t sum = 0;
    const char *digits = at;
    while (at < end && *at >= '0' && *at <= '9' && sum <= UINT32_MAX) {
        sum = sum * 10 + (uint64_t)(*at - '0');
        at++;
    }
    if (at == digits || at == end || sum > UINT32_MAX) {
        return false; /* cut off, or not a number */
    }
    *value = (uint32_t)sum;
    return true;
}

static const char *last_usage(const char *text, const char *end)
{
    static const char KEY[] = "\"usage\"";
    const char *found = NULL;
    while (text < end) {
        const char *at = memmem(text, (size_t)(end - text), KEY, sizeof KEY - 1);
        if (at == NULL) {
            break;
        }
        const char *value = at + sizeof KEY - 1;
        while (value < end && (*value == ' ' || *value == ':')) {
            value++;
        }
        if (value < end && *value == '{') {
            found = value;
        }
        text = value;
    }
    return found;
}

void usage_read(const char *text, size_t byte_count, struct usage *usage)
{
    const char *const end = text + byte_count;
    *usage = (struct usage){0};
    const char *from = last_usage(text, end);
    if (from == NULL) {
        return;
    }
    if (!number_of(from, end, "\"prompt_tokens\"", &usage->prompt_tokens)) {
        (void)number_of(from, end, "\"input_tokens\"", &usage->prompt_tokens);
    }
    if (!number_of(from, end, "\"completion_tokens\"", &usage->output_tokens)) {
        (void)number_of(from, end, "\"output_tokens\"", &usage->output_tokens);
    }
    (void)number_of(from, end, "\"cached_tokens\"", &usage->cached_tokens);
}
