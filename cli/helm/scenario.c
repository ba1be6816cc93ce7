/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.c: writes the scenario that a stack's files come to. A text and not a
 * struct: what a user can read, change and run again is also what `run --helm` runs.
 */
#include "cli/helm/fleet.h"
#include "cli/helm/pools.h"
#include "policies/pair.h"
#include "policies/policy_set.h"
#include "sim/scenario_control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { POOLS_MAX = 16, PROMPT_MAX = 16000 };

/* ---- which engines -----------------------------------------------------------------
 */

static bool is_wanted(const struct helm_engine *engine, const struct helm_args *args)
{
    return args->model == NULL || strcmp(args->model, engine->from->name) == 0 ||
           strcmp(args->model, stack_served_name(engine->from)) == 0;
}

/* A trace has requests for one model: all engines of a run serve the same. */
static bool models_check(const struct helm *helm, const struct helm_args *args,
                         struct err *err)
{
    const struct stack_engine *first = NULL;
    uint32_t pools = 0;
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct stack_engine *engine = helm->engines[i].from;
        if (!is_wanted(&helm->engines[i], args) || engine->replicas == 0) {
            continue;
        }
        pools++;
        if (first != NULL &&
            strcmp(stack_served_name(first), stack_served_name(engine)) != 0) {
            return conf_fail(engine->where, err,
                             "%s serves %.100s, and %s serves %.100s: a run simulates "
                             "one model; choose by --model NAME",
                             first->name, stack_served_name(first), engine->name,
                             stack_served_name(engine));
        }
        first = engine;
    }
    if (first == NULL) {
        return err_set(err, ERR_INPUT, "%s: no engine to simulate%s%s", args->values,
                       args->model != NULL ? ": none is called " : "",
                       args->model != NULL ? args->model : "");
    }
    return pools <= POOLS_MAX ||
           err_set(err, ERR_INPUT, "%s: %u engine pools, and a scenario has %d at most",
                   args->values, pools, POOLS_MAX);
}

/* ---- routing -----------------------------------------------------------------------
 */

/* What keeps the router from answering anything: no run would have a result. */
static bool router_check(const struct helm *helm, struct err *err)
{
    static const char *const fatal[] = {
        "router_crash_loop",    "no_session_key",
        "no_pd_labels",         "no_static_backends",
        "port_not_discovered",  "label_matches_nothing",
        "checks_without_types", "selector_matches_nothing",
        "no_router_replica",    NULL};
    const struct findings *findings = &helm->stack->findings;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        for (size_t j = 0; fatal[j] != NULL; j++) {
            if (strcmp(finding->name, fatal[j]) == 0) {
                return err_set(err, ERR_INPUT,
                               "%s:%" PRIu32 ": no request would be answered: %s; %s",
                               finding->file, finding->line, finding->what,
                               finding->remedy);
            }
        }
    }
    return true;
}

/* Labels may name one engine for both legs, or that of another model. */
static bool legs_check(const struct helm *helm, const struct helm_args *args,
                       struct err *err)
{
    const char *logic = helm->stack->router.routing_logic;
    uint32_t prefill = 0;
    uint32_t decode = 0;
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct helm_engine *engine = &helm->engines[i];
        const char *role = helm_role(helm, engine->from);
        if (role != NULL && is_wanted(engine, args) && engine->from->replicas > 0) {
            prefill += role[0] == 'p' ? 1 : 0;
            decode += role[0] == 'd' ? 1 : 0;
        }
    }
    return strncmp(logic, "disaggregated_prefill", strlen("disaggregated_prefill")) !=
               0 ||
           (prefill > 0 && decode > 0) ||
           conf_fail(helm->stack->router.where, err,
                     "routingLogic: %.60s: a run needs engines that prefill and others "
                     "that decode; name different ones in --prefill-model-labels and "
                     "--decode-model-labels",
                     logic);
}

static bool policy_check(const struct helm *helm, struct err *err)
{
    const struct stack_router *router = &helm->stack->router;
    if (!router_check(helm, err)) {
        return false;
    }
    if (policy_set_find(NULL, router->routing_logic) != NULL ||
        pair_policy_find(router->routing_logic) != NULL) {
        return true;
    }
    return conf_fail(
        router->where, err,
        "routingLogic: no policy is called %.80s, here or in the stack, "
        "whose router ends with exit code 2; `stacksim policies` lists them",
        router->routing_logic);
}

