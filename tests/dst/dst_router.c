/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy core on a fake network: single cases by hand, then many at random.
 */
#include "base/hash.h"
#include "base/jsonl.h"
#include "policies/decision_log.h"
#include "router/msgpack.h"
#include "router/proxy.h"
#include "tests/dst/fake_net.h"

#include <stdlib.h>

static const int64_t second_ns = 1000000000;
#define BODY "{\"model\":\"m\",\"prompt\":\"x\"}"

static void expect_answers(const struct net_end *client, const char *expected)
{
    struct text got = {0};
    net_answers(client, &got);
    EXPECT_STR(text_str(&got), expected);
    text_fini(&got);
}

static void expect_has(const struct net_end *client, const char *part)
{
    struct text got = {0};
    net_answers(client, &got);
    EXPECT_HAS(text_str(&got), part);
    text_fini(&got);
}

static void expect_metric(struct net *net, const char *line)
{
    struct text text = {0};
    proxy_metrics(net->proxy, net->now_ns, &text);
    EXPECT_HAS(text_str(&text), line);
    text_fini(&text);
}

/* Everything is given back when the clients are gone and the idle ones timed out. */
static void expect_clean(struct net *net)
{
    struct proxy_census census;
    for (size_t i = 0; i < net->end_count; i++) {
        if (net->ends[i]->alive && !net->ends[i]->engine) {
            net_lose(net, net->ends[i], "the test is over");
        }
    }
    net_wait(net, 6 * second_ns);
    proxy_count(net->proxy, &census);
    EXPECT_U64(census.clients, 0);
    EXPECT_U64(census.engine_conns, 0);
    EXPECT_U64(census.exchanges, 0);
    EXPECT_U64(census.buffered_bytes, 0);
    for (size_t i = 0; i < fleet_count(net->fleet); i++) {
        struct request_stats_row row;
        fleet_stats(net->fleet, net->now_ns, fleet_at(net->fleet, i), &row);
        EXPECT_U64(row.in_prefill + row.in_decode, 0);
    }
    net_delete(net);
}

#define ANSWER(name)                                                                   \
    "200 {\"engine\":\"" name "\",\"got\":" BODY                                       \
    ",\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2}};"

static const struct net_end *last_engine(const struct net *net, const char *name)
{
    const struct net_end *found = NULL;
    for (size_t i = 0; i < net->end_count; i++) {
        if (net->ends[i]->engine && strcmp(net->ends[i]->script.name, name) == 0) {
            found = net->ends[i];
        }
    }
    return found;
}

/* --- forwarding ------------------------------------------------------------------- */

static void requests_take_turns_and_connections_are_reused(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://ok-a:1,http://ok-b:1", .models = "m,m"});
    struct net_end *client = net_client(net);
    for (int i = 0; i < 4; i++) {
        net_post(client, "/v1/completions", BODY);
    }
    net_settle(net, 7);
    expect_answers(client, ANSWER("ok-a") ANSWER("ok-b") ANSWER("ok-a") ANSWER("ok-b"));
    EXPECT_U64(net->connects, 2);
    EXPECT(client->alive);
    expect_metric(net, "stackrouter_engine_conns_reused_total 2\n");
    expect_metric(net,
                  "vllm:input_tokens_total{server=\"http://ok-a:1\",model=\"m\"} 22\n");
    expect_clean(net);
}

static void a_stream_passes_event_by_event(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://sse-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/chat/completions", BODY);
    net_deliver(net, client, 65536);   /* the request: connecting */
    net_deliver(net, net->ends[1], 1); /* connected, request sent */
    size_t before = 0;
    const char *const tail = "data: 2\n\n";
    struct net_end *engine = net->ends[1];
    const char *third = strstr(engine->to_proxy.bytes, tail);
    REQUIRE(third != NULL);
    const size_t up_to = (size_t)(third - engine->to_proxy.bytes) + strlen(tail);
    net_deliver(net, engine, up_to);
    expect_has(client, "data: 0\n\ndata: 1\n\ndata: 2\n\n...");
    before = client->from_proxy.length;
    net_settle(net, 1);
    EXPECT(client->from_proxy.length > before);
    expect_answers(client, "200 data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: "
                           "4\n\n;");
    expect_clean(net);
}

static void heads_are_cleaned_on_the_way(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:9/base/", .models = "m"});
    struct net_end *client = net_client(net);
    text_add(&client->to_proxy,
             "POST /v1/completions?x=1 HTTP/1.1\r\nHost: router\r\nAuthorization: "
             "Bearer k\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n"
             "X-Request-Id: abc-1\r\nTransfer-Encoding: chunked\r\n\r\n"
             "1a\r\n" BODY "\r\n0\r\n\r\n");
    net_settle(net, 65536);
    const char *seen = text_str(&net->ends[1]->script.seen);
    EXPECT_HAS(seen, "POST /base/v1/completions?x=1 HTTP/1.1\r\nHost: ok-a:9\r\n");
    EXPECT_HAS(seen, "X-Request-Id: abc-1\r\n");
    EXPECT_HAS(seen, "Authorization: Bearer k\r\n");
    EXPECT_HAS(seen, "Content-Length: 26\r\n\r\n" BODY);
    EXPECT(strstr(seen, "X-Hop") == NULL && strstr(seen, "TE:") == NULL &&
           strstr(seen, "Transfer") == NULL);
    EXPECT_HAS(text_str(&client->from_proxy), "X-Request-Id: abc-1\r\n");
    EXPECT(strstr(text_str(&client->from_proxy), "uvicorn") == NULL);
    expect_clean(net);
}

static void an_alias_is_replaced_for_the_engine(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://ok-a:1", .models = "m", .aliases = "gpt:m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", "{\"model\":\"gpt\",\"prompt\":\"h\xc3\xa9\"}");
    net_settle(net, 3);
    expect_has(client, "\"got\":{\"model\":\"m\",\"prompt\":\"h\xc3\xa9\"}");
    expect_clean(net);
}

static void an_answer_may_end_with_the_connection(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://eof-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 2);
    expect_answers(client, "200 until the end;");
    EXPECT(client->alive);
    expect_clean(net);
}

static void interim_answers_stay_with_the_router(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://early-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 1);
    expect_answers(client, ANSWER("early-a"));
    expect_clean(net);
}

static void an_old_client_gets_no_chunks(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://sse-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    text_add(&client->to_proxy, "POST /v1/completions HTTP/1.0\r\nContent-Length: "
                                "26\r\n\r\n" BODY);
    net_settle(net, 65536);
    EXPECT(client->over && client->graceful);
    EXPECT(strstr(text_str(&client->from_proxy), "chunked") == NULL);
    EXPECT_HAS(text_str(&client->from_proxy), "\r\n\r\ndata: 0\n\ndata: 1\n\n");
    expect_clean(net);
}

