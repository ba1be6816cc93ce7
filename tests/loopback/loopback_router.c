/* SPDX-License-Identifier: Apache-2.0
 *
 * stackrouter as a process between real sockets.
 */
#include "tests/harness.h"
#include "tests/loopback/router.h"

enum { STREAMS = 1000 };

static void the_program_answers_and_ends_cleanly(void)
{
    struct engine *engine = engine_new(0, 10);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags, " --routing-logic=roundrobin --engine-stats-interval=1");
    struct router router = start(flags.bytes);
    ask_get(router.port, "/health", &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_HAS(text_str(&got), "{\"status\":\"healthy\"}");
    ask_get(router.port, "/v1/models", &got);
    EXPECT_HAS(text_str(&got), "\"id\":\"m\"");
    ask_post(router.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_HAS(text_str(&got), QUESTION);
    for (int i = 0; i < 100 && strstr(text_str(&got), "waiting") == NULL; i++) {
        ask_get(router.port, "/metrics", &got);
    }
    EXPECT_HAS(text_str(&got), "vllm:num_requests_running{server=");
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    text_fini(&flags);
    text_fini(&got);
}

static void a_thousand_streams_at_a_time_all_arrive(void)
{
    raise_limit();
    struct engine *first = engine_new(0, 100);
    struct engine *second = engine_new(0, 100);
    struct text flags = {0};
    backends_flags(&flags, "http", first->port, second->port);
    text_add(&flags, " --routing-logic=least_request");
    struct router router = start(flags.bytes);
    int *fds = mem_alloc(STREAMS, sizeof *fds);
    int whole = 0;
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = connect_to(router.port);
        post(fds[i], "/v1/chat/completions",
             "{\"model\":\"m\",\"stream\":true,\"max_tokens\":20,\"messages\":[]}");
    }
    for (int i = 0; i < STREAMS; i++) {
        struct text got = {0};
        const bool ended = read_until(fds[i], "data: [DONE]\n\n\r\n0\r\n\r\n", &got);
        size_t events = 0;
        for (const char *at = text_str(&got); (at = strstr(at, "choices")) != NULL;
             at++) {
            events++;
        }
        whole += ended && events == 20 ? 1 : 0;
        (void)close(fds[i]);
        text_fini(&got);
    }
    EXPECT_I64(whole, STREAMS);
    EXPECT_I64(atomic_load(&first->requests) + atomic_load(&second->requests), STREAMS);
    EXPECT_I64(stop(&router), 0);
    mem_free(fds);
    text_fini(&flags);
    engine_delete(first);
    engine_delete(second);
}

static void an_engine_that_dies_takes_only_its_own_streams_along(void)
{
    struct engine *first = engine_new(0, 20);
    struct engine *second = engine_new(0, 20);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", first->port, second->port);
    text_add(&flags, " --routing-logic=roundrobin");
    struct router router = start(flags.bytes);
    int fds[10];
    const char *const body = "{\"model\":\"m\",\"stream\":true,\"max_tokens\":50}";
    for (size_t i = 0; i < 10; i++) {
        fds[i] = connect_to(router.port);
        post(fds[i], "/v1/completions", body);
        clear(&got);
        EXPECT(read_until(fds[i], "choices", &got));
    }
    engine_delete(first);
    int whole = 0;
    int broken = 0;
    for (size_t i = 0; i < 10; i++) {
        clear(&got);
        (void)read_until(fds[i], "\r\n0\r\n\r\n", &got);
        whole += strstr(text_str(&got), "[DONE]") != NULL;
        broken += strstr(text_str(&got), "The engine broke off its answer.") != NULL;
        (void)close(fds[i]);
    }
    EXPECT_I64(whole, 5);
    EXPECT_I64(broken, 5);
    for (int i = 0; i < 10; i++) {
        ask_post(router.port, QUESTION, &got);
        EXPECT_HAS(text_str(&got), "200 OK");
    }
    EXPECT_I64(stop(&router), 0);
    engine_delete(second);
    text_fini(&flags);
    text_fini(&got);
}

