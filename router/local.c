/* SPDX-License-Identifier: Apache-2.0
 *
 * local.c: the paths that the router answers itself.
 *
 * None of them asks an engine, so none of them hangs when one does.
 */
#include "base/json.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <math.h>
#include <string.h>

static void put_null(struct json *object, const char *key)
{
    json_put_f64(object, key, (double)NAN);
}

static void send_json(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      unsigned status, struct json *value)
{
    char *text = json_print(value, false);
    json_delete(value);
    reply_send(proxy, now_ns, exchange,
               &(struct reply){.status = status,
                               .type = "application/json",
                               .body = text,
                               .body_bytes = strlen(text)});
    mem_free(text);
}

/* --- lists ------------------------------------------------------------------------ */

static bool listed_before(const struct fleet *fleet, size_t index)
{
    const struct backend *backend = fleet_at(fleet, index);
    for (size_t i = 0; i < index; i++) {
        const struct backend *earlier = fleet_at(fleet, i);
        if (backend_listed(earlier) && strcmp(earlier->model, backend->model) == 0) {
            return true;
        }
    }
    return false;
}

static struct json *model_card(const struct backend *backend, const char *id,
                               const char *parent)
{
    struct json *card = json_object();
    json_put_str(card, "id", id);
    json_put_str(card, "object", "model");
    json_put_i64(card, "created", backend->added_unix_s);
    json_put_str(card, "owned_by", "vllm");
    put_null(card, "root");
    if (parent == NULL) {
        put_null(card, "parent");
    } else {
        json_put_str(card, "parent", parent);
    }
    return card;
}

static bool adapter_before(const struct fleet *fleet, size_t index, const char *name)
{
    for (size_t i = 0; i < index; i++) {
        if (backend_listed(fleet_at(fleet, i)) &&
            backend_has_adapter(fleet_at(fleet, i), name)) {
            return true;
        }
    }
    return false;
}

static void put_adapters(const struct fleet *fleet, struct json *data)
{
    for (size_t i = 0; i < fleet_count(fleet); i++) {
        const struct backend *backend = fleet_at(fleet, i);
        for (size_t k = 0; backend_listed(backend) && k < backend->adapter_count; k++) {
            const char *name = backend->adapters[k];
            if (!adapter_before(fleet, i, name)) {
                json_push(data, model_card(backend, name, backend->model));
            }
        }
    }
}

static void answer_models(struct proxy *proxy, int64_t now_ns,
                          struct exchange *exchange)
{
    if (proxy->setup.compat == COMPAT_TAG) {
        /* Its static discovery fills no "created", which its own listing reads. */
        exchange_refuse(proxy, now_ns, exchange, 500, "Internal Server Error");
        return;
    }
    struct json *list = json_object();
    struct json *data = json_array();
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        const struct backend *backend = fleet_at(proxy->fleet, i);
        if (!backend_listed(backend) || listed_before(proxy->fleet, i)) {
            continue;
        }
        json_push(data, model_card(backend, backend->model, NULL));
    }
    put_adapters(proxy->fleet, data);
    json_put_str(list, "object", "list");
    json_put(list, "data", data);
    send_json(proxy, now_ns, exchange, 200, list);
}

static void answer_engines(struct proxy *proxy, int64_t now_ns,
                           struct exchange *exchange)
{
    struct json *list = json_array();
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        const struct backend *backend = fleet_at(proxy->fleet, i);
        struct json *card = json_object();
        struct json *models = json_array();
        json_push_str(models, backend->model);
        for (size_t k = 0; k < backend->adapter_count; k++) {
            json_push_str(models, backend->adapters[k]);
        }
        json_put_str(card, "engine_id", backend->engine_id);
        json_put(card, "serving_models", models);
        json_put_i64(card, "created", backend->added_unix_s);
        json_put_bool(card, "sleep", backend->asleep);
        json_put_str(card, "url", backend->url);
        json_put_bool(card, "healthy", backend->healthy);
        json_put_bool(card, "accepting", backend->accepting);
        json_push(list, card);
    }
    send_json(proxy, now_ns, exchange, 200, list);
}

