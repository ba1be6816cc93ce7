/* SPDX-License-Identifier: Apache-2.0
 *
 * policy.c: the registry as a table, and the parameters of a policy.
 *
 * The table is made by the preprocessor from registry.def, so nothing registers itself
 * at start-up and the order of listing is the order of the file. Parameters travel as
 * doubles: every kind fits (whole numbers up to 2^53), and one array serves command
 * line, scenario file and store.
 */
#include "policies/policy.h"

#include "policies/registry.h"

#include <string.h>

static const struct route_policy *const route_policies[] = {
#define ROUTE(name) &route_##name,
#include "policies/registry.def"
};
enum { ROUTE_POLICIES = sizeof route_policies / sizeof route_policies[0] };

const struct route_policy *route_policy_at(size_t index)
{
    return index < ROUTE_POLICIES ? route_policies[index] : NULL;
}

static bool answers_to(const struct route_policy *policy, const char *name)
{
    if (strcmp(policy->name, name) == 0) {
        return true;
    }
    const char *const *alias = policy->aliases;
    while (alias != NULL && *alias != NULL) {
        if (strcmp(*alias, name) == 0) {
            return true;
        }
        alias++;
    }
    return false;
}

const struct route_policy *route_policy_find(const char *name)
{
    for (size_t i = 0; i < ROUTE_POLICIES; i++) {
        if (answers_to(route_policies[i], name)) {
            return route_policies[i];
        }
    }
    return NULL;
}

const char *route_reason_name(enum route_reason reason)
{
    static const char *const names[] = {
#define X(name, text, help) text,
        ROUTE_REASONS(X)
#undef X
    };
    return names[reason];
}

const char *route_reason_help(enum route_reason reason)
{
    static const char *const helps[] = {
#define X(name, text, help) help,
        ROUTE_REASONS(X)
#undef X
    };
    return helps[reason];
}

size_t route_policy_param_count(const struct route_policy *policy)
{
    size_t count = 0;
    while (policy->params != NULL && policy->params[count].name != NULL) {
        count++;
    }
    return count;
}

static double param_default(const struct policy_param *param, enum compat compat)
{
    if (!param->defect || compat == COMPAT_HEAD) {
        return param->default_value;
    }
    return compat == COMPAT_TAG ? 1.0 : 0.0;
}

static bool param_unknown(const struct route_policy *policy, const char *name,
                          struct err *err)
{
    char known[ERR_TEXT_BYTES / 2] = "none";
    size_t used = 0;
    const size_t count = route_policy_param_count(policy);
    for (size_t i = 0; i < count && used + 1 < sizeof known; i++) {
        const char *separator = i > 0 ? ", " : "";
        const char *parts[] = {separator, policy->params[i].name};
        for (size_t j = 0; j < 2; j++) {
            const size_t room = sizeof known - 1 - used;
            const size_t bytes = strnlen(parts[j], room);
            memcpy(known + used, parts[j], bytes);
            used += bytes;
        }
        known[used] = '\0';
    }
    return err_set(err, ERR_INPUT,
                   "policy %s has no parameter '%s'; its parameters are: %s",
                   policy->name, name, known);
}

/* Beyond 2^53 a double cannot tell whole numbers apart, so the cast below is exact. */
static bool is_whole(double value)
{
    return value >= 0 && value <= 0x1p53 && (double)(uint64_t)value == value;
}

static bool param_valid(const struct route_policy *policy,
                        const struct policy_param *param, double value, struct err *err)
{
    /* Written so that NaN fails. */
    if (!(value >= param->min && value <= param->max)) {
        return err_set(err, ERR_INPUT,
                       "policy %s: %s is %g; it must lie between %g and %g",
                       policy->name, param->name, value, param->min, param->max);
    }
    if (param->kind != PARAM_F64 && !is_whole(value)) {
        return err_set(err, ERR_INPUT, "policy %s: %s is %g; it must be a whole number",
                       policy->name, param->name, value);
    }
    return true;
}

bool route_policy_resolve(const struct route_policy *policy, enum compat compat,
                          const struct policy_given *given,
                          double values[POLICY_PARAMS_MAX], struct err *err)
{
    const size_t count = route_policy_param_count(policy);
    for (size_t i = 0; i < count; i++) {
        values[i] = param_default(&policy->params[i], compat);
    }
    for (size_t i = 0; i < given->count; i++) {
        size_t at = 0;
        while (at < count && strcmp(policy->params[at].name, given->names[i]) != 0) {
            at++;
        }
        if (at == count) {
            return param_unknown(policy, given->names[i], err);
        }
        if (!param_valid(policy, &policy->params[at], given->values[i], err)) {
            return false;
        }
        values[at] = given->values[i];
    }
    return true;
}
