/* SPDX-License-Identifier: Apache-2.0
 *
 * traps_router.c: what the router does that nobody would want: crash, find no engine,
 * fail every request.
 */
#include "stack/parts.h"

#include <string.h>

static bool is_logic(const struct stack_router *router, const char *name)
{
    return strcmp(router->routing_logic, name) == 0;
}

static const struct conf_node *logic_line(const struct stack_router *router)
{
    const struct conf_node *where = router->where;
    (void)args_value(&router->args, "--routing-logic", &where);
    return where;
}

/* ---- routing -----------------------------------------------------------------------
 */

static void logic_known(struct stack *stack)
{
    static const char *const logics[][8] = {
        [STACK_TAG] = {"roundrobin", "session", "kvaware", "prefixaware",
                       "disaggregated_prefill", NULL},
        [STACK_HEAD] = {"roundrobin", "session", "kvaware", "prefixaware",
                        "disaggregated_prefill", "disaggregated_prefill_orchestrated",
                        NULL}};
    const struct stack_router *router = &stack->router;
    for (size_t i = 0; logics[stack->release][i] != NULL; i++) {
        if (is_logic(router, logics[stack->release][i])) {
            return;
        }
    }
    findings_add(
        &stack->findings, FINDING_TRAP, "unknown_routing_logic", logic_line(router),
        "routingLogic: the stack's router knows no \"%.80s\" and ends with exit "
        "code 2, again and again; write roundrobin, session, prefixaware, "
        "kvaware or disaggregated_prefill",
        router->routing_logic);
}

/* Head's HPA of the router: replicas share nothing, so that each new one forgets. */
static void scale_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *scaling = read_child(router->where, "autoscaling");
    const struct conf_node *enabled = read_child(scaling, "enabled");
    const char *text = conf_scalar(enabled);
    if (router->replicas == 0) {
        const struct conf_node *where = read_child(router->where, "replicaCount");
        findings_add(&stack->findings, FINDING_TRAP, "no_router_replica",
                     where != NULL ? where : router->where,
                     "the router has no replica, and nobody answers; write 1");
    }
    if (stack->release == STACK_HEAD && text != NULL && strcmp(text, "true") == 0) {
        findings_add(&stack->findings, FINDING_WARNING, "not_simulated", scaling,
                     "autoscaling: a simulation leaves out: that of the router "
                     "itself; its replicaCount of %u stays",
                     router->replicas);
    }
}

static void logic_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = logic_line(router);
    logic_known(stack);
    if (is_logic(router, "session") && router->session_key == NULL &&
        args_value(&router->args, "--session-key", &where) == NULL) {
        findings_add(&stack->findings, FINDING_TRAP, "no_session_key", where,
                     "routingLogic: session without sessionKey: the router does not "
                     "start; name the header, as sessionKey: x-user-id");
    }
    if (is_logic(router, "prefixaware") && stack->release == STACK_TAG) {
        findings_add(
            &stack->findings, FINDING_TRAP, "prefixaware_chat", where,
            "routingLogic: prefixaware of release 0.1.3 reads only the prompt of "
            "completions: every chat request is answered with 500; use session, "
            "or a later router");
    }
    if (is_logic(router, "kvaware") && stack->release == STACK_TAG) {
        findings_add(
            &stack->findings, FINDING_TRAP, "kvaware_fails", where,
            "routingLogic: kvaware of release 0.1.3 answers every request with "
            "500; use session or prefixaware, or a later router");
    }
    if (router->replicas > 1 &&
        (is_logic(router, "prefixaware") || is_logic(router, "kvaware") ||
         is_logic(router, "roundrobin"))) {
        findings_add(&stack->findings, FINDING_WARNING, "routers_share_nothing", where,
                     "%u router replicas share nothing: each counts and learns for "
                     "itself; session is the logic that needs nothing shared",
                     router->replicas);
    }
}

static bool controller_on(const struct stack *stack)
{
    for (size_t i = 0; i < stack->engine_count; i++) {
        if (stack->engines[i].lmcache.enabled && stack->engines[i].lmcache.controller) {
            return true;
        }
    }
    return false;
}

