/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.c: three kinds of internal exchange: a page of the list, the watch (whose
 * answer is read line by line while it comes), and the question for a pod's models.
 */
#include "router/discovery.h"

#include "base/json.h"
#include "base/mem.h"
#include "router/pods.h"
#include "router/proxy_state.h"

#include <inttypes.h>
#include <string.h>

enum {
    PAGE_PODS = 250, /* of a list; some 10 KB each, the answer may have 8 MiB */
    ASKING_MAX = 32, /* pods at a time */
    WATCH_S = 240,   /* shorter than what load balancers cut */
    WATCH_TAG_S = 30,
    MODELS_MAX = 256,
};
static const int64_t list_timeout_ns = 30000000000;
static const int64_t retry_first_ns = 500000000; /* as the stack */
static const int64_t retry_max_ns = 30000000000;
static const int64_t ask_again_ns = 5000000000;

struct discovery {
    struct discovery_setup setup;
    struct origin *api;
    struct pods *pods;
    struct text base; /* of both targets, up to their selector */
    struct text next; /* token of the next page */
    int64_t at_ns;    /* the next list */
    int64_t retry_ns;
    int64_t ask_again_at_ns;
    uint32_t asking;
    bool busy; /* a list or watch is under way */
    bool over; /* the watch has told us to list again */
    bool said; /* what is wrong, since it last was right */
    struct discovery_counters counters;
};

/* What need not be escaped in a query (RFC 3986, unreserved). */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

static void add_escaped(struct text *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (is_plain(*value)) {
            text_add_bytes(out, value, 1);
        } else {
            text_printf(out, "%%%02X", (unsigned)(unsigned char)*value);
        }
    }
}

bool discovery_new(struct discovery **out, const struct discovery_setup *setup,
                   struct err *err)
{
    struct origin *api = NULL;
    if (!origin_new(&api, setup->api, err)) {
        return false;
    }
    struct discovery *discovery = mem_alloc(1, sizeof *discovery);
    discovery->setup = *setup;
    discovery->api = api;
    api->of_cluster = true;
    discovery->pods =
        pods_new(&(struct pods_setup){.compat = setup->compat, .port = setup->port});
    discovery->retry_ns = retry_first_ns;
    text_add(&discovery->base, "/api/v1/namespaces/");
    add_escaped(&discovery->base, setup->space);
    text_add(&discovery->base, "/pods?");
    if (setup->selector[0] != '\0') {
        text_add(&discovery->base, "labelSelector=");
        add_escaped(&discovery->base, setup->selector);
        text_add(&discovery->base, "&");
    }
    *out = discovery;
    return true;
}

void discovery_delete(struct discovery *discovery)
{
    if (discovery != NULL) {
        origin_give(discovery->api);
        pods_delete(discovery->pods);
        text_fini(&discovery->base);
        text_fini(&discovery->next);
        mem_free(discovery);
    }
}

void discovery_count(const struct discovery *discovery,
                     struct discovery_counters *counters)
{
    *counters = discovery->counters;
    counters->pods = pods_count(discovery->pods);
}

/* --- the fleet -------------------------------------------------------------------- */

static void apply(struct proxy *proxy, int64_t now_ns)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct config_backend *backends = mem_alloc(CONFIG_BACKENDS_MAX, sizeof *backends);
    const size_t count = pods_backends(discovery->pods, backends, CONFIG_BACKENDS_MAX);
    struct err err = {0};
    struct config *config =
        discovery->setup.configure(discovery->setup.context, backends, count, &err);
    if (config == NULL || !fleet_apply(proxy->fleet, now_ns, config, &err)) {
        config_delete(config);
        proxy_warn(proxy, "pods changed, but the old configuration stays: %s",
                   err.text);
    }
    mem_free(backends);
}

/* --- pods ------------------------------------------------------------------------- */

/* Adapters have a parent; they are asked for with the engines' own lists. */
static size_t read_models(const struct json *tree, const char **names)
{
    size_t count = 0;
    for (const struct json *card = json_first(json_get(tree, "data"));
         card != NULL && count < MODELS_MAX; card = json_next(card)) {
        const char *id = json_str(json_get(card, "id"));
        if (id != NULL && json_str(json_get(card, "parent")) == NULL) {
            names[count++] = id;
        }
    }
    return count;
}

