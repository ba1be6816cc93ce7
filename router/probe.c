/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c: the router's own requests to engines: health, metrics, sleep and wake.
 *
 * All go side by side, each with its own time limit, so that a hanging engine delays
 * nobody else's verdict. They carry the API key and are in no request statistics.
 */
#include "base/json.h"
#include "router/proxy_state.h"

#include <string.h>

static const int64_t admin_timeout_ns = 60000000000;

/* --- payloads --------------------------------------------------------------------- */

static const char VISION_CONTENT[] =
    "[{\"type\":\"text\",\"text\":\"Hello\"},{\"type\":\"image_url\",\"image_url\":"
    "{\"url\":\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAAD"
    "UlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==\"}}]";

/* What follows {"model":NAME in the probe of a type (spec/production-stack.md 2.2). */
static const char *payload(enum model_type type, enum compat compat)
{
    switch (type) {
    case MODEL_TYPE_CHAT:
        return ",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],"
               "\"temperature\":0.0,\"max_tokens\":3,\"max_completion_tokens\":3}";
    case MODEL_TYPE_COMPLETION:
        return compat == COMPAT_HEAD ? ",\"prompt\":\"Hello\",\"max_tokens\":3}"
                                     : ",\"prompt\":\"Hello\"}";
    case MODEL_TYPE_EMBEDDINGS:
        return ",\"input\":\"Hello\"}";
    case MODEL_TYPE_RERANK:
        return ",\"query\":\"Hello\",\"documents\":[\"Test\"]}";
    case MODEL_TYPE_SCORE:
        /* Release 0.1.3 misspells text_2, so its score backends are never healthy. */
        return compat == COMPAT_TAG ? ",\"encoding_format\":\"float\",\"text_1\":"
                                      "\"Test\",\"test_2\":\"Test2\"}"
                                    : ",\"encoding_format\":\"float\",\"text_1\":"
                                      "\"Test\",\"text_2\":\"Test2\"}";
    case MODEL_TYPE_MESSAGES:
        return ",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],"
               "\"max_tokens\":3}";
    case MODEL_TYPE_VISION:
    case MODEL_TYPE_TRANSCRIPTION:
    case MODEL_TYPE_NONE:
        break;
    }
    return "}";
}

static const char BOUNDARY[] = "stackrouter-probe";
enum { WAV_HZ = 16000, WAV_SAMPLES = WAV_HZ / 10, WAV_BYTES = 2 * WAV_SAMPLES };

static void add_u32(struct text *out, uint32_t value)
{
    const char bytes[4] = {(char)(value & 0xFFU), (char)((value >> 8) & 0xFFU),
                           (char)((value >> 16) & 0xFFU), (char)(value >> 24)};
    text_add_bytes(out, bytes, sizeof bytes);
}

/* A tenth of a second of silence: 16 kHz, mono, 16 bits. */
static void add_wav(struct text *out)
{
    static const char SILENCE[WAV_BYTES];
    text_add(out, "RIFF");
    add_u32(out, 36 + WAV_BYTES);
    text_add(out, "WAVEfmt ");
    add_u32(out, 16);
    add_u32(out, 1 | (1 << 16)); /* PCM, one channel */
    add_u32(out, WAV_HZ);
    add_u32(out, 2 * WAV_HZ);
    add_u32(out, 2 | (16 << 16)); /* bytes of a frame, bits of a sample */
    text_add(out, "data");
    add_u32(out, WAV_BYTES);
    text_add_bytes(out, SILENCE, WAV_BYTES);
}

static void write_form(struct exchange *exchange, const char *model)
{
    struct text *out = &exchange->body;
    text_printf(&exchange->fields, "Content-Type: multipart/form-data; boundary=%s\r\n",
                BOUNDARY);
    text_printf(out,
                "--%s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%s\r\n"
                "--%s\r\nContent-Disposition: form-data; name=\"file\"; "
                "filename=\"silence.wav\"\r\nContent-Type: audio/wav\r\n\r\n",
                BOUNDARY, model, BOUNDARY);
    add_wav(out);
    text_printf(out, "\r\n--%s--\r\n", BOUNDARY);
}

