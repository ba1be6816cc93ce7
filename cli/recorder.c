/* SPDX-License-Identifier: Apache-2.0
 *
 * recorder.c: observer callbacks that append rows.
 *
 * The two enums of how a request ends are the same list on both sides of the arrow;
 * the static assertions below break the build when one of them changes alone.
 */
#include "cli/recorder.h"

#include "cli/clock.h"
#include "cli/row_writer.h"
#include "cli/version.h"
#include "policies/decision_log.h"
#include "reports/run.h"
#include "sim/sim.h"

#include <inttypes.h>
#include <stdlib.h>

/* Of its data sheet's power, where a GPU's file does not say what it draws idle. An
 * assumption: cards with a context and no work are commonly seen at 10 to 15 %. */
#define IDLE_PART 0.1

/* As scenarios spell them. */
static const char *const COMPAT_NAMES[] = {
    [COMPAT_TAG] = "tag",
    [COMPAT_TAG_FIXED] = "tag-fixed",
    [COMPAT_HEAD] = "head",
};

#define X(name, help)                                                                  \
    _Static_assert((int)OUTCOME_##name == (int)REQUEST_##name,                         \
                   "sim/observer.h and reports/run.h disagree");
OUTCOME_STATUSES(X)
#undef X
/* NOLINTNEXTLINE(misc-redundant-expression): equal today, which is the point. */
_Static_assert(OUTCOME_TIME_NONE == RUN_TIME_NONE, "absent times are the same");

static void record_outcome(void *context, const struct request_outcome *outcome)
{
    struct recorder *recorder = context;
    const struct request_row row = {
        .request_id = outcome->request_id,
        .session_id = outcome->session,
        .arrival_ns = outcome->arrival_ns,
        .queued_ns = outcome->queued_ns,
        .scheduled_ns = outcome->scheduled_ns,
        .first_token_ns = outcome->first_token_ns,
        .end_ns = outcome->end_ns,
        .turn = outcome->turn,
        .status = (enum request_status)outcome->status,
        .engine = outcome->engine,
        .prompt_tokens = outcome->prompt_tokens,
        .output_tokens = outcome->output_tokens,
        .cached_tokens = outcome->cached_tokens,
        .preemptions = outcome->preemptions,
        .recomputed_tokens = outcome->recomputed_tokens,
    };
    if (recorder->rows != NULL) {
        row_writer_request(recorder->rows, &row);
    }
    if (!run_add_request(recorder->run, &row)) {
        recorder->overflowed = true;
    }
    if (outcome->prefill_engine == UINT32_MAX || recorder->overflowed) {
        return;
    }
    const struct handover_row handover = {
        .request = (uint32_t)(recorder->run->request_count - 1),
        .prefill_engine = outcome->prefill_engine,
        .prefill_end_ns = outcome->prefill_end_ns,
        .kv_asked_ns = outcome->kv_asked_ns,
        .kv_here_ns = outcome->kv_here_ns,
    };
    if (!run_add_handover(recorder->run, &handover)) {
        recorder->overflowed = true;
    }
}

static void record_sample(void *context, const struct engine_sample *sample)
{
    struct recorder *recorder = context;
    const struct engine_sample_row row = {
        .time_ns = sample->time_ns,
        .engine = sample->engine,
        .running_requests = sample->running,
        .waiting_requests = sample->waiting,
        .kv_used_blocks = sample->kv_used_blocks,
        .kv_total_blocks = sample->kv_total_blocks,
    };
    if (recorder->rows != NULL) {
        row_writer_sample(recorder->rows, &row);
    }
    if (!run_add_sample(recorder->run, &row)) {
        recorder->overflowed = true;
    }
}

static void record_event(void *context, const struct fleet_event *event)
{
    struct recorder *recorder = context;
    const struct event_row row = {
        .time_ns = event->time_ns,
        .warning = event->warning,
        .reason = event->reason,
        .object = event->object,
        .message = event->message,
    };
    if (!run_add_event(recorder->run, &row)) {
        recorder->overflowed = true;
    }
}