/* --- health ----------------------------------------------------------------------- */

static void put_text(struct json *object, const char *key, const char *value)
{
    if (value == NULL) {
        put_null(object, key);
    } else {
        json_put_str(object, key, value);
    }
}

static struct json *config_json(const struct config *config)
{
    struct text urls = {0};
    struct text models = {0};
    struct text aliases = {0};
    for (size_t i = 0; i < config->backend_count; i++) {
        text_printf(&urls, "%s%s", i == 0 ? "" : ",", config->backends[i].url);
        text_printf(&models, "%s%s", i == 0 ? "" : ",", config->backends[i].model);
    }
    for (size_t i = 0; i < config->alias_count; i++) {
        text_printf(&aliases, "%s%s:%s", i == 0 ? "" : ",", config->aliases[i].alias,
                    config->aliases[i].model);
    }
    struct json *value = json_object();
    json_put_str(value, "service_discovery", "static");
    json_put_str(value, "routing_logic", config->policy->name);
    json_put_str(value, "static_backends", text_str(&urls));
    json_put_str(value, "static_models", text_str(&models));
    put_text(value, "static_aliases", aliases.length > 0 ? aliases.bytes : NULL);
    put_text(value, "session_key", config->session_key);
    put_text(value, "prefill_model_labels", config->prefill_labels);
    put_text(value, "decode_model_labels", config->decode_labels);
    json_put_bool(value, "static_backend_health_checks", config->health_checks);
    text_fini(&urls);
    text_fini(&models);
    text_fini(&aliases);
    return value;
}

/* Does not depend on backends: a router without any is healthy, and says 503 to who
 * asks for a model. */
static void answer_health(struct proxy *proxy, int64_t now_ns,
                          struct exchange *exchange)
{
    struct json *value = json_object();
    json_put_str(value, "status", "healthy");
    if (proxy->setup.dynamic_config != NULL) {
        json_put(value, "dynamic_config", config_json(fleet_config(proxy->fleet)));
        json_put_u64(value, "generation", fleet_generation(proxy->fleet));
    }
    send_json(proxy, now_ns, exchange, 200, value);
}

static void answer_version(struct proxy *proxy, int64_t now_ns,
                           struct exchange *exchange)
{
    struct json *value = json_object();
    json_put_str(value, "version", proxy->setup.version);
    send_json(proxy, now_ns, exchange, 200, value);
}

static void answer_metrics(struct proxy *proxy, int64_t now_ns,
                           struct exchange *exchange)
{
    struct text text = {0};
    proxy_metrics(proxy, now_ns, &text);
    reply_send(proxy, now_ns, exchange,
               &(struct reply){.status = 200,
                               .type = "text/plain; version=0.0.4; charset=utf-8",
                               .body = text.bytes,
                               .body_bytes = text.length});
    text_fini(&text);
}

/* --- sleep and wake --------------------------------------------------------------- */

static void answer_admin(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct backend *backend =
        exchange->pin == NULL ? NULL : fleet_by_engine_id(proxy->fleet, exchange->pin);
    if (exchange->pin == NULL) {
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: missing 'id' in query parameters.");
        return;
    }
    if (backend == NULL) {
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: no engine has this 'id'; see /engines.");
        return;
    }
    probe_admin(proxy, now_ns, exchange, backend);
}

void local_answer(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    switch (exchange->path->kind) {
    case PATH_MODELS:
        answer_models(proxy, now_ns, exchange);
        return;
    case PATH_ENGINES:
        answer_engines(proxy, now_ns, exchange);
        return;
    case PATH_HEALTH:
        answer_health(proxy, now_ns, exchange);
        return;
    case PATH_VERSION:
        answer_version(proxy, now_ns, exchange);
        return;
    case PATH_METRICS:
        answer_metrics(proxy, now_ns, exchange);
        return;
    case PATH_SLEEP:
    case PATH_WAKE:
    case PATH_IS_SLEEPING:
        answer_admin(proxy, now_ns, exchange);
        return;
    case PATH_KV_EVENTS:
        kv_events_answer(proxy, now_ns, exchange);
        return;
    case PATH_PROXY:
        return;
    }
}
