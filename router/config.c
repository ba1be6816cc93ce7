/* SPDX-License-Identifier: Apache-2.0
 *
 * config.c: comma strings to arrays, with every length checked against every other.
 */
#include "router/config.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/text.h"
#include "base/unit.h"
#include "router/origin.h"

#include <stdio.h>
#include <string.h>

enum { CONFIG_BYTES_MAX = 64 * 1024 * 1024, NAMES_MAX = 128 };
enum { HEALTH_INTERVAL_S = 60, HEALTH_TIMEOUT_S = 10, HEALTH_TIMEOUT_TAG_S = 30 };
static const int64_t ns_per_s = 1000000000;

static const char *const TYPE_NAMES[] = {"none",
#define X(name, text, path) text,
                                         MODEL_TYPES(X)
#undef X
};
static const char *const TYPE_PATHS[] = {"/health",
#define X(name, text, path) path,
                                         MODEL_TYPES(X)
#undef X
};

const char *model_type_name(enum model_type type)
{
    return TYPE_NAMES[type];
}
const char *model_type_path(enum model_type type)
{
    return TYPE_PATHS[type];
}

struct list {
    char **items;
    size_t count;
};

/* No trimming: the stack does none either. NULL gives an empty list. */
static struct list split(struct arena *arena, const char *text)
{
    struct list list = {0};
    if (text == NULL) {
        return list;
    }
    size_t count = 1;
    for (const char *at = text; *at != '\0'; at++) {
        count += *at == ',';
    }
    list.items = arena_alloc(arena, count, sizeof *list.items);
    char *rest = arena_strdup(arena, text);
    while (rest != NULL) {
        char *comma = strchr(rest, ',');
        list.items[list.count++] = rest;
        if (comma != NULL) {
            *comma = '\0';
        }
        rest = comma != NULL ? comma + 1 : NULL;
    }
    return list;
}

/* --- backends --------------------------------------------------------------------- */

/* Drops URLs that release 0.1.3 would skip with a warning. Later ones refuse them. */
static bool check_urls(struct list *urls, enum compat compat, struct text *warnings,
                       struct err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < urls->count; i++) {
        if (compat == COMPAT_TAG && !origin_fits_tag(urls->items[i])) {
            text_printf(warnings, "skipping '%s': not a URL to release 0.1.3\n",
                        urls->items[i]);
            continue;
        }
        struct origin *origin = NULL;
        struct err why;
        if (!origin_new(&origin, urls->items[i], &why)) {
            return err_set(err, ERR_USAGE, "--static-backends: %s", why.text);
        }
        origin_give(origin);
        urls->items[kept++] = urls->items[i];
    }
    urls->count = kept;
    return true;
}

static bool find_type(const char *name, enum model_type *type, struct err *err)
{
    struct text allowed = {0};
    for (size_t i = 1; i < sizeof TYPE_NAMES / sizeof TYPE_NAMES[0]; i++) {
        if (strcmp(name, TYPE_NAMES[i]) == 0) {
            *type = (enum model_type)i;
            text_fini(&allowed);
            return true;
        }
        text_printf(&allowed, "%s%s", i == 1 ? "" : ", ", TYPE_NAMES[i]);
    }
    (void)err_set(err, ERR_USAGE, "--static-model-types: unknown type '%s'; one of %s",
                  name, text_str(&allowed));
    text_fini(&allowed);
    return false;
}

static bool same_length(const char *flag, size_t count, size_t backends,
                        struct err *err)
{
    return count == 0 || count == backends ||
           err_set(err, ERR_USAGE,
                   "%s names %zu for %zu backends; name one for each, in their order",
                   flag, count, backends);
}

static bool is_member(const struct config *config, const struct config_backend *backend)
{
    for (size_t i = 0; i < config->backend_count; i++) {
        if (strcmp(config->backends[i].url, backend->url) == 0 &&
            strcmp(config->backends[i].model, backend->model) == 0) {
            return true;
        }
    }
    return false;
}