static void params_put(const struct helm *helm, struct text *out)
{
    const char *logic = helm->stack->router.routing_logic;
    const char *length = helm_router_flag(helm, "--prefix-min-match-length");
    const char *threshold = helm_router_flag(helm, "--kv-aware-threshold");
    const char *digits = "0123456789";
    if (strcmp(logic, "prefixaware") == 0 && length != NULL &&
        strspn(length, digits) == strlen(length)) {
        text_printf(out, "  params: {prefix_min_match_length: %s}\n", length);
    }
    if (strcmp(logic, "kvaware") == 0 && threshold != NULL &&
        strspn(threshold, digits) == strlen(threshold)) {
        text_printf(out, "  params: {threshold: %s}\n", threshold);
    }
}

/* Whether LMCache tells the router's controller what its tiers hold. */
static bool controller_reports(const struct helm *helm, const struct helm_args *args)
{
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        if (is_wanted(&helm->engines[i], args) && helm->engines[i].from->replicas > 0 &&
            helm->engines[i].from->lmcache.controller &&
            helm_has_tiers(helm->engines[i].from)) {
            return true;
        }
    }
    return false;
}

/* Seconds of a flag, or of its default. */
static unsigned long seconds_of(const struct helm *helm, const char *name,
                                unsigned long otherwise)
{
    const char *text = helm_router_flag(helm, name);
    unsigned long seconds = 0;
    for (size_t i = 0; text != NULL && text[i] >= '0' && text[i] <= '9' && i < 9; i++) {
        seconds = seconds * 10 + (unsigned long)(text[i] - '0');
    }
    return seconds > 0 ? seconds : otherwise;
}

static void failover_put(const struct helm *helm, struct text *out)
{
    const char *text =
        helm_router_flag(helm, "--max-instance-failover-reroute-attempts");
    const bool digits = text != NULL && strspn(text, "0123456789") == strlen(text);
    const unsigned long attempts = digits ? strtoul(text, NULL, 10) : 0;
    if (attempts > 0) {
        text_printf(out, "  failover_attempts: %lu\n",
                    attempts < FAILOVERS_MAX ? attempts : (unsigned long)FAILOVERS_MAX);
    }
}

/* Discovery by service-name has one endpoint for each Service: of one model, kube-proxy
 * alone chooses the pod. */
static bool behind_service(struct helm *helm, const struct helm_args *args)
{
    const char *type = helm_router_flag(helm, "--k8s-service-discovery-type");
    uint32_t services = 0;
    if (type == NULL || strcmp(type, "service-name") != 0 ||
        strcmp(helm->stack->router.discovery, "k8s") != 0) {
        return false;
    }
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        services +=
            is_wanted(&helm->engines[i], args) && helm->engines[i].from->replicas > 0
                ? 1
                : 0;
    }
    findings_add(
        &helm->stack->findings, services == 1 ? FINDING_NOTE : FINDING_WARNING,
        services == 1 ? "service_chooses" : "not_simulated", helm->stack->router.where,
        services == 1
            ? "k8sServiceDiscoveryType: service-name: the router knows one "
              "Service, behind which kube-proxy chooses a pod at random, "
              "whatever routingLogic says"
            : "k8sServiceDiscoveryType: a simulation leaves out: that Services "
              "stand between router and pods");
    return services == 1;
}

static bool routing_put(struct helm *helm, const struct helm_args *args,
                        struct text *out, struct err *err)
{
    const struct stack_router *router = &helm->stack->router;
    if (router->where == NULL) {
        findings_add(&helm->stack->findings, FINDING_NOTE, "no_router", NULL,
                     "there is no router; clients are taken to ask a Service, which "
                     "chooses an engine at random");
        text_add(out, "routing: {policy: random}\n");
        return true;
    }
    if (!policy_check(helm, err) || !legs_check(helm, args, err)) {
        return false;
    }
    const char *logic = router->routing_logic;
    if (behind_service(helm, args)) {
        logic = "random";
    }
    text_printf(out,
                "routing:\n  policy: %s\n  compat: %s\n  replicas: %" PRIu32
                "\n  scrape_interval: %lus\n  stats_window: %lus\n",
                logic, stack_release_name(helm->stack->release),
                router->replicas > 0 ? router->replicas : 1,
                seconds_of(helm, "--engine-stats-interval", 30),
                seconds_of(helm, "--request-stats-window", 60));
    failover_put(helm, out);
    params_put(helm, out);
    if (strcmp(router->routing_logic, "kvaware") == 0 &&
        controller_reports(helm, args)) {
        text_add(out, "  kv_events: {source: tiers}\n");
    }
    if (router->session_key != NULL) {
        findings_add(&helm->stack->findings, FINDING_NOTE, "sessions_of_trace",
                     router->where,
                     "sessions are those of the workload; the header %.80s stands for "
                     "them",
                     router->session_key);
    }
    return true;
}