static void write_probe(const struct proxy *proxy, struct exchange *exchange,
                        const struct backend *backend)
{
    if (backend->type == MODEL_TYPE_TRANSCRIPTION) {
        write_form(exchange, backend->model);
        return;
    }
    text_add(&exchange->fields, "Content-Type: application/json\r\n");
    text_add(&exchange->body, "{\"model\":");
    body_add_string(&exchange->body, backend->model, strlen(backend->model));
    if (backend->type == MODEL_TYPE_VISION) {
        text_printf(
            &exchange->body,
            ",\"messages\":[{\"role\":\"user\",\"content\":%s}],\"temperature\":"
            "0.0,\"max_tokens\":3}",
            VISION_CONTENT);
        return;
    }
    text_add(&exchange->body, payload(backend->type, proxy->setup.compat));
}

/* --- starting --------------------------------------------------------------------- */

static struct exchange *make(struct proxy *proxy, int64_t now_ns,
                             enum exchange_kind kind, int64_t timeout_ns)
{
    struct exchange *exchange = exchange_new(proxy, now_ns, kind);
    exchange->end_deadline_ns = now_ns + timeout_ns;
    return exchange;
}

static bool is_json(const struct exchange_answer *answer)
{
    struct json *value = NULL;
    struct err err;
    const bool parsed =
        json_parse(&value, "answer", answer->body, answer->body_bytes, &err);
    json_delete(value);
    return parsed;
}

static void probe_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                       const struct exchange_answer *answer)
{
    struct backend *backend = exchange->backend;
    const struct config *config = fleet_config(proxy->fleet);
    const bool healthy =
        proxy->setup.compat == COMPAT_HEAD
            ? answer->status >= 200 && answer->status < 400 && is_json(answer)
            : answer->status == 200;
    proxy->counters.probes_failed += healthy ? 0 : 1;
    if (backend->member && config->health_checks && backend->healthy != healthy) {
        proxy_warn(proxy, "%s (%s) is %s", backend->url, backend->model,
                   healthy ? "healthy again" : "not healthy");
    }
    backend->probe_at_ns = now_ns + config->health_interval_ns;
    if (backend->member && config->health_checks) {
        fleet_probed(proxy->fleet, now_ns, backend, healthy);
    }
}

static void probe(struct proxy *proxy, int64_t now_ns, struct backend *backend)
{
    struct exchange *exchange = make(proxy, now_ns, EXCHANGE_PROBE,
                                     fleet_config(proxy->fleet)->health_timeout_ns);
    memcpy(exchange->method, "POST", 5);
    text_add(&exchange->target, model_type_path(backend->type));
    write_probe(proxy, exchange, backend);
    exchange->done = probe_done;
    backend->probe_at_ns = INT64_MAX;
    proxy->counters.probes++;
    exchange_start_internal(proxy, now_ns, exchange, backend);
}

static void scrape_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                        const struct exchange_answer *answer)
{
    struct backend *backend = exchange->backend;
    struct endpoint_metrics metrics;
    double hit_rate = 0;
    const bool good =
        answer->status == 200 &&
        scrape_read(answer->body, answer->body_bytes, &metrics, &hit_rate);
    metrics.scraped_ns = now_ns;
    proxy->counters.scrapes_failed += good ? 0 : 1;
    backend->scrape_at_ns = now_ns + proxy->setup.scrape_interval_ns;
    backend->prefix_hit_rate = hit_rate;
    fleet_scraped(proxy->fleet, now_ns, backend, good ? &metrics : NULL);
}

static void scrape(struct proxy *proxy, int64_t now_ns, struct backend *backend)
{
    struct exchange *exchange =
        make(proxy, now_ns, EXCHANGE_SCRAPE, proxy->setup.scrape_interval_ns);
    memcpy(exchange->method, "GET", 4);
    text_add(&exchange->target, "/metrics");
    exchange->done = scrape_done;
    backend->scrape_at_ns = INT64_MAX;
    proxy->counters.scrapes++;
    exchange_start_internal(proxy, now_ns, exchange, backend);
}

enum { ADAPTERS_MAX = 1024 };

/* Entries of GET /v1/models that have a parent are adapters. */
static void list_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const struct exchange_answer *answer)
{
    struct backend *backend = exchange->backend;
    struct json *tree = NULL;
    struct err err;
    backend->list_at_ns = now_ns + proxy->setup.scrape_interval_ns;
    if (answer->status != 200 || !backend->member ||
        !json_parse(&tree, "models", answer->body, answer->body_bytes, &err)) {
        return;
    }
    const char *names[ADAPTERS_MAX];
    size_t count = 0;
    for (const struct json *card = json_first(json_get(tree, "data"));
         card != NULL && count < ADAPTERS_MAX; card = json_next(card)) {
        const char *id = json_str(json_get(card, "id"));
        if (id != NULL && json_str(json_get(card, "parent")) != NULL) {
            names[count++] = id;
        }
    }
    fleet_set_adapters(proxy->fleet, backend, names, count);
    json_delete(tree);
}

