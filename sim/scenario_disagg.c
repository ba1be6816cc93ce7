/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_disagg.c: who may prefill and who decode, who chooses, and over what network
 * the KV goes.
 */
#include "sim/scenario_disagg.h"

#include "sim/policy_params.h"

#include <string.h>

static const double default_nic_bytes_per_s = 50e9;             /* 400 Gb/s */
static const int64_t push_lease_ns = 120 * INT64_C(1000000000); /* vLLM's first one */
static const int64_t default_latency_ns = 10000; /* spec/vllm-engine.md 10.6 */

bool scenario_pair_named(struct scenario *scenario, const char *name)
{
    const struct pair_policy *pair = pair_policy_find(name);
    if (pair == NULL) {
        return false;
    }
    scenario->disaggregation.policy = pair;
    scenario->disaggregation.named = true;
    scenario->policy =
        route_policy_find(pair->route != NULL ? pair->route : "least_request");
    return true;
}

const char *scenario_policy_name(const struct scenario *scenario)
{
    const struct scenario_disaggregation *disagg = &scenario->disaggregation;
    return disagg->named ? disagg->policy->name : scenario->policy->name;
}

static bool pair_unknown(const struct conf_node *map, const char *name, struct err *err)
{
    struct text known = {0};
    for (size_t i = 0; pair_policy_at(i) != NULL; i++) {
        text_printf(&known, "%s%s", i == 0 ? "" : ", ", pair_policy_at(i)->name);
    }
    conf_fail(conf_get(map, "policy"), err, "policy: no pair policy %s; there are %s",
              name, text_str(&known));
    text_fini(&known);
    return false;
}

/* The one of --policy stays, whatever the file says. One that comes with a routing
 * policy puts it in the place of the file's. */
static bool pair_read(struct scenario *scenario, const struct conf_node *map,
                      struct err *err)
{
    struct scenario_disaggregation *disagg = &scenario->disaggregation;
    const char *name = NULL;
    if (!conf_str(map, "policy", &name, err)) {
        return false;
    }
    const struct pair_policy *pair = name != NULL ? pair_policy_find(name) : NULL;
    if (name != NULL && pair == NULL) {
        return pair_unknown(map, name, err);
    }
    if (disagg->policy == NULL) {
        disagg->policy = pair;
    }
    if (disagg->policy != NULL && disagg->policy->route != NULL) {
        scenario->policy = route_policy_find(disagg->policy->route);
        scenario->param_count = 0; /* of another one */
    }
    return true;
}

static bool pair_params_read(struct scenario *scenario, const struct conf_node *map,
                             struct err *err)
{
    struct scenario_disaggregation *disagg = &scenario->disaggregation;
    const struct conf_node *params = NULL;
    const char *names[POLICY_PARAMS_MAX];
    double given_values[POLICY_PARAMS_MAX];
    uint32_t count = 0;
    if (!conf_map(map, "params", &params, err)) {
        return false;
    }
    if (disagg->policy == NULL) {
        return params == NULL || conf_require(map, "policy", err);
    }
    const struct policy_params_target target = {
        .table = {disagg->policy->name, disagg->policy->params},
        .compat = scenario->compat,
        .names = names,
        .values = given_values,
        .count = &count,
    };
    if (!policy_params_read(&target, params, err)) {
        return false;
    }
    const struct policy_given given = {names, given_values, count};
    return policy_params_resolve(&target.table, scenario->compat, &given,
                                 disagg->values, err);
}

/* Who chooses the prefill leg's engine: the same policy as the other leg's, unless the
 * file says another one. */
static bool prefill_read(struct scenario *scenario,
                         const struct scenario_options *options,
                         const struct conf_node *map, struct err *err)
{
    struct scenario_disaggregation *disagg = &scenario->disaggregation;
    const struct conf_node *prefill = NULL;
    const struct conf_node *params = NULL;
    const char *name = NULL;
    disagg->prefill = scenario->policy;
    if (conf_get(map, "prefill") == NULL) {
        disagg->param_count = scenario->param_count;
        for (uint32_t i = 0; i < scenario->param_count; i++) {
            disagg->param_names[i] = scenario->param_names[i];
            disagg->param_values[i] = scenario->param_values[i];
        }
        return true;
    }
    if (!conf_map(map, "prefill", &prefill, err) ||
        !conf_str(prefill, "policy", &name, err) ||
        !conf_map(prefill, "params", &params, err)) {
        return false;
    }
    const bool own = disagg->policy == NULL || disagg->policy->route == NULL;
    if (name != NULL && own) {
        disagg->prefill = policy_set_find(options->policies, name);
        if (disagg->prefill == NULL) {
            return conf_fail(conf_get(prefill, "policy"), err,
                             "policy: no routing policy %s; `stacksim policies --kind "
                             "route` lists them",
                             name);
        }
    }
    const struct policy_params_target target = {
        .table = {disagg->prefill->name, disagg->prefill->params},
        .compat = scenario->compat,
        .names = disagg->param_names,
        .values = disagg->param_values,
        .count = &disagg->param_count,
        .overridden = options->policy != NULL,
        .others = options->policies,
    };
    return policy_params_read(&target, params, err);
}