static bool fill_backends(struct config *config, const struct config_text *text,
                          struct text *warnings, struct err *err)
{
    struct list urls = split(config->arena, text->static_backends);
    const struct list models = split(config->arena, text->static_models);
    const struct list labels = split(config->arena, text->static_model_labels);
    const struct list types = split(config->arena, text->static_model_types);
    const struct list events = split(config->arena, text->static_kv_events);
    if (urls.count == 0 || models.count == 0) {
        return err_set(err, ERR_USAGE,
                       "static discovery needs --static-backends and --static-models");
    }
    if (!check_urls(&urls, config->compat, warnings, err)) {
        return false;
    }
    if (urls.count != models.count || urls.count > CONFIG_BACKENDS_MAX) {
        return err_set(err, ERR_USAGE,
                       "--static-models names %zu models for %zu backends; name one "
                       "for each, in their order (at most %d)",
                       models.count, urls.count, CONFIG_BACKENDS_MAX);
    }
    if (!same_length("--static-model-labels", labels.count, urls.count, err) ||
        !same_length("--static-model-types", types.count, urls.count, err) ||
        !same_length("--static-kv-events", events.count, urls.count, err)) {
        return false;
    }
    config->backends = arena_alloc(config->arena, urls.count, sizeof *config->backends);
    for (size_t i = 0; i < urls.count; i++) {
        struct config_backend backend = {
            .url = urls.items[i],
            .model = models.items[i],
            .label = labels.count > 0 ? labels.items[i] : "default",
            .kv_events = events.count > 0 ? events.items[i] : NULL,
        };
        if (types.count > 0 && !find_type(types.items[i], &backend.type, err)) {
            return false;
        }
        if (is_member(config, &backend)) {
            text_printf(warnings, "%s is given twice for %s; it counts once\n",
                        backend.url, backend.model);
            continue;
        }
        config->backends[config->backend_count++] = backend;
    }
    return true;
}

static bool fill_aliases(struct config *config, const struct config_text *text,
                         struct err *err)
{
    const struct list items = split(config->arena, text->static_aliases);
    config->aliases = arena_alloc(config->arena, items.count, sizeof *config->aliases);
    for (size_t i = 0; i < items.count; i++) {
        char *colon = strchr(items.items[i], ':');
        if (colon == NULL || strchr(colon + 1, ':') != NULL ||
            colon == items.items[i] || colon[1] == '\0') {
            return err_set(err, ERR_USAGE, "--static-aliases: '%s' is not ALIAS:MODEL",
                           items.items[i]);
        }
        *colon = '\0';
        config->aliases[config->alias_count++] =
            (struct config_alias){.alias = items.items[i], .model = colon + 1};
    }
    return true;
}

/* What discovery found last: perhaps nobody yet. */
static void fill_pods(struct config *config, const struct config_world *world)
{
    config->backends =
        arena_alloc(config->arena, world->pod_count, sizeof *config->backends);
    for (size_t i = 0; i < world->pod_count; i++) {
        const struct config_backend *pod = &world->pods[i];
        const struct config_backend backend = {
            .url = arena_strdup(config->arena, pod->url),
            .model = arena_strdup(config->arena, pod->model),
            .label = arena_strdup(config->arena, pod->label),
            .pod = arena_strdup(config->arena, pod->pod),
        };
        if (!is_member(config, &backend)) {
            config->backends[config->backend_count++] = backend;
        }
    }
}

/* --- policy ----------------------------------------------------------------------- */

static bool unknown_policy(const struct policy_set *policies, const char *name,
                           struct err *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    struct text all = {0};
    for (size_t i = 0; policy_set_at(policies, i) != NULL && count + 1 < NAMES_MAX;
         i++) {
        const struct route_policy *policy = policy_set_at(policies, i);
        text_printf(&all, "%s%s", i == 0 ? "" : ", ", policy->name);
        names[count++] = policy->name;
        if (policy->aliases != NULL && policy->aliases[0] != NULL &&
            count < NAMES_MAX) {
            names[count++] = policy->aliases[0];
        }
    }
    const char *meant = nearest_word(name, names, count);
    (void)err_set(err, ERR_USAGE,
                  "--routing-logic: unknown policy '%s'%s%s%s; one of %s", name,
                  meant != NULL ? "; did you mean " : "", meant != NULL ? meant : "",
                  meant != NULL ? "?" : "", text_str(&all));
    text_fini(&all);
    return false;
}

