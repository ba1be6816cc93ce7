/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c: from a YAML file to a run that can start. Everything that needs no
 * workload is checked here, so that a mistake costs a second and not a night.
 */
#include "sim/scenario.h"

#include "base/mem.h"
#include "sim/config_path.h"
#include "sim/policy_params.h"
#include "sim/quantization.h"
#include "sim/scenario_adapters.h"
#include "sim/scenario_control.h"
#include "sim/scenario_disagg.h"
#include "sim/scenario_parallel.h"
#include "sim/scenario_tiers.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t default_scrape_ns = INT64_C(15000000000); /* chart's interval */
static const int64_t default_kv_delay_ns = INT64_C(10000000);
static const int64_t sample_interval_ns_min = INT64_C(1000000); /* or rows drown all */

/* ---- files ------------------------------------------------------------------------
 */

/* Where a scenario's parts are looked for. */
struct search {
    const char *config_dir; /* may be NULL */
    const char *base_dir;
};

/* `gpu: h100_sxm` names a file in configs/gpus, `fit` one in configs/fits; anything
 * with a slash or .yaml is a path, relative to the scenario's folder. */
static bool fact_path(const struct search *search, const struct conf_node *pool,
                      const char *key, char path[PATH_MAX], struct err *err)
{
    const char *name = NULL;
    if (!conf_require(pool, key, err) || !conf_str(pool, key, &name, err)) {
        return false;
    }
    const char *folder = strcmp(key, "gpu") == 0    ? "gpus"
                         : strcmp(key, "fit") == 0  ? "fits"
                         : strcmp(key, "node") == 0 ? "nodes"
                                                    : "models";
    if (strchr(name, '/') == NULL && strstr(name, ".yaml") == NULL) {
        if (config_path_find(search->config_dir, folder, name, path)) {
            return true;
        }
        return conf_fail(
            conf_get(pool, key), err,
            "%s: no %s/%s.yaml in the configs folder; `ls` it for the known "
            "ones, or give a path",
            key, folder, name);
    }
    const bool absolute = name[0] == '/';
    const int length =
        snprintf(path, PATH_MAX, "%s%s%s", absolute ? "" : search->base_dir,
                 absolute ? "" : "/", name);
    if (length >= PATH_MAX || !config_path_readable(path)) {
        return conf_fail(conf_get(pool, key), err, "%s: cannot read %s", key, name);
    }
    return true;
}

/* ---- cluster -----------------------------------------------------------------------
 */

static bool pool_name(const struct conf_node *node, uint32_t index,
                      struct scenario_pool *pool, struct err *err)
{
    const char *name = NULL;
    if (!conf_str(node, "name", &name, err)) {
        return false;
    }
    if (name == NULL) {
        snprintf(pool->name, sizeof(pool->name), "pool%u", index);
        return true;
    }
    const int length = snprintf(pool->name, sizeof(pool->name), "%s", name);
    if (length <= 0 || length >= (int)sizeof(pool->name)) {
        return conf_fail(conf_get(node, "name"), err, "name: 1 to %d characters",
                         FACT_NAME_BYTES - 1);
    }
    return true;
}

/* Of `placement:`, whose other keys are sim/scenario_parallel.h's. */
static bool node_read(const struct search *search, const struct conf_node *pool,
                      struct scenario_pool *out, struct err *err)
{
    const struct conf_node *placement = NULL;
    char path[PATH_MAX];
    return conf_map(pool, "placement", &placement, err) &&
           (placement == NULL || (fact_path(search, placement, "node", path, err) &&
                                  node_facts_load(&out->placement.node, path, err)));
}

