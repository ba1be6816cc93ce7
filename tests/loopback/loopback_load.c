/* SPDX-License-Identifier: Apache-2.0
 *
 * stackrouter under load: what it keeps in memory, what a thousand streams and a flood
 * of nonsense leave to others, and that nobody goes without an answer when engines die.
 *
 * STACKSIM_LOAD_REQUESTS and STACKSIM_LOAD_S make the long versions of
 * tests/cli/router_load_slow.sh.
 */
#include "tests/loopback/router.h"

enum { CLIENTS = 32, STREAMS = 1000, FLOODERS = 4 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static long setting(const char *name, long usual)
{
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : usual;
}

static int64_t rss_kb(pid_t pid)
{
    char path[64];
    char line[256];
    int64_t kb = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "r");
    REQUIRE(status != NULL);
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kb = strtol(line + 6, NULL, 10);
        }
    }
    (void)fclose(status);
    return kb;
}

/* --- memory ----------------------------------------------------------------------- */

/* One request on every connection at a time, all different; each 16th round is of
 * streams. Returns how many were answered whole. */
static int64_t round_of_requests(const int *fds, int64_t round)
{
    const bool streams = round % 16 == 0;
    int64_t whole = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char body[256];
        (void)snprintf(
            body, sizeof body,
            "{\"model\":\"m\",\"u\":\"%lld-%d\",\"prompt\":\"a prompt that no "
            "other has, %lld of %d\",\"max_tokens\":4%s}",
            (long long)round, i, (long long)round, i,
            streams ? ",\"stream\":true" : "");
        post(fds[i], "/v1/completions", body);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct text got = {0};
        whole +=
            read_until(fds[i], streams ? "\r\n0\r\n\r\n" : "\"max_tokens\":4}", &got)
                ? 1
                : 0;
        text_fini(&got);
    }
    return whole;
}

/* Statistics keep every request of their window, which grows with the rate and not with
 * the count: the window is made short, and the first reading waits until it is full. At
 * the rates that one thread reaches it holds less than 3 MiB, and 40 bytes left behind
 * by every request are more. */
static void memory_stays_flat_over_many_requests(void)
{
    const int64_t rounds =
        setting("STACKSIM_LOAD_REQUESTS", SANITIZED ? 10000 : 100000) / CLIENTS;
    struct engine *engine = engine_new(0, 0);
    struct text flags = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags,
             " --routing-logic=session --session-key=u --request-stats-window=1");
    struct router router = start(flags.bytes);
    int fds[CLIENTS];
    int64_t whole = 0;
    int64_t round = 0;
    const int64_t full_ms = wall_ms() + 1500;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = connect_to(router.port);
    }
    for (; round < rounds / 5 || wall_ms() < full_ms; round++) {
        whole += round_of_requests(fds, round);
    }
    const int64_t early_kb = rss_kb(router.pid);
    for (const int64_t end = round + rounds; round < end; round++) {
        whole += round_of_requests(fds, round);
    }
    const int64_t grown_kb = rss_kb(router.pid) - early_kb;
    (void)printf("resident %lld kB, %lld kB more after %lld requests\n",
                 (long long)early_kb, (long long)grown_kb, (long long)rounds * CLIENTS);
    EXPECT_I64(whole, round * CLIENTS);
    EXPECT_I64(atomic_load(&engine->requests), round * CLIENTS);
    EXPECT(SANITIZED || grown_kb < 3072); /* ASan keeps freed memory on purpose */
    for (int i = 0; i < CLIENTS; i++) {
        (void)close(fds[i]);
    }
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    text_fini(&flags);
}

/* --- health ----------------------------------------------------------------------- */

