/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker of LMCache tells the router who has a prompt, over a real socket; requests
 * follow, and the simulator decides alike on the same frames.
 */
#include "router/bus.h"
#include "router/msgpack.h"
#include "tests/loopback/router.h"

enum { LOOK_MS = 50, LOOKS_MAX = 400 };
#define KEY_0 "8808405eec6fbe306fe3369f88daed79dd5613ddbb5e801f632b01d6218c5f08"
#define KEY_1 "dbae33ee1bee4f1e12ac7a0dd1197e46648b8d9d9d908577a53fd38741bcf119"

static void push(struct bus_socket *socket, const char *const *words, uint32_t pairs)
{
    struct text frame = {0};
    msgpack_put_map(&frame, pairs);
    for (uint32_t i = 0; i < 2 * pairs; i++) {
        msgpack_put_str(&frame, words[i]);
    }
    bus_send(socket, frame.bytes, frame.length, false);
    text_fini(&frame);
}

static void admit(struct bus_socket *socket, const char *instance, const char *key)
{
    const char *const words[] = {"type", "KVAdmitMsg", "instance_id", instance,
                                 "key",  key,          "worker_id",   "0"};
    push(socket, words, 4);
}

static bool metric_comes_to(int port, const char *line)
{
    bool is_so = false;
    for (int look = 0; look < LOOKS_MAX && !is_so; look++) {
        const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
        struct text got = {0};
        (void)nanosleep(&pause, NULL);
        ask_get(port, "/metrics", &got);
        is_so = strstr(text_str(&got), line) != NULL;
        text_fini(&got);
    }
    return is_so;
}

/* A port that was free a moment ago. */
static int free_port(void)
{
    struct engine *engine = engine_new(0, 1);
    const int port = engine->port;
    engine_delete(engine);
    return port;
}

static int simulate(const char *record, const char *decisions)
{
    char program[1024];
    int status = -1;
    (void)snprintf(program, sizeof program, "%s/stacksim", getenv("STACKSIM_BUILD"));
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execl(program, program, "parity", "--record", record, "--decisions",
                    decisions, (char *)NULL);
        _exit(127);
    }
    (void)waitpid(pid, &status, 0);
    return status;
}

static void requests_go_to_who_has_their_chunks(void)
{
    static const char *const REGISTER[] = {
        "type", "RegisterMsg", "instance_id", "b", "worker_id", "0", "ip", "localhost"};
    struct engine *first = engine_new(0, 5);
    struct engine *second = engine_new(0, 5);
    struct text flags = {0};
    struct text got = {0};
    struct text question = {0};
    char endpoint[64];
    char record[1024];
    char decisions[1024];
    const int port = free_port();
    (void)snprintf(record, sizeof record, "%s/record.jsonl", getenv("STACKSIM_TMP"));
    (void)snprintf(decisions, sizeof decisions, "%s/decisions.csv",
                   getenv("STACKSIM_TMP"));
    text_printf(&flags,
                "--static-backends=http://127.0.0.1:%d,http://localhost:%d "
                "--static-models=m,m --routing-logic=kvaware --kv-aware-threshold=100 "
                "--lmcache-controller-port=%d --record=%s "
                "--decision-log=%s",
                first->port, second->port, port, record, decisions);
    text_add(&question, "{\"model\":\"m\",\"prompt\":[");
    for (int i = 0; i < 600; i++) {
        text_printf(&question, "%s%d", i == 0 ? "" : ",", i);
    }
    text_add(&question, "]}");
    struct router router = start(flags.bytes);
    struct err err = {0};
    struct bus *bus = bus_new();
    struct bus_socket *socket = NULL;
    (void)snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    REQUIRE_OK(bus_open(&socket, bus, BUS_PUSH, endpoint, &err), &err);
    push(socket, REGISTER, 4);
    admit(socket, "b", KEY_0);
    admit(socket, "nobody", KEY_0);
    EXPECT(metric_comes_to(router.port, "stackrouter_kv_events_unmapped_total 1\n"));
    ask_post(router.port, question.bytes, &got); /* 256 of 600: too little */
    EXPECT_HAS(text_str(&got), "200 OK");
    admit(socket, "b", KEY_1);
    EXPECT(metric_comes_to(router.port, "stackrouter_kv_events_total 2\n"));
    for (int i = 0; i < 3; i++) {
        ask_post(router.port, question.bytes, &got); /* 512 of 600 */
        EXPECT_HAS(text_str(&got), "200 OK");
    }
    EXPECT(metric_comes_to(router.port, "stackrouter_kv_lookup_hit_total 3\n"));
    EXPECT(metric_comes_to(router.port,
                           "stackrouter_kv_lookup_below_threshold_total 1\n"));
    EXPECT_I64(stop(&router), 0);
    EXPECT_I64(simulate(record, decisions), 0);
    bus_close(socket);
    bus_delete(bus);
    engine_delete(first);
    engine_delete(second);
    text_fini(&flags);
    text_fini(&got);
    text_fini(&question);
}

HARNESS_MAIN("lmcache", TEST(requests_go_to_who_has_their_chunks))
