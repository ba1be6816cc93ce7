/* SPDX-License-Identifier: Apache-2.0
 *
 * explain_print.c: one request's life in words, and as JSON.
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "cli/explain.h"
#include "reports/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* ---- times ---------------------------------------------------------------------- */

/* Where the time went, in order; a stage that did not come is left out. */
struct stage {
    const char *name; /* for a machine */
    const char *text;
    int64_t start_ns;
    int64_t end_ns;
};
enum { STAGES_MAX = 7 };

static size_t stages_of(const struct request_outcome *outcome,
                        struct stage stages[STAGES_MAX])
{
    const bool split = outcome->prefill_engine != UINT32_MAX;
    const int64_t prefill_end_ns =
        split ? outcome->prefill_end_ns : outcome->first_token_ns;
    /* Without a transfer the second engine's time is one stage. */
    const bool moved = outcome->kv_asked_ns != OUTCOME_TIME_NONE;
    const struct stage apart[STAGES_MAX] = {
        {"gateway", "gateway, way to the engine", outcome->arrival_ns,
         outcome->queued_ns},
        {"queue", "waiting in the engine", outcome->queued_ns, outcome->scheduled_ns},
        {"prefill", "prefill", outcome->scheduled_ns, prefill_end_ns},
        {"decode_queue", "waiting in the second engine", prefill_end_ns,
         moved ? outcome->kv_asked_ns : outcome->first_token_ns},
        {"transfer", "KV on the network", outcome->kv_asked_ns, outcome->kv_here_ns},
        {"first_step", "to the first token", outcome->kv_here_ns,
         outcome->first_token_ns},
        {"decode", "decode", outcome->first_token_ns, outcome->end_ns},
    };
    const struct stage whole[STAGES_MAX] = {
        {"gateway", "gateway, way to the engine", outcome->arrival_ns,
         outcome->queued_ns},
        {"queue", "waiting in the engine", outcome->queued_ns, outcome->scheduled_ns},
        {"prefill", "prefill, to the first token", outcome->scheduled_ns,
         outcome->first_token_ns},
        {"decode", "decode", outcome->first_token_ns, outcome->end_ns},
    };
    size_t count = 0;
    for (size_t i = 0; i < STAGES_MAX; i++) {
        const struct stage *stage = split ? &apart[i] : &whole[i];
        if (stage->name == NULL || stage->start_ns == OUTCOME_TIME_NONE) {
            continue;
        }
        stages[count] = *stage;
        if (stage->end_ns == OUTCOME_TIME_NONE) {
            stages[count].end_ns = outcome->end_ns;
        }
        count++;
    }
    return count;
}

static void print_moment(struct text *out, int64_t at_ns, const char *what)
{
    text_printf(out, "  %14.6f s  %s\n", (double)at_ns / 1e9, what);
}

static void print_life(const struct explain *explain, struct text *out)
{
    const struct request_outcome *outcome = &explain->outcome;
    char what[192];
    snprintf(what, sizeof what, "arrives: %" PRIu32 " prompt tokens%s",
             outcome->prompt_tokens, outcome->turn > 0 ? ", a later turn" : "");
    print_moment(out, outcome->arrival_ns, what);
    if (explain->routed) {
        snprintf(what, sizeof what, "decision: %s (%s)",
                 route_reason_help(explain->decision.reason),
                 route_reason_name(explain->decision.reason));
        print_moment(out, explain->routed_ns, what);
    }
    const bool split = outcome->prefill_engine != UINT32_MAX;
    const struct {
        int64_t at_ns;
        const char *what;
    } moments[] = {
        {outcome->queued_ns, "the engine takes it from its input"},
        {outcome->scheduled_ns, "first part of a batch"},
        {split ? outcome->prefill_end_ns : OUTCOME_TIME_NONE,
         "the prompt is computed: to the engine that decodes"},
        {split ? outcome->kv_asked_ns : OUTCOME_TIME_NONE,
         "that one has blocks and asks for the KV"},
        {split ? outcome->kv_here_ns : OUTCOME_TIME_NONE, "the KV is there"},
        {outcome->first_token_ns, "first token"},
    };
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        if (moments[i].at_ns != OUTCOME_TIME_NONE) {
            print_moment(out, moments[i].at_ns, moments[i].what);
        }
    }
    snprintf(what, sizeof what, "end: %s, %" PRIu32 " tokens produced",
             outcome_status_name(outcome->status), outcome->output_tokens);
    print_moment(out, outcome->end_ns, what);
}

static void print_latencies(const struct request_outcome *outcome, struct text *out)
{
    if (outcome->status != OUTCOME_COMPLETED) {
        return;
    }
    const int64_t decode_ns = outcome->end_ns - outcome->first_token_ns;
    text_printf(out, "  TTFT %.1f ms",
                (double)(outcome->first_token_ns - outcome->arrival_ns) / 1e6);
    if (outcome->output_tokens > 1) {
        text_printf(out, ", TPOT %.2f ms",
                    (double)decode_ns / 1e6 / (outcome->output_tokens - 1));
    }
    text_printf(out, ", E2E %.1f ms\n",
                (double)(outcome->end_ns - outcome->arrival_ns) / 1e6);
}