static void asked(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                  const struct exchange_answer *answer)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct json *tree = NULL;
    struct err err = {0};
    const char *names[MODELS_MAX];
    size_t count = 0;
    discovery->asking--;
    if (answer->status == 200 &&
        json_parse(&tree, "models", answer->body, answer->body_bytes, &err)) {
        count = read_models(tree, names);
    }
    discovery->counters.failures += count == 0 ? 1 : 0;
    pods_told(discovery->pods, exchange->pod, exchange->pod_serial, names, count);
    json_delete(tree);
    if (pods_changed(discovery->pods)) {
        apply(proxy, now_ns);
    }
}

static void ask(struct proxy *proxy, int64_t now_ns,
                const struct pods_question *question)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct origin *origin = NULL;
    struct err err = {0};
    if (!origin_new(&origin, question->url, &err)) {
        return; /* pods gives none that is none */
    }
    struct exchange *exchange = exchange_new(proxy, now_ns, EXCHANGE_CLUSTER);
    exchange->pod = mem_strdup(question->pod);
    exchange->pod_serial = question->serial;
    exchange->end_deadline_ns = now_ns + discovery->setup.ask_ns;
    memcpy(exchange->method, "GET", 4);
    text_add(&exchange->target, "/v1/models");
    if (proxy->setup.api_key != NULL) {
        text_printf(&exchange->fields, "Authorization: Bearer %s\r\n",
                    proxy->setup.api_key);
    }
    exchange->done = asked;
    exchange->state = EXCHANGE_CONNECTING;
    discovery->asking++;
    engine_attach(proxy, now_ns, exchange, origin);
    origin_give(origin);
}

/* --- list and watch --------------------------------------------------------------- */

static void fail(struct proxy *proxy, int64_t now_ns, unsigned status, const char *what)
{
    struct discovery *discovery = proxy->setup.discovery;
    discovery->busy = false;
    discovery->counters.failures++;
    discovery->at_ns = now_ns + discovery->retry_ns;
    discovery->retry_ns =
        discovery->retry_ns * 2 < retry_max_ns ? discovery->retry_ns * 2 : retry_max_ns;
    if (discovery->said) {
        return;
    }
    discovery->said = true;
    if (status == 401 || status == 403) {
        proxy_warn(proxy,
                   "%s: the API answers %u; give the service account a role that may "
                   "get, list and watch pods in namespace '%s'",
                   discovery->setup.api, status, discovery->setup.space);
    } else if (status != 0) {
        proxy_warn(proxy, "%s: %s: the API answers %u", discovery->setup.api, what,
                   status);
    } else {
        proxy_warn(proxy, "%s: %s; will go on trying", discovery->setup.api, what);
    }
}

static struct exchange *make(struct proxy *proxy, int64_t now_ns, int64_t timeout_ns)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct exchange *exchange = exchange_new(proxy, now_ns, EXCHANGE_CLUSTER);
    struct text token = {0};
    discovery->busy = true;
    exchange->end_deadline_ns = now_ns + timeout_ns;
    memcpy(exchange->method, "GET", 4);
    text_add(&exchange->target, text_str(&discovery->base));
    text_add(&exchange->fields, "Accept: application/json\r\n");
    discovery->setup.token(discovery->setup.token_context, &token);
    if (token.length > 0) {
        text_printf(&exchange->fields, "Authorization: Bearer %s\r\n", token.bytes);
    }
    text_fini(&token);
    return exchange;
}

static void send(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    exchange->state = EXCHANGE_CONNECTING;
    engine_attach(proxy, now_ns, exchange, proxy->setup.discovery->api);
}

