/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.c: tables of several types, read as one.
 */
#include "policies/catalog.h"

#include "policies/admit.h"
#include "policies/order.h"
#include "policies/pair.h"
#include "policies/scale.h"

#include <stdio.h>

const char *policy_kind_name(enum policy_kind kind)
{
    static const char *const names[] = {
#define X(id, name, key, params, help) name,
        POLICY_KINDS(X)
#undef X
    };
    return names[kind];
}

const char *policy_kind_key(enum policy_kind kind)
{
    static const char *const keys[] = {
#define X(id, name, key, params, help) key,
        POLICY_KINDS(X)
#undef X
    };
    return keys[kind];
}

const char *policy_kind_params_key(enum policy_kind kind)
{
    static const char *const keys[] = {
#define X(id, name, key, params, help) params,
        POLICY_KINDS(X)
#undef X
    };
    return keys[kind];
}

const char *policy_kind_help(enum policy_kind kind)
{
    static const char *const helps[] = {
#define X(id, name, key, params, help) help,
        POLICY_KINDS(X)
#undef X
    };
    return helps[kind];
}

#define ENTRY(table_kind, table, table_needs)                                          \
    (struct policy_entry)                                                              \
    {                                                                                  \
        .kind = (table_kind), .name = (table)->name, .aliases = (table)->aliases,      \
        .help = (table)->help, .source = (table)->source, .breaks = (table)->breaks,   \
        .needs = (table_needs), .params = (table)->params,                             \
    }

bool policy_catalog_at(const struct policy_set *set, size_t index,
                       struct policy_entry *entry)
{
    const struct route_policy *route = NULL;
    size_t count = 0;
    while ((route = policy_set_at(set, count)) != NULL) {
        if (count++ == index) {
            *entry = ENTRY(POLICY_ROUTE, route, route->needs);
            return true;
        }
    }
    index -= count;
    const struct admit_policy *admit = NULL;
    for (count = 0; (admit = admit_policy_at(count)) != NULL; count++) {
        if (count == index) {
            *entry = ENTRY(POLICY_ADMIT, admit, admit->needs);
            return true;
        }
    }
    index -= count;
    const struct order_policy *order = NULL;
    for (count = 0; (order = order_policy_at(count)) != NULL; count++) {
        if (count == index) {
            *entry = ENTRY(POLICY_ORDER, order, 0);
            return true;
        }
    }
    index -= count;
    const struct pair_policy *pair = NULL;
    for (count = 0; (pair = pair_policy_at(count)) != NULL; count++) {
        if (count == index) {
            *entry = ENTRY(POLICY_PAIR, pair, 0);
            return true;
        }
    }
    const struct scale_policy *scale = scale_policy_at(index - count);
    if (scale != NULL) {
        *entry = ENTRY(POLICY_SCALE, scale, 0);
    }
    return scale != NULL;
}

const char *policy_need_name(size_t index, unsigned *bit)
{
    static const struct {
        unsigned bit;
        const char *name;
    } needs[] = {
        {NEED_SESSION_KEY, "session key"},          {NEED_CHUNK_HASHES, "prompt text"},
        {NEED_BLOCK_HASHES, "prompt blocks"},       {NEED_METRICS, "engine metrics"},
        {NEED_REQUEST_STATS, "request statistics"}, {NEED_KV_EVENTS, "KV events"},
        {NEED_ADAPTERS, "loaded adapters"},
    };
    if (index >= sizeof needs / sizeof needs[0]) {
        return NULL;
    }
    *bit = needs[index].bit;
    return needs[index].name;
}

static const char *truth(double value)
{
    return value > 0.5 ? "true" : "false";
}

const char *policy_default_text(const struct policy_param *param,
                                char text[POLICY_DEFAULT_BYTES])
{
    if (param->defect) {
        const bool head = param->default_value > 0.5;
        (void)snprintf(text, POLICY_DEFAULT_BYTES,
                       head ? "tag-fixed false, else true" : "tag true, else false");
    } else if (param->kind == PARAM_BOOL) {
        (void)snprintf(text, POLICY_DEFAULT_BYTES, "%s", truth(param->default_value));
    } else {
        (void)snprintf(text, POLICY_DEFAULT_BYTES, "%.16g", param->default_value);
    }
    return text;
}
