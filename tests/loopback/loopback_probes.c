/* SPDX-License-Identifier: Apache-2.0
 *
 * Health probes between processes: a backend that dies is left out, and let in again.
 */
#include "tests/loopback/router.h"

enum { LOOK_MS = 50, LOOKS_MAX = 400 };

/* Whether /v1/models comes to list model n, or no longer to. */
static bool models_come_to(int port, bool listed)
{
    bool is_so = false;
    for (int look = 0; look < LOOKS_MAX && !is_so; look++) {
        const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
        struct text got = {0};
        (void)nanosleep(&pause, NULL);
        ask_get(port, "/v1/models", &got);
        is_so = (strstr(text_str(&got), "\"id\":\"n\"") != NULL) == listed;
        text_fini(&got);
    }
    return is_so;
}

static void models_and_routing_agree_on_a_backend_that_dies_and_returns(void)
{
    struct engine *steady = engine_new(0, 5);
    struct engine *shaky = engine_new(0, 5);
    const int shaky_port = shaky->port;
    struct text flags = {0};
    struct text got = {0};
    text_printf(
        &flags,
        "--static-backends=http://127.0.0.1:%d,http://127.0.0.1:%d "
        "--static-models=m,n --static-model-types=chat,completion "
        "--static-backend-health-checks --static-backend-health-check-interval=1 "
        "--routing-logic=roundrobin",
        steady->port, shaky_port);
    struct router router = start(flags.bytes);
    EXPECT(models_come_to(router.port, true));
    engine_delete(shaky);
    EXPECT(models_come_to(router.port, false));
    ask_post(router.port, "{\"model\":\"n\"}", &got);
    EXPECT_HAS(text_str(&got), "503 ");
    ask_post(router.port, QUESTION, &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    shaky = engine_new(shaky_port, 5);
    EXPECT(models_come_to(router.port, true));
    ask_post(router.port, "{\"model\":\"n\"}", &got);
    EXPECT_HAS(text_str(&got), "200 OK");
    EXPECT_I64(stop(&router), 0);
    engine_delete(shaky);
    engine_delete(steady);
    text_fini(&flags);
    text_fini(&got);
}

HARNESS_MAIN("probes",
             TEST(models_and_routing_agree_on_a_backend_that_dies_and_returns))
