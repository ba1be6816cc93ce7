/* SPDX-License-Identifier: Apache-2.0
 *
 * record_feed.c: see record_feed.h. Lines are read as trees: a record is read once, and
 * its strings come with all escapes that JSON has.
 */
#include "cli/live/record_feed.h"

#include "base/json.h"
#include "base/lines.h"
#include "base/map.h"
#include "base/mem.h"
#include "policies/decision_log.h"
#include "policies/policy_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ENDPOINTS_MAX = 4096, OPEN_MAX = 1 << 24, HASHES_MAX = 1 << 21 };

struct feed {
    const struct record_feed_setup *setup;
    struct lines *lines;
    struct gateway *gateway;
    struct decision_sink sink;
    struct json *setup_line; /* names of parameters are borrowed from it */
    struct text *log;
    uint64_t decisions;
    struct map *open; /* request -> endpoint */
    char **url_of;    /* by endpoint; NULL = not a member */
    uint64_t *hashes; /* scratch */
    size_t hash_capacity;
    int64_t now_ns;
    uint32_t endpoint_count; /* ids below are known */
};

static bool fail(const struct feed *feed, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s", lines_path(feed->lines),
                   lines_number(feed->lines), what);
}

static void on_decision(void *context, const struct decision_row *row)
{
    struct feed *feed = context;
    decision_log_row(row, feed->log);
    feed->decisions++;
}

/* --- fields ----------------------------------------------------------------------- */

/* Absent ones are 0, as the router leaves out what has no value. */
static int64_t number(const struct json *line, const char *key)
{
    int64_t value = 0;
    (void)json_i64(json_get(line, key), &value);
    return value;
}