static void controller_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    if (is_logic(router, "kvaware") && stack->engine_count > 0 &&
        !controller_on(stack)) {
        findings_add(&stack->findings, FINDING_TRAP, "kvaware_without_controller",
                     logic_line(router),
                     "routingLogic: kvaware, but no engine reports to the controller: "
                     "every lookup misses; write lmcacheConfig.enableController: true");
    }
    for (size_t i = 0; i < stack->engine_count; i++) {
        const struct stack_engine *engine = &stack->engines[i];
        if (engine->lmcache.enabled && engine->lmcache.controller &&
            stack->release == STACK_TAG && engine->kind != STACK_RUNTIME) {
            findings_add(&stack->findings, FINDING_TRAP, "controller_unreachable",
                         engine->lmcache.where,
                         "%s: the chart of release 0.1.3 names the controller "
                         "%s-%s-service, which no object is called, and gives all "
                         "replicas one instanceId; set LMCACHE_CONTROLLER_URL in env, "
                         "one replica per model",
                         engine->name, stack->name, engine->name);
        }
    }
}

/* ---- disaggregated prefill ---------------------------------------------------------
 */

static bool label_named(const struct stack *stack, const char *label, size_t length)
{
    for (size_t i = 0; i < stack->engine_count; i++) {
        if (strlen(stack->engines[i].name) == length &&
            memcmp(stack->engines[i].name, label, length) == 0) {
            return true;
        }
    }
    return false;
}

static void labels_traps(struct stack *stack, const char *flag)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = router->where;
    const char *labels = args_value(&router->args, flag, &where);
    if (labels == NULL) {
        findings_add(&stack->findings, FINDING_TRAP, "no_pd_labels", logic_line(router),
                     "routingLogic: %.60s needs %s, and the router does not start "
                     "without it; add it to extraArgs",
                     router->routing_logic, flag);
        return;
    }
    while (*labels != '\0') {
        const size_t length = strcspn(labels, ",");
        if (stack->engine_count > 0 && !label_named(stack, labels, length)) {
            findings_add(&stack->findings, FINDING_TRAP, "label_matches_nothing", where,
                         "%s: \"%.*s\" is the name of no engine here, so that no "
                         "request finds its leg; write the name of a modelSpec item",
                         flag, (int)(length < 80 ? length : 80), labels);
        }
        labels += length + (labels[length] == ',' ? 1 : 0);
    }
}

static void pd_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = router->where;
    const bool routes = strncmp(router->routing_logic, "disaggregated_prefill",
                                strlen("disaggregated_prefill")) == 0;
    if (args_value(&router->args, "--disaggregated-prefill", &where) != NULL) {
        findings_add(
            &stack->findings, FINDING_TRAP, "router_crash_loop", where,
            "enablePD: the chart then gives the router --disaggregated-prefill, "
            "which it does not know: it ends with exit code 2, again and again; "
            "drop the key");
    }
    if (routes) {
        labels_traps(stack, "--prefill-model-labels");
        labels_traps(stack, "--decode-model-labels");
    }
    for (size_t i = 0; i < stack->engine_count && !routes; i++) {
        if (stack->engines[i].lmcache.pd) {
            findings_add(
                &stack->findings, FINDING_TRAP, "pd_without_routing",
                stack->engines[i].lmcache.where,
                "%s: is one leg of disaggregated prefill, but the router sends "
                "it whole requests; write routingLogic: disaggregated_prefill",
                stack->engines[i].name);
        }
    }
    for (size_t i = 0; i < stack->engine_count && routes; i++) {
        if (stack->engines[i].lmcache.nixl_role != NULL &&
            stack->engines[i].replicas > 1) {
            findings_add(&stack->findings, FINDING_TRAP, "one_peer",
                         stack->engines[i].lmcache.where,
                         "%s: nixlPeerHost is one address for all %u replicas: one "
                         "sender feeds one receiver; make one modelSpec item per pair",
                         stack->engines[i].name, stack->engines[i].replicas);
        }
    }
}

/* ---- discovery ---------------------------------------------------------------------
 */

/* One requirement, "k=v", "k!=v", "k" or "!k", against labels "k=v,k=v". */
static bool requirement_holds(const char *text, size_t length, const char *labels)
{
    const bool absent = length > 0 && text[0] == '!';
    text += absent ? 1 : 0;
    length -= absent ? 1 : 0;
    size_t key = 0;
    while (key < length && text[key] != '=' && text[key] != '!') {
        key++;
    }
    const bool unequal = key < length && text[key] == '!';
    size_t value = key;
    while (value < length && (text[value] == '=' || text[value] == '!')) {
        value++;
    }
    const bool any = key == length;
    while (*labels != '\0') {
        const size_t item = strcspn(labels, ",");
        const size_t own = strcspn(labels, "=");
        if (own == key && memcmp(labels, text, key) == 0) {
            const bool equal =
                item - own - 1 == length - value &&
                memcmp(labels + own + 1, text + value, length - value) == 0;
            return any ? !absent : equal != unequal;
        }
        labels += item + (labels[item] == ',' ? 1 : 0);
    }
    return absent || unequal;
}

