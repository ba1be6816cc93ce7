/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_control.c: deployments, discovery and clients; machines and the timeline
 * have files of their own. Defaults are the chart's where it has one; bandwidths and
 * times of a start are estimates, to be replaced by what was measured.
 */
#include "sim/scenario_control.h"

#include "base/mem.h"
#include "sim/scenario_parts.h"

#include <stdlib.h>
#include <string.h>

static const int64_t second_ns = INT64_C(1000000000);

static bool probe_read(const struct conf_node *map, const char *key,
                       struct probe *probe, struct err *err)
{
    const struct conf_node *node = NULL;
    return conf_map(map, key, &node, err) &&
           conf_duration_ns(node, "initial", &probe->initial_ns, err) &&
           conf_duration_ns(node, "period", &probe->period_ns, err) &&
           conf_u32(node, "failures", &probe->failures, 1, 1000000, err);
}

static bool rate_read(const struct conf_node *map, const char *key, double *bytes_per_s,
                      struct err *err)
{
    uint64_t rate = (uint64_t)*bytes_per_s;
    const bool ok = conf_bytes(map, key, &rate, err);
    *bytes_per_s = (double)rate;
    return ok;
}

static bool image_read(const struct conf_node *map, struct cold_start *start,
                       struct err *err)
{
    const struct conf_node *image = NULL;
    return conf_map(map, "image", &image, err) &&
           conf_bytes(image, "size", &start->image_bytes, err) &&
           rate_read(image, "bandwidth", &start->image_bytes_per_s, err);
}

static bool weights_read(const struct conf_node *map, struct control_pool *pool,
                         struct err *err)
{
    static const char *const places[] = {"hub", "pvc", "host_path", NULL};
    static const char *const accesses[] = {"many", "once", NULL};
    const struct conf_node *weights = NULL;
    uint32_t from = WEIGHTS_HUB;
    uint32_t access = ACCESS_MANY;
    const bool ok =
        conf_map(map, "weights", &weights, err) &&
        conf_enum(weights, "from", places, &from, err) &&
        conf_enum(weights, "access", accesses, &access, err) &&
        conf_bytes(weights, "size", &pool->start.weight_bytes, err) &&
        rate_read(weights, "download", &pool->start.download_bytes_per_s, err) &&
        rate_read(weights, "read", &pool->start.read_bytes_per_s, err) &&
        conf_bytes(weights, "size_limit", &pool->size_limit_bytes, err);
    pool->start.from = (enum weights_from)from;
    pool->access = (enum volume_access)access;
    return ok;
}

static bool start_read(const struct conf_node *map, struct control_pool *pool,
                       struct err *err)
{
    return image_read(map, &pool->start, err) &&
           conf_duration_ns(map, "init", &pool->start.init_ns, err) &&
           conf_duration_ns(map, "boot", &pool->start.boot_ns, err) &&
           weights_read(map, pool, err) &&
           conf_duration_ns(map, "capture", &pool->start.capture_ns, err);
}

/* "none", or how many pods may be missing. */
static bool budget_read(const struct conf_node *map, uint32_t *disruptions,
                        struct err *err)
{
    const char *word = conf_scalar(conf_get(map, "disruption_budget"));
    if (word == NULL || strcmp(word, "none") == 0) {
        return true;
    }
    return conf_u32(map, "disruption_budget", disruptions, 0, SCENARIO_REPLICAS_MAX,
                    err);
}

static bool deployment_fields(const struct conf_node *map, struct control_pool *pool,
                              uint32_t *most, struct err *err)
{
    const struct conf_node *probes = NULL;
    return conf_bool(map, "warm", &pool->warm, err) && start_read(map, pool, err) &&
           conf_map(map, "probes", &probes, err) &&
           probe_read(probes, "startup", &pool->startup, err) &&
           probe_read(probes, "liveness", &pool->liveness, err) &&
           probe_read(probes, "readiness", &pool->readiness, err) &&
           conf_u32(map, "surge", &pool->surge, 0, SCENARIO_REPLICAS_MAX, err) &&
           conf_u32(map, "unavailable", &pool->unavailable, 0, SCENARIO_REPLICAS_MAX,
                    err) &&
           budget_read(map, &pool->disruptions, err) &&
           conf_duration_ns(map, "pre_stop", &pool->pre_stop_ns, err) &&
           conf_duration_ns(map, "grace", &pool->grace_ns, err) &&
           conf_duration_ns(map, "deadline", &pool->deadline_ns, err) &&
           conf_u32(map, "replicas_max", most, 1, SCENARIO_REPLICAS_MAX, err) &&
           scenario_pod_request_read(map, &pool->request, err);
}