/* Whole lines of what has come so far; the rest stays. */
static void watch_piece(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct text *lines = &exchange->answer;
    if (exchange->status != 200) {
        return;
    }
    size_t at = 0;
    for (const char *end = memchr(lines->bytes, '\n', lines->length); end != NULL;
         end = memchr(lines->bytes + at, '\n', lines->length - at)) {
        enum pods_watch watch = PODS_WATCH_GOES_ON;
        struct err err = {0};
        const size_t length = (size_t)(end - lines->bytes) - at;
        discovery->counters.events++;
        if (!discovery->over && length > 0 &&
            !pods_event(discovery->pods, lines->bytes + at, length, &watch, &err)) {
            proxy_warn(proxy, "%s: %s", discovery->setup.api, err.text);
            watch = PODS_WATCH_IS_OVER;
        }
        discovery->over |= watch == PODS_WATCH_IS_OVER;
        at += length + 1;
    }
    memmove(lines->bytes, lines->bytes + at, lines->length - at);
    lines->length -= at;
    if (pods_changed(discovery->pods)) {
        apply(proxy, now_ns);
    }
    if (discovery->over) {
        exchange->end_deadline_ns = now_ns; /* the next tick ends it */
    }
}

static void watch_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                       const struct exchange_answer *answer)
{
    struct discovery *discovery = proxy->setup.discovery;
    discovery->busy = false;
    if (discovery->over || answer->status == 200) {
        discovery->at_ns = now_ns; /* its time was up */
    } else if (answer->status == 410 || exchange->status == 200) {
        discovery->at_ns = now_ns + retry_first_ns; /* too old, or it broke off */
    } else {
        fail(proxy, now_ns, answer->status, "pods cannot be watched");
    }
}

static void watch(struct proxy *proxy, int64_t now_ns)
{
    struct discovery *discovery = proxy->setup.discovery;
    const bool tag = discovery->setup.compat == COMPAT_TAG;
    const int64_t choice_s = tag ? WATCH_TAG_S : WATCH_S;
    const int64_t watch_s =
        discovery->setup.watch_s > 0 ? discovery->setup.watch_s : choice_s;
    struct exchange *exchange =
        make(proxy, now_ns, watch_s * 1000000000 + list_timeout_ns);
    text_printf(&exchange->target,
                "watch=true&allowWatchBookmarks=true&timeoutSeconds=%" PRId64
                "&resourceVersion=",
                watch_s);
    add_escaped(&exchange->target, pods_version(discovery->pods));
    exchange->piece = watch_piece;
    exchange->done = watch_done;
    discovery->over = false;
    send(proxy, now_ns, exchange);
}

static void list(struct proxy *proxy, int64_t now_ns);

static void list_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const struct exchange_answer *answer)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct err err = {0};
    (void)exchange;
    if (answer->status != 200) {
        fail(proxy, now_ns, answer->status, "pods cannot be listed");
        return;
    }
    if (!pods_list_page(discovery->pods, answer->body, answer->body_bytes,
                        &discovery->next, &err)) {
        fail(proxy, now_ns, 0, err.text);
        return;
    }
    if (discovery->next.length > 0) {
        list(proxy, now_ns);
        return;
    }
    pods_list_end(discovery->pods);
    discovery->counters.lists++;
    discovery->retry_ns = retry_first_ns;
    discovery->said = false;
    if (pods_changed(discovery->pods)) {
        apply(proxy, now_ns);
    }
    watch(proxy, now_ns);
}

static void list(struct proxy *proxy, int64_t now_ns)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct exchange *exchange = make(proxy, now_ns, list_timeout_ns);
    text_printf(&exchange->target, "limit=%d", PAGE_PODS);
    if (discovery->next.length > 0) {
        text_add(&exchange->target, "&continue=");
        add_escaped(&exchange->target, text_str(&discovery->next));
    }
    exchange->done = list_done;
    send(proxy, now_ns, exchange);
}

void discovery_on_tick(struct proxy *proxy, int64_t now_ns)
{
    struct discovery *discovery = proxy->setup.discovery;
    struct pods_question question;
    if (discovery == NULL || proxy->draining) {
        return;
    }
    if (!discovery->busy && discovery->at_ns <= now_ns) {
        discovery->next.length = 0;
        pods_list_begin(discovery->pods);
        list(proxy, now_ns);
    }
    if (discovery->ask_again_at_ns <= now_ns) {
        discovery->ask_again_at_ns = now_ns + ask_again_ns;
        pods_ask_again(discovery->pods);
    }
    while (discovery->asking < ASKING_MAX && pods_ask(discovery->pods, &question)) {
        ask(proxy, now_ns, &question);
    }
}