/* The beginning of an answer that nobody asked for must not become the next one's. */
static void a_connection_that_says_too_much_is_not_used_again(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://twice-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(client, "200 {};200 {};");
    EXPECT_U64(net->connects, 2);
    expect_clean(net);
}

static void errors_of_engines_are_passed_on(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://busy-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(client, "503 {\"detail\":\"busy\"};");
    EXPECT_U64(net->requests_at_engines, 1);
    expect_clean(net);
}

/* --- refusals --------------------------------------------------------------------- */

static void what_is_wrong_with_a_request_is_said(void)
{
    static const struct {
        const char *body;
        const char *answer;
    } CASES[] = {
        {"{", "400 {\"error\":\"Invalid request: request body must be valid JSON.\"};"},
        {"[]",
         "400 {\"error\":\"Invalid request: request body must be a JSON object.\"};"},
        {"{}",
         "400 {\"error\":\"Invalid request: missing 'model' in request body.\"};"},
        {"{\"model\":null}",
         "400 {\"error\":\"Invalid request: missing 'model' in request body.\"};"},
        {"{\"model\":\"zz\"}",
         "404 {\"error\":\"Model 'zz' not found. Available models can be listed at "
         "/v1/models.\"};"},
    };
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct net_end *client = net_client(net);
        net_post(client, "/v1/completions", CASES[i].body);
        net_settle(net, 65536);
        expect_answers(client, CASES[i].answer);
        EXPECT(client->alive);
    }
    EXPECT_U64(net->connects, 0);
    expect_clean(net);
}

static void the_release_answers_otherwise(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://127.0.0.1:1", .models = "m", .tag = true});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", "{");
    net_post(client, "/v1/completions", "{\"model\":\"zz\"}");
    net_post(client, "/v1/responses", BODY);
    net_settle(net, 65536);
    expect_answers(client,
                   "500 {\"error\":\"Invalid request: request body must be valid "
                   "JSON.\"};400 {\"error\":\"Model zz not found.\"};404 "
                   "{\"detail\":\"Not Found\"};");
    net_delete(net);
}

static void the_release_fails_where_it_did(void)
{
    static const struct {
        const char *policy;
        const char *body;
        const char *status;
    } CASES[] = {
        {"prefixaware", "{\"model\":\"m\",\"messages\":[]}", "500 "},
        {"prefixaware", BODY, "200 "},
        {"kvaware", BODY, "500 "},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct net *net = net_new(&(struct net_setup){.backends = "http://127.0.0.1:1",
                                                      .models = "m",
                                                      .policy = CASES[i].policy,
                                                      .session_key = "u",
                                                      .tag = true});
        struct net_end *client = net_client(net);
        net_post(client, "/v1/chat/completions", CASES[i].body);
        net_deliver(net, client, 65536);
        if (net->end_count > 1) {
            (void)snprintf(net->ends[1]->script.script, 16, "ok");
        }
        net_settle(net, 65536);
        harness_note("%s %s", CASES[i].policy, CASES[i].body);
        expect_has(client, CASES[i].status);
        net_delete(net);
    }
}

static void limits_are_kept(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://ok-a:1", .models = "m", .limits = {.clients_max = 4}});
    struct net_end *large = net_client(net);
    text_add(&large->to_proxy,
             "POST /v1/completions HTTP/1.1\r\nContent-Length: 70000\r\n\r\n");
    struct net_end *chunked = net_client(net);
    text_add(&chunked->to_proxy,
             "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 70; i++) {
        text_add(&chunked->to_proxy, "400\r\n");
        for (int k = 0; k < 128; k++) {
            text_add(&chunked->to_proxy, "12345678");
        }
        text_add(&chunked->to_proxy, "\r\n");
    }
    struct net_end *head = net_client(net);
    text_add(&head->to_proxy, "GET /health HTTP/1.1\r\nA: ");
    for (int i = 0; i < 2000; i++) {
        text_add(&head->to_proxy, "12345678");
    }
    struct net_end *slow = net_client(net);
    text_add(&slow->to_proxy, "GET /health HT");
    EXPECT(net_client(net) == NULL);
    net_settle(net, 65536);
    expect_has(large, "413 ");
    expect_has(chunked, "413 ");
    expect_has(head, "431 ");
    EXPECT(large->over && chunked->over && head->over && slow->alive);
    net_wait(net, 11 * second_ns);
    expect_has(slow, "408 ");
    EXPECT(slow->over);
    expect_metric(net, "stackrouter_clients_refused_total 1\n");
    expect_clean(net);
}

static void smuggling_is_refused_and_ends_the_connection(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    text_add(
        &client->to_proxy,
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 6\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n");
    net_settle(net, 65536);
    expect_answers(client, "400 {\"error\":\"The request is not valid HTTP/1.1.\"};");
    EXPECT(client->over);
    EXPECT_U64(net->connects, 0);
    expect_clean(net);
}

static void unknown_paths_and_methods_are_told_apart(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    text_add(&client->to_proxy, "GET /nope HTTP/1.1\r\n\r\n");
    struct net_end *other = net_client(net);
    text_add(&other->to_proxy, "GET /v1/completions HTTP/1.1\r\n\r\n");
    net_settle(net, 65536);
    expect_answers(client, "404 {\"detail\":\"Not Found\"};");
    expect_answers(other, "405 {\"detail\":\"Method Not Allowed\"};");
    EXPECT_HAS(text_str(&other->from_proxy), "Allow: POST\r\n");
    expect_clean(net);
}

static void a_thousand_pipelined_questions_are_answered_in_order(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    for (int i = 0; i < 1000; i++) {
        text_add(&client->to_proxy, "GET /version HTTP/1.1\r\nHost: r\r\n\r\n");
    }
    net_settle(net, 65536);
    struct text got = {0};
    net_answers(client, &got);
    size_t answers = 0;
    for (const char *at = text_str(&got); (at = strstr(at, "test\"};")) != NULL; at++) {
        answers++;
    }
    EXPECT_U64(answers, 1000);
    text_fini(&got);
    expect_clean(net);
}

/* --- failures of engines ---------------------------------------------------------- */

static void another_backend_is_tried_before_the_first_byte(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://refuse-a:1,http://reset-b:1,http://ok-c:1",
        .models = "m,m,m",
        .policy = "session",
        .session_key = "x-user"});
    for (int i = 0; i < 20; i++) {
        struct net_end *client = net_client(net);
        text_printf(&client->to_proxy,
                    "POST /v1/completions HTTP/1.1\r\nX-User: %d\r\nContent-Length: "
                    "26\r\n\r\n" BODY,
                    i);
        net_settle(net, 65536);
        net_wait(net, second_ns);
        expect_answers(client, ANSWER("ok-c"));
    }
    expect_clean(net);
}

