/* SPDX-License-Identifier: Apache-2.0
 *
 * paths.c: the table of spec/production-stack.md 4.1.
 */
#include "router/paths.h"

#include <string.h>

static const struct path PATHS[] = {
    {"/v1/chat/completions", "POST", PATH_PROXY, false},
    {"/v1/completions", "POST", PATH_PROXY, false},
    {"/v1/embeddings", "POST", PATH_PROXY, false},
    {"/v1/rerank", "POST", PATH_PROXY, false},
    {"/rerank", "POST", PATH_PROXY, false},
    {"/v1/score", "POST", PATH_PROXY, false},
    {"/score", "POST", PATH_PROXY, false},
    {"/v1/responses", "POST", PATH_PROXY, true},
    {"/v1/messages", "POST", PATH_PROXY, true},
    {"/tokenize", "POST", PATH_PROXY, true},
    {"/detokenize", "POST", PATH_PROXY, true},
    {"/v1/audio/transcriptions", "POST", PATH_PROXY, true},
    {"/v1/audio/translations", "POST", PATH_PROXY, true},
    {"/v1/audio/speech", "POST", PATH_PROXY, true},
    {"/v1/images/generations", "POST", PATH_PROXY, true},
    {"/v1/images/edits", "POST", PATH_PROXY, true},
    {"/v1/models", "GET", PATH_MODELS, false},
    {"/engines", "GET", PATH_ENGINES, true},
    {"/health", "GET", PATH_HEALTH, false},
    {"/version", "GET", PATH_VERSION, false},
    {"/metrics", "GET", PATH_METRICS, false},
    {"/sleep", "POST", PATH_SLEEP, true},
    {"/wake_up", "POST", PATH_WAKE, true},
    {"/is_sleeping", "GET", PATH_IS_SLEEPING, true},
    {"/kv_events", "POST", PATH_KV_EVENTS, true},
};

enum path_answer path_find(const char *target, const char *method, bool at_head,
                           const struct path **path)
{
    const size_t length = strcspn(target, "?#");
    enum path_answer answer = PATH_UNKNOWN;
    for (size_t i = 0; i < sizeof PATHS / sizeof PATHS[0]; i++) {
        const struct path *candidate = &PATHS[i];
        if (strlen(candidate->path) != length ||
            memcmp(candidate->path, target, length) != 0 ||
            (candidate->since_head && !at_head)) {
            continue;
        }
        *path = candidate;
        if (strcmp(candidate->method, method) == 0) {
            return PATH_FOUND;
        }
        answer = PATH_WRONG_METHOD;
    }
    return answer;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void decode(const char *from, size_t length, char *out, size_t out_bytes)
{
    size_t at = 0;
    for (size_t i = 0; i < length && at + 1 < out_bytes; i++) {
        char c = from[i];
        if (c == '%' && i + 2 < length && hex_value(from[i + 1]) >= 0 &&
            hex_value(from[i + 2]) >= 0) {
            c = (char)(hex_value(from[i + 1]) * 16 + hex_value(from[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[at++] = c;
    }
    out[at] = '\0';
}

bool path_query(const char *target, const char *name, char *out, size_t out_bytes)
{
    const char *at = strchr(target, '?');
    const size_t name_bytes = strlen(name);
    while (at != NULL) {
        at++;
        const size_t item = strcspn(at, "&#");
        if (item > name_bytes && memcmp(at, name, name_bytes) == 0 &&
            at[name_bytes] == '=') {
            decode(at + name_bytes + 1, item - name_bytes - 1, out, out_bytes);
            return true;
        }
        at = at[item] == '&' ? at + item : NULL;
    }
    return false;
}