/* Those of a Ray cluster beside its head, with even parts of the engine's GPUs. */
static bool workers_read(const struct conf_node *map, struct control_pool *pool,
                         const struct conf_node **workers, struct err *err)
{
    if (!conf_map(map, "workers", workers, err) ||
        !conf_u32(*workers, "count", &pool->workers, 0, POD_WORKERS_MAX, err)) {
        return false;
    }
    pool->request.gpus /= pool->workers + 1;
    return true;
}

static bool deployment_read(struct scenario *scenario, struct control_pool *pool,
                            uint32_t index, const struct conf_node *map,
                            struct err *err)
{
    const struct scenario_pool *fleet = &scenario->pools[index];
    const bool head = scenario->compat == COMPAT_HEAD;
    /* Data-parallel ranks are one pod. */
    const uint32_t replicas = fleet->lockstep ? 1 : fleet->replicas;
    const uint32_t gpus =
        engine_gpus(&fleet->engine) * (fleet->lockstep ? fleet->replicas : 1);
    *pool = (struct control_pool){
        .name = fleet->name,
        .replicas = replicas,
        .warm = true,
        .start = {.image_bytes = UINT64_C(10000000000),
                  .image_bytes_per_s = 5e8,
                  .boot_ns = 10 * second_ns,
                  .weight_bytes = (uint64_t)model_weight_bytes(&fleet->model, 1),
                  .download_bytes_per_s = 1e9,
                  .read_bytes_per_s = 2e9,
                  .capture_ns = 30 * second_ns},
        .startup = {15 * second_ns, 10 * second_ns, 60},
        .liveness = {15 * second_ns, 10 * second_ns, 3},
        .readiness = {head ? 15 * second_ns : 0, head ? 5 * second_ns : 0, 3},
        .request = {.gpu = "nvidia.com/gpu", .gpus = gpus, .bound_node = NODE_NONE},
        .surge = replicas, /* 100 % */
        .disruptions = UINT32_MAX,
        .grace_ns = 30 * second_ns,
        .deadline_ns = 1200 * second_ns,
    };
    uint32_t most = replicas;
    const struct conf_node *workers = NULL;
    if (!workers_read(map, pool, &workers, err) ||
        !deployment_fields(map, pool, &most, err)) {
        return false;
    }
    pool->worker = pool->request;
    if (!scenario_pod_size_read(workers, &pool->worker, err)) {
        return false;
    }
    pool->slots = most > replicas ? most : replicas;
    if (pool->surge == 0 && pool->unavailable == 0) {
        return conf_fail(conf_get(map, "surge"), err,
                         "surge: 0 with unavailable: 0 could never replace a pod; give "
                         "one of them");
    }
    return true;
}

static bool deployments_read(struct scenario_control *control,
                             struct scenario *scenario, const struct conf_node *root,
                             struct err *err)
{
    const struct conf_node *pools = conf_get(conf_get(root, "cluster"), "pools");
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct conf_node *map = NULL;
        if (!conf_map(conf_at(pools, i), "deployment", &map, err) ||
            !deployment_read(scenario, &control->pools[i], i, map, err) ||
            !conf_bool(map, "runtime", &control->runtime[i], err)) {
            return false;
        }
    }
    return true;
}

/* What the stack sends for each type (spec/production-stack.md 2.2), as a Llama 3 model
 * sees it: a chat's "Hello" stands in its template, whatever has no tokens to make has
 * one step. Release 0.1.3 forgets the limit of a completion: the engine's own, 16. */
static const struct probe_type {
    const char *name;
    uint32_t prompt_tokens;
    uint32_t output_tokens;
} probe_types[] = {
    {"chat", 36, 3},  {"completion", 2, 3}, {"embeddings", 2, 1},
    {"rerank", 5, 1}, {"score", 5, 1},
};
enum { PROBE_TYPES = sizeof probe_types / sizeof probe_types[0] };

