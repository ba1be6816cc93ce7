/* SPDX-License-Identifier: Apache-2.0
 *
 * sentry.c: an envelope is three lines of JSON: a head, the head of an item, the event.
 * It goes out by the connections that requests use, so it blocks nobody.
 */
#include "router/sentry.h"

#include "base/mem.h"
#include "router/proxy_state.h"

#include <inttypes.h>
#include <string.h>

enum { REPORTS_MAX = 4 };
static const int64_t report_timeout_ns = INT64_C(5000000000);

static bool refuse(const char *dsn, struct err *err)
{
    return err_set(err, ERR_USAGE,
                   "--sentry-dsn: '%s' is not SCHEME://KEY@HOST[:PORT]/PROJECT", dsn);
}

/* "https://KEY@HOST/PATH/42" -> origin https://HOST/PATH, key, target. */
static bool take_apart(struct sentry *sentry, const char *dsn, struct err *err)
{
    const char *scheme_end = strstr(dsn, "://");
    const char *at = scheme_end != NULL ? strchr(scheme_end, '@') : NULL;
    const char *slash = strrchr(dsn, '/');
    if (at == NULL || slash == NULL || slash < at || slash[1] == '\0' ||
        at == scheme_end + 3) {
        return refuse(dsn, err);
    }
    struct text url = {0};
    struct text target = {0};
    struct text key = {0};
    text_add_bytes(&url, dsn, (size_t)(scheme_end - dsn) + 3);
    text_add_bytes(&url, at + 1, (size_t)(slash - at - 1));
    text_printf(&target, "/api/%s/envelope/", slash + 1);
    text_add_bytes(&key, scheme_end + 3, (size_t)(at - scheme_end - 3));
    sentry->target = target.bytes;
    sentry->key = key.bytes;
    /* An old DSN has a secret behind a colon, which is not for sending. */
    sentry->key[strcspn(sentry->key, ":")] = '\0';
    struct err why = {0};
    const bool good = strpbrk(sentry->key, "\r\n ,") == NULL &&
                      strpbrk(sentry->target, "\r\n ?#") == NULL &&
                      origin_new(&sentry->origin, url.bytes, &why);
    text_fini(&url);
    return good || refuse(dsn, err);
}

bool sentry_new(struct sentry **out, const char *dsn, double rate, struct err *err)
{
    struct sentry *sentry = mem_alloc(1, sizeof *sentry);
    sentry->rate = rate;
    if (!take_apart(sentry, dsn, err)) {
        sentry_delete(sentry);
        return false;
    }
    *out = sentry;
    return true;
}

void sentry_delete(struct sentry *sentry)
{
    if (sentry != NULL) {
        origin_give(sentry->origin);
        mem_free(sentry->target);
        mem_free(sentry->key);
        mem_free(sentry);
    }
}

static void add_tag(struct text *out, const char *name, const char *value)
{
    if (value != NULL) {
        text_printf(out, ",\"%s\":", name);
        body_add_string(out, value, strlen(value));
    }
}

static void write_event(struct proxy *proxy, int64_t now_ns,
                        const struct sentry_event *event, struct text *out)
{
    const uint64_t high = rng_next(&proxy->rng);
    const uint64_t low = rng_next(&proxy->rng);
    text_printf(out,
                "{\"event_id\":\"%016" PRIx64 "%016" PRIx64
                "\"}\n{\"type\":\"event\"}\n"
                "{\"event_id\":\"%016" PRIx64 "%016" PRIx64 "\",\"timestamp\":%" PRId64
                ",\"platform\":\"c\",\"level\":\"error\",\"logger\":\"stackrouter\","
                "\"release\":\"stackrouter@%s\",\"message\":{\"formatted\":",
                high, low, high, low, unix_s(proxy, now_ns), proxy->setup.version);
    body_add_string(out, event->what, strlen(event->what));
    text_printf(out, "},\"tags\":{\"status\":\"%u\"", event->status);
    add_tag(out, "server", event->server);
    add_tag(out, "model", event->model);
    text_add(out, "}}\n");
}

static void report_done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                        const struct exchange_answer *answer)
{
    (void)now_ns;
    (void)exchange;
    struct sentry *sentry = proxy->setup.sentry;
    sentry->active--;
    sentry->sent += answer->status == 200 ? 1 : 0;
    sentry->dropped += answer->status == 200 ? 0 : 1;
}

void sentry_report(struct proxy *proxy, int64_t now_ns,
                   const struct sentry_event *event)
{
    struct sentry *sentry = proxy->setup.sentry;
    if (sentry == NULL) {
        return;
    }
    if (sentry->active >= REPORTS_MAX || rng_unit(&proxy->rng) >= sentry->rate) {
        sentry->dropped++;
        return;
    }
    struct exchange *exchange = exchange_new(proxy, now_ns, EXCHANGE_REPORT);
    sentry->active++;
    exchange->end_deadline_ns = now_ns + report_timeout_ns;
    memcpy(exchange->method, "POST", 5);
    text_add(&exchange->target, sentry->target);
    text_printf(&exchange->fields,
                "Content-Type: application/x-sentry-envelope\r\nX-Sentry-Auth: Sentry "
                "sentry_version=7, sentry_client=stackrouter/%s, sentry_key=%s\r\n",
                proxy->setup.version, sentry->key);
    write_event(proxy, now_ns, event, &exchange->body);
    exchange->done = report_done;
    exchange->state = EXCHANGE_CONNECTING;
    engine_attach(proxy, now_ns, exchange, sentry->origin);
}