static bool add_param(struct config *config, const char *name, double value,
                      struct err *err)
{
    if (config->param_count == CONFIG_PARAMS_MAX) {
        return err_set(err, ERR_USAGE, "--routing-params: more than %d parameters",
                       CONFIG_PARAMS_MAX);
    }
    config->param_names[config->param_count] = name;
    config->param_values[config->param_count++] = value;
    return true;
}

static bool fill_params(struct config *config, const struct config_text *text,
                        struct err *err)
{
    const struct list items = split(config->arena, text->routing_params);
    for (size_t i = 0; i < items.count; i++) {
        char *equals = strchr(items.items[i], '=');
        double value = 0;
        struct err why;
        if (equals == NULL || !unit_number(equals + 1, &value, &why)) {
            return err_set(err, ERR_USAGE, "--routing-params: '%s' is not NAME=NUMBER",
                           items.items[i]);
        }
        *equals = '\0';
        if (!add_param(config, items.items[i], value, err)) {
            return false;
        }
    }
    if (text->prefix_min_match_length > 0 &&
        strcmp(config->policy->name, "prefix_aware") == 0 &&
        !add_param(config, "prefix_min_match_length",
                   (double)text->prefix_min_match_length, err)) {
        return false;
    }
    if (text->kv_aware_threshold > 0 && strcmp(config->policy->name, "kv_aware") == 0 &&
        !add_param(config, "threshold", (double)text->kv_aware_threshold, err)) {
        return false;
    }
    const struct policy_given given = {
        .names = config->param_names,
        .values = config->param_values,
        .count = config->param_count,
    };
    double values[POLICY_PARAMS_MAX];
    return route_policy_resolve(config->policy, config->compat, &given, values, err);
}

/* The stack's two policies of disaggregated prefill are flows of the proxy; each leg
 * takes its backends in turn, since round_robin has a counter for each set. */
static bool fill_disaggregation(struct config *config, const struct config_text *text,
                                const char **name, struct err *err)
{
    const bool plain = strcmp(*name, "disaggregated_prefill") == 0;
    if (!plain && strcmp(*name, "disaggregated_prefill_orchestrated") != 0) {
        return true;
    }
    if (text->prefill_model_labels == NULL || text->decode_model_labels == NULL) {
        return err_set(err, ERR_USAGE,
                       "--routing-logic %s needs --prefill-model-labels and "
                       "--decode-model-labels",
                       *name);
    }
    config->disaggregation = plain ? DISAGGREGATION_PLAIN : DISAGGREGATION_ORCHESTRATED;
    config->prefill_labels = arena_strdup(config->arena, text->prefill_model_labels);
    config->decode_labels = arena_strdup(config->arena, text->decode_model_labels);
    *name = "round_robin";
    return true;
}

static bool fill_policy(struct config *config, const struct config_text *text,
                        const struct policy_set *policies, struct err *err)
{
    const char *name = text->routing_logic;
    if (name == NULL) {
        return err_set(err, ERR_USAGE, "--routing-logic is missing");
    }
    if (!fill_disaggregation(config, text, &name, err)) {
        return false;
    }
    config->policy = policy_set_find(policies, name);
    if (config->policy == NULL) {
        return unknown_policy(policies, name, err);
    }
    if ((config->policy->needs & NEED_ORACLE) != 0) {
        return err_set(err, ERR_USAGE,
                       "--routing-logic %s asks the simulator for the truth; a router "
                       "has none",
                       name);
    }
    if ((config->policy->needs & NEED_SESSION_KEY) != 0 &&
        strcmp(config->policy->name, "session") == 0 && text->session_key == NULL) {
        return err_set(err, ERR_USAGE, "--routing-logic session needs --session-key");
    }
    if (text->session_key != NULL) {
        config->session_key = arena_strdup(config->arena, text->session_key);
    }
    return fill_params(config, text, err);
}