static bool probe_load_read(struct scenario_control *control,
                            const struct scenario *scenario,
                            const struct conf_node *map, struct err *err)
{
    const char *names[PROBE_TYPES + 1] = {NULL};
    for (size_t i = 0; i < PROBE_TYPES; i++) {
        names[i] = probe_types[i].name;
    }
    uint32_t index = 0;
    if (!conf_enum(map, "model_type", names, &index, err)) {
        return false;
    }
    const struct probe_type *type = &probe_types[index];
    const bool unlimited =
        strcmp(type->name, "completion") == 0 && scenario->compat != COMPAT_HEAD;
    control->discovery.check_always_fails =
        scenario->compat == COMPAT_TAG && strcmp(type->name, "score") == 0;
    control->check_prompt_tokens = type->prompt_tokens;
    control->check_output_tokens = unlimited ? 16 : type->output_tokens;
    return conf_u32(map, "check_prompt_tokens", &control->check_prompt_tokens, 1,
                    1000000, err) &&
           conf_u32(map, "check_output_tokens", &control->check_output_tokens, 1,
                    1000000, err);
}

static bool discovery_read(struct scenario_control *control,
                           const struct scenario *scenario,
                           const struct conf_node *root, struct err *err)
{
    static const char *const modes[] = {"k8s", "static", NULL};
    const bool tag = scenario->compat == COMPAT_TAG;
    struct control_discovery *discovery = &control->discovery;
    const struct conf_node *map = NULL;
    uint32_t mode = DISCOVERY_K8S;
    *discovery = (struct control_discovery){
        .delay_ns = second_ns / 2,
        .keeps_ending = tag,
        .relist_ns = tag ? 30 * second_ns : 0,
        .gap_ns = second_ns / 20,
        .check_interval_ns = 60 * second_ns,
        .check_ns = second_ns / 1000,
        .check_backends = UINT32_MAX,
        .check_timeout_ns =
            scenario->compat == COMPAT_HEAD ? 10 * second_ns : 30 * second_ns,
    };
    const bool ok =
        conf_map(root, "discovery", &map, err) &&
        conf_enum(map, "mode", modes, &mode, err) &&
        conf_duration_ns(map, "delay", &discovery->delay_ns, err) &&
        conf_bool(map, "keeps_ending", &discovery->keeps_ending, err) &&
        conf_duration_ns(map, "relist", &discovery->relist_ns, err) &&
        conf_duration_ns(map, "relist_gap", &discovery->gap_ns, err) &&
        conf_bool(map, "health_checks", &discovery->checks, err) &&
        probe_load_read(control, scenario, map, err) &&
        conf_u32(map, "check_backends", &discovery->check_backends, 1,
                 SCENARIO_REPLICAS_MAX, err) &&
        conf_duration_ns(map, "check_interval", &discovery->check_interval_ns, err) &&
        conf_duration_ns(map, "check_time", &discovery->check_ns, err) &&
        conf_duration_ns(map, "check_timeout", &discovery->check_timeout_ns, err);
    discovery->mode = (enum discovery_mode)mode;
    /* Types and backends that are not as many: head checks nobody. */
    discovery->checks = discovery->checks && (scenario->compat != COMPAT_HEAD ||
                                              discovery->check_backends == UINT32_MAX);
    if (ok && discovery->checks && discovery->check_interval_ns == 0) {
        return conf_fail(conf_get(map, "check_interval"), err,
                         "check_interval: more than 0");
    }
    return ok;
}

/* `static_route`: the resource of the release's router-controller (#409, #402), which
 * 0.1.5 removed. */
static bool route_read(struct scenario_control *control,
                       const struct scenario *scenario, const struct conf_node *root,
                       struct err *err)
{
    static const int64_t sync_ns = INT64_C(60000000000); /* of the kubelet */
    struct static_route_config *route = &control->route;
    const struct conf_node *map = NULL;
    const struct conf_node *health = NULL;
    *route = (struct static_route_config){.name = "route",
                                          .space = "default",
                                          .period_ns = 10 * second_ns,
                                          .successes = 1,
                                          .failures = 3};
    control->has_route = conf_get(root, "static_route") != NULL;
    control->route_sync_ns = sync_ns;
    if (!conf_map(root, "static_route", &map, err) ||
        !conf_map(map, "health_check", &health, err) ||
        !conf_duration_ns(map, "sync", &control->route_sync_ns, err) ||
        !conf_duration_ns(health, "period", &route->period_ns, err) ||
        !conf_u32(health, "successes", &route->successes, 1, 1000, err) ||
        !conf_u32(health, "failures", &route->failures, 1, 1000, err)) {
        return false;
    }
    route->checks_health = health != NULL;
    if (control->has_route && scenario->compat == COMPAT_HEAD) {
        return conf_fail(map, err,
                         "static_route: removed from the stack with 0.1.5; "
                         "use routing.compat: tag or tag-fixed");
    }
    return route->period_ns > 0 ||
           conf_fail(health, err, "health_check: period: more than 0");
}