static uint32_t small(const struct json *line, const char *key)
{
    const int64_t value = number(line, key);
    return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static double real(const struct json *line, const char *key)
{
    double value = 0;
    (void)json_f64(json_get(line, key), &value);
    return value;
}

static bool truth(const struct json *line, const char *key)
{
    bool value = false;
    (void)json_bool(json_get(line, key), &value);
    return value;
}

static uint64_t word(const struct json *value, int base)
{
    const char *text = json_str(value);
    return text == NULL ? 0 : strtoull(text, NULL, base);
}

/* Writes behind what is there; the array may move. */
static bool add_hashes(struct feed *feed, const struct json *list, size_t at,
                       struct err *err)
{
    const size_t count = json_count(list);
    void *array = feed->hashes;
    if (!mem_grow(&array, &feed->hash_capacity, at + count, sizeof *feed->hashes,
                  HASHES_MAX)) {
        return fail(feed, err, "more hashes than a prompt has");
    }
    feed->hashes = array;
    for (const struct json *hash = json_first(list); hash != NULL;
         hash = json_next(hash)) {
        feed->hashes[at++] = word(hash, 16);
    }
    return true;
}

static bool one_of(const struct json *value, const char *const *names, unsigned count,
                   unsigned *out)
{
    const char *text = json_str(value);
    for (unsigned i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

/* A member, or one that has left and is still known. */
static bool endpoint_of(const struct feed *feed, const struct json *line, uint32_t *out,
                        struct err *err)
{
    const int64_t value = number(line, "endpoint");
    if (json_get(line, "endpoint") == NULL || value < 0 ||
        value >= feed->endpoint_count) {
        return fail(feed, err, "endpoint: nobody has joined with this number");
    }
    *out = (uint32_t)value;
    return true;
}

static bool member_of(const struct feed *feed, const struct json *line, uint32_t *out,
                      struct err *err)
{
    return endpoint_of(feed, line, out, err) &&
           (feed->url_of[*out] != NULL ||
            fail(feed, err, "endpoint: it is no member now"));
}

/* The open attempt that a line speaks of. */
struct open_attempt {
    uint64_t request_id;
    uint32_t endpoint_id;
    bool had_first_token;
};
static bool attempt_of(const struct feed *feed, const struct json *line,
                       struct open_attempt *attempt, struct err *err)
{
    uint32_t state = 0; /* 2 * endpoint, 1 more after the first token */
    if (!endpoint_of(feed, line, &attempt->endpoint_id, err)) {
        return false;
    }
    attempt->request_id = (uint64_t)number(line, "request");
    const bool open = map_get(feed->open, attempt->request_id, &state);
    attempt->had_first_token = (state & 1U) != 0;
    return (open && state / 2 == attempt->endpoint_id) ||
           fail(feed, err, "request: it was not routed there, or has ended");
}

/* --- kinds of lines --------------------------------------------------------------- */

static void forget_gateway(struct feed *feed)
{
    gateway_delete(feed->gateway);
    feed->gateway = NULL;
    map_clear(feed->open);
    for (uint32_t i = 0; i < feed->endpoint_count; i++) {
        mem_free(feed->url_of[i]);
        feed->url_of[i] = NULL;
    }
    feed->endpoint_count = 0;
    json_delete(feed->setup_line);
    feed->setup_line = NULL;
}

static bool read_params(const struct json *line, struct gateway_setup *setup,
                        const char **names, double *values)
{
    const struct json *params = json_get(line, "params");
    setup->param_names = names;
    setup->param_values = values;
    setup->param_count = 0;
    for (const struct json *param = json_first_member(params); param != NULL;
         param = json_next(param)) {
        const size_t i = setup->param_count++;
        if (i == POLICY_PARAMS_MAX || !json_f64(param, &values[i])) {
            return false;
        }
        names[i] = json_name(param);
    }
    return true;
}

/* Keeps the line: parameters are named by it. */
static bool feed_setup(struct feed *feed, struct json *line, struct err *err)
{
    static const char *const COMPATS[] = {"tag", "tag-fixed", "head"};
    const char *names[POLICY_PARAMS_MAX + 1];
    double values[POLICY_PARAMS_MAX + 1];
    unsigned compat = 0;
    struct err why = {0};
    forget_gateway(feed);
    feed->setup_line = line;
    const char *name = json_str(json_get(line, "policy"));
    struct gateway_setup setup = {
        .policy = name == NULL ? NULL
                  : feed->setup->policies != NULL
                      ? policy_set_find(feed->setup->policies, name)
                      : route_policy_find(name),
        .seed = word(json_get(line, "seed"), 10),
        .replica = word(json_get(line, "replica"), 10),
        .stats_window_ns = number(line, "stats_window_ns"),
        .endpoints_max = small(line, "endpoints_max"),
    };
    if (number(line, "version") != 1) {
        return fail(feed, err, "version: this program reads version 1 of a record");
    }
    if (setup.policy == NULL || setup.endpoints_max > ENDPOINTS_MAX ||
        !one_of(json_get(line, "compat"), COMPATS, 3, &compat) ||
        !read_params(line, &setup, names, values)) {
        return fail(feed, err,
                    "setup: a policy, compat level or parameter that this "
                    "program does not know");
    }
    setup.compat = (enum compat)compat;
    if (!gateway_new(&feed->gateway, &setup, &why)) {
        return fail(feed, err, why.text);
    }
    gateway_log_to(feed->gateway, &feed->sink);
    return true;
}

static bool feed_join(struct feed *feed, const struct json *line, struct err *err)
{
    const char *url = json_str(json_get(line, "url"));
    uint32_t members = 0;
    if (url == NULL) {
        return fail(feed, err, "url: missing");
    }
    for (uint32_t i = 0; i < feed->endpoint_count; i++) {
        if (feed->url_of[i] != NULL && strcmp(feed->url_of[i], url) == 0) {
            return fail(feed, err, "url: it is a member already");
        }
        members += feed->url_of[i] != NULL ? 1 : 0;
    }
    if (members == ENDPOINTS_MAX) {
        return fail(feed, err, "too many endpoints");
    }
    const uint32_t id = gateway_join(
        feed->gateway, url, json_str(json_get(line, "model")), real(line, "weight"));
    feed->endpoint_count = id >= feed->endpoint_count ? id + 1 : feed->endpoint_count;
    feed->url_of[id] = mem_strdup(url);
    return id == small(line, "endpoint") ||
           fail(feed, err, "endpoint: the gateway here gives another number");
}

static bool feed_leave(struct feed *feed, const struct json *line, struct err *err)
{
    uint32_t id = 0;
    if (!member_of(feed, line, &id, err)) {
        return false;
    }
    gateway_leave(feed->gateway, id);
    mem_free(feed->url_of[id]);
    feed->url_of[id] = NULL;
    return true;
}

static bool feed_accepting(struct feed *feed, const struct json *line, struct err *err)
{
    uint32_t id = 0;
    if (!member_of(feed, line, &id, err)) {
        return false;
    }
    gateway_set_accepting(feed->gateway, id, truth(line, "accepting"));
    return true;
}

static bool feed_route(struct feed *feed, const struct json *line, struct err *err)
{
    const struct json *chunks = json_get(line, "chunks");
    const struct json *blocks = json_get(line, "blocks");
    struct request_view view = {
        .request_id = (uint64_t)number(line, "request"),
        .arrival_ns = number(line, "arrival_ns"),
        .session_key = json_str(json_get(line, "session")),
        .model = json_str(json_get(line, "model")),
        .tenant = json_str(json_get(line, "tenant")),
        .prompt_tokens = small(line, "prompt_tokens"),
        .output_tokens_max = small(line, "output_tokens_max"),
        .output_tokens_guess = small(line, "output_tokens_guess"),
        .priority = (int32_t)number(line, "priority"),
        .block_tokens = small(line, "block_tokens"),
        .adapter = word(json_get(line, "adapter"), 16),
        .chunk_count = (uint32_t)json_count(chunks),
        .block_count = (uint32_t)json_count(blocks),
    };
    uint32_t endpoint = 0;
    if (map_get(feed->open, view.request_id, &endpoint)) {
        return fail(feed, err, "request: it was routed before and has not ended");
    }
    if (!add_hashes(feed, chunks, 0, err) ||
        !add_hashes(feed, blocks, view.chunk_count, err)) {
        return false;
    }
    view.chunk_hashes = view.chunk_count > 0 ? feed->hashes : NULL;
    view.block_hashes = view.block_count > 0 ? feed->hashes + view.chunk_count : NULL;
    const struct route_decision decision =
        gateway_route(feed->gateway, feed->now_ns, &view, &endpoint);
    if (decision.endpoint >= 0) {
        map_put(feed->open, view.request_id, 2 * endpoint);
    }
    return true;
}

static bool feed_first_token(struct feed *feed, const struct json *line,
                             struct err *err)
{
    struct open_attempt attempt = {0};
    if (!attempt_of(feed, line, &attempt, err)) {
        return false;
    }
    if (attempt.had_first_token) {
        return fail(feed, err, "request: it has had its first token");
    }
    map_put(feed->open, attempt.request_id, 2 * attempt.endpoint_id + 1);
    gateway_first_token(feed->gateway, feed->now_ns, attempt.request_id,
                        attempt.endpoint_id, small(line, "prompt_tokens"));
    return true;
}

static bool feed_end(struct feed *feed, const struct json *line, struct err *err)
{
    static const char *const HOW[] = {"completed", "aborted", "refused"};
    struct attempt_end end = {
        .prompt_tokens = small(line, "prompt_tokens"),
        .cached_tokens = small(line, "cached_tokens"),
        .had_first_token = truth(line, "had_first_token"),
        .output_tokens = small(line, "output_tokens"),
    };
    struct open_attempt attempt = {0};
    unsigned how = 0;
    if (!attempt_of(feed, line, &attempt, err)) {
        return false;
    }
    if (end.had_first_token != attempt.had_first_token) {
        return fail(feed, err, "had_first_token: not what the lines before say");
    }
    if (!one_of(json_get(line, "how"), HOW, 3, &how)) {
        return fail(feed, err, "how: completed, aborted or refused");
    }
    end.request_id = attempt.request_id;
    end.endpoint_id = attempt.endpoint_id;
    end.how = (enum attempt_how)how;
    (void)map_remove(feed->open, end.request_id);
    gateway_end(feed->gateway, feed->now_ns, &end);
    return true;
}

static bool feed_metrics(struct feed *feed, const struct json *line, struct err *err)
{
    uint32_t id = 0;
    const struct endpoint_metrics metrics = {
        .scraped_ns = number(line, "scraped_ns"),
        .valid = small(line, "valid"),
        .running_requests = small(line, "running"),
        .waiting_requests = small(line, "waiting"),
        .kv_used_ratio = real(line, "kv_used_ratio"),
        .kv_total_blocks = small(line, "kv_total_blocks"),
        .prefix_query_tokens = (uint64_t)number(line, "prefix_query_tokens"),
        .prefix_hit_tokens = (uint64_t)number(line, "prefix_hit_tokens"),
    };
    if (!endpoint_of(feed, line, &id, err)) {
        return false;
    }
    gateway_scraped(feed->gateway, id, &metrics);
    return true;
}

static bool feed_kv_event(struct feed *feed, const struct json *line, struct err *err)
{
    static const char *const KINDS[] = {"stored", "removed", "cleared"};
    const struct json *blocks = json_get(line, "blocks");
    unsigned kind = 0;
    uint32_t id = 0;
    if (!endpoint_of(feed, line, &id, err) || !add_hashes(feed, blocks, 0, err)) {
        return false;
    }
    if (!one_of(json_get(line, "event"), KINDS, 3, &kind)) {
        return fail(feed, err, "event: stored, removed or cleared");
    }
    const struct kv_event event = {
        .kind = (enum kv_event_kind)kind,
        .message = (uint64_t)number(line, "message"),
        .parent = word(json_get(line, "parent"), 16),
        .blocks = feed->hashes,
        .block_count = (uint32_t)json_count(blocks),
    };
    gateway_kv_event(feed->gateway, feed->now_ns, id, &event);
    return true;
}

/* --- the file --------------------------------------------------------------------- */

struct line_kind {
    const char *name;
    bool (*feed)(struct feed *feed, const struct json *line, struct err *err);
};
static const struct line_kind KINDS[] = {
    {"join", feed_join},
    {"leave", feed_leave},
    {"accepting", feed_accepting},
    {"route", feed_route},
    {"first_token", feed_first_token},
    {"end", feed_end},
    {"metrics", feed_metrics},
    {"kv_event", feed_kv_event},
};

static bool feed_other(struct feed *feed, const struct json *line, const char *kind,
                       struct err *err)
{
    if (feed->gateway == NULL) {
        return fail(feed, err, "the record does not begin with a setup line");
    }
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        if (strcmp(KINDS[i].name, kind) == 0) {
            return KINDS[i].feed(feed, line, err);
        }
    }
    return fail(feed, err, "kind: unknown; is the router newer than this program?");
}

static bool feed_line(struct feed *feed, const char *bytes, size_t byte_count,
                      struct err *err)
{
    struct json *line = NULL;
    struct err why = {0};
    if (!json_parse(&line, "line", bytes, byte_count, &why)) {
        return fail(feed, err, why.text);
    }
    const char *kind = json_str(json_get(line, "kind"));
    const int64_t at_ns = number(line, "at_ns");
    bool good = false;
    if (kind == NULL || at_ns < feed->now_ns) {
        good = fail(feed, err, "kind or at_ns: missing, or time goes back");
    } else if (strcmp(kind, "setup") == 0) {
        feed->now_ns = at_ns;
        return feed_setup(feed, line, err); /* which takes the line */
    } else {
        feed->now_ns = at_ns;
        good = feed_other(feed, line, kind, err);
    }
    json_delete(line);
    return good;
}

bool record_feed(const struct record_feed_setup *setup, struct text *log,
                 uint64_t *decisions, struct err *err)
{
    struct feed feed = {.setup = setup, .log = log};
    if (!lines_open(&feed.lines, setup->path, LINE_BYTES_MAX, err)) {
        return false;
    }
    feed.sink = (struct decision_sink){&feed, on_decision, setup->scores};
    feed.open = map_new(1024, OPEN_MAX);
    feed.url_of = mem_alloc(ENDPOINTS_MAX, sizeof *feed.url_of);
    decision_log_header(log);
    char *line = NULL;
    size_t byte_count = 0;
    bool good = true;
    enum lines_result result = LINES_LINE;
    while (good && result == LINES_LINE) {
        result = lines_next(feed.lines, &line, &byte_count, err);
        good = result == LINES_END ||
               (result == LINES_LINE && feed_line(&feed, line, byte_count, err));
    }
    forget_gateway(&feed);
    *decisions = feed.decisions;
    map_delete(feed.open);
    mem_free(feed.url_of);
    mem_free(feed.hashes);
    lines_close(feed.lines);
    return good;
}
