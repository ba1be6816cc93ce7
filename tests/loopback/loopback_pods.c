/* SPDX-License-Identifier: Apache-2.0
 *
 * stackrouter as a process that finds its engines among the pods of a cluster. Pods are
 * real engines on 127.0.0.1, 127.0.0.2 ..., the API server is a thread that speaks
 * https.
 */
#include "router/tls.h"
#include "tests/loopback/kube.h"

struct cluster {
    struct kube *kube;
    struct engine *one; /* 127.0.0.1 */
    struct engine *two; /* 127.0.0.2, the same port */
    struct router router;
    struct text got;
};

static struct cluster cluster_new(const char *flags, int status, const char *items)
{
    struct cluster cluster = {.kube = kube_new(), .one = engine_new(0, 5)};
    struct text line = {0};
    cluster.two = engine_new_at(2, cluster.one->port, 5);
    kube_set_list(cluster.kube, status, items);
    text_printf(&line,
                "--service-discovery=k8s --k8s-api=https://127.0.0.1:%d --k8s-port=%d "
                "--k8s-namespace=prod --k8s-label-selector=app=llm,tier in (a) "
                "--routing-logic=roundrobin%s --k8s-token=%s",
                cluster.kube->port, cluster.one->port, flags,
                harness_source("tests/loopback/tls/token"));
    /* start() splits at blanks. */
    char *blanks = strstr(line.bytes, "tier in (a)");
    blanks[4] = '+';
    blanks[7] = '+';
    text_printf(&line, " --k8s-ca=%s", harness_source("tests/loopback/tls/cert.pem"));
    cluster.router = start(line.bytes);
    text_fini(&line);
    return cluster;
}

static void cluster_delete(struct cluster *cluster)
{
    EXPECT_I64(stop(&cluster->router), 0);
    engine_delete(cluster->one);
    engine_delete(cluster->two);
    kube_delete(cluster->kube);
    text_fini(&cluster->got);
}

/* Asks until the answer holds the part; the harness's clock ends a test that hangs. */
static bool becomes(struct cluster *cluster, const char *path, const char *part)
{
    const int64_t until_ms = wall_ms() + WAIT_MS;
    while (wall_ms() < until_ms) {
        ask_get(cluster->router.port, path, &cluster->got);
        if (strstr(text_str(&cluster->got), part) != NULL) {
            return true;
        }
        (void)poll(NULL, 0, ENGINE_TICK_MS);
    }
    (void)printf("# %s never showed '%s', but: %s\n", path, part,
                 text_str(&cluster->got));
    return false;
}

static bool counts(struct cluster *cluster, const int *counter, int wanted)
{
    const int64_t until_ms = wall_ms() + WAIT_MS;
    while (kube_count(cluster->kube, counter) < wanted && wall_ms() < until_ms) {
        (void)poll(NULL, 0, ENGINE_TICK_MS);
    }
    return kube_count(cluster->kube, counter) >= wanted;
}

/* A row of what is said, as it is read. */
/* NOLINTNEXTLINE(readability-function-size) */
static void say(struct cluster *cluster, const char *type, const char *name, int host,
                bool ready, const char *metadata)
{
    struct text pod = {0};
    kube_pod(&pod, name, host, ready, metadata);
    kube_event(cluster->kube, type, pod.bytes);
    text_fini(&pod);
}

static void pods_come_and_go_while_requests_pass(void)
{
    struct cluster cluster = cluster_new("", 200, "");
    ask_get(cluster.router.port, "/health", &cluster.got);
    EXPECT_HAS(text_str(&cluster.got), "200 OK"); /* without any backend */
    ask_post(cluster.router.port, QUESTION, &cluster.got);
    EXPECT_HAS(text_str(&cluster.got), "404 ");
    REQUIRE(counts(&cluster, &cluster.kube->watches, 1));
    say(&cluster, "ADDED", "a", 0, false, ""); /* not scheduled yet */
    say(&cluster, "MODIFIED", "a", 1, false, "");
    say(&cluster, "MODIFIED", "a", 1, true, ",\"labels\":{\"model\":\"big\"}");
    EXPECT(becomes(&cluster, "/v1/models", "\"id\":\"m\""));
    ask_post(cluster.router.port, QUESTION, &cluster.got);
    EXPECT_HAS(text_str(&cluster.got), "200 OK");
    say(&cluster, "ADDED", "b", 2, true, "");
    EXPECT(becomes(&cluster, "/metrics", "server=\"http://127.0.0.2:"));
    /* uuid5(NAMESPACE_DNS, "b") */
    EXPECT(becomes(&cluster, "/engines", "3f10dbe8-4cbd-5e31-9b1f-af0cb9dda9cf"));
    for (int i = 0; i < 4; i++) {
        ask_post(cluster.router.port, QUESTION, &cluster.got);
        EXPECT_HAS(text_str(&cluster.got), "200 OK");
    }
    EXPECT_I64(atomic_load(&cluster.two->requests), 2);
    say(&cluster, "MODIFIED", "b", 2, true, ",\"deletionTimestamp\":\"now\"");
    say(&cluster, "DELETED", "a", 1, false, "");
    EXPECT(becomes(&cluster, "/metrics", "stackrouter_pods 1\n"));
    ask_post(cluster.router.port, QUESTION, &cluster.got);
    EXPECT_HAS(text_str(&cluster.got), "503 "); /* known, but nobody has it now */
    kube_seen(cluster.kube, &cluster.got);
    EXPECT_HAS(text_str(&cluster.got),
               "GET /api/v1/namespaces/prod/pods?labelSelector=app%3Dllm%2Ctier");
    EXPECT_HAS(text_str(&cluster.got), "&resourceVersion=5 HTTP/1.1\r\n");
    EXPECT_HAS(text_str(&cluster.got), "Authorization: Bearer a-token-of-the-test\r\n");
    cluster_delete(&cluster);
}

