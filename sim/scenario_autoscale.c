/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_autoscale.c: `autoscale` of a pool: which policy, its parameters, the
 * metrics that it goes by, and how those come to it (docs/autoscaling.md).
 */
#include "base/mem.h"
#include "sim/policy_params.h"
#include "sim/scenario_parts.h"

#include <string.h>

static const int64_t second_ns = INT64_C(1000000000);

static bool policy_read(const struct conf_node *map, struct scenario_autoscale *scale,
                        struct err *err)
{
    const char *name = NULL;
    if (!conf_require(map, "policy", err) || !conf_str(map, "policy", &name, err)) {
        return false;
    }
    scale->policy = scale_policy_find(name);
    if (scale->policy != NULL) {
        return true;
    }
    struct text known = {0};
    for (size_t i = 0; scale_policy_at(i) != NULL; i++) {
        text_printf(&known, "%s%s", i == 0 ? "" : ", ", scale_policy_at(i)->name);
    }
    conf_fail(conf_get(map, "policy"), err, "policy: no autoscaler %s; there are %s",
              name, text_str(&known));
    text_fini(&known);
    return false;
}

static bool params_read(const struct conf_node *map, enum compat compat,
                        struct scenario_autoscale *scale, struct err *err)
{
    const struct conf_node *params = NULL;
    const char *names[POLICY_PARAMS_MAX];
    double values[POLICY_PARAMS_MAX];
    uint32_t count = 0;
    const struct policy_params_target target = {
        .table = {scale->policy->name, scale->policy->params},
        .compat = compat,
        .names = names,
        .values = values,
        .count = &count,
    };
    if (!conf_map(map, "params", &params, err) ||
        !policy_params_read(&target, params, err)) {
        return false;
    }
    const struct policy_given given = {names, values, count};
    return policy_params_resolve(&target.table, compat, &given, scale->values, err);
}

/* ---- metrics --------------------------------------------------------------------- */

static int64_t window_default_ns(enum scale_metric metric)
{
    if (metric == SCALE_SEEN) {
        return 120 * second_ns; /* of the stack's keep-alive trigger */
    }
    const enum scale_source source = scale_metric_source(metric);
    return source == SCALE_RATE || source == SCALE_MEAN ? 60 * second_ns : 0;
}

static bool target_read(const struct conf_node *map, const struct scale_policy *policy,
                        struct scale_target *target, struct err *err)
{
    static const char *const kinds[] = {"pods", "average", "value", NULL};
    static const char *const metrics[] = {
#define X(id, name, source, help) name,
        SCALE_METRICS(X)
#undef X
            NULL};
    uint32_t metric = 0;
    uint32_t kind = policy->kind;
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "metrics: each is a map");
    }
    if (!conf_require(map, "metric", err) ||
        !conf_enum(map, "metric", metrics, &metric, err) ||
        !conf_enum(map, "kind", kinds, &kind, err) ||
        !conf_require(map, "target", err) ||
        !conf_f64(map, "target", &target->target, 1e-9, 1e15, err)) {
        return false;
    }
    target->metric = (enum scale_metric)metric;
    const bool of_pods = scale_metric_source(target->metric) == SCALE_POD;
    if (conf_get(map, "kind") == NULL && kind == TARGET_PODS && !of_pods) {
        kind = TARGET_AVERAGE;
    }
    target->kind = (enum scale_target_kind)kind;
    target->window_ns = window_default_ns(target->metric);
    if ((policy->kinds >> kind & 1) == 0) {
        return conf_fail(map, err, "kind: %s does not know %s", policy->name,
                         kinds[kind]);
    }
    if (kind == TARGET_PODS && !of_pods) {
        return conf_fail(map, err,
                         "kind: %s is not a metric of single pods; write average or "
                         "value",
                         scale_metric_name(target->metric));
    }
    return conf_duration_ns(map, "window", &target->window_ns, err) &&
           conf_f64(map, "activation", &target->activation, 0, 1e15, err);
}

static bool targets_read(const struct conf_node *map, struct scenario_autoscale *scale,
                         struct err *err)
{
    const struct conf_node *list = NULL;
    const struct scale_policy *policy = scale->policy;
    if (!conf_list(map, "metrics", &list, err)) {
        return false;
    }
    const size_t count = conf_count(list);
    if (count < policy->targets_min || count > policy->targets_max) {
        return conf_fail(list != NULL ? list : map, err,
                         "metrics: %s goes by %u to %u of them", policy->name,
                         policy->targets_min, policy->targets_max);
    }
    for (size_t i = 0; i < count; i++) {
        if (!target_read(conf_at(list, i), policy, &scale->targets[i], err)) {
            return false;
        }
    }
    scale->target_count = (uint32_t)count;
    return true;
}