static bool network_read(struct scenario_disaggregation *disagg,
                         const struct conf_node *root, struct err *err)
{
    const struct conf_node *network = NULL;
    uint64_t nic = 0;
    disagg->nic_bytes_per_s = default_nic_bytes_per_s;
    disagg->latency_ns = default_latency_ns;
    if (!conf_map(root, "network", &network, err) ||
        !conf_bytes(network, "nic", &nic, err) ||
        !conf_duration_ns(network, "latency", &disagg->latency_ns, err) ||
        !conf_duration_ns(network, "block_post", &disagg->block_ns, err) ||
        !conf_bool(network, "layer_overlap", &disagg->layer_overlap, err)) {
        return false;
    }
    if (conf_get(network, "nic") != NULL) {
        disagg->nic_bytes_per_s = (double)nic;
    }
    return nic > 0 || conf_get(network, "nic") == NULL ||
           conf_fail(conf_get(network, "nic"), err,
                     "nic: bytes that a card moves in a second, as 50GB");
}

static bool transfer_read(struct scenario_disaggregation *disagg,
                          const struct conf_node *map, struct err *err)
{
    static const char *const ways[] = {"pull", "push", NULL};
    uint32_t way = 0;
    if (!conf_enum(map, "transfer", ways, &way, err)) {
        return false;
    }
    disagg->push = way == 1;
    if (!disagg->push) {
        return true;
    }
    if (conf_get(map, "lease") == NULL) {
        disagg->lease_ns = push_lease_ns;
    }
    return disagg->lease_ns > 0 ||
           conf_fail(conf_get(map, "lease"), err,
                     "lease: with transfer: push one engine's blocks can wait for "
                     "another's and those for the first one's; only a lease ends that");
}

bool scenario_disagg_read(struct scenario *scenario,
                          const struct scenario_options *options,
                          const struct conf_node *root, struct err *err)
{
    const struct conf_node *routing = NULL;
    const struct conf_node *map = NULL;
    return conf_map(root, "routing", &routing, err) &&
           conf_map(routing, "disaggregation", &map, err) &&
           pair_read(scenario, map, err) && pair_params_read(scenario, map, err) &&
           prefill_read(scenario, options, map, err) &&
           conf_duration_ns(map, "lease", &scenario->disaggregation.lease_ns, err) &&
           transfer_read(&scenario->disaggregation, map, err) &&
           network_read(&scenario->disaggregation, root, err);
}

/* What one engine makes, another one must be able to read. */
static bool pools_match(const struct scenario *scenario, const struct conf_node *root,
                        struct err *err)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        const struct scenario_pool *first = &scenario->pools[0];
        if (pool->engine.compat == ENGINE_V085) {
            return conf_fail(root, err,
                             "pool %s: engines of compat v085 cannot fetch KV while "
                             "they work; take v010 or a later one",
                             pool->name);
        }
        if (strcmp(pool->model.name, first->model.name) != 0 ||
            pool->engine.block_tokens != first->engine.block_tokens) {
            return conf_fail(root, err,
                             "pools %s and %s exchange KV: they need the same model "
                             "and block_tokens",
                             first->name, pool->name);
        }
    }
    return true;
}

bool scenario_disagg_check(struct scenario *scenario, const struct conf_node *root,
                           struct err *err)
{
    bool prefills = false;
    bool decodes = false;
    bool roles = false;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const enum pool_role role = scenario->pools[i].role;
        prefills = prefills || role != ROLE_DECODE;
        decodes = decodes || role != ROLE_PREFILL;
        roles = roles || role != ROLE_BOTH;
    }
    struct scenario_disaggregation *disagg = &scenario->disaggregation;
    if (!roles && disagg->policy == NULL) {
        return true;
    }
    if (!roles || !prefills || !decodes) {
        return conf_fail(conf_get(root, "cluster"), err,
                         "disaggregated prefill needs a pool with role: prefill and "
                         "one with role: decode (or both)");
    }
    if (disagg->policy == NULL) {
        disagg->policy = pair_policy_find("pd_independent");
    }
    return pools_match(scenario, root, err);
}

/* Both legs are sent at once: nothing of the first one's answer may be waited for. */
bool scenario_push_check(const struct scenario *scenario, const struct conf_node *root,
                         struct err *err)
{
    const struct scenario_disaggregation *disagg = &scenario->disaggregation;
    if (!disagg->push || disagg->policy == NULL) {
        return true;
    }
    const struct conf_node *routing = conf_get(root, "routing");
    if (disagg->policy->in_full != NULL || disagg->policy->one_token_stays != NULL) {
        return conf_fail(
            routing, err,
            "transfer: push sends both legs at once, and %s the second one "
            "when the first has answered; take pd_independent",
            disagg->policy->name);
    }
    return scenario->control == NULL ||
           conf_fail(routing, err,
                     "transfer: push is not modelled with faults and changes of the "
                     "fleet; leave out timeline, nodes, discovery and client, or pull");
}
