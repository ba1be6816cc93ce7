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

bool policy_answers_to(const char *name, const char *const *aliases, const char *asked)
{
    if (strcmp(name, asked) == 0) {
        return true;
    }
    while (aliases != NULL && *aliases != NULL) {
        if (strcmp(*aliases, asked) == 0) {
            return true;
        }
        aliases++;
    }
    return false;
}

const struct route_policy *route_policy_find(const char *name)
{
    for (size_t i = 0; i < ROUTE_POLICIES; i++) {
        const struct route_policy *policy = route_policies[i];
        if (policy_answers_to(policy->name, policy->aliases, name)) {
            return policy;
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

size_t policy_param_count(const struct policy_param *params)
{
    size_t count = 0;
    while (params != NULL && params[count].name != NULL) {
        count++;
    }
    return count;
}

size_t route_policy_param_count(const struct route_policy *policy)
{
    return policy_param_count(policy->params);
}

static double param_default(const struct policy_param *param, enum compat compat)
{
    if (!param->defect || compat == COMPAT_HEAD) {
        return param->default_value;
    }
    return compat == COMPAT_TAG ? 1.0 : 0.0;
}

static bool param_unknown(const struct policy_table *table, const char *name,
                          struct err *err)
{
    char known[ERR_TEXT_BYTES / 2] = "none";
    size_t used = 0;
    const size_t count = policy_param_count(table->params);
    for (size_t i = 0; i < count && used + 1 < sizeof known; i++) {
        const char *separator = i > 0 ? ", " : "";
        const char *parts[] = {separator, table->params[i].name};
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
                   table->name, name, known);
}

/* Beyond 2^53 a double cannot tell whole numbers apart, so the cast below is exact. */
static bool is_whole(double value)
{
    return value >= 0 && value <= 0x1p53 && (double)(uint64_t)value == value;
}

static bool param_valid(const struct policy_table *table,
                        const struct policy_param *param, double value, struct err *err)
{
    /* Written so that NaN fails. */
    if (!(value >= param->min && value <= param->max)) {
        return err_set(err, ERR_INPUT,
                       "policy %s: %s is %g; it must lie between %g and %g",
                       table->name, param->name, value, param->min, param->max);
    }
    if (param->kind != PARAM_F64 && !is_whole(value)) {
        return err_set(err, ERR_INPUT, "policy %s: %s is %g; it must be a whole number",
                       table->name, param->name, value);
    }
    return true;
}

bool policy_params_resolve(const struct policy_table *table, enum compat compat,
                           const struct policy_given *given,
                           double values[POLICY_PARAMS_MAX], struct err *err)
{
    const size_t count = policy_param_count(table->params);
    for (size_t i = 0; i < count; i++) {
        values[i] = param_default(&table->params[i], compat);
    }
    for (size_t i = 0; i < given->count; i++) {
        size_t at = 0;
        while (at < count && strcmp(table->params[at].name, given->names[i]) != 0) {
            at++;
        }
        if (at == count) {
            return param_unknown(table, given->names[i], err);
        }
        if (!param_valid(table, &table->params[at], given->values[i], err)) {
            return false;
        }
        values[at] = given->values[i];
    }
    return true;
}

bool route_policy_resolve(const struct route_policy *policy, enum compat compat,
                          const struct policy_given *given,
                          double values[POLICY_PARAMS_MAX], struct err *err)
{
    const struct policy_table table = {policy->name, policy->params};
    return policy_params_resolve(&table, compat, given, values, err);
}