static void record_size(void *context, const struct pool_size *size)
{
    struct recorder *recorder = context;
    const struct pool_size_row row = {
        .time_ns = size->time_ns,
        .pool = recorder->scenario->pools[size->pool].name,
        .desired = size->desired,
        .held_engines = size->held_engines,
        .ready = size->ready,
    };
    if (!run_add_pool_size(recorder->run, &row)) {
        recorder->overflowed = true;
    }
}

static void record_decision(void *context, const struct decision_row *row)
{
    struct recorder *recorder = context;
    struct text *line = &recorder->line;
    line->length = 0;
    decision_log_row(row, line);
    fwrite(line->bytes, 1, line->length, recorder->decisions);
}

void recorder_observe(struct recorder *recorder, struct observer *observer)
{
    *observer = (struct observer){
        .context = recorder,
        .on_outcome = record_outcome,
        .on_sample = record_sample,
        .on_event = record_event,
        .on_size = record_size,
        .on_decision = recorder->decisions == NULL ? NULL : record_decision,
        .wants_scores = recorder->scores,
    };
}

size_t recorder_requests(const struct recorder *recorder)
{
    return recorder->run == NULL ? 0 : recorder->run->request_count;
}

/* What is known before the run. Strings are borrowed from scenario, yaml and text. */
static struct run_info info_of(const struct scenario *scenario, const char *yaml,
                               const char *cost_models, const char *folder)
{
    return (struct run_info){
        .name = scenario_policy_name(scenario),
        .scenario_name = scenario->name,
        .scenario_yaml = yaml,
        .scenario_dir = folder == NULL ? scenario->base_dir : folder,
        .policy = scenario_policy_name(scenario),
        .compat = COMPAT_NAMES[scenario->compat],
        .cost_model = cost_models,
        .program_commit = version_commit(),
        .warmup = scenario->warmup == NULL ? "none" : scenario->warmup,
        .seed = scenario->seed,
        .slo_ttft_ns = scenario->slo_ttft_ns,
        .slo_tpot_ns = scenario->slo_tpot_ns,
        .slo_e2e_ns = scenario->slo_e2e_ns,
        .sample_interval_ns = scenario->sample_interval_ns,
    };
}

void recorder_begin(struct recorder *recorder, const struct recorder_setup *setup)
{
    const struct scenario *scenario = setup->scenario;
    const struct recorder_log *log = &setup->log;
    struct text yaml = {0};
    struct text costs = {0};
    char started_utc[24];
    clock_utc_text(started_utc, sizeof started_utc);
    conf_print(scenario->conf, &yaml);
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        text_printf(&costs, "%s%s: %s", i == 0 ? "" : "\n", scenario->pools[i].name,
                    cost_description(scenario->pools[i].cost));
    }
    char *folder = realpath(scenario->base_dir, NULL);
    struct run_info info = info_of(scenario, text_str(&yaml), text_str(&costs), folder);
    info.started_utc = started_utc;
    info.name = setup->name == NULL ? info.name : setup->name;
    *recorder = (struct recorder){
        .run = run_record_new(&info),
        .scenario = scenario,
        .rows = setup->rows,
        .decisions = log->stream,
        .scores = log->scores,
    };
    if (setup->intervals) {
        run_want_intervals(recorder->run);
    }
    free(folder);
    text_fini(&costs);
    text_fini(&yaml);
    if (log->stream != NULL) {
        decision_log_header(&recorder->line);
        fputs(text_str(&recorder->line), log->stream);
    }
}

void recorder_drop(struct recorder *recorder)
{
    run_record_delete(recorder->run);
    recorder->run = NULL;
    text_fini(&recorder->line);
}