static void health_is_answered_under_a_thousand_streams_and_without_engines(void)
{
    raise_limit();
    struct engine *engine = engine_new(0, 100);
    struct text flags = {0};
    struct text got = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags, " --routing-logic=roundrobin");
    struct router router = start(flags.bytes);
    int *fds = mem_alloc(STREAMS, sizeof *fds);
    for (int i = 0; i < STREAMS; i++) {
        fds[i] = connect_to(router.port);
        post(fds[i], "/v1/completions",
             "{\"model\":\"m\",\"stream\":true,\"max_tokens\":100000}");
    }
    for (int i = 0; i < STREAMS; i++) {
        clear(&got);
        EXPECT(read_until(fds[i], "choices", &got));
    }
    const int64_t before_ms = wall_ms();
    ask_get(router.port, "/health", &got);
    (void)printf("/health took %lld ms under %d streams\n",
                 (long long)(wall_ms() - before_ms), STREAMS);
    EXPECT_HAS(text_str(&got), "{\"status\":\"healthy\"}");
    ask_get(router.port, "/metrics", &got);
    EXPECT_HAS(text_str(&got), "} 1000\n"); /* all of them still under way */
    for (int i = 0; i < STREAMS; i++) {
        (void)close(fds[i]);
    }
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    router = start(flags.bytes); /* the same backend, now dead */
    ask_post(router.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "500 ");
    ask_get(router.port, "/health", &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_I64(stop(&router), 0);
    mem_free(fds);
    text_fini(&flags);
    text_fini(&got);
}

/* --- nonsense --------------------------------------------------------------------- */

struct flooder {
    pthread_t thread;
    int port;
    uint32_t chance; /* state of a linear congruential generator */
    const atomic_bool *stop;
    int64_t sent;
    bool accepted; /* nonsense was answered 200 */
};

static uint32_t next_chance(struct flooder *flooder, uint32_t below)
{
    flooder->chance = flooder->chance * 1664525U + 1013904223U;
    return (flooder->chance >> 8) % below;
}

/* A right request with bytes changed, cut or doubled, and never with its right method.
 */
static size_t make_nonsense(struct flooder *flooder, char *out)
{
    static const char RIGHT[] =
        "XOST /v1/completions HTTP/1.1\r\nHost: r\r\nContent-Length: 26\r\n"
        "Transfer-Encoding: chunked\r\n\r\n{\"model\":\"m\",\"prompt\":\"x\"}";
    size_t length = sizeof RIGHT - 1;
    memcpy(out, RIGHT, sizeof RIGHT);
    for (uint32_t i = next_chance(flooder, 8); i > 0; i--) {
        out[1 + next_chance(flooder, (uint32_t)length - 1)] =
            (char)next_chance(flooder, 256);
    }
    if (next_chance(flooder, 2) == 0) {
        length = 1 + next_chance(flooder, (uint32_t)length);
    }
    return length;
}

static void *flood(void *context)
{
    struct flooder *flooder = context;
    struct text got = {0};
    while (!atomic_load(flooder->stop)) {
        char bytes[256];
        const size_t length = make_nonsense(flooder, bytes);
        const int fd = connect_to(flooder->port);
        (void)send(fd, bytes, length, MSG_NOSIGNAL);
        if (next_chance(flooder, 4) != 0) {
            (void)shutdown(fd, SHUT_WR);
            clear(&got);
            (void)read_until(fd, NULL, &got);
            flooder->accepted |= strstr(text_str(&got), "200 OK") != NULL;
        } /* else it hangs up without waiting */
        (void)close(fd);
        flooder->sent++;
    }
    text_fini(&got);
    return NULL;
}