static void when_all_fail_the_client_hears_of_it(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://refuse-a:1,http://refuse-b:1", .models = "m,m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_wait(net, second_ns);
    expect_has(client, "500 {\"error\":\"No backend could be reached.\"};");
    EXPECT(client->alive);
    expect_clean(net);
}

static void a_backend_that_does_not_connect_is_given_two_seconds(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://mute-a:1,http://ok-b:1", .models = "m,m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_wait(net, second_ns);
    EXPECT_U64(client->from_proxy.length, 0);
    net_wait(net, 2 * second_ns);
    expect_answers(client, ANSWER("ok-b"));
    expect_clean(net);
}

static void a_silent_engine_is_given_up(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://hang-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_wait(net, 31 * second_ns);
    expect_has(client, "504 ");
    EXPECT_U64(net->requests_at_engines, 1);
    expect_clean(net);
}

static void a_stream_that_breaks_is_not_taken_for_a_whole_one(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://cut-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 5);
    EXPECT(client->over);
    expect_has(client, "data: 2\n\n\n\ndata: {\"error\":");
    expect_has(client, "...");
    EXPECT_U64(net->requests_at_engines, 1);
    expect_metric(net, "stackrouter_answers_cut_total 1\n");
    expect_clean(net);
}

static void an_idle_connection_that_was_closed_costs_nobody(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    /* The engine closes just when the next request is on its way. */
    net_post(client, "/v1/completions", BODY);
    net_deliver(net, client, 65536);
    net->ends[1]->to_proxy_at = net->ends[1]->to_proxy.length;
    net->ends[1]->close_due = true;
    net_settle(net, 65536);
    expect_answers(client, ANSWER("ok-a") ANSWER("ok-a"));
    EXPECT_U64(net->connects, 2);
    expect_metric(net, "stackrouter_reconnects_total 1\n");
    expect_metric(net,
                  "stackrouter_backend_failures_total{server=\"http://ok-a:1\"} 0");
    expect_clean(net);
}

static void a_backend_that_fails_thrice_is_left_alone_for_a_while(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://refuse-a:1,http://ok-b:1", .models = "m,m"});
    struct net_end *client = net_client(net);
    for (int i = 0; i < 12; i++) {
        net_post(client, "/v1/completions", BODY);
    }
    net_settle(net, 65536);
    expect_metric(net,
                  "stackrouter_backend_ejections_total{server=\"http://refuse-a:1\"} "
                  "1\n");
    expect_metric(net,
                  "stackrouter_backend_requests_total{server=\"http://refuse-a:1\"} "
                  "3\n");
    net_wait(net, 6 * second_ns);
    expect_metric(net,
                  "stackrouter_backend_accepting{server=\"http://refuse-a:1\"} 1\n");
    expect_clean(net);
}

static void probes_take_a_backend_out_and_bring_it_back(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://busy-a:1", .models = "m", .types = "chat"});
    net_wait(net, second_ns / 2);
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    text_add(&client->to_proxy, "GET /v1/models HTTP/1.1\r\n\r\n");
    net_settle(net, 65536);
    expect_answers(client,
                   "503 {\"error\":\"Model 'm' is temporarily unavailable. Please "
                   "try again later.\"};200 {\"object\":\"list\",\"data\":[]};");
    for (size_t i = 0; i < net->end_count; i++) {
        (void)snprintf(net->ends[i]->script.script, sizeof net->ends[i]->script.script,
                       "ok");
    }
    net_wait(net, 2 * second_ns);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_has(client, "200 {\"engine\"");
    /* Probes go on for ever: take the clock from them before counting. */
    net_delete(net);
}