static void record_totals(struct run_totals *totals, const struct sim_summary *summary)
{
    *totals = (struct run_totals){
        .requests = summary->requests,
        .events = summary->events,
        .steps = summary->steps,
        .prompt_tokens = summary->prompt_tokens,
        .output_tokens = summary->output_tokens,
        .prefix_query_tokens = summary->prefix_query_tokens,
        .prefix_hit_tokens = summary->prefix_hit_tokens,
        .preemptions = summary->preemptions,
        .recomputed_tokens = summary->recomputed_tokens,
        .policy_bytes = summary->policy_bytes,
        .first_arrival_ns = summary->first_arrival_ns,
        .end_ns = summary->end_ns,
        .load_imbalance = summary->load_imbalance,
        .fairness_jain = summary->fairness_jain,
    };
    totals->status_count[REQUEST_COMPLETED] = summary->completed;
    totals->status_count[REQUEST_REFUSED] = summary->refused;
    totals->status_count[REQUEST_REJECTED] = summary->rejected;
    totals->status_count[REQUEST_CANCELLED] = summary->cancelled;
    totals->status_count[REQUEST_UNFINISHED] = summary->unfinished;
    totals->status_count[REQUEST_SHED] = summary->shed;
    totals->status_count[REQUEST_TIMED_OUT] = summary->timed_out;
    totals->status_count[REQUEST_FAILED] = summary->failed;
}

static void record_counters(uint64_t counters[ENGINE_COUNTER_COUNT],
                            const struct sim_engine_summary *summary)
{
    const struct adapter_stats *adapters = &summary->adapters;
    const struct speculation_stats *speculation = &summary->speculation;
    counters[COUNTER_ADAPTER_LOADS] = adapters->loads;
    counters[COUNTER_ADAPTER_COLD_LOADS] = adapters->cold_loads;
    counters[COUNTER_ADAPTER_STALL_NS] = (uint64_t)adapters->stall_ns;
    counters[COUNTER_ADAPTER_ASIDES] = adapters->asides;
    counters[COUNTER_ADAPTER_ASIDE_NS] = (uint64_t)adapters->aside_ns;
    counters[COUNTER_DRAFTS] = speculation->drafts;
    counters[COUNTER_DRAFT_TOKENS] = speculation->draft_tokens;
    counters[COUNTER_ACCEPTED_TOKENS] = speculation->accepted_tokens;
}

static_assert(COUNTER_STAGE_15_BUSY_NS - COUNTER_STAGE_0_BUSY_NS + 1 ==
                  PARALLEL_STAGES_MAX,
              "a counter for each stage");

/* Whatever a stage does not work while a batch is under way is a bubble. */
static void record_stages(uint64_t counters[ENGINE_COUNTER_COUNT],
                          const struct sim_engine_summary *summary)
{
    int64_t bubble_ns = 0;
    for (uint32_t i = 0; i < summary->stages; i++) {
        const int64_t busy_ns = summary->stage_busy_ns[i];
        counters[COUNTER_STAGE_0_BUSY_NS + i] = (uint64_t)busy_ns;
        bubble_ns += summary->busy_ns - busy_ns;
    }
    counters[COUNTER_PIPELINE_BUBBLE_NS] = (uint64_t)bubble_ns;
}

#define TIER_COUNTERS(T)                                                               \
    {                                                                                  \
        COUNTER_##T##_HIT_TOKENS, COUNTER_##T##_LOAD_BYTES, COUNTER_##T##_LOAD_NS,     \
            COUNTER_##T##_SAVE_BYTES, COUNTER_##T##_EVICTIONS                          \
    }

static void record_tiers(uint64_t counters[ENGINE_COUNTER_COUNT],
                         const struct tiers_stats *stats)
{
    static const struct {
        enum engine_counter hit_tokens;
        enum engine_counter load_bytes;
        enum engine_counter load_ns;
        enum engine_counter save_bytes;
        enum engine_counter evictions;
    } names[TIER_COUNT] = {TIER_COUNTERS(CPU), TIER_COUNTERS(DISK),
                           TIER_COUNTERS(REMOTE)};
    for (uint32_t tier = 0; tier < TIER_COUNT; tier++) {
        const struct tier_stats *what = &stats->tiers[tier];
        counters[names[tier].hit_tokens] = what->hit_tokens;
        counters[names[tier].load_bytes] = what->load_bytes;
        counters[names[tier].load_ns] = (uint64_t)what->load_ns;
        counters[names[tier].save_bytes] = what->save_bytes;
        counters[names[tier].evictions] = what->evictions;
    }
    counters[COUNTER_TIER_QUERY_TOKENS] = stats->query_tokens;
    counters[COUNTER_TIER_DROPPED_CHUNKS] = stats->dropped_chunks;
    counters[COUNTER_TIER_STALL_NS] = (uint64_t)stats->stall_ns;
}