static bool selector_holds(const char *selector, const char *labels)
{
    while (*selector != '\0') {
        const size_t length = strcspn(selector, ",");
        if (!requirement_holds(selector, length, labels)) {
            return false;
        }
        selector += length + (selector[length] == ',' ? 1 : 0);
    }
    return true;
}

/* Sets ("k in (a,b)") are left to Kubernetes. */
static void selector_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = router->where;
    const char *selector = args_value(&router->args, "--k8s-label-selector", &where);
    if (selector == NULL || strpbrk(selector, "( ") != NULL) {
        return;
    }
    for (size_t i = 0; i < stack->engine_count; i++) {
        if (selector_holds(selector, stack->engines[i].labels)) {
            return;
        }
    }
    if (stack->engine_count > 0) {
        findings_add(&stack->findings, FINDING_TRAP, "selector_matches_nothing", where,
                     "k8sLabelSelector: no engine here has the labels %.120s (%s has "
                     "%.200s): the router finds none, and no request is answered; "
                     "write labels that its pods have",
                     selector, stack->engines[0].name, stack->engines[0].labels);
    }
}

/* Probes carry no key, so that engines that ask for one refuse them (#631). */
static void check_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = router->where;
    const bool checks =
        args_value(&router->args, "--static-backend-health-checks", &where) != NULL;
    const char *types = args_value(&router->args, "--static-model-types", NULL);
    if (!checks || strcmp(router->discovery, "static") != 0) {
        return;
    }
    if (stack->has_api_key && stack->release == STACK_TAG) {
        findings_add(&stack->findings, FINDING_TRAP, "checks_without_key", where,
                     "--static-backend-health-checks: probes of release 0.1.3 carry no "
                     "key, and vllmApiKey makes engines refuse them: after the first "
                     "pass no backend is left; drop one of the two");
    }
    if (types == NULL || types[0] == '\0') {
        findings_add(&stack->findings, FINDING_TRAP, "checks_without_types", where,
                     "--static-backend-health-checks: the router does not start "
                     "without --static-model-types; add it to extraArgs, as in chat");
    } else if (strstr(types, "score") != NULL && stack->release == STACK_TAG) {
        findings_add(&stack->findings, FINDING_TRAP, "score_never_well", where,
                     "--static-model-types: the probe of type score misspells a key at "
                     "release 0.1.3 (#769): such backends are never well; leave health "
                     "checks out");
    }
}

static void discovery_traps(struct stack *stack)
{
    const struct stack_router *router = &stack->router;
    const struct conf_node *where = router->where;
    const bool is_static = strcmp(router->discovery, "static") == 0;
    if (is_static && (args_value(&router->args, "--static-backends", &where) == NULL ||
                      args_value(&router->args, "--static-models", &where) == NULL)) {
        findings_add(
            &stack->findings, FINDING_TRAP, "no_static_backends", router->where,
            "serviceDiscovery: static without staticBackends and staticModels: "
            "the router does not start; name them");
    }
    for (size_t i = 0; i < stack->engine_count && !is_static; i++) {
        const struct stack_engine *engine = &stack->engines[i];
        const char *port = args_value(&router->args, "--k8s-port", &where);
        if (engine->port != 8000 && port == NULL) {
            findings_add(
                &stack->findings, FINDING_TRAP, "port_not_discovered",
                engine->kind == STACK_RUNTIME ? engine->where : router->where,
                "%s: listens on %u, but discovery asks every pod on 8000, since "
                "nobody gives the router --k8s-port: no engine is found; write "
                "extraArgs: [\"--k8s-port\", \"%u\"], or leave the port alone",
                engine->name, engine->port, engine->port);
            return;
        }
    }
}

void router_traps_find(struct stack *stack)
{
    const size_t before = stack->findings.count;
    if (stack->router.where == NULL) {
        return;
    }
    logic_traps(stack);
    scale_traps(stack);
    controller_traps(stack);
    pd_traps(stack);
    discovery_traps(stack);
    check_traps(stack);
    if (strcmp(stack->router.discovery, "k8s") == 0) {
        selector_traps(stack);
    }
    for (size_t i = before; i < stack->findings.count; i++) {
        stack->findings.items[i].of_router = true;
    }
}
