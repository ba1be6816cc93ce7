/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP messages, whole and cut at every byte; what must not pass.
 */
#include "router/http.h"
#include "tests/harness.h"

#include <string.h>

/* A log of events: "H POST /x 5;B hello;E;" or "F0;". */
static void log_event(const struct http_result *result, const struct http_head *head,
                      bool *in_body, struct text *log)
{
    const bool body = result->event == HTTP_GOT_BODY;
    if (*in_body && !body && result->event != HTTP_MORE) {
        text_add(log, ";");
    }
    if (result->event == HTTP_GOT_HEAD) {
        text_printf(log, "H %s %s %d %d;", head->method, http_target(head),
                    (int)head->status, (int)head->content_length);
    } else if (body) {
        text_add(log, *in_body ? "" : "B ");
        text_add_bytes(log, result->body, result->body_bytes);
    } else if (result->event == HTTP_GOT_END) {
        text_add(log, "E;");
    } else if (result->event == HTTP_FAULT) {
        text_printf(log, "F%d;", (int)result->fault);
    }
    *in_body = body || (*in_body && result->event == HTTP_MORE);
}

static void run_pieces(bool of_requests, const char *bytes, size_t byte_count,
                       size_t cut, struct text *log)
{
    struct http_parser *parser = http_parser_new(of_requests, 1024);
    const size_t ends[2] = {cut, byte_count};
    size_t at = 0;
    bool in_body = false;
    struct http_result result = {.event = HTTP_MORE};
    for (size_t piece = 0; piece < 2 && result.event != HTTP_FAULT; piece++) {
        do {
            at += http_step(parser, bytes + at, ends[piece] - at, &result);
            log_event(&result, http_parser_head(parser), &in_body, log);
        } while (result.event != HTTP_MORE && result.event != HTTP_FAULT);
    }
    http_parser_delete(parser);
}

static void expect_events(bool of_requests, const char *bytes, const char *events)
{
    const size_t byte_count = strlen(bytes);
    for (size_t cut = 0; cut <= byte_count; cut++) {
        struct text log = {0};
        run_pieces(of_requests, bytes, byte_count, cut, &log);
        harness_note("cut at %zu of %s", cut, bytes);
        const bool good = EXPECT_STR(text_str(&log), events);
        text_fini(&log);
        if (!good) {
            return;
        }
    }
}

static void a_request_is_the_same_wherever_it_is_cut(void)
{
    expect_events(true,
                  "POST /v1/completions?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: "
                  "5\r\n\r\nhelloGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
                  "H POST /v1/completions?a=b 0 5;B hello;E;H GET /health 0 -1;E;");
}

static void chunks_are_joined_and_trailers_dropped(void)
{
    expect_events(true,
                  "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
                  "H POST / 0 -1;B abcde;E;");
}

static void answers_have_a_status_and_a_length(void)
{
    expect_events(false,
                  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\n"
                  "Content-Length: 2\r\n\r\nno",
                  "H   100 -1;E;H   404 2;B no;E;");
}

static void an_absolute_target_is_a_path(void)
{
    expect_events(true, "GET http://h:1/p?q HTTP/1.1\r\nHost: x\r\n\r\n",
                  "H GET /p?q 0 -1;E;");
}

static void an_offered_upgrade_changes_nothing(void)
{
    expect_events(
        true,
        "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        "Content-Length: 2\r\n\r\nab",
        "H POST / 0 2;B ab;E;");
}

static void what_could_be_read_in_two_ways_is_refused(void)
{
    static const char *const BAD[] = {
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0x4\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
         "Transfer-Encoding: chunked\r\n\r\n"),
        "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length : 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\n 2\r\n\r\nab",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chun\r\n ked\r\n\r\n",
        "POST / HTTP/1.1\r\nA: b\x01\r\n\r\n",
        "POST / HTTP/1.1\r\nA: b\rContent-Length: 4\r\n\r\n",
        "POST / HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "nonsense\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    };
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        const size_t byte_count = strlen(BAD[i]);
        for (size_t cut = 0; cut <= byte_count; cut++) {
            struct text log = {0};
            run_pieces(true, BAD[i], byte_count, cut, &log);
            harness_note("case %zu cut at %zu: %s", i, cut, BAD[i]);
            const char *fault = strchr(text_str(&log), 'F');
            EXPECT(fault != NULL);
            text_fini(&log);
        }
    }
}