static void record_engine(struct recorder *recorder, const struct sim *sim,
                          uint32_t engine, const struct scenario_pool *pool)
{
    char description[3 * FACT_NAME_BYTES];
    char stages[24] = "";
    if (plan_stages(&pool->engine.parallel) > 1) {
        snprintf(stages, sizeof stages, ", PP %" PRIu32,
                 plan_stages(&pool->engine.parallel));
    }
    snprintf(description, sizeof description, "%s x %s, TP %" PRIu32 "%s",
             pool->gpu.name, pool->model.name, pool->engine.tensor_parallel, stages);
    struct sim_engine_summary summary = {0};
    sim_engine_summarise(sim, engine, &summary);
    struct engine_row row = {
        .pool = pool->name,
        .description = description,
        .requests = summary.requests,
        .steps = summary.steps,
        .preemptions = summary.preemptions,
        .prefix_query_tokens = summary.prefix_query_tokens,
        .prefix_hit_tokens = summary.prefix_hit_tokens,
        .busy_ns = summary.busy_ns,
        .gpus = engine_gpus(&pool->engine),
        .power_w = pool->gpu.power_w,
        .power_idle_w = pool->gpu.power_idle_w > 0 ? pool->gpu.power_idle_w
                                                   : IDLE_PART * pool->gpu.power_w,
        .price_per_hour_low = pool->gpu.price_per_hour_low,
        .price_per_hour_high = pool->gpu.price_per_hour_high,
    };
    record_counters(row.counters, &summary);
    record_stages(row.counters, &summary);
    struct tiers_stats tiers;
    if (sim_tiers_summarise(sim, engine, &tiers)) {
        record_tiers(row.counters, &tiers);
    }
    if (!run_add_engine(recorder->run, &row)) {
        recorder->overflowed = true;
    }
}

static void record_engines(struct recorder *recorder, const struct recorder_end *end)
{
    uint32_t engine = 0;
    for (uint32_t i = 0; i < end->scenario->pool_count; i++) {
        const struct scenario_pool *pool = &end->scenario->pools[i];
        for (uint32_t j = 0; j < pool->engines; j++) {
            record_engine(recorder, end->sim, engine, pool);
            engine++;
        }
    }
}

static void record_tenants(struct recorder *recorder, const struct sim *sim)
{
    struct tenant_summary summary;
    for (uint32_t i = 0; sim_tenant_summarise(sim, i, &summary); i++) {
        const struct tenant_row row = {
            .name = summary.name,
            .requests = summary.requests,
            .completed = summary.completed,
            .turned_away = summary.turned_away,
            .prompt_tokens = summary.prompt_tokens,
            .output_tokens = summary.output_tokens,
            .ttft_sum_ns = summary.ttft_sum_ns,
            .waited_ns = summary.waited_ns,
            .let_in_tokens = summary.let_in_tokens,
        };
        if (!run_add_tenant(recorder->run, &row)) {
            recorder->overflowed = true;
        }
    }
}

bool recorder_finish(struct recorder *recorder, const struct recorder_end *end,
                     struct err *err)
{
    struct sim_summary summary = {0};
    sim_summarise(end->sim, &summary);
    record_totals(&recorder->run->totals, &summary);
    record_engines(recorder, end);
    record_tenants(recorder, end->sim);
    struct run_info info = recorder->run->info;
    info.workload_origin = end->workload_origin;
    info.notes = end->notes;
    info.digest = summary.digest;
    info.wall_s = end->wall_s;
    run_set_info(recorder->run, &info);
    if (recorder->overflowed) {
        return err_set(err, ERR_RUN,
                       "the run has more rows than a store can hold (2^28); use fewer "
                       "requests or a larger sample_interval");
    }
    return metrics_compute(recorder->run, err);
}