static void write_config(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");
    REQUIRE(stream != NULL);
    (void)fputs(text, stream);
    (void)fclose(stream);
}

static void a_broken_configuration_changes_nothing_and_a_good_one_all(void)
{
    struct engine *first = engine_new(0, 50);
    struct engine *second = engine_new(0, 50);
    struct text config = {0};
    struct text got = {0};
    char line[512];
    const char *path = harness_temp("dynamic.json");
    text_printf(&config,
                "{\"service_discovery\":\"static\",\"routing_logic\":\"roundrobin\","
                "\"static_backends\":\"http://127.0.0.1:%d\",\"static_models\":\"m\"}",
                first->port);
    write_config(path, config.bytes);
    struct text flags = {0};
    text_printf(&flags, "--dynamic-config-json=%s", path);
    struct router router = start(flags.bytes);
    const int stream = connect_to(router.port);
    post(stream, "/v1/completions",
         "{\"model\":\"m\",\"stream\":true,\"max_tokens\":40}");
    EXPECT(read_until(stream, "choices", &got));
    write_config(path, "{\"routing_logic\":\"roundrobin\",\"nonsense\":1}");
    (void)kill(router.pid, SIGHUP);
    wait_for(&router, "the old configuration stays", line, sizeof line);
    EXPECT_HAS(line, "unknown key 'nonsense'");
    struct text other = {0};
    ask_get(router.port, "/health", &other);
    EXPECT_HAS(text_str(&other), "\"generation\":1}");
    config.length = 0;
    text_printf(&config,
                "{\"service_discovery\":\"static\",\"routing_logic\":\"session\","
                "\"session_key\":\"u\",\"static_backends\":\"http://127.0.0.1:%d\","
                "\"static_models\":\"n\",\"static_aliases\":\"a:n\"}",
                second->port);
    write_config(path, config.bytes);
    (void)kill(router.pid, SIGHUP);
    wait_for(&router, "configuration 2 is in force", line, sizeof line);
    ask_get(router.port, "/health", &other);
    EXPECT_HAS(text_str(&other), "\"routing_logic\":\"session\"");
    ask_post(router.port, "{\"model\":\"a\"}", &other);
    EXPECT_HAS(text_str(&other), "{\"model\":\"n\"}");
    ask_post(router.port, QUESTION, &other);
    EXPECT_HAS(text_str(&other), "503 ");
    EXPECT(read_until(stream, "data: [DONE]", &got));
    (void)close(stream);
    EXPECT_I64(stop(&router), 0);
    engine_delete(first);
    engine_delete(second);
    text_fini(&config);
    text_fini(&flags);
    text_fini(&other);
    text_fini(&got);
}

static void streams_end_in_peace_when_the_router_is_told_to_go(void)
{
    struct engine *engine = engine_new(0, 20);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags, " --routing-logic=roundrobin");
    struct router router = start(flags.bytes);
    const int stream = connect_to(router.port);
    post(stream, "/v1/completions",
         "{\"model\":\"m\",\"stream\":true,\"max_tokens\":30}");
    EXPECT(read_until(stream, "choices", &got));
    (void)kill(router.pid, SIGTERM);
    EXPECT(read_until(stream, "[DONE]\n\n\r\n0\r\n\r\n", &got));
    (void)close(stream);
    int status = 0;
    (void)waitpid(router.pid, &status, 0);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)fclose(router.says);
    engine_delete(engine);
    text_fini(&flags);
    text_fini(&got);
}