static void print_stages(const struct explain *explain, struct text *out)
{
    struct stage stages[STAGES_MAX];
    const struct request_outcome *outcome = &explain->outcome;
    const size_t count = stages_of(outcome, stages);
    const double total_ns = (double)(outcome->end_ns - outcome->arrival_ns);
    if (count == 0 || total_ns <= 0) {
        return;
    }
    text_add(out, "\nWhere the time went\n");
    for (size_t i = 0; i < count; i++) {
        char time[24];
        const int64_t spent_ns = stages[i].end_ns - stages[i].start_ns;
        unit_format_ns(time, sizeof time, spent_ns);
        text_printf(out, "  %-28s %12s  %5.1f %%\n", stages[i].text, time,
                    100 * (double)spent_ns / total_ns);
    }
    print_latencies(outcome, out);
    if (outcome->aside_ns > 0) {
        char time[24];
        unit_format_ns(time, sizeof time, outcome->aside_ns);
        text_printf(out,
                    "  set aside for %s: all LoRA slots were other adapters', and "
                    "others overtook it\n",
                    time);
    }
    if (outcome->tier_tokens > 0) {
        text_printf(out,
                    "  %" PRIu32 " of %" PRIu32
                    " prompt tokens were loaded from tiers behind the cache\n",
                    outcome->tier_tokens, outcome->prompt_tokens);
    }
    if (outcome->cached_tokens > 0) {
        text_printf(out,
                    "  %" PRIu32 " of %" PRIu32
                    " prompt tokens came from the prefix cache\n",
                    outcome->cached_tokens, outcome->prompt_tokens);
    }
    if (outcome->preemptions > 0) {
        text_printf(out,
                    "  preempted %" PRIu32 " times for lack of KV blocks; %" PRIu32
                    " tokens were computed again\n",
                    outcome->preemptions, outcome->recomputed_tokens);
    }
}

/* ---- candidates ------------------------------------------------------------------ */

static bool is_chosen(const struct explain *explain, uint32_t index)
{
    return explain->decision.endpoint == (int32_t)index;
}

static bool any_metrics(const struct explain *explain)
{
    for (uint32_t i = 0; i < explain->candidate_count; i++) {
        if (explain->candidates[i].metrics.valid != 0) {
            return true;
        }
    }
    return false;
}

static void put_metrics(struct table *table, const struct explain_candidate *candidate)
{
    const struct endpoint_metrics *metrics = &candidate->metrics;
    const bool valid = metrics->valid != 0;
    table_put_f64(table, valid ? metrics->running_requests : (double)NAN, 0, NULL);
    table_put_f64(table, valid ? metrics->waiting_requests : (double)NAN, 0, NULL);
    table_put_f64(table, valid ? metrics->kv_used_ratio : (double)NAN, 3, NULL);
}

static void print_candidates(const struct explain *explain, struct text *out)
{
    const struct table_column columns[] = {
        {"endpoint", NULL, NULL, NULL, true},
        {"score", NULL, NULL, NULL, false},
        {"in_flight", "in flight", NULL, NULL, false},
        {"prefill", "no first token", NULL, NULL, false},
        {"prompt_tokens", "their prompt tokens", NULL, NULL, false},
        {"running", "scraped running", NULL, NULL, false},
        {"waiting", "scraped waiting", NULL, NULL, false},
        {"kv_used_ratio", "scraped KV use", NULL, NULL, false},
    };
    const size_t all = sizeof columns / sizeof columns[0];
    const bool scraped = any_metrics(explain);
    struct table *table = table_new(columns, scraped ? all : all - 3);
    for (uint32_t i = 0; i < explain->candidate_count; i++) {
        const struct explain_candidate *candidate = &explain->candidates[i];
        table_put_text(table, candidate->url);
        if (is_chosen(explain, i)) {
            table_mark(table);
        }
        table_put_f64(table, candidate->score, 4, NULL);
        table_put_u64(table, candidate->inflight_requests);
        table_put_u64(table, candidate->inflight_prefill);
        table_put_u64(table, candidate->inflight_prompt_tokens);
        if (scraped) {
            put_metrics(table, candidate);
        }
    }
    const char *help = explain->policy->score_help;
    text_printf(out, "\nCandidates when %s decided (* chosen; score: %s)\n",
                explain->policy->name,
                help == NULL ? "this policy weighs nothing" : help);
    table_write(table, TABLE_TEXT, out);
    if (scraped) {
        const int64_t age_ns =
            explain->routed_ns - explain->candidates[0].metrics.scraped_ns;
        text_printf(out, "The scrape was %.3f s old.\n", (double)age_ns / 1e9);
    }
    table_delete(table);
}