static bool pool_read(struct scenario *scenario, const struct scenario_options *options,
                      const struct conf_node *node, struct err *err)
{
    const uint32_t index = scenario->pool_count;
    struct scenario_pool *pool = &scenario->pools[index];
    static const char *const roles[] = {"both", "prefill", "decode", NULL};
    const struct conf_node *engine = NULL;
    const struct conf_node *cost = NULL;
    uint32_t role = ROLE_BOTH;
    char path[PATH_MAX];
    const struct search search = {options->config_dir, scenario->base_dir};
    pool->replicas = 1;
    if (!pool_name(node, index, pool, err) ||
        !conf_u32(node, "replicas", &pool->replicas, 1, SCENARIO_REPLICAS_MAX, err) ||
        !conf_enum(node, "role", roles, &role, err) ||
        !fact_path(&search, node, "gpu", path, err) ||
        !gpu_spec_load(&pool->gpu, path, err) ||
        !fact_path(&search, node, "model", path, err) ||
        !model_spec_load(&pool->model, path, err) ||
        !conf_map(node, "engine", &engine, err) ||
        !conf_map(node, "cost", &cost, err) ||
        !quantization_apply(&pool->model, &pool->gpu, engine, err) ||
        !engine_config_load(&pool->engine, engine, &pool->gpu, &pool->model, err) ||
        !node_read(&search, node, pool, err) ||
        !scenario_parallel_read(pool, node, err) ||
        !engine_kv_blocks(&pool->engine, &pool->gpu, &pool->model, node,
                          &pool->kv_blocks, err) ||
        !scenario_tiers_read(pool, node, err)) {
        return false;
    }
    pool->role = (enum pool_role)role;
    pool->engines = pool->replicas;
    struct cost_setup setup = {
        .gpu = &pool->gpu,
        .model = &pool->model,
        .engine = &pool->engine,
        .map = cost,
        .placement = &pool->placement,
    };
    if (conf_get(cost, "fit") != NULL) {
        if (!fact_path(&search, cost, "fit", path, err)) {
            return false;
        }
        setup.fit_path = path;
    }
    if (!cost_new(&pool->cost, &setup, err)) {
        return false;
    }
    scenario->pool_count++;
    return true;
}

static bool pools_distinct(const struct scenario *scenario,
                           const struct conf_node *pools, struct err *err)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(scenario->pools[i].name, scenario->pools[j].name) == 0) {
                return conf_fail(conf_at(pools, i), err,
                                 "name: there is a pool %s above",
                                 scenario->pools[i].name);
            }
        }
    }
    return true;
}

static bool cluster_read(struct scenario *scenario,
                         const struct scenario_options *options,
                         const struct conf_node *root, struct err *err)
{
    const struct conf_node *cluster = NULL;
    const struct conf_node *pools = NULL;
    if (!conf_require(root, "cluster", err) ||
        !conf_map(root, "cluster", &cluster, err) ||
        !conf_require(cluster, "pools", err) ||
        !conf_list(cluster, "pools", &pools, err)) {
        return false;
    }
    const size_t count = conf_count(pools);
    if (count == 0 || count > SCENARIO_POOLS_MAX) {
        return conf_fail(conf_get(cluster, "pools"), err, "pools: 1 to %d",
                         SCENARIO_POOLS_MAX);
    }
    uint64_t replicas = 0;
    for (size_t i = 0; i < count; i++) {
        const struct conf_node *node = conf_at(pools, i);
        if (conf_kind(node) != CONF_MAP) {
            return conf_fail(node, err, "pools: each is a map");
        }
        if (!pool_read(scenario, options, node, err)) {
            return false;
        }
        replicas += scenario->pools[i].replicas;
    }
    if (replicas > SCENARIO_REPLICAS_MAX) {
        return conf_fail(pools, err, "pools: %llu replicas, at most %d",
                         (unsigned long long)replicas, SCENARIO_REPLICAS_MAX);
    }
    return pools_distinct(scenario, pools, err);
}

/* ---- routing -----------------------------------------------------------------------
 */