/* Never forwarded as it came: the value is written anew on one line. */
static void a_folded_field_becomes_one_line(void)
{
    static const char REQUEST[] = "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n";
    for (size_t cut = 0; cut < sizeof REQUEST; cut++) {
        struct http_parser *parser = http_parser_new(true, 1024);
        struct http_result result = {.event = HTTP_MORE};
        size_t at = 0;
        for (int piece = 0; piece < 2 && result.event != HTTP_GOT_HEAD; piece++) {
            const size_t end = piece == 0 ? cut : sizeof REQUEST - 1;
            at += http_step(parser, REQUEST + at, end > at ? end - at : 0, &result);
        }
        const char *value = http_field(http_parser_head(parser), "a");
        REQUIRE(value != NULL);
        EXPECT(strpbrk(value, "\r\n") == NULL);
        EXPECT_HAS(value, "folded");
        http_parser_delete(parser);
    }
}

static void large_heads_are_refused(void)
{
    struct text request = {0};
    text_add(&request, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    for (int i = 0; i < 2000; i++) {
        text_add(&request, "x");
    }
    text_add(&request, "\r\n\r\n");
    expect_events(true, text_str(&request), "F1;");
    request.length = 0;
    text_add(&request, "GET /");
    for (int i = 0; i < 2000; i++) {
        text_add(&request, "x");
    }
    text_add(&request, " HTTP/1.1\r\n\r\n");
    expect_events(true, text_str(&request), "F2;");
    text_fini(&request);
}

static void endless_fields_trailers_and_extensions_are_refused(void)
{
    struct text request = {0};
    text_add(&request, "GET / HTTP/1.1\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX + 1; i++) {
        text_add(&request, "a:\r\n");
    }
    struct text log = {0};
    run_pieces(true, request.bytes, request.length, request.length, &log);
    EXPECT_STR(text_str(&log), "F1;");
    request.length = 0;
    text_add(&request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    for (int i = 0; i < HTTP_CHUNK_EXTENSION_BYTES_MAX + 10; i++) {
        text_add(&request, "e");
    }
    log.length = 0;
    run_pieces(true, request.bytes, request.length, request.length, &log);
    EXPECT_STR(text_str(&log), "H POST / 0 -1;F0;");
    request.length = 0;
    text_add(&request, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (int i = 0; i < 1024; i++) {
        text_add(&request, "t: u\r\n");
    }
    log.length = 0;
    run_pieces(true, request.bytes, request.length, request.length, &log);
    EXPECT_STR(text_str(&log), "H POST / 0 -1;F1;");
    text_fini(&log);
    text_fini(&request);
}

static void an_answer_without_a_length_ends_with_the_connection(void)
{
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\n\r\nabc";
    struct http_parser *parser = http_parser_new(false, 1024);
    struct http_result result = {.event = HTTP_GOT_HEAD};
    size_t at = 0;
    while (result.event != HTTP_MORE) {
        at += http_step(parser, ANSWER + at, sizeof ANSWER - 1 - at, &result);
    }
    http_finish(parser, &result);
    EXPECT(result.event == HTTP_GOT_END);
    EXPECT(!http_parser_head(parser)->keep_alive);
    http_parser_delete(parser);
}

static void a_message_that_is_cut_short_is_a_fault(void)
{
    static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    struct http_parser *parser = http_parser_new(false, 1024);
    struct http_result result = {.event = HTTP_GOT_HEAD};
    size_t at = 0;
    while (result.event != HTTP_MORE) {
        at += http_step(parser, ANSWER + at, sizeof ANSWER - 1 - at, &result);
    }
    http_finish(parser, &result);
    EXPECT(result.event == HTTP_FAULT);
    http_parser_delete(parser);
}

static void lists_are_searched_by_whole_words(void)
{
    EXPECT(http_list_has("keep-alive, Upgrade", "upgrade"));
    EXPECT(http_list_has(" close ", "close"));
    EXPECT(!http_list_has("closed, x", "close"));
    EXPECT(!http_list_has(NULL, "close"));
    EXPECT(!http_list_has("", "close"));
}

HARNESS_MAIN("http", TEST(a_request_is_the_same_wherever_it_is_cut),
             TEST(chunks_are_joined_and_trailers_dropped),
             TEST(answers_have_a_status_and_a_length),
             TEST(an_absolute_target_is_a_path),
             TEST(an_offered_upgrade_changes_nothing),
             TEST(what_could_be_read_in_two_ways_is_refused),
             TEST(a_folded_field_becomes_one_line), TEST(large_heads_are_refused),
             TEST(endless_fields_trailers_and_extensions_are_refused),
             TEST(an_answer_without_a_length_ends_with_the_connection),
             TEST(a_message_that_is_cut_short_is_a_fault),
             TEST(lists_are_searched_by_whole_words))
