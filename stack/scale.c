/* SPDX-License-Identifier: Apache-2.0
 *
 * scale.c: who sets the number of replicas: the chart's `keda` of a model, and the
 * operator's autoscalingConfig, both at head (spec/production-stack.md 6.3, 7.6).
 */
#include "stack/parts.h"

#include <string.h>

enum { REPLICAS_MAX = 4096, SECONDS_MAX = 1000000 };

static struct stack_scale *scale_new(struct stack *stack, struct stack_engine *engine,
                                     const struct conf_node *where)
{
    struct stack_scale *scale = arena_alloc(stack->arena, 1, sizeof *scale);
    *scale = (struct stack_scale){.where = where, .min = 1, .poll_s = 15};
    engine->scale = scale;
    return scale;
}

static bool limits_check(const struct stack_scale *scale, const char *most,
                         struct err *err)
{
    if (scale->max == 0) {
        return conf_fail(scale->where, err,
                         "%s is missing: nobody knows where to stop; write it", most);
    }
    return scale->min <= scale->max ||
           conf_fail(scale->where, err, "%u replicas at least, and %u at most",
                     scale->min, scale->max);
}

static void metric_add(struct stack_scale *scale, struct stack_scale_metric metric)
{
    if (scale->metric_count < STACK_SCALE_METRICS) {
        scale->metrics[scale->metric_count++] = metric;
    }
}

/* ---- the chart's -------------------------------------------------------------------
 */

/* What a query asks for, by the name of vLLM's metric in it. */
static const char *metric_of(const char *query)
{
    static const struct {
        const char *part;
        const char *metric;
    } known[] = {
        {"num_requests_waiting", "waiting"},    {"num_requests_running", "running"},
        {"num_incoming_requests", "seen"},      {"cache_usage_perc", "kv_used"},
        {"generation_tokens", "output_tokens"}, {"prompt_tokens", "prompt_tokens"}};
    for (size_t i = 0; query != NULL && i < sizeof known / sizeof known[0]; i++) {
        if (strstr(query, known[i].part) != NULL) {
            return known[i].metric;
        }
    }
    return NULL;
}

static bool trigger_read(struct stack *stack, struct stack_scale *scale,
                         const struct conf_node *trigger, struct err *err)
{
    struct stack_scale_metric metric = {.target = 5};
    const struct conf_node *metadata = NULL;
    const char *query = NULL;
    const char *type = "AverageValue";
    conf_leave(trigger);
    if (!read_text(trigger, "metricType", &type, err) ||
        !read_map(trigger, "metadata", &metadata, err) ||
        !read_text(metadata, "metricName", &query, err) ||
        !read_text(metadata, "query", &query, err) ||
        !read_number(metadata, "threshold", &metric.target, 1e-6, 1e12, err) ||
        !read_number(metadata, "activationThreshold", &metric.activation, 0, 1e12,
                     err)) {
        return false;
    }
    metric.name = metric_of(query);
    metric.is_value = strcmp(type, "Value") == 0;
    if (metric.name == NULL) {
        findings_add(
            &stack->findings, FINDING_WARNING, "not_simulated", trigger,
            "triggers: a simulation leaves out: %.120s, which is no metric that "
            "it has",
            query != NULL ? query : "one without a query");
        return true;
    }
    metric_add(scale, metric);
    return true;
}

bool keda_read(struct stack *stack, struct stack_engine *engine, struct err *err)
{
    static const char *const pass[] = {"fallback", "advanced", "annotations", NULL};
    const struct conf_node *map = NULL;
    const struct conf_node *triggers = NULL;
    bool enabled = true;
    uint32_t idle = 1;
    if (!read_map(engine->where, "keda", &map, err) ||
        !read_truth(map, "enabled", &enabled, &stack->findings, err)) {
        return false;
    }
    if (map == NULL || !enabled) {
        conf_leave(map);
        return true;
    }
    struct stack_scale *scale = scale_new(stack, engine, map);
    scale->cooldown_s = 360;
    if (!read_count(map, "minReplicaCount", &scale->min, 0, REPLICAS_MAX, err) ||
        !read_count(map, "maxReplicaCount", &scale->max, 1, REPLICAS_MAX, err) ||
        !read_count(map, "pollingInterval", &scale->poll_s, 1, SECONDS_MAX, err) ||
        !read_count(map, "cooldownPeriod", &scale->cooldown_s, 0, SECONDS_MAX, err) ||
        !read_count(map, "initialCooldownPeriod", &scale->initial_cooldown_s, 0,
                    SECONDS_MAX, err) ||
        !read_count(map, "idleReplicaCount", &idle, 0, REPLICAS_MAX, err) ||
        !read_list_of(map, "triggers", CONF_MAP, &triggers, err)) {
        return false;
    }
    read_pass(map, pass);
    scale->idle_to_zero = idle == 0;
    for (size_t i = 0; i < conf_count(triggers); i++) {
        if (!trigger_read(stack, scale, conf_at(triggers, i), err)) {
            return false;
        }
    }
    if (conf_count(triggers) == 0) {
        metric_add(scale, (struct stack_scale_metric){.name = "waiting", .target = 5});
    }
    return limits_check(scale, "maxReplicaCount", err);
}

/* ---- the operator's ----------------------------------------------------------------
 */

bool autoscaling_read(struct stack *stack, struct stack_engine *engine,
                      const struct conf_node *spec, struct err *err)
{
    const struct conf_node *map = NULL;
    bool enabled = true;
    if (!read_map(spec, "autoscalingConfig", &map, err) ||
        !read_truth(map, "enabled", &enabled, &stack->findings, err)) {
        return false;
    }
    conf_leave(map);
    if (map == NULL || !enabled) {
        return true;
    }
    struct stack_scale *scale = scale_new(stack, engine, map);
    scale->of_operator = true;
    scale->cooldown_s = 1800;
    metric_add(scale, (struct stack_scale_metric){
                          .name = "seen", .target = 1, .is_value = true});
    metric_add(scale, (struct stack_scale_metric){.name = "running", .target = 5});
    metric_add(scale,
               (struct stack_scale_metric){.name = "output_tokens", .target = 100});
    metric_add(scale,
               (struct stack_scale_metric){.name = "prompt_tokens", .target = 100});
    findings_add(&stack->findings, FINDING_TRAP, "scales_on_prompts", map,
                 "autoscalingConfig: its triggers want one pod per 100 prompt tokens "
                 "per second; one prompt of 21,000 tokens a minute is 350, so that "
                 "long prompts scale it to maxReplicas at once; raise that "
                 "threshold in the ScaledObject");
    return read_count(map, "minReplicas", &scale->min, 0, REPLICAS_MAX, err) &&
           read_count(map, "maxReplicas", &scale->max, 1, REPLICAS_MAX, err) &&
           read_count(map, "pollingInterval", &scale->poll_s, 1, SECONDS_MAX, err) &&
           read_count(map, "cooldownPeriod", &scale->cooldown_s, 0, SECONDS_MAX, err) &&
           limits_check(scale, "maxReplicas", err);
}