/* Two routers: the first speaks https to the second. */
static void tls_works_on_both_sides_and_checks_names(void)
{
    struct engine *engine = engine_new(0, 10);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_printf(&flags, " --routing-logic=roundrobin --tls-cert=%s",
                harness_source("tests/loopback/tls/cert.pem"));
    text_printf(&flags, " --tls-key=%s", harness_source("tests/loopback/tls/key.pem"));
    struct router inner = start(flags.bytes);
    flags.length = 0;
    backends_flags(&flags, "https", inner.port, 0);
    text_printf(&flags, " --routing-logic=roundrobin --engine-ca=%s",
                harness_source("tests/loopback/tls/cert.pem"));
    struct router outer = start(flags.bytes);
    for (int i = 0; i < 3; i++) {
        ask_post(outer.port, QUESTION, &got);
        EXPECT_HAS(text_str(&got), QUESTION);
    }
    struct text large = {0};
    text_add(&large, "{\"model\":\"m\",\"prompt\":\"");
    for (int i = 0; i < 100000; i++) {
        text_add(&large, "0123456789");
    }
    text_add(&large, "\"}");
    ask_post(outer.port, large.bytes, &got);
    EXPECT(strstr(text_str(&got), large.bytes) != NULL);
    EXPECT_I64(stop(&outer), 0);
    flags.length = 0;
    backends_flags(&flags, "https", inner.port, 0);
    text_add(&flags,
             " --routing-logic=roundrobin"); /* the system's roots do not know it */
    outer = start(flags.bytes);
    ask_post(outer.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "500 ");
    EXPECT_I64(stop(&outer), 0);
    EXPECT_I64(stop(&inner), 0);
    engine_delete(engine);
    text_fini(&large);
    text_fini(&flags);
    text_fini(&got);
}

static void the_simulator_reads_the_access_log(void)
{
    struct engine *engine = engine_new(0, 5);
    struct text flags = {0};
    struct text got = {0};
    const char *path = harness_temp("access.csv");
    backends_flags(&flags, "http", engine->port, 0);
    text_printf(&flags, " --routing-logic=session --session-key=u --access-log=%s",
                path);
    struct router router = start(flags.bytes);
    struct text body = {0};
    text_add(&body,
             "{\"model\":\"m\",\"u\":\"someone\",\"stream\":true,\"max_tokens\":7,"
             "\"prompt\":\"");
    for (int i = 0; i < 300; i++) {
        text_add(&body, "a prompt of some length ");
    }
    text_add(&body, "\"}");
    for (int i = 0; i < 5; i++) {
        ask_post(router.port, body.bytes, &got);
        EXPECT_HAS(text_str(&got), "[DONE]");
    }
    EXPECT_I64(stop(&router), 0);
    struct text command = {0};
    text_printf(&command, "%s trace info --format json %s", getenv("STACKSIM_BIN"),
                path);
    FILE *info = popen(command.bytes, "r");
    REQUIRE(info != NULL);
    clear(&got);
    char line[512];
    while (fgets(line, sizeof line, info) != NULL) {
        text_add(&got, line);
    }
    EXPECT_I64(pclose(info), 0);
    EXPECT_HAS(text_str(&got), "access log of stackrouter");
    engine_delete(engine);
    text_fini(&command);
    text_fini(&body);
    text_fini(&flags);
    text_fini(&got);
}

static void bad_requests_are_answered_and_do_no_harm(void)
{
    static const char *const BAD[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\n\r\n",
        ("POST /v1/completions HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: "
         "chunked\r\n\r\nabc"),
        "POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "\x16\x03\x01\x02",
        "GET /%00 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nA\0B: c\r\n\r\n",
    };
    struct engine *engine = engine_new(0, 10);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags, " --routing-logic=roundrobin");
    struct router router = start(flags.bytes);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
            const int fd = connect_to(router.port);
            send_text(fd, BAD[i]);
            (void)shutdown(fd, SHUT_WR);
            clear(&got);
            (void)read_until(fd, NULL, &got);
            EXPECT(strstr(text_str(&got), "200 OK") == NULL);
            (void)close(fd);
        }
    }
    ask_post(router.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    text_fini(&flags);
    text_fini(&got);
}

HARNESS_MAIN("router", TEST(the_program_answers_and_ends_cleanly),
             TEST(a_thousand_streams_at_a_time_all_arrive),
             TEST(an_engine_that_dies_takes_only_its_own_streams_along),
             TEST(a_broken_configuration_changes_nothing_and_a_good_one_all),
             TEST(streams_end_in_peace_when_the_router_is_told_to_go),
             TEST(tls_works_on_both_sides_and_checks_names),
             TEST(the_simulator_reads_the_access_log),
             TEST(bad_requests_are_answered_and_do_no_harm))