static void each_type_is_probed_with_its_own_request(void)
{
    static const struct {
        const char *type;
        const char *path;
        const char *part;
    } CASES[] = {
        {"chat", "/v1/chat/completions ",
         "\"content\":\"Hello\"}],\"temperature\":0.0"},
        {"completion", "/v1/completions ", "\"prompt\":\"Hello\",\"max_tokens\":3}"},
        {"embeddings", "/v1/embeddings ", "\"input\":\"Hello\"}"},
        {"rerank", "/v1/rerank ", "\"query\":\"Hello\",\"documents\":[\"Test\"]}"},
        {"score", "/v1/score ", "\"text_1\":\"Test\",\"text_2\":\"Test2\"}"},
        {"transcription", "/v1/audio/transcriptions ", "name=\"model\"\r\n\r\nm\r\n"},
        {"vision", "/v1/chat/completions ", "\"image_url\""},
        {"messages", "/v1/messages ", "\"max_tokens\":3}"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct net *net = net_new(&(struct net_setup){
            .backends = "http://ok-a:1", .models = "m", .types = CASES[i].type});
        net_wait(net, PROXY_TICK_NS);
        REQUIRE(last_engine(net, "ok-a") != NULL);
        const char *seen = text_str(&last_engine(net, "ok-a")->script.seen);
        harness_note("%s", CASES[i].type);
        EXPECT_HAS(seen, CASES[i].path);
        EXPECT_HAS(seen, CASES[i].part);
        net_delete(net);
    }
}

/* As release 0.1.3: the answer of a model that was never there. */
static void the_release_does_not_tell_down_from_unknown(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://127.0.0.1:1", .models = "m", .types = "chat", .tag = true});
    net_wait(net, 3 * second_ns); /* nothing answers there */
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(client, "400 {\"error\":\"Model m not found.\"};");
    net_delete(net);
}

/* Its probe names a field that no engine knows, so that engines refuse it. */
static void the_release_misspells_the_probe_of_score(void)
{
    struct net *net = net_new(&(struct net_setup){.backends = "http://127.0.0.1:1",
                                                  .models = "m",
                                                  .types = "score",
                                                  .tag = true});
    net_wait(net, PROXY_TICK_NS);
    REQUIRE(last_engine(net, "127.0.0.1") != NULL);
    const char *seen = text_str(&last_engine(net, "127.0.0.1")->script.seen);
    EXPECT_HAS(seen, "\"text_1\":\"Test\",\"test_2\":\"Test2\"}");
    EXPECT(strstr(seen, "text_2") == NULL);
    net_delete(net);
}

/* --- clients ---------------------------------------------------------------------- */

static void a_client_that_leaves_ends_the_engines_work(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://hang-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    EXPECT(net->ends[1]->alive);
    net_lose(net, client, "closed by the peer");
    EXPECT(!net->ends[1]->alive);
    expect_metric(net, "stackrouter_clients_gone_total 1\n");
    expect_clean(net);
}

static void a_slow_client_makes_its_engine_wait(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://hang-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    client->unread_max = 1;
    net_post(client, "/v1/completions", BODY);
    net_deliver(net, client, 65536);
    struct net_end *engine = net->ends[1];
    net_deliver(net, engine, 1);
    text_add(&engine->to_proxy, "HTTP/1.1 200 OK\r\nContent-Length: 8000\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        text_add(&engine->to_proxy, "12345678");
    }
    for (int i = 0; i < 100 && engine->reading; i++) {
        net_deliver(net, engine, 100);
    }
    EXPECT(!engine->reading);
    EXPECT(client->queued.length < 1500);
    client->unread_max = 4096;
    net_settle(net, 100);
    EXPECT(engine->reading);
    EXPECT_U64(client->queued.length, 0);
    expect_metric(net, "stackrouter_engine_pauses_total");
    expect_clean(net);
}

static void a_client_that_takes_nothing_is_dropped(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    client->unread_max = SIZE_MAX;
    net_post(client, "/v1/completions", BODY);
    net_deliver(net, client, 65536);
    net_deliver(net, net->ends[1], 65536);
    net_deliver(net, net->ends[1], 65536);
    EXPECT(client->queued.length > 0);
    for (int i = 0; i < 220 && client->alive; i++) {
        net->now_ns += PROXY_TICK_NS;
        proxy_on_tick(net->proxy, net->now_ns);
    }
    EXPECT(!client->alive && !client->graceful);
    expect_clean(net);
}

static void the_queue_is_served_in_order_and_has_an_end(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://hang-a:1",
                                    .models = "m",
                                    .limits = {.requests_max = 1, .queue_max = 1}});
    struct net_end *first = net_client(net);
    struct net_end *second = net_client(net);
    struct net_end *third = net_client(net);
    net_post(first, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_post(second, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_post(third, "/v1/completions", BODY);
    net_settle(net, 65536);
    EXPECT_U64(net->requests_at_engines, 1);
    expect_has(third, "503 ");
    net_lose(net, first, "closed");
    net_settle(net, 65536);
    EXPECT_U64(net->requests_at_engines, 2);
    net_post(third, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_wait(net, 6 * second_ns);
    expect_has(third, "waited too long");
    expect_clean(net);
}

static void draining_ends_what_is_idle_and_finishes_what_is_not(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://sse-a:1", .models = "m"});
    struct net_end *idle = net_client(net);
    struct net_end *busy = net_client(net);
    net_post(busy, "/v1/completions", BODY);
    net_deliver(net, busy, 65536);
    proxy_drain(net->proxy, net->now_ns);
    EXPECT(idle->over && busy->alive && !proxy_idle(net->proxy));
    EXPECT(net_client(net) == NULL);
    net_settle(net, 65536);
    expect_answers(busy,
                   "200 data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n;");
    EXPECT(busy->over && proxy_idle(net->proxy));
    expect_clean(net);
}

/* --- reconfiguration -------------------------------------------------------------- */

static void streams_survive_a_new_configuration(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://sse-a:1", .models = "m"});
    struct err err = {0};
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_deliver(net, client, 65536);
    net_deliver(net, net->ends[1], 65536);
    net_deliver(net, net->ends[1], 100);
    const struct net_setup next = {
        .backends = "http://ok-b:1", .models = "m", .policy = "least_request"};
    REQUIRE_OK(fleet_apply(net->fleet, net->now_ns, net_config(&next), &err), &err);
    net_settle(net, 65536);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(client, "200 data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\ndata: "
                           "4\n\n;" ANSWER("ok-b"));
    EXPECT_U64(fleet_generation(net->fleet), 2);
    expect_clean(net);
}

static void one_engine_may_serve_two_models(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://ok-a:1,http://ok-a:1", .models = "m,n"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_post(client, "/v1/completions", "{\"model\":\"n\"}");
    net_settle(net, 65536);
    expect_answers(client, ANSWER("ok-a") "200 {\"engine\":\"ok-a\",\"got\":{\"model\":"
                                          "\"n\"},\"usage\":{\"prompt_tokens\":11,"
                                          "\"completion_tokens\":2}};");
    expect_clean(net);
}

/* --- two legs --------------------------------------------------------------------- */

static void prefill_comes_first_and_its_kv_is_passed_on(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://kv-p:1,http://ok-d:1",
                                    .models = "m,m",
                                    .labels = "p,d",
                                    .policy = "disaggregated_prefill_orchestrated"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions",
             "{\"model\":\"m\",\"prompt\":\"x\",\"min_tokens\":5,\"max_tokens\":9,"
             "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"seed\":"
             "12345678901234567}");
    net_deliver(net, client, 65536);
    REQUIRE(last_engine(net, "kv-p") != NULL);
    EXPECT(last_engine(net, "ok-d") == NULL);
    net_settle(net, 3);
    EXPECT_HAS(text_str(&last_engine(net, "kv-p")->script.seen),
               "{\"model\":\"m\",\"prompt\":\"x\",\"seed\":12345678901234567,"
               "\"max_tokens\":1,\"stream\":false,\"kv_transfer_params\":{\"do_remote_"
               "decode\":true,");
    expect_has(client, "\"min_tokens\":5,\"max_tokens\":9,\"stream\":true,\"stream_"
                       "options\":{\"include_usage\":true},\"seed\":12345678901234567,"
                       "\"kv_transfer_params\":{\"remote_engine_id\":\"e\",\"remote_"
                       "port\":7,\"remote_host\":\"kv-p\"}}");
    expect_clean(net);
}

/* Labels still say who prefills, and the pair under way keeps its KV. */
static void pairs_survive_a_new_configuration(void)
{
    struct net_setup setup = {.backends = "http://kv-p:1,http://ok-d:1",
                              .models = "m,m",
                              .labels = "p,d",
                              .policy = "disaggregated_prefill_orchestrated"};
    struct net *net = net_new(&setup);
    struct err err = {0};
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_deliver(net, client, 65536);
    REQUIRE(last_engine(net, "kv-p") != NULL);
    setup.backends = "http://kv-p:1,http://ok-d:1,http://kv-q:1,http://ok-e:1";
    setup.models = "m,m,m,m";
    setup.labels = "p,d,p,d";
    REQUIRE_OK(fleet_apply(net->fleet, net->now_ns, net_config(&setup), &err), &err);
    net_settle(net, 3);
    expect_has(client, "\"remote_host\":\"kv-p\"}");
    for (int i = 0; i < 4; i++) {
        net_post(client, "/v1/completions", BODY);
        net_settle(net, 65536);
    }
    expect_has(client, "\"remote_host\":\"kv-q\"}");
    EXPECT(last_engine(net, "ok-d") != NULL && last_engine(net, "ok-e") != NULL);
    for (size_t i = 0; i < net->end_count; i++) {
        const struct net_end *end = net->ends[i];
        const bool prefills = end->engine && strncmp(end->script.name, "kv-", 3) == 0;
        EXPECT(!prefills ||
               strstr(text_str(&end->script.seen), "\"remote_host\":\"") == NULL);
    }
    expect_clean(net);
}

static void an_error_of_the_prefiller_is_the_answer(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://busy-p:1,http://ok-d:1",
                                    .models = "m,m",
                                    .labels = "p,d",
                                    .policy = "disaggregated_prefill"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(client, "503 {\"error\":{\"message\":\"Prefiller error: "
                           "{\\\"detail\\\":\\\"busy\\\"}\",\"type\":\"prefiller_"
                           "error\",\"code\":503}};");
    EXPECT(last_engine(net, "ok-d") == NULL);
    expect_clean(net);
}

static void a_missing_pool_is_named(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1,http://ok-d:1",
                                    .models = "m,m",
                                    .labels = "x,d",
                                    .policy = "disaggregated_prefill_orchestrated"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_has(client, "503 {\"error\":\"PREFILL_SERVICE_UNAVAILABLE");
    expect_clean(net);
    net = net_new(&(struct net_setup){.backends = "http://ok-a:1,http://ok-b:1",
                                      .models = "m,m",
                                      .labels = "p,x",
                                      .policy = "disaggregated_prefill_orchestrated"});
    client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_has(client, "503 {\"error\":\"DECODE_SERVICE_UNAVAILABLE");
    expect_clean(net);
}

static void a_client_that_leaves_ends_the_prefill(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://hang-p:1,http://ok-d:1",
                                    .models = "m,m",
                                    .labels = "p,d",
                                    .policy = "disaggregated_prefill"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    net_lose(net, client, "closed by the peer");
    net_wait(net, PROXY_TICK_NS);
    EXPECT(!last_engine(net, "hang-p")->alive);
    expect_clean(net);
}

/* --- adapters, sleep, pins, logs -------------------------------------------------- */

static void adapters_are_listed_and_routed_to_who_has_them(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1,http://lora-b:1",
                                    .models = "m,m",
                                    .lists_adapters = true});
    net_wait(net, second_ns / 2);
    struct net_end *client = net_client(net);
    text_add(&client->to_proxy, "GET /v1/models HTTP/1.1\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        net_post(client, "/v1/completions", "{\"model\":\"ad\"}");
    }
    net_settle(net, 65536);
    expect_has(client, "\"id\":\"ad\",\"object\":\"model\"");
    expect_has(client, "\"parent\":\"m\"");