/* ---- the rest -------------------------------------------------------------------- */

static bool range_read(const struct conf_node *map, const struct scenario_pool *fleet,
                       struct scenario_autoscale *scale, struct control_pool *pool,
                       struct err *err)
{
    scale->min = 1;
    if (!conf_require(map, "max", err) ||
        !conf_u32(map, "max", &scale->max, 1, SCENARIO_REPLICAS_MAX, err) ||
        !conf_u32(map, "min", &scale->min, scale->policy->to_zero ? 0 : 1,
                  SCENARIO_REPLICAS_MAX, err) ||
        !conf_u32(map, "initial", &pool->replicas, 0, SCENARIO_REPLICAS_MAX, err)) {
        return false;
    }
    if (fleet->lockstep) {
        return conf_fail(map, err,
                         "autoscale: pool %s is ranks of one engine, and there is one "
                         "such group",
                         fleet->name);
    }
    const bool idle = pool->replicas == 0 && scale->policy->to_zero;
    if (scale->min > scale->max || pool->replicas > scale->max ||
        (pool->replicas < scale->min && !idle)) {
        return conf_fail(map, err,
                         "autoscale: min %u, replicas at first %u, max %u: each at "
                         "most the next one",
                         scale->min, pool->replicas, scale->max);
    }
    pool->slots = pool->slots > scale->max ? pool->slots : scale->max;
    return true;
}

static bool pipeline_read(const struct conf_node *map, struct scenario_autoscale *scale,
                          struct err *err)
{
    static const char *const words[] = {"refuse", "hold", NULL};
    uint32_t holds = scale->policy->holds ? 1 : 0;
    int64_t hold_ns = 300 * second_ns;
    scale->scrape_ns = scale->policy->scrape_ns;
    if (!conf_duration_ns(map, "scrape_interval", &scale->scrape_ns, err) ||
        !conf_duration_ns(map, "adapter_delay", &scale->delay_ns, err) ||
        !conf_enum(map, "at_zero", words, &holds, err) ||
        !conf_duration_ns(map, "hold_timeout", &hold_ns, err)) {
        return false;
    }
    scale->hold_ns = holds == 1 ? hold_ns : 0;
    const int64_t least_ns = second_ns / 1000;
    return scale->scrape_ns >= least_ns ||
           conf_fail(conf_get(map, "scrape_interval"), err,
                     "scrape_interval: 1ms at least");
}

/* What the policy itself has to say against it. */
static bool policy_takes(const struct conf_node *map,
                         const struct scenario_autoscale *scale, struct err *err)
{
    struct err why = {0};
    void *state = mem_alloc(1, scale->policy->state_bytes);
    const struct scale_setup setup = {
        .values = scale->values,
        .min = scale->min,
        .max = scale->max,
        .targets = scale->targets,
        .target_count = scale->target_count,
    };
    const bool fine = scale->policy->init(state, &setup, &why);
    mem_free(state);
    return fine || conf_fail(map, err, "autoscale: %s", why.text);
}

bool scenario_autoscale_read(struct scenario_control *control,
                             const struct scenario *scenario,
                             const struct conf_node *root, struct err *err)
{
    const struct conf_node *pools = conf_get(conf_get(root, "cluster"), "pools");
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct conf_node *map = NULL;
        struct scenario_autoscale *scale = &control->autoscale[i];
        if (!conf_map(conf_at(pools, i), "autoscale", &map, err)) {
            return false;
        }
        if (map == NULL) {
            continue;
        }
        if (!policy_read(map, scale, err) ||
            !params_read(map, scenario->compat, scale, err) ||
            !targets_read(map, scale, err) ||
            !range_read(map, &scenario->pools[i], scale, &control->pools[i], err) ||
            !pipeline_read(map, scale, err) || !policy_takes(map, scale, err)) {
            return false;
        }
        control->autoscales = true;
        control->hold_ns =
            scale->hold_ns > control->hold_ns ? scale->hold_ns : control->hold_ns;
    }
    return true;
}