static bool policy_read(struct scenario *scenario,
                        const struct scenario_options *options,
                        const struct conf_node *routing, struct err *err)
{
    const char *name = "round_robin";
    if (!conf_str(routing, "policy", &name, err)) {
        return false;
    }
    const struct conf_node *where = conf_get(routing, "policy");
    if (options->policy != NULL) {
        name = options->policy;
        where = NULL;
    }
    const struct policy_set *set = options->policies;
    scenario->policy = policy_set_find(set, name);
    if (scenario->policy != NULL || scenario_pair_named(scenario, name)) {
        return true;
    }
    struct text known = {0};
    for (size_t i = 0; policy_set_at(set, i) != NULL; i++) {
        text_printf(&known, "%s%s", i == 0 ? "" : ", ", policy_set_at(set, i)->name);
    }
    conf_fail(where, err, "policy: no policy %s; there are %s", name, text_str(&known));
    if (where == NULL && err != NULL) {
        err->kind = ERR_USAGE;
    }
    text_fini(&known);
    return false;
}

static bool kv_events_read(struct scenario *scenario, const struct conf_node *routing,
                           struct err *err)
{
    struct kv_reports_config *reports = &scenario->kv_reports;
    static const char *const sources[] = {"cache", "tiers", NULL};
    const struct conf_node *node = NULL;
    uint32_t source = 0;
    reports->delay_ns = default_kv_delay_ns;
    if (!conf_map(routing, "kv_events", &node, err) ||
        !conf_enum(node, "source", sources, &source, err)) {
        return false;
    }
    scenario->kv_reports_tiers = source == 1;
    return conf_duration_ns(node, "delay", &reports->delay_ns, err) &&
           conf_duration_ns(node, "batch_interval", &reports->batch_interval_ns, err) &&
           conf_f64(node, "loss", &reports->loss_ratio, 0, 1, err);
}

static_assert((int)SCENARIO_PARAMS_MAX >= (int)POLICY_PARAMS_MAX,
              "room for all that are read");

static bool routing_params_read(struct scenario *scenario,
                                const struct conf_node *params,
                                const struct scenario_options *options, struct err *err)
{
    const struct policy_params_target target = {
        .table = {scenario->policy->name, scenario->policy->params},
        .compat = scenario->compat,
        .names = scenario->param_names,
        .values = scenario->param_values,
        .count = &scenario->param_count,
        .overridden = options->policy != NULL,
        .others = options->policies,
    };
    return policy_params_read(&target, params, err);
}

/* After routing, whose compat level holds for both. */
static bool admission_read(struct scenario *scenario, const struct conf_node *root,
                           struct err *err)
{
    struct scenario_admission *admission = &scenario->admission;
    const struct conf_node *map = NULL;
    const struct conf_node *params = NULL;
    const char *name = NULL;
    if (!conf_map(root, "admission", &map, err) ||
        !conf_str(map, "policy", &name, err) ||
        !conf_map(map, "params", &params, err)) {
        return false;
    }
    if (name == NULL) {
        return map == NULL || conf_require(map, "policy", err);
    }
    if (strcmp(name, "none") == 0) {
        conf_leave(params);
        return true;
    }
    admission->policy = admit_policy_find(name);
    if (admission->policy == NULL) {
        struct text known = {0};
        for (size_t i = 0; admit_policy_at(i) != NULL; i++) {
            text_printf(&known, "%s%s", i == 0 ? "" : ", ", admit_policy_at(i)->name);
        }
        conf_fail(conf_get(map, "policy"), err,
                  "policy: no admission policy %s; there are %s", name,
                  text_str(&known));
        text_fini(&known);
        return false;
    }
    const struct policy_params_target target = {
        .table = {admission->policy->name, admission->policy->params},
        .compat = scenario->compat,
        .names = admission->param_names,
        .values = admission->param_values,
        .count = &admission->param_count,
    };
    return policy_params_read(&target, params, err);
}