#define AD                                                                             \
    "200 "                                                                             \
    "{\"engine\":\"lora-b\",\"got\":{\"model\":\"ad\"},\"usage\":{\"prompt_tokens\":"  \
    "11,\"completion_tokens\":2}};"
    expect_has(client, AD AD AD);
#undef AD
    net_delete(net); /* looking at the lists goes on for ever */
}

static void post_to_engine(struct net *net, struct net_end *client, const char *path,
                           size_t engine)
{
    struct text target = {0};
    text_printf(&target, "%s?level=1&id=%s", path,
                fleet_at(net->fleet, engine)->engine_id);
    net_post(client, target.bytes, BODY);
    net_settle(net, 65536);
    text_fini(&target);
}

static void a_sleeping_engine_gets_no_requests(void)
{
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://ok-a:1,http://ok-b:1", .models = "m,m"});
    struct net_end *client = net_client(net);
    net_post(client, "/sleep", "");
    net_post(client, "/sleep?id=nobody", "");
    net_settle(net, 65536);
    expect_has(client, "400 {\"error\":\"Invalid request: missing 'id' in query "
                       "parameters.\"};400 ");
    post_to_engine(net, client, "/sleep", 0);
    expect_has(client, "200 {\"status\":\"success\"};");
    EXPECT_HAS(text_str(&last_engine(net, "ok-a")->script.seen),
               "POST /sleep?level=1 HTTP/1.1\r\n");
    struct net_end *other = net_client(net);
    net_post(other, "/v1/completions", BODY);
    net_post(other, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_answers(other, ANSWER("ok-b") ANSWER("ok-b"));
    post_to_engine(net, client, "/wake_up", 0);
    struct net_end *pinned = net_client(net);
    post_to_engine(net, pinned, "/v1/completions", 0);
    expect_answers(pinned, ANSWER("ok-a"));
    expect_clean(net);
}

static void the_access_log_is_a_trace(void)
{
    struct net *net = net_new(&(struct net_setup){.backends = "http://ok-a:1",
                                                  .models = "m",
                                                  .session_key = "u",
                                                  .access_log = true});
    struct net_end *client = net_client(net);
    struct text body = {0};
    text_add(&body, "{\"model\":\"m\",\"max_tokens\":4,\"prompt\":\"");
    for (int i = 0; i < 1024; i++) {
        text_add(&body, "x");
    }
    text_add(&body, "\"}");
    net_post(client, "/v1/completions", body.bytes);
    net_post(client, "/v1/completions", BODY);
    net_post(client, "/v1/completions", "{\"model\":\"none\"}");
    net_settle(net, 65536);
    /* The engine says 11 tokens: too few for a piece of 128. */
    EXPECT_STR(text_str(&net->access), "0,,11,2,4,,0,,\n0,,11,2,,,0,,\n");
    text_fini(&body);
    expect_clean(net);
}

/* What an engine says it holds draws the request to it; the hash is that of a text. */
static void kv_events_draw_requests_to_who_holds_the_prompt(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://ok-a:1,http://ok-b:1",
                                    .models = "m,m",
                                    .policy = "kv_aware",
                                    .session_key = "s",
                                    .record = true,
                                    .takes_kv_events = true});
    char prompt[1025];
    uint64_t hash = 0;
    memset(prompt, 'x', sizeof prompt - 1);
    prompt[sizeof prompt - 1] = '\0';
    struct text event = {0};
    struct text target = {0};
    struct text body = {0};
    text_add(&event, "{\"message\":1,\"events\":[{\"kind\":\"stored\",\"parent\":null,"
                     "\"blocks\":[");
    for (int i = 0; i < 16; i++) {
        hash = hash_pair(hash, hash_xxh64(prompt, 64, 0));
        text_printf(&event, "%s\"%016llx\"", i == 0 ? "" : ",",
                    (unsigned long long)hash);
    }
    text_add(&event, "]}]}");
    text_printf(&target, "/kv_events?id=%s", fleet_at(net->fleet, 1)->engine_id);
    text_printf(&body, "{\"model\":\"m\",\"prompt\":\"%s\"}", prompt);
    struct net_end *client = net_client(net);
    net_post(client, target.bytes, "{\"message\":1}");
    net_post(client, target.bytes, event.bytes);
    net_post(client, "/v1/completions", body.bytes);
    net_post(client, "/v1/completions", body.bytes);
    net_settle(net, 65536);
    expect_has(client,
               "400 {\"error\":\"Invalid request: not a message of KV events.\"};"
               "200 {\"status\":\"success\"};200 {\"engine\":\"ok-b\"");
    EXPECT(last_engine(net, "ok-a") == NULL);
    EXPECT_HAS(text_str(&net->record), "\"kind\":\"kv_event\",\"endpoint\":1,\"event\":"
                                       "\"stored\",\"message\":1,\"parent\":"
                                       "\"0000000000000000\",\"blocks\":[\"");
    text_fini(&event);
    text_fini(&target);
    text_fini(&body);
    expect_clean(net);
}