static bool is_base(const struct helm *helm, const struct helm_args *args,
                    const struct stack_adapter *adapter)
{
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct helm_engine *engine = &helm->engines[i];
        if (strcmp(engine->from->name, adapter->base_model) == 0 &&
            is_wanted(engine, args) && engine->fits && engine->config.lora.enabled) {
            return true;
        }
    }
    return false;
}

static void adapters_put(const struct helm *helm, const struct helm_args *args,
                         struct text *out)
{
    bool first = true;
    for (size_t i = 0; i < helm->stack->adapter_count; i++) {
        const struct stack_adapter *adapter = &helm->stack->adapters[i];
        if (!is_base(helm, args, adapter)) {
            continue;
        }
        text_add(out, first ? "adapters:\n  list:\n" : "");
        first = false;
        text_add(out, "    - {name: ");
        helm_quote(adapter->name, out);
        if (adapter->has_replicas) {
            text_printf(out, ", replicas: %" PRIu32, adapter->replicas);
        }
        text_add(out, "}\n");
    }
}

/* ---- the rest ----------------------------------------------------------------------
 */

/* Absolute, since the scenario may be moved. */
static bool trace_put(const char *trace, struct text *out, struct err *err)
{
    char *path = strcmp(trace, "-") == 0 ? strdup(trace) : realpath(trace, NULL);
    if (path == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s; check the path given with --trace",
                       trace, strerror(errno));
    }
    text_add(out, "workload:\n  trace: ");
    helm_quote(path, out);
    text_add(out, "\n");
    free(path);
    return true;
}

static void workload_put(struct helm *helm, const struct helm_args *args,
                         struct text *out)
{
    uint32_t longest = PROMPT_MAX;
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        const struct helm_engine *engine = &helm->engines[i];
        if (is_wanted(engine, args) && engine->fits &&
            engine->config.max_model_len / 2 < longest) {
            longest = engine->config.max_model_len / 2;
        }
    }
    text_printf(out,
                "# A stand-in: conversations of chat, 1 new one per second.\n"
                "workload:\n  generate:\n    - program: chat\n      preset: moon-conv\n"
                "      requests: 1000\n      warm_up: 0s\n"
                "      arrival: {kind: poisson, rate_per_s: 1}\n      prompt_max: %u\n",
                longest);
    findings_add(&helm->stack->findings, FINDING_NOTE, "workload_stand_in", NULL,
                 "no trace was given: 1,000 requests of chat stand in; give --trace");
}

static void assumptions_put(const struct helm *helm, struct text *out)
{
    const struct findings *findings = &helm->stack->findings;
    for (size_t i = 0; i < findings->count; i++) {
        text_add(out, "# ");
        text_add(out, finding_level_name(findings->items[i].level));
        text_add(out, ": ");
        finding_print(&findings->items[i], out);
        text_add(out, "\n");
    }
}

bool helm_scenario(struct helm *helm, const struct helm_args *args, const char *trace,
                   struct text *out, struct err *err)
{
    struct text body = {0};
    bool good = models_check(helm, args, err);
    if (good && trace != NULL) {
        good = trace_put(trace, &body, err);
    } else if (good) {
        workload_put(helm, args, &body);
    }
    if (good) {
        text_add(&body, "cluster:\n  pools:\n");
    }
    for (size_t i = 0; good && i < helm->stack->engine_count; i++) {
        const struct helm_engine *engine = &helm->engines[i];
        if (is_wanted(engine, args) && engine->from->replicas > 0) {
            good = helm_pool_put(helm, engine, &body, err);
        }
    }
    good = good && routing_put(helm, args, &body, err);
    if (good) {
        adapters_put(helm, args, &body);
        helm_cache_server_put(helm, &body);
        helm_machines_put(helm, &body);
        helm_discovery_put(helm, &body);
        helm_route_put(helm, &body);
    }
    if (good) {
        findings_sort(&helm->stack->findings);
        text_printf(
            out, "# What %s comes to, as %s of the Production Stack reads it.\n",
            args->values, helm->stack->release == STACK_TAG ? "release 0.1.3" : "head");
        assumptions_put(helm, out);
        text_add(out, "name: ");
        helm_quote(helm->stack->name, out);
        text_add(out, "\n");
        text_add(out, text_str(&body));
    }
    text_fini(&body);
    return good;
}