static void print_decision(const struct explain *explain, struct text *out)
{
    const struct route_decision *decision = &explain->decision;
    if (decision->matched_length > 0) {
        const char *unit = explain->policy->match_unit;
        text_printf(out,
                    "\nThe policy expected %" PRIu32
                    " %s of the prompt to be there; the engine found %" PRIu32
                    " tokens.\n",
                    decision->matched_length, unit == NULL ? "units" : unit,
                    explain->outcome.cached_tokens);
    }
    if (explain->decisions > 1) {
        text_printf(out, "\n%" PRIu64 " attempts; the last one is shown.\n",
                    explain->decisions);
    }
    if (explain->candidate_count > 0) {
        print_candidates(explain, out);
    }
}

void explain_print(const struct explain *explain, const char *label, struct text *out)
{
    text_printf(out, "Request %" PRIu64 " of %s\n\n", explain->request_id, label);
    print_life(explain, out);
    print_stages(explain, out);
    if (explain->routed) {
        print_decision(explain, out);
    }
}

/* ---- JSON ------------------------------------------------------------------------ */

static void put_time(struct json *object, const char *key, int64_t ns)
{
    if (ns == OUTCOME_TIME_NONE) {
        json_put_f64(object, key, (double)NAN); /* null */
    } else {
        json_put_i64(object, key, ns);
    }
}

static struct json *candidates_json(const struct explain *explain)
{
    struct json *array = json_array();
    for (uint32_t i = 0; i < explain->candidate_count; i++) {
        const struct explain_candidate *candidate = &explain->candidates[i];
        struct json *object = json_object();
        json_put_u64(object, "endpoint_id", candidate->endpoint_id);
        json_put_str(object, "url", candidate->url);
        json_put_bool(object, "chosen", is_chosen(explain, i));
        json_put_f64(object, "score", candidate->score);
        json_put_f64(object, "weight", candidate->weight);
        json_put_u64(object, "inflight_requests", candidate->inflight_requests);
        json_put_u64(object, "inflight_prefill", candidate->inflight_prefill);
        json_put_u64(object, "inflight_prompt_tokens",
                     candidate->inflight_prompt_tokens);
        json_push(array, object);
    }
    return array;
}

static struct json *stages_json(const struct request_outcome *outcome)
{
    struct stage stages[STAGES_MAX];
    const size_t count = stages_of(outcome, stages);
    struct json *object = json_object();
    for (size_t i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_ns", stages[i].name);
        json_put_i64(object, key, stages[i].end_ns - stages[i].start_ns);
    }
    return object;
}

static struct json *decision_json(const struct explain *explain)
{
    const struct route_decision *decision = &explain->decision;
    struct json *object = json_object();
    json_put_str(object, "policy", explain->policy->name);
    json_put_i64(object, "time_ns", explain->routed_ns);
    json_put_u64(object, "attempts", explain->decisions);
    json_put_str(object, "reason", route_reason_name(decision->reason));
    json_put_str(object, "reason_help", route_reason_help(decision->reason));
    json_put_u64(object, "matched_length", decision->matched_length);
    json_put_f64(object, "score", decision->score);
    if (explain->policy->score_help != NULL) {
        json_put_str(object, "score_help", explain->policy->score_help);
    }
    json_put(object, "candidates", candidates_json(explain));
    return object;
}

void explain_print_json(const struct explain *explain, struct text *out)
{
    const struct request_outcome *outcome = &explain->outcome;
    struct json *object = json_object();
    json_put_u64(object, "request_id", explain->request_id);
    json_put_u64(object, "session", outcome->session);
    json_put_u64(object, "turn", outcome->turn);
    json_put_str(object, "status", outcome_status_name(outcome->status));
    put_time(object, "arrival_ns", outcome->arrival_ns);
    put_time(object, "queued_ns", outcome->queued_ns);
    put_time(object, "scheduled_ns", outcome->scheduled_ns);
    put_time(object, "first_token_ns", outcome->first_token_ns);
    put_time(object, "end_ns", outcome->end_ns);
    json_put_u64(object, "prompt_tokens", outcome->prompt_tokens);
    json_put_u64(object, "cached_tokens", outcome->cached_tokens);
    json_put_u64(object, "output_tokens", outcome->output_tokens);
    json_put_u64(object, "preemptions", outcome->preemptions);
    json_put_u64(object, "recomputed_tokens", outcome->recomputed_tokens);
    if (outcome->aside_ns > 0) {
        json_put_i64(object, "aside_ns", outcome->aside_ns);
    }
    if (outcome->tier_tokens > 0) {
        json_put_u64(object, "tier_tokens", outcome->tier_tokens);
    }
    json_put(object, "stages", stages_json(outcome));
    if (explain->routed) {
        json_put(object, "decision", decision_json(explain));
    }
    char *bytes = json_print(object, true);
    text_add(out, bytes);
    text_add(out, "\n");
    mem_free(bytes);
    json_delete(object);
}