static void a_flood_of_nonsense_costs_no_honest_client_an_answer(void)
{
    const int64_t end_ms = wall_ms() + 1000 * setting("STACKSIM_LOAD_S", 3);
    atomic_bool stop_flood = false;
    struct engine *engine = engine_new(0, 0);
    struct text flags = {0};
    struct text got = {0};
    struct flooder flooders[FLOODERS] = {0};
    backends_flags(&flags, "http", engine->port, 0);
    text_add(&flags, " --routing-logic=roundrobin");
    struct router router = start(flags.bytes);
    for (uint32_t i = 0; i < FLOODERS; i++) {
        flooders[i].port = router.port;
        flooders[i].chance = i;
        flooders[i].stop = &stop_flood;
        REQUIRE(pthread_create(&flooders[i].thread, NULL, flood, &flooders[i]) == 0);
    }
    int64_t asked = 0;
    int64_t answered = 0;
    while (wall_ms() < end_ms) {
        ask_post(router.port, QUESTION, &got);
        asked++;
        answered += strstr(text_str(&got), QUESTION) != NULL ? 1 : 0;
    }
    atomic_store(&stop_flood, true);
    int64_t sent = 0;
    for (size_t i = 0; i < FLOODERS; i++) {
        (void)pthread_join(flooders[i].thread, NULL);
        sent += flooders[i].sent;
        EXPECT(!flooders[i].accepted);
    }
    (void)printf("%lld bad requests, %lld good ones\n", (long long)sent,
                 (long long)asked);
    EXPECT_I64(answered, asked);
    EXPECT_I64(atomic_load(&engine->requests), asked);
    EXPECT(sent > 0);
    EXPECT_I64(stop(&router), 0);
    engine_delete(engine);
    text_fini(&flags);
    text_fini(&got);
}

/* --- engines that come and go ----------------------------------------------------- */

/* Every client hears an end, whole or an error, however often engines die. Errors are
 * streams that broke, and requests for which the budget of retries was spent. */
static void nobody_goes_without_an_answer_while_engines_die_and_return(void)
{
    enum { ROUNDS = 10 };
    static const char STREAMED[] =
        "POST /v1/completions HTTP/1.1\r\nHost: r\r\n"
        "Connection: close\r\nContent-Length: 43\r\n\r\n"
        "{\"model\":\"m\",\"stream\":true,\"max_tokens\":20}";
    static const char WHOLE[] = "POST /v1/completions HTTP/1.1\r\nHost: r\r\n"
                                "Connection: close\r\nContent-Length: 13\r\n\r\n"
                                "{\"model\":\"m\"}";
    struct engine *steady = engine_new(0, 5);
    struct engine *shaky = engine_new(0, 5);
    const int shaky_port = shaky->port;
    struct text flags = {0};
    backends_flags(&flags, "http", steady->port, shaky_port);
    text_add(&flags, " --routing-logic=roundrobin --ejection-time=1s");
    struct router router = start(flags.bytes);
    int whole = 0;
    int broken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int fds[CLIENTS];
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = connect_to(router.port);
            send_text(fds[i], i % 2 == 0 ? STREAMED : WHOLE);
        }
        if (round % 2 == 0) {
            engine_delete(shaky);
        } else {
            shaky = engine_new(shaky_port, 5);
        }
        for (int i = 0; i < CLIENTS; i++) {
            struct text got = {0};
            const bool ended = read_until(fds[i], NULL, &got);
            const bool error = strstr(text_str(&got), "\"error\"") != NULL;
            const bool last =
                strstr(text_str(&got), i % 2 == 0 ? "[DONE]" : "}") != NULL;
            whole += ended && last && !error ? 1 : 0;
            broken += ended && error ? 1 : 0;
            (void)close(fds[i]);
            text_fini(&got);
        }
    }
    (void)printf("%d whole, %d with an error\n", whole, broken);
    EXPECT_I64(whole + broken, (int64_t)ROUNDS * CLIENTS);
    EXPECT(whole > ROUNDS * CLIENTS / 2);
    EXPECT_I64(stop(&router), 0);
    engine_delete(shaky);
    engine_delete(steady);
    text_fini(&flags);
}

HARNESS_MAIN("load", TEST(memory_stays_flat_over_many_requests),
             TEST(health_is_answered_under_a_thousand_streams_and_without_engines),
             TEST(a_flood_of_nonsense_costs_no_honest_client_an_answer),
             TEST(nobody_goes_without_an_answer_while_engines_die_and_return))