/* One batch as vLLM 0.10 publishes it: 16 blocks of the ids 0 to 255, hashed by the
 * engine as 100, 101, ... */
static void put_batch(struct text *out)
{
    msgpack_put_array(out, 3);
    msgpack_put_float(out, 1.5);
    msgpack_put_array(out, 1);
    msgpack_put_array(out, 7);
    msgpack_put_str(out, "BlockStored");
    msgpack_put_array(out, 16);
    for (uint64_t i = 0; i < 16; i++) {
        msgpack_put_uint(out, 100 + i);
    }
    msgpack_put_nil(out);
    msgpack_put_array(out, 256);
    for (uint64_t i = 0; i < 256; i++) {
        msgpack_put_uint(out, i);
    }
    msgpack_put_uint(out, 16);
    msgpack_put_nil(out);
    msgpack_put_str(out, "GPU");
    msgpack_put_nil(out);
}

static struct net *tokenizing(const char *backends)
{
    return net_new(&(struct net_setup){.backends = backends,
                                       .models = "m,m",
                                       .policy = "kv_aware",
                                       .session_key = "s",
                                       .tokenizes = true});
}

static void published_events_meet_tokenized_prompts(void)
{
    struct net *net = tokenizing("http://tok-a:1,http://tok-b:1");
    static const struct kv_batch junk = {0, "junk", 4};
    struct text bytes = {0};
    put_batch(&bytes);
    const struct kv_batch batch = {0, bytes.bytes, bytes.length};
    proxy_on_kv_batch(net->proxy, net->now_ns, fleet_at(net->fleet, 1), &batch);
    proxy_on_kv_batch(net->proxy, net->now_ns, fleet_at(net->fleet, 0), &junk);
    proxy_on_kv_batch(net->proxy, net->now_ns, fleet_at(net->fleet, 0), &junk);
    struct net_end *client = net_client(net);
    for (int i = 0; i < 3; i++) {
        net_post(client, "/v1/completions", BODY);
        net_settle(net, 65536);
    }
    for (int i = 0; i < 3; i++) {
        expect_has(client, "200 {\"engine\":\"tok-b\",\"got\":" BODY);
    }
    expect_metric(net, "stackrouter_tokenizations_total 3\n");
    expect_metric(net, "stackrouter_tokenizations_failed_total 0\n");
    expect_metric(net, "stackrouter_kv_events_total 1\n");
    expect_metric(net, "stackrouter_kv_batches_unreadable_total 2\n");
    text_fini(&bytes);
    expect_clean(net);
}

/* Without an answer the text's own hashes stand, and the request goes its way. */
static void a_silent_tokenizer_costs_ten_seconds(void)
{
    struct net *net = tokenizing("http://untok-a:1,http://untok-b:1");
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_wait(net, 9 * second_ns);
    expect_answers(client, "");
    net_wait(net, 2 * second_ns);
    expect_has(client, "200 {\"engine\":\"untok-");
    expect_metric(net, "stackrouter_tokenizations_failed_total 1\n");
    expect_clean(net);
}

static void a_client_that_leaves_ends_the_question_for_tokens(void)
{
    struct net *net = tokenizing("http://untok-a:1,http://untok-b:1");
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    EXPECT_U64(net->requests_at_engines, 1);
    net_lose(net, client, "closed by the peer");
    net_wait(net, 11 * second_ns);
    EXPECT_U64(net->requests_at_engines, 1);
    expect_clean(net);
}

static void errors_are_reported_without_a_word_of_the_client(void)
{
    struct sentry *sentry = NULL;
    struct err err = {0};
    REQUIRE_OK(sentry_new(&sentry, "http://key:secret@ok-sentry:9/x/42", 1, &err),
               &err);
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://refuse-a:1", .models = "m", .sentry = sentry});
    struct net_end *client = net_client(net);
    text_add(&client->to_proxy, "POST /v1/completions HTTP/1.1\r\nX-Request-Id: "
                                "personal-id\r\nAuthorization: personal-key\r\n"
                                "Content-Length: 37\r\n\r\n"
                                "{\"model\":\"m\",\"prompt\":\"personal one\"}");
    net_settle(net, 65536);
    expect_has(client, "500 ");
    const struct net_end *end = last_engine(net, "ok-sentry");
    REQUIRE(end != NULL);
    const char *seen = text_str(&end->script.seen);
    EXPECT_HAS(seen, "POST /x/api/42/envelope/ HTTP/1.1\r\nHost: ok-sentry:9\r\n");
    EXPECT_HAS(seen, "sentry_key=key\r\n");
    EXPECT_HAS(seen, "\"message\":{\"formatted\":\"");
    EXPECT_HAS(seen, "\"server\":\"http://refuse-a:1\"");
    EXPECT(strstr(seen, "personal") == NULL && strstr(seen, "secret") == NULL);
    EXPECT_U64(sentry->sent, 1);
    expect_clean(net);
    sentry_delete(sentry);
}

static void without_an_address_nothing_is_reported(void)
{
    struct net *net =
        net_new(&(struct net_setup){.backends = "http://refuse-a:1", .models = "m"});
    struct net_end *client = net_client(net);
    net_post(client, "/v1/completions", BODY);
    net_settle(net, 65536);
    expect_has(client, "500 ");
    for (size_t i = 0; i < net->end_count; i++) {
        const struct net_end *end = net->ends[i];
        EXPECT(!end->engine || strcmp(end->script.name, "refuse-a") == 0);
    }
    expect_clean(net);
}

