/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_params.c: kind and range are the policy's own word (policy_params_resolve);
 * file and line are added here.
 */
#include "sim/policy_params.h"

#include "base/nearest.h"

#include <string.h>

static const struct policy_param *param_find(const struct policy_param *params,
                                             const char *name)
{
    for (const struct policy_param *at = params; at != NULL && at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0) {
            return at;
        }
    }
    return NULL;
}

static bool param_of_any(const struct policy_set *set, const char *name)
{
    for (size_t i = 0; policy_set_at(set, i) != NULL; i++) {
        if (param_find(policy_set_at(set, i)->params, name) != NULL) {
            return true;
        }
    }
    return false;
}

static bool param_unknown(const struct policy_table *table,
                          const struct conf_node *node, const char *name,
                          struct err *err)
{
    const char *names[POLICY_PARAMS_MAX] = {0};
    const size_t count = policy_param_count(table->params);
    for (size_t i = 0; i < count; i++) {
        names[i] = table->params[i].name;
    }
    const char *near = nearest_word(name, names, count);
    return conf_fail(node, err,
                     "params: %s has no parameter %s%s%s; `stacksim policies %s` lists "
                     "them",
                     table->name, name, near != NULL ? ", did you mean " : "",
                     near != NULL ? near : "", table->name);
}

/* Kind and range are the policy's own word (policy_params_resolve), with file and line
 * added. */
static bool param_read(const struct policy_params_target *target,
                       const struct conf_node *params, const struct policy_param *param,
                       struct err *err)
{
    double value = 0.0;
    if (param->kind == PARAM_BOOL) {
        bool on = false;
        if (!conf_bool(params, param->name, &on, err)) {
            return false;
        }
        value = on ? 1.0 : 0.0;
    } else if (!conf_f64(params, param->name, &value, param->min, param->max, err)) {
        return false;
    }
    double values[POLICY_PARAMS_MAX];
    struct err why;
    const struct policy_given given = {&param->name, &value, 1};
    if (!policy_params_resolve(&target->table, target->compat, &given, values, &why)) {
        return conf_fail(conf_get(params, param->name), err, "params: %s", why.text);
    }
    target->names[*target->count] = param->name;
    target->values[(*target->count)++] = value;
    return true;
}

bool policy_params_read(const struct policy_params_target *target,
                        const struct conf_node *params, struct err *err)
{
    if (conf_count(params) > POLICY_PARAMS_MAX) {
        return conf_fail(params, err, "params: at most %d", POLICY_PARAMS_MAX);
    }
    for (size_t i = 0; i < conf_count(params); i++) {
        const char *name = conf_key_at(params, i);
        const struct policy_param *param = param_find(target->table.params, name);
        if (param == NULL && target->overridden && param_of_any(target->others, name)) {
            continue;
        }
        if (param == NULL) {
            return param_unknown(&target->table, conf_at(params, i), name, err);
        }
        if (!param_read(target, params, param, err)) {
            return false;
        }
    }
    return true;
}