static void a_watch_that_breaks_is_begun_again(void)
{
    struct text items = {0};
    kube_pod(&items, "a", 1, true, "");
    struct cluster cluster = cluster_new("", 200, items.bytes);
    EXPECT(becomes(&cluster, "/v1/models", "\"id\":\"m\""));
    REQUIRE(counts(&cluster, &cluster.kube->watches, 1));
    /* Deleted while nobody watched: the next list does not have it. */
    kube_set_list(cluster.kube, 200, "");
    kube_cut(cluster.kube);
    EXPECT(counts(&cluster, &cluster.kube->lists, 2));
    EXPECT(becomes(&cluster, "/metrics", "stackrouter_pods 0\n"));
    REQUIRE(counts(&cluster, &cluster.kube->watches, 2));
    kube_set_list(cluster.kube, 200, items.bytes);
    kube_event(cluster.kube, "ERROR", "{\"kind\":\"Status\",\"code\":410}");
    EXPECT(becomes(&cluster, "/metrics", "stackrouter_pods 1\n"));
    REQUIRE(counts(&cluster, &cluster.kube->watches, 3));
    /* No JSON at all: the same. */
    (void)pthread_mutex_lock(&cluster.kube->lock);
    text_add(&cluster.kube->lines, "<html>bad gateway\n");
    (void)pthread_mutex_unlock(&cluster.kube->lock);
    EXPECT(counts(&cluster, &cluster.kube->watches, 4));
    ask_post(cluster.router.port, QUESTION, &cluster.got);
    EXPECT_HAS(text_str(&cluster.got), "200 OK");
    text_fini(&items);
    cluster_delete(&cluster);
}

static void a_refusal_is_said_with_its_remedy_and_tried_again(void)
{
    char line[512];
    struct cluster cluster = cluster_new("", 403, "");
    wait_for(&cluster.router, "the API answers 403", line, sizeof line);
    EXPECT_HAS(line, "get, list and watch pods in namespace 'prod'");
    EXPECT(counts(&cluster, &cluster.kube->refusals, 2));
    struct text items = {0};
    kube_pod(&items, "a", 1, true, "");
    kube_set_list(cluster.kube, 200, items.bytes);
    EXPECT(becomes(&cluster, "/v1/models", "\"id\":\"m\""));
    text_fini(&items);
    cluster_delete(&cluster);
}

/* A certificate of somebody else is no cluster of ours. */
static void an_api_server_that_is_not_trusted_gets_no_token(void)
{
    struct kube *kube = kube_new();
    struct text line = {0};
    char said[512];
    kube_set_list(kube, 200, "");
    text_printf(&line,
                "--service-discovery=k8s --k8s-api=https://127.0.0.1:%d "
                "--routing-logic=roundrobin --k8s-token=%s",
                kube->port, harness_source("tests/loopback/tls/token"));
    struct router router = start(line.bytes);
    wait_for(&router, "pods cannot be listed", said, sizeof said);
    struct text seen = {0};
    kube_seen(kube, &seen);
    EXPECT_U64(seen.length, 0);
    EXPECT_I64(stop(&router), 0);
    kube_delete(kube);
    text_fini(&seen);
    text_fini(&line);
}

static void workers_of_a_ray_cluster_are_no_backends(void)
{
    struct text items = {0};
    kube_pod(&items, "head", 1, true, ",\"labels\":{\"ray.io/node-type\":\"head\"}");
    text_add(&items, ",");
    kube_pod(&items, "worker", 2, true,
             ",\"labels\":{\"ray.io/node-type\":\"worker\"}");
    struct cluster cluster = cluster_new("", 200, items.bytes);
    EXPECT(becomes(&cluster, "/metrics", "server=\"http://127.0.0.1:"));
    EXPECT_HAS(text_str(&cluster.got), "stackrouter_pods 1\n");
    EXPECT(strstr(text_str(&cluster.got), "127.0.0.2") == NULL);
    text_fini(&items);
    cluster_delete(&cluster);
}

HARNESS_MAIN("pods", TEST(pods_come_and_go_while_requests_pass),
             TEST(a_watch_that_breaks_is_begun_again),
             TEST(a_refusal_is_said_with_its_remedy_and_tried_again),
             TEST(an_api_server_that_is_not_trusted_gets_no_token),
             TEST(workers_of_a_ray_cluster_are_no_backends))