static void a_dead_reporter_holds_nothing_up(void)
{
    struct sentry *sentry = NULL;
    struct err err = {0};
    REQUIRE_OK(sentry_new(&sentry, "http://key@hang-sentry/42", 1, &err), &err);
    struct net *net = net_new(&(struct net_setup){
        .backends = "http://refuse-a:1", .models = "m", .sentry = sentry});
    struct net_end *client = net_client(net);
    for (int i = 0; i < 20; i++) {
        net_post(client, "/v1/completions", BODY);
    }
    net_settle(net, 65536);
    EXPECT_U64(sentry->active, 4);
    EXPECT_U64(sentry->dropped, 16);
    EXPECT_FAILS(sentry_new(&sentry, "http://host/42", 1, &err), &err, "--sentry-dsn");
    EXPECT_FAILS(sentry_new(&sentry, "http://key@host", 1, &err), &err, "--sentry-dsn");
    expect_clean(net);
    EXPECT_U64(sentry->active, 0);
    sentry_delete(sentry);
}

/* --- the record, replayed --------------------------------------------------------- */

struct replay {
    struct gateway *gateway;
    struct jsonl *json;
    struct text decisions;
    struct decision_sink sink;
};

static void replay_decision(void *context, const struct decision_row *row)
{
    decision_log_row(row, context);
}

static uint64_t number_of(const struct replay *replay, const char *key)
{
    int64_t value = 0;
    (void)jsonl_i64(replay->json,
                    jsonl_get(replay->json, jsonl_root(replay->json), key), &value);
    return (uint64_t)value;
}

/* "" when absent. */
static void text_of(const struct replay *replay, const char *key, char *out,
                    size_t out_bytes)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    const jsonl_value value = jsonl_get(replay->json, jsonl_root(replay->json), key);
    out[0] = '\0';
    if (value != JSONL_NONE) {
        jsonl_bytes(replay->json, value, &bytes, &byte_count);
        (void)snprintf(out, out_bytes, "%.*s", (int)byte_count, bytes);
    }
}

static bool is_true(const struct replay *replay, const char *key)
{
    char word[16];
    text_of(replay, key, word, sizeof word);
    return strcmp(word, "true") == 0;
}

static size_t hashes_of(const struct replay *replay, const char *key, uint64_t *out,
                        size_t max)
{
    size_t count = 0;
    const jsonl_value list = jsonl_get(replay->json, jsonl_root(replay->json), key);
    for (jsonl_value item = list != JSONL_NONE ? jsonl_first(replay->json, list)
                                               : JSONL_NONE;
         item != JSONL_NONE && count < max; item = jsonl_next(replay->json, item)) {
        const char *bytes = NULL;
        size_t byte_count = 0;
        jsonl_bytes(replay->json, item, &bytes, &byte_count);
        out[count++] = strtoull(bytes, NULL, 16);
    }
    return count;
}

static void replay_setup(struct replay *replay)
{
    char policy[64];
    struct err err = {0};
    text_of(replay, "policy", policy, sizeof policy);
    gateway_delete(replay->gateway);
    const struct gateway_setup setup = {
        .policy = route_policy_find(policy),
        .compat = COMPAT_HEAD,
        .seed = number_of(replay, "seed"),
        .replica = number_of(replay, "replica"),
        .stats_window_ns = (int64_t)number_of(replay, "stats_window_ns"),
        .endpoints_max = (uint32_t)number_of(replay, "endpoints_max"),
    };
    REQUIRE_OK(gateway_new(&replay->gateway, &setup, &err), &err);
    gateway_log_to(replay->gateway, &replay->sink);
}

static void replay_route(struct replay *replay, int64_t at_ns)
{
    char model[64];
    char session[64];
    uint64_t chunks[64];
    uint64_t blocks[64];
    uint32_t endpoint = 0;
    text_of(replay, "model", model, sizeof model);
    text_of(replay, "session", session, sizeof session);
    const struct request_view view = {
        .request_id = number_of(replay, "request"),
        .arrival_ns = (int64_t)number_of(replay, "arrival_ns"),
        .model = model,
        .session_key = session[0] != '\0' ? session : NULL,
        .prompt_tokens = (uint32_t)number_of(replay, "prompt_tokens"),
        .output_tokens_max = (uint32_t)number_of(replay, "output_tokens_max"),
        .priority = (int32_t)number_of(replay, "priority"),
        .chunk_hashes = chunks,
        .chunk_count = (uint32_t)hashes_of(replay, "chunks", chunks, 64),
        .block_hashes = blocks,
        .block_count = (uint32_t)hashes_of(replay, "blocks", blocks, 64),
        .block_tokens = (uint32_t)number_of(replay, "block_tokens"),
    };
    (void)gateway_route(replay->gateway, at_ns, &view, &endpoint);
}

static void replay_end(struct replay *replay, int64_t at_ns)
{
    char how[16];
    text_of(replay, "how", how, sizeof how);
    const struct attempt_end end = {
        .request_id = number_of(replay, "request"),
        .endpoint_id = (uint32_t)number_of(replay, "endpoint"),
        .prompt_tokens = (uint32_t)number_of(replay, "prompt_tokens"),
        .cached_tokens = (uint32_t)number_of(replay, "cached_tokens"),
        .how = how[0] == 'c'   ? ATTEMPT_COMPLETED
               : how[0] == 'a' ? ATTEMPT_ABORTED
                               : ATTEMPT_REFUSED,
        .had_first_token = is_true(replay, "had_first_token"),
    };
    gateway_end(replay->gateway, at_ns, &end);
}

static void replay_line(struct replay *replay, const char *line, size_t byte_count)
{
    struct err err = {0};
    char kind[32];
    char url[128];
    char model[64];
    REQUIRE_OK(jsonl_scan(replay->json, line, byte_count, &err), &err);
    text_of(replay, "kind", kind, sizeof kind);
    const int64_t at_ns = (int64_t)number_of(replay, "at_ns");
    const uint32_t endpoint = (uint32_t)number_of(replay, "endpoint");
    if (strcmp(kind, "setup") == 0) {
        replay_setup(replay);
    } else if (strcmp(kind, "join") == 0) {
        text_of(replay, "url", url, sizeof url);
        text_of(replay, "model", model, sizeof model);
        EXPECT_U64(gateway_join(replay->gateway, url, model, 1), endpoint);
    } else if (strcmp(kind, "accepting") == 0) {
        gateway_set_accepting(replay->gateway, endpoint, is_true(replay, "accepting"));
    } else if (strcmp(kind, "route") == 0) {
        replay_route(replay, at_ns);
    } else if (strcmp(kind, "first_token") == 0) {
        gateway_first_token(replay->gateway, at_ns, number_of(replay, "request"),
                            endpoint, (uint32_t)number_of(replay, "prompt_tokens"));
    } else if (strcmp(kind, "end") == 0) {
        replay_end(replay, at_ns);
    } else {
        EXPECT(strcmp(kind, "leave") == 0 || strcmp(kind, "metrics") == 0);
    }
}