static bool client_read(struct scenario_control *control, const struct conf_node *root,
                        struct err *err)
{
    static const char *const failures[] = {"fail", "recompute", NULL};
    const struct conf_node *client = NULL;
    const struct conf_node *routing = conf_get(root, "routing");
    const struct conf_node *apart = conf_get(routing, "disaggregation");
    uint32_t failure = 0;
    control->backoff_ns = second_ns / 2; /* of the OpenAI client, without its jitter */
    control->backoff_max_ns = 8 * second_ns;
    control->config_poll_ns = 10 * second_ns;
    control->connect_timeout_ns = 130 * second_ns; /* spec/production-stack.md 9, 3 */
    const bool ok =
        conf_map(root, "client", &client, err) &&
        conf_u32(client, "retries", &control->retries, 0, 1000, err) &&
        conf_duration_ns(client, "backoff", &control->backoff_ns, err) &&
        conf_duration_ns(client, "backoff_max", &control->backoff_max_ns, err) &&
        conf_u32(routing, "failover_attempts", &control->failovers, 0, FAILOVERS_MAX,
                 err) &&
        conf_duration_ns(routing, "connect_timeout", &control->connect_timeout_ns,
                         err) &&
        conf_duration_ns(routing, "config_poll", &control->config_poll_ns, err) &&
        conf_enum(apart, "kv_load_failure", failures, &failure, err);
    control->recompute = failure == 1;
    if (ok && control->config_poll_ns == 0) {
        return conf_fail(conf_get(routing, "config_poll"), err,
                         "config_poll: more than 0");
    }
    return ok;
}

/* Any of the keys that make the fleet one that changes. */
static bool wanted(const struct scenario *scenario, const struct conf_node *root)
{
    static const char *const keys[] = {"timeline", "nodes", "discovery", "client",
                                       "static_route"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (conf_get(root, keys[i]) != NULL) {
            return true;
        }
    }
    const struct conf_node *routing = conf_get(root, "routing");
    const struct conf_node *pools = conf_get(conf_get(root, "cluster"), "pools");
    bool found = conf_get(routing, "failover_attempts") != NULL;
    (void)conf_get(routing, "connect_timeout"); /* known, though of no use alone */
    (void)conf_get(routing, "config_poll");
    (void)conf_get(conf_get(routing, "disaggregation"), "kv_load_failure");
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        found = conf_get(conf_at(pools, i), "deployment") != NULL || found;
        found = conf_get(conf_at(pools, i), "autoscale") != NULL || found;
    }
    return found;
}

static bool engines_count(struct scenario_control *control, struct scenario *scenario,
                          const struct conf_node *root, struct err *err)
{
    uint64_t engines = 0;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        struct scenario_pool *pool = &scenario->pools[i];
        pool->engines = pool->lockstep ? pool->replicas : control->pools[i].slots;
        if (pool->lockstep && control->pools[i].slots > 1) {
            return conf_fail(conf_get(root, "cluster"), err,
                             "pool %s: its replicas are ranks of one engine, and there "
                             "is one such group: it cannot be scaled or rolled out",
                             pool->name);
        }
        engines += pool->engines;
    }
    return engines <= SCENARIO_REPLICAS_MAX ||
           conf_fail(conf_get(root, "cluster"), err,
                     "pools: %llu engines at a time, at most %d",
                     (unsigned long long)engines, SCENARIO_REPLICAS_MAX);
}

bool scenario_control_read(struct scenario_control **out, struct scenario *scenario,
                           const struct conf_node *root, struct err *err)
{
    if (!wanted(scenario, root)) {
        return true;
    }
    struct scenario_control *control = mem_alloc(1, sizeof *control);
    if (!deployments_read(control, scenario, root, err) ||
        !scenario_autoscale_read(control, scenario, root, err) ||
        !discovery_read(control, scenario, root, err) ||
        !client_read(control, root, err) || !route_read(control, scenario, root, err) ||
        !scenario_nodes_read(control, root, err) ||
        !scenario_timeline_read(control, scenario, root, err) ||
        !engines_count(control, scenario, root, err)) {
        scenario_control_delete(control);
        return false;
    }
    *out = control;
    return true;
}

void scenario_control_delete(struct scenario_control *control)
{
    if (control != NULL) {
        mem_free(control->nodes);
        mem_free(control->actions);
        mem_free(control);
    }
}
