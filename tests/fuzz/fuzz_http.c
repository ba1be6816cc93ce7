/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_http.c: HTTP messages. However a message is cut, the events are the same, and
 * what the parser lends lies within what it was given.
 */
#include "base/check.h"
#include "router/http.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

enum { STEPS_MAX = 100000 };

struct message {
    const char *bytes;
    size_t byte_count;
};

static void log_event(const struct http_result *result,
                      const struct http_parser *parser, struct text *log)
{
    const size_t fields = http_parser_head(parser)->field_count;
    if (result->event == HTTP_GOT_BODY) {
        text_add_bytes(log, result->body, result->body_bytes);
    } else if (result->event != HTTP_MORE) {
        text_printf(log, "<%d:%zu>", (int)result->event,
                    result->event == HTTP_FAULT ? 0 : fields);
    }
}

/* Reads up to `end`; returns how far it came. */
static size_t read_piece(struct http_parser *parser, const struct message *message,
                         size_t at, size_t end, struct text *log)
{
    struct http_result result = {.event = HTTP_GOT_HEAD};
    for (int steps = 0; result.event != HTTP_MORE && result.event != HTTP_FAULT;
         steps++) {
        CHECK(steps < STEPS_MAX, "the parser does not come to an end");
        const size_t used = http_step(parser, message->bytes + at, end - at, &result);
        CHECK(used <= end - at, "%zu of %zu bytes used", used, end - at);
        at += used;
        CHECK(result.event != HTTP_GOT_BODY ||
                  (result.body >= message->bytes &&
                   result.body + result.body_bytes <= message->bytes + at),
              "a body outside the input");
        log_event(&result, parser, log);
    }
    return result.event == HTTP_FAULT ? SIZE_MAX : at;
}

static void read_cut(bool of_requests, const struct message *message, size_t cut,
                     struct text *log)
{
    struct http_parser *parser = http_parser_new(of_requests, 4096);
    const size_t at = read_piece(parser, message, 0, cut, log);
    if (at != SIZE_MAX) {
        (void)read_piece(parser, message, at, message->byte_count, log);
    }
    http_parser_delete(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct message message = {(const char *)data, size};
    for (int kind = 0; kind < 2; kind++) {
        struct text whole = {0};
        struct text pieces = {0};
        read_cut(kind == 0, &message, size, &whole);
        read_cut(kind == 0, &message, size / 2, &pieces);
        CHECK(strcmp(text_str(&whole), text_str(&pieces)) == 0,
              "cut in the middle it reads otherwise: %s, whole %s", text_str(&pieces),
              text_str(&whole));
        text_fini(&whole);
        text_fini(&pieces);
    }
    return 0;
}