static void expect_same_decisions_again(const struct net *net)
{
    struct replay replay = {.json = jsonl_new(4096)};
    replay.sink = (struct decision_sink){.context = &replay.decisions,
                                         .on_decision = replay_decision};
    const char *line = text_str(&net->record);
    for (const char *end = strchr(line, '\n'); end != NULL; end = strchr(line, '\n')) {
        replay_line(&replay, line, (size_t)(end - line));
        line = end + 1;
    }
    EXPECT(net->decisions.length > 100);
    EXPECT_STR(text_str(&replay.decisions), text_str(&net->decisions));
    gateway_delete(replay.gateway);
    jsonl_delete(replay.json);
    text_fini(&replay.decisions);
}

/* --- at random -------------------------------------------------------------------- */

struct chaos {
    struct net *net;
    struct net_end *clients[64];
    uint32_t asked[64];
    size_t count;
};

static void act(struct chaos *chaos)
{
    struct net *net = chaos->net;
    const size_t which = rng_below(&net->rng, chaos->count);
    struct net_end *client = chaos->clients[which];
    switch (rng_below(&net->rng, 12)) {
    case 0:
    case 1:
    case 2:
        if (client->alive && !client->close_due) {
            net_post(client, "/v1/completions", BODY);
            chaos->asked[which]++;
        }
        break;
    case 3:
        if (client->alive && rng_below(&net->rng, 20) == 0) {
            client->close_due = true;
            client->reading = true;
        }
        break;
    case 4:
        net->now_ns += PROXY_TICK_NS;
        proxy_on_tick(net->proxy, net->now_ns);
        break;
    default:
        break;
    }
    struct net_end *end = net->ends[rng_below(&net->rng, net->end_count)];
    (void)net_deliver(net, end, 1 + rng_below(&net->rng, 200));
}

/* One answer to each question, in order, none twice, and nothing left behind. */
static void chance_finds_no_lost_request_and_the_record_replays(void)
{
    static const char *const POLICIES[] = {
        "random",     "least_request", "session",      "prefix_aware", "round_robin",
        "least_work", "cache_aware",   "weighted_sum", "power_of_d"};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        harness_note("dst_router --seed=%llu", (unsigned long long)seed);
        struct chaos chaos = {.count = 12};
        chaos.net = net_new(&(struct net_setup){
            .backends =
                "http://ok-a:1,http://sse-b:1,http://refuse-c:1,http://reset-d:1,"
                "http://cut-e:1,http://eof-f:1,http://twice-g:1,http://early-h:1,"
                "http://junk-i:1,http://busy-j:1",
            .models = "m,m,m,m,m,m,m,m,m,m",
            .policy = POLICIES[seed % (sizeof POLICIES / sizeof POLICIES[0])],
            .session_key = "prompt",
            .record = true,
            .seed = seed});
        for (size_t i = 0; i < chaos.count; i++) {
            chaos.clients[i] = net_client(chaos.net);
            chaos.clients[i]->unread_max = i % 3 == 0 ? 40 : 0;
        }
        for (int step = 0; step < 4000; step++) {
            act(&chaos);
        }
        net_wait(chaos.net, 3 * second_ns);
        for (size_t i = 0; i < chaos.count; i++) {
            struct text got = {0};
            net_answers(chaos.clients[i], &got);
            uint32_t answers = 0;
            for (const char *at = text_str(&got); (at = strchr(at, ';')) != NULL;
                 at++) {
                answers++;
            }
            const bool whole = chaos.clients[i]->alive;
            EXPECT(whole ? answers == chaos.asked[i] : answers <= chaos.asked[i]);
            text_fini(&got);
        }
        expect_same_decisions_again(chaos.net);
        expect_clean(chaos.net);
    }
}

HARNESS_MAIN("router", TEST(requests_take_turns_and_connections_are_reused),
             TEST(a_stream_passes_event_by_event), TEST(heads_are_cleaned_on_the_way),
             TEST(an_alias_is_replaced_for_the_engine),
             TEST(an_answer_may_end_with_the_connection),
             TEST(interim_answers_stay_with_the_router),
             TEST(an_old_client_gets_no_chunks),
             TEST(a_connection_that_says_too_much_is_not_used_again),
             TEST(errors_of_engines_are_passed_on),
             TEST(what_is_wrong_with_a_request_is_said),
             TEST(the_release_answers_otherwise), TEST(the_release_fails_where_it_did),
             TEST(limits_are_kept), TEST(smuggling_is_refused_and_ends_the_connection),
             TEST(unknown_paths_and_methods_are_told_apart),
             TEST(a_thousand_pipelined_questions_are_answered_in_order),
             TEST(another_backend_is_tried_before_the_first_byte),
             TEST(when_all_fail_the_client_hears_of_it),
             TEST(a_backend_that_does_not_connect_is_given_two_seconds),
             TEST(a_silent_engine_is_given_up),
             TEST(a_stream_that_breaks_is_not_taken_for_a_whole_one),
             TEST(an_idle_connection_that_was_closed_costs_nobody),
             TEST(a_backend_that_fails_thrice_is_left_alone_for_a_while),
             TEST(probes_take_a_backend_out_and_bring_it_back),
             TEST(each_type_is_probed_with_its_own_request),
             TEST(the_release_misspells_the_probe_of_score),
             TEST(the_release_does_not_tell_down_from_unknown),
             TEST(a_client_that_leaves_ends_the_engines_work),
             TEST(a_slow_client_makes_its_engine_wait),
             TEST(a_client_that_takes_nothing_is_dropped),
             TEST(the_queue_is_served_in_order_and_has_an_end),
             TEST(draining_ends_what_is_idle_and_finishes_what_is_not),
             TEST(streams_survive_a_new_configuration),
             TEST(one_engine_may_serve_two_models),
             TEST(prefill_comes_first_and_its_kv_is_passed_on),
             TEST(pairs_survive_a_new_configuration),
             TEST(an_error_of_the_prefiller_is_the_answer),
             TEST(a_missing_pool_is_named), TEST(a_client_that_leaves_ends_the_prefill),
             TEST(adapters_are_listed_and_routed_to_who_has_them),
             TEST(a_sleeping_engine_gets_no_requests), TEST(the_access_log_is_a_trace),
             TEST(kv_events_draw_requests_to_who_holds_the_prompt),
             TEST(published_events_meet_tokenized_prompts),
             TEST(a_silent_tokenizer_costs_ten_seconds),
             TEST(a_client_that_leaves_ends_the_question_for_tokens),
             TEST(errors_are_reported_without_a_word_of_the_client),
             TEST(without_an_address_nothing_is_reported),
             TEST(a_dead_reporter_holds_nothing_up),
             TEST(chance_finds_no_lost_request_and_the_record_replays))
