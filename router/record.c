/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c: lines of the input record. Written by hand because a line with a thousand
 * hashes would cost a thousand allocations as a tree.
 */
#include "router/record.h"

#include "router/body.h"

#include <inttypes.h>
#include <string.h>

static const char *const COMPAT_TEXT[] = {"tag", "tag-fixed", "head"};

static void begin(struct text *out, int64_t now_ns, const char *kind)
{
    text_printf(out, "{\"at_ns\":%" PRId64 ",\"kind\":\"%s\"", now_ns, kind);
}

static void finish(struct text *out)
{
    text_add(out, "}\n");
}

static void add_text(struct text *out, const char *key, const char *value)
{
    if (value != NULL) {
        text_printf(out, ",\"%s\":", key);
        body_add_string(out, value, strlen(value));
    }
}

static void add_hashes(struct text *out, const char *key, const uint64_t *hashes,
                       uint32_t count)
{
    if (count == 0) {
        return;
    }
    text_printf(out, ",\"%s\":[", key);
    for (uint32_t i = 0; i < count; i++) {
        text_printf(out, "%s\"%016" PRIx64 "\"", i == 0 ? "" : ",", hashes[i]);
    }
    text_add(out, "]");
}

void record_setup(struct text *out, int64_t now_ns, const struct gateway_setup *setup)
{
    begin(out, now_ns, "setup");
    text_printf(
        out,
        ",\"version\":%d,\"policy\":\"%s\",\"compat\":\"%s\",\"seed\":\"%" PRIu64
        "\",\"replica\":\"%" PRIu64 "\",\"stats_window_ns\":%" PRId64
        ",\"endpoints_max\":%" PRIu32 ",\"params\":{",
        RECORD_VERSION, setup->policy->name, COMPAT_TEXT[setup->compat], setup->seed,
        setup->replica, setup->stats_window_ns, setup->endpoints_max);
    for (size_t i = 0; i < setup->param_count; i++) {
        text_printf(out, "%s\"%s\":%.17g", i == 0 ? "" : ",", setup->param_names[i],
                    setup->param_values[i]);
    }
    text_add(out, "}");
    finish(out);
}

void record_join(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                 const struct endpoint_view *endpoint)
{
    begin(out, now_ns, "join");
    text_printf(out, ",\"endpoint\":%" PRIu32, endpoint_id);
    add_text(out, "url", endpoint->url);
    add_text(out, "model", endpoint->model);
    text_printf(out, ",\"weight\":%.17g", endpoint->weight);
    finish(out);
}

void record_leave(struct text *out, int64_t now_ns, uint32_t endpoint_id)
{
    begin(out, now_ns, "leave");
    text_printf(out, ",\"endpoint\":%" PRIu32, endpoint_id);
    finish(out);
}

void record_accepting(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                      bool accepting)
{
    begin(out, now_ns, "accepting");
    text_printf(out, ",\"endpoint\":%" PRIu32 ",\"accepting\":%s", endpoint_id,
                accepting ? "true" : "false");
    finish(out);
}

void record_route(struct text *out, int64_t now_ns, const struct request_view *request)
{
    begin(out, now_ns, "route");
    text_printf(out, ",\"request\":%" PRIu64 ",\"arrival_ns\":%" PRId64,
                request->request_id, request->arrival_ns);
    add_text(out, "model", request->model);
    add_text(out, "session", request->session_key);
    add_text(out, "tenant", request->tenant);
    text_printf(out,
                ",\"prompt_tokens\":%" PRIu32 ",\"output_tokens_max\":%" PRIu32
                ",\"output_tokens_guess\":%" PRIu32 ",\"priority\":%" PRId32
                ",\"block_tokens\":%" PRIu32,
                request->prompt_tokens, request->output_tokens_max,
                request->output_tokens_guess, request->priority, request->block_tokens);
    if (request->adapter != 0) {
        text_printf(out, ",\"adapter\":\"%016" PRIx64 "\"", request->adapter);
    }
    add_hashes(out, "chunks", request->chunk_hashes, request->chunk_count);
    add_hashes(out, "blocks", request->block_hashes, request->block_count);
    finish(out);
}

void record_first_token(struct text *out, int64_t now_ns, uint64_t request_id,
                        uint32_t endpoint_id, uint32_t prompt_tokens)
{
    begin(out, now_ns, "first_token");
    text_printf(out,
                ",\"request\":%" PRIu64 ",\"endpoint\":%" PRIu32
                ",\"prompt_tokens\":%" PRIu32,
                request_id, endpoint_id, prompt_tokens);
    finish(out);
}

void record_end(struct text *out, int64_t now_ns, const struct attempt_end *end)
{
    static const char *const HOW[] = {"completed", "aborted", "refused"};
    begin(out, now_ns, "end");
    text_printf(
        out,
        ",\"request\":%" PRIu64 ",\"endpoint\":%" PRIu32 ",\"prompt_tokens\":%" PRIu32
        ",\"cached_tokens\":%" PRIu32 ",\"how\":\"%s\",\"had_first_token\":%s",
        end->request_id, end->endpoint_id, end->prompt_tokens, end->cached_tokens,
        HOW[end->how], end->had_first_token ? "true" : "false");
    finish(out);
}

void record_metrics(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                    const struct endpoint_metrics *metrics)
{
    begin(out, now_ns, "metrics");
    text_printf(out,
                ",\"endpoint\":%" PRIu32 ",\"scraped_ns\":%" PRId64
                ",\"valid\":%" PRIu32 ",\"running\":%" PRIu32 ",\"waiting\":%" PRIu32
                ",\"kv_used_ratio\":%.17g,\"kv_total_blocks\":%" PRIu32
                ",\"prefix_query_tokens\":%" PRIu64 ",\"prefix_hit_tokens\":%" PRIu64,
                endpoint_id, metrics->scraped_ns, metrics->valid,
                metrics->running_requests, metrics->waiting_requests,
                metrics->kv_used_ratio, metrics->kv_total_blocks,
                metrics->prefix_query_tokens, metrics->prefix_hit_tokens);
    finish(out);
}

void record_kv_event(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                     const struct kv_event *event)
{
    static const char *const KINDS[] = {"stored", "removed", "cleared"};
    begin(out, now_ns, "kv_event");
    text_printf(out,
                ",\"endpoint\":%" PRIu32 ",\"event\":\"%s\",\"message\":%" PRIu64
                ",\"parent\":\"%016" PRIx64 "\"",
                endpoint_id, KINDS[event->kind], event->message, event->parent);
    add_hashes(out, "blocks", event->blocks, event->block_count);
    finish(out);
}