static bool fill_health(struct config *config, const struct config_text *text,
                        struct err *err)
{
    const uint64_t timeout_s =
        config->compat == COMPAT_HEAD ? HEALTH_TIMEOUT_S : HEALTH_TIMEOUT_TAG_S;
    config->health_checks = text->health_checks;
    config->health_interval_ns =
        (int64_t)(text->health_interval_s > 0 ? text->health_interval_s
                                              : HEALTH_INTERVAL_S) *
        ns_per_s;
    config->health_timeout_ns =
        (int64_t)(text->health_timeout_s > 0 ? text->health_timeout_s : timeout_s) *
        ns_per_s;
    if (config->health_checks && text->static_model_types == NULL) {
        return err_set(err, ERR_USAGE,
                       "--static-backend-health-checks needs --static-model-types");
    }
    return true;
}

/* --- the whole -------------------------------------------------------------------- */

static bool wants_pods(const struct config_text *text)
{
    return text->service_discovery != NULL &&
           strcmp(text->service_discovery, "k8s") == 0;
}

static bool check_discovery(const struct config_text *text,
                            const struct config_world *world, struct err *err)
{
    if (wants_pods(text)) {
        return world->watches_pods ||
               err_set(
                   err, ERR_USAGE,
                   "service discovery k8s: this router was started with another one "
                   "and watches no pods; start it with --service-discovery k8s");
    }
    if (text->service_discovery == NULL ||
        strcmp(text->service_discovery, "static") == 0) {
        return true;
    }
    return err_set(err, ERR_USAGE,
                   "--service-discovery: '%s' is neither static nor k8s",
                   text->service_discovery);
}

static bool fill_members(struct config *config, const struct config_text *text,
                         const struct config_world *world, struct text *warnings,
                         struct err *err)
{
    if (wants_pods(text)) {
        fill_pods(config, world);
        return true;
    }
    return fill_backends(config, text, warnings, err);
}

bool config_new(struct config **out, const struct config_text *text,
                const struct config_world *world, struct err *err)
{
    struct arena *arena = arena_new(CONFIG_BYTES_MAX);
    struct config *config = arena_alloc(arena, 1, sizeof *config);
    struct text warnings = {0};
    config->arena = arena;
    config->compat = world->compat;
    const bool good = check_discovery(text, world, err) &&
                      fill_policy(config, text, world->policies, err) &&
                      fill_members(config, text, world, &warnings, err) &&
                      fill_aliases(config, text, err) && fill_health(config, text, err);
    config->warnings = arena_strdup(arena, text_str(&warnings));
    text_fini(&warnings);
    if (!good) {
        arena_delete(arena);
        return false;
    }
    *out = config;
    return true;
}

void config_delete(struct config *config)
{
    if (config != NULL) {
        arena_delete(config->arena);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool config_same_policy(const struct config *a, const struct config *b)
{
    if (a->policy != b->policy || a->compat != b->compat ||
        a->param_count != b->param_count ||
        !same_text(a->session_key, b->session_key)) {
        return false;
    }
    for (size_t i = 0; i < a->param_count; i++) {
        if (strcmp(a->param_names[i], b->param_names[i]) != 0 ||
            a->param_values[i] < b->param_values[i] ||
            a->param_values[i] > b->param_values[i]) {
            return false;
        }
    }
    return true;
}

bool config_label_in(const struct config *config, const char *labels, const char *label)
{
    if (labels == NULL) {
        return false;
    }
    if (config->compat == COMPAT_TAG) {
        return strstr(labels, label) != NULL;
    }
    const size_t length = strlen(label);
    while (*labels != '\0') {
        const size_t item = strcspn(labels, ",");
        if (item == length && memcmp(labels, label, length) == 0) {
            return true;
        }
        labels += item + (labels[item] == ',' ? 1 : 0);
    }
    return false;
}

const char *config_alias(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->alias_count; i++) {
        if (strcmp(config->aliases[i].alias, name) == 0) {
            return config->aliases[i].model;
        }
    }
    return name;
}