static bool routing_read(struct scenario *scenario,
                         const struct scenario_options *options,
                         const struct conf_node *root, struct err *err)
{
    static const char *const compats[] = {"tag", "tag-fixed", "head", NULL};
    const struct conf_node *routing = NULL;
    const struct conf_node *params = NULL;
    uint32_t compat = COMPAT_HEAD;
    scenario->scrape_interval_ns = default_scrape_ns;
    scenario->chars_per_token = 4;
    scenario->router_replicas = 1;
    if (!conf_map(root, "routing", &routing, err) ||
        !policy_read(scenario, options, routing, err) ||
        !conf_enum(routing, "compat", compats, &compat, err)) {
        return false;
    }
    scenario->compat = (enum compat)compat;
    if (!conf_map(routing, "params", &params, err) ||
        !routing_params_read(scenario, params, options, err) ||
        !kv_events_read(scenario, routing, err) ||
        !aliases_read(&scenario->aliases, routing, err) ||
        !conf_u32(routing, "replicas", &scenario->router_replicas, 1, 256, err) ||
        !conf_duration_ns(routing, "stats_window", &scenario->stats_window_ns, err) ||
        !conf_duration_ns(routing, "request_time", &scenario->router_request_ns, err) ||
        !conf_duration_ns(routing, "scrape_interval", &scenario->scrape_interval_ns,
                          err) ||
        !conf_u32(routing, "chars_per_token", &scenario->chars_per_token, 1, 128,
                  err)) {
        return false;
    }
    return true;
}

/* ---- the rest ----------------------------------------------------------------------
 */

static bool limits_read(struct scenario *scenario, const struct conf_node *root,
                        struct err *err)
{
    static const char *const replays[] = {"open", "closed", "hybrid", NULL};
    const struct conf_node *slo = NULL;
    const struct conf_node *end = NULL;
    uint32_t replay = REPLAY_OPEN;
    const bool ok =
        conf_u64(root, "seed", &scenario->seed, err) &&
        conf_str(root, "warmup", &scenario->warmup, err) &&
        conf_enum(root, "replay", replays, &replay, err) &&
        conf_u32(root, "in_flight_max", &scenario->in_flight_max, 0, 1 << 30, err) &&
        conf_duration_ns(root, "sample_interval", &scenario->sample_interval_ns, err) &&
        conf_map(root, "slo", &slo, err) &&
        conf_duration_ns(slo, "ttft", &scenario->slo_ttft_ns, err) &&
        conf_duration_ns(slo, "tpot", &scenario->slo_tpot_ns, err) &&
        conf_duration_ns(slo, "e2e", &scenario->slo_e2e_ns, err) &&
        conf_map(root, "end", &end, err) &&
        conf_u64(end, "requests", &scenario->requests_max, err) &&
        conf_duration_ns(end, "time", &scenario->time_max_ns, err);
    scenario->replay = (enum replay)replay;
    if (ok && scenario->in_flight_max > 0 && replay != REPLAY_OPEN) {
        return conf_fail(conf_get(root, "in_flight_max"), err,
                         "in_flight_max: only with replay: open; a closed replay has "
                         "its own reasons to hold requests back");
    }
    if (ok && scenario->sample_interval_ns != 0 &&
        scenario->sample_interval_ns < sample_interval_ns_min) {
        return conf_fail(conf_get(root, "sample_interval"), err,
                         "sample_interval: 1ms at least, or 0 for no samples");
    }
    return ok;
}

static bool scenario_name(struct scenario *scenario, const struct conf_node *root,
                          struct err *err)
{
    const char *name = "scenario";
    if (!conf_str(root, "name", &name, err)) {
        return false;
    }
    const int length = snprintf(scenario->name, sizeof(scenario->name), "%s", name);
    if (length <= 0 || length >= (int)sizeof(scenario->name)) {
        return conf_fail(conf_get(root, "name"), err, "name: 1 to %d characters",
                         FACT_NAME_BYTES - 1);
    }
    return true;
}