static void list(struct proxy *proxy, int64_t now_ns, struct backend *backend)
{
    struct exchange *exchange =
        make(proxy, now_ns, EXCHANGE_LIST, proxy->setup.scrape_interval_ns);
    memcpy(exchange->method, "GET", 4);
    text_add(&exchange->target, "/v1/models");
    exchange->done = list_done;
    backend->list_at_ns = INT64_MAX;
    exchange_start_internal(proxy, now_ns, exchange, backend);
}

void probe_on_tick(struct proxy *proxy, int64_t now_ns)
{
    const bool probes = fleet_config(proxy->fleet)->health_checks && !proxy->draining;
    const bool scrapes = proxy->setup.scrape_interval_ns > 0 && !proxy->draining;
    for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
        struct backend *backend = fleet_at(proxy->fleet, i);
        if (probes && backend->type != MODEL_TYPE_NONE &&
            backend->probe_at_ns <= now_ns) {
            probe(proxy, now_ns, backend);
        }
        if (scrapes && backend->scrape_at_ns <= now_ns) {
            scrape(proxy, now_ns, backend);
        }
        if (scrapes && proxy->setup.lists_adapters && backend->list_at_ns <= now_ns) {
            list(proxy, now_ns, backend);
        }
    }
    discovery_on_tick(proxy, now_ns);
    if (proxy->stats_at_ns <= now_ns) {
        proxy->stats_at_ns = now_ns + proxy->setup.stats_interval_ns;
        metrics_log_stats(proxy, now_ns);
    }
}

/* --- sleep and wake --------------------------------------------------------------- */

/* The target without its parameter `id`. */
static void forward_query(const struct exchange *exchange, struct text *out)
{
    const char *target = text_str(&exchange->target);
    const char *at = strchr(target, '?');
    text_add(out, exchange->path->path);
    char separator = '?';
    while (at != NULL && at[1] != '\0') {
        at++;
        const size_t item = strcspn(at, "&");
        if (item > 0 && strncmp(at, "id=", 3) != 0) {
            text_add_bytes(out, &separator, 1);
            text_add_bytes(out, at, item);
            separator = '&';
        }
        at = at[item] == '&' ? at + item : NULL;
    }
}

static void note_sleep(struct proxy *proxy, int64_t now_ns, struct exchange *parent,
                       struct backend *backend, const struct exchange_answer *answer)
{
    struct json *value = NULL;
    struct err err;
    bool asleep = parent->path->kind == PATH_SLEEP;
    if (parent->path->kind == PATH_IS_SLEEPING) {
        if (!json_parse(&value, "answer", answer->body, answer->body_bytes, &err) ||
            !json_bool(json_get(value, "is_sleeping"), &asleep)) {
            json_delete(value);
            return;
        }
        json_delete(value);
    }
    if (backend->member) {
        fleet_slept(proxy->fleet, now_ns, backend, asleep);
    }
}

static void admin_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                       const struct exchange_answer *answer)
{
    struct exchange *parent = exchange->parent;
    if (parent == NULL) {
        return;
    }
    if (answer->status == 0) {
        exchange_refuse(proxy, now_ns, parent, 500, "The engine could not be reached.");
        return;
    }
    static const char SUCCESS[] = "{\"status\":\"success\"}";
    const bool good = answer->status == 200;
    const bool forwarded = !good || parent->path->kind == PATH_IS_SLEEPING;
    if (good) {
        note_sleep(proxy, now_ns, parent, exchange->backend, answer);
    }
    reply_send(proxy, now_ns, parent,
               &(struct reply){.status = answer->status,
                               .type = "application/json",
                               .body = forwarded ? answer->body : SUCCESS,
                               .body_bytes = forwarded ? answer->body_bytes
                                                       : sizeof SUCCESS - 1});
}

void probe_admin(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                 struct backend *backend)
{
    struct exchange *leg = make(proxy, now_ns, EXCHANGE_ADMIN, admin_timeout_ns);
    memcpy(leg->method, exchange->method, sizeof leg->method);
    forward_query(exchange, &leg->target);
    text_add_bytes(&leg->body, text_str(&exchange->body), exchange->body.length);
    leg->done = admin_done;
    leg->parent = exchange;
    exchange->child = leg;
    exchange->state = EXCHANGE_WAITING;
    exchange_start_internal(proxy, now_ns, leg, backend);
}