static bool scenario_read(struct scenario *scenario,
                          const struct scenario_options *options, struct err *err)
{
    for (size_t i = 0; i < options->override_count; i++) {
        if (!conf_override(scenario->conf, options->overrides[i], err)) {
            return false;
        }
    }
    const struct conf_node *root = conf_root(scenario->conf);
    if (conf_kind(root) != CONF_MAP) {
        return conf_fail(root, err, "a scenario is a map; see docs/scenario.md");
    }
    scenario->seed = 1;
    if (!scenario_name(scenario, root, err) || !limits_read(scenario, root, err) ||
        !routing_read(scenario, options, root, err) ||
        !admission_read(scenario, root, err) ||
        !scenario_disagg_read(scenario, options, root, err) ||
        !cluster_read(scenario, options, root, err) ||
        !scenario_disagg_check(scenario, root, err) ||
        !scenario_adapters_read(scenario, root, err) ||
        !scenario_tiers_check(scenario, root, err) ||
        !scenario_control_read(&scenario->control, scenario, root, err) ||
        !scenario_push_check(scenario, root, err) ||
        !conf_require(root, "workload", err) ||
        !conf_map(root, "workload", &scenario->workload, err)) {
        return false;
    }
    if (conf_count(scenario->workload) == 0) {
        return conf_fail(conf_get(root, "workload"), err,
                         "workload: is empty; give `trace: FILE` or `generate:` "
                         "(docs/workloads.md)");
    }
    conf_leave(scenario->workload); /* workload_open_conf checks it */
    return conf_done(root, err);
}

static bool scenario_finish(struct scenario **out, struct scenario *scenario,
                            const struct scenario_options *options, struct err *err)
{
    if (!scenario_read(scenario, options, err)) {
        scenario_delete(scenario);
        return false;
    }
    *out = scenario;
    return true;
}

bool scenario_load(struct scenario **out, const char *path,
                   const struct scenario_options *options, struct err *err)
{
    char found[PATH_MAX];
    const bool bare = strstr(path, ".yaml") == NULL;
    if (bare && !config_path_readable(path) &&
        config_path_find(options->config_dir, "scenarios", path, found)) {
        path = found;
    }
    struct scenario *scenario = mem_alloc(1, sizeof(*scenario));
    if (!conf_load(&scenario->conf, path, err)) {
        scenario_delete(scenario);
        return false;
    }
    const char *slash = strrchr(path, '/');
    const int length = slash == NULL ? 1 : (int)(slash - path);
    if (length >= (int)sizeof(scenario->base_dir)) {
        scenario_delete(scenario);
        return err_set(err, ERR_INPUT, "%s: the path is too long", path);
    }
    memcpy(scenario->base_dir, slash == NULL ? "." : path, (size_t)length);
    return scenario_finish(out, scenario, options, err);
}

/* Text, its length and its name are one thought, as in conf_parse. */
/* NOLINTNEXTLINE(readability-function-size) */
bool scenario_parse(struct scenario **out, const char *name, const char *text,
                    size_t byte_count, const struct scenario_options *options,
                    struct err *err)
{
    struct scenario *scenario = mem_alloc(1, sizeof(*scenario));
    snprintf(scenario->base_dir, sizeof(scenario->base_dir), "%s",
             options->base_dir == NULL ? "." : options->base_dir);
    if (!conf_parse(&scenario->conf, name, text, byte_count, err)) {
        scenario_delete(scenario);
        return false;
    }
    return scenario_finish(out, scenario, options, err);
}

void scenario_delete(struct scenario *scenario)
{
    if (scenario == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SCENARIO_POOLS_MAX; i++) {
        cost_delete(scenario->pools[i].cost);
    }
    scenario_adapters_fini(scenario);
    scenario_control_delete(scenario->control);
    conf_delete(scenario->conf);
    mem_free(scenario);
}
