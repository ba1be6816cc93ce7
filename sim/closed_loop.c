/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_loop.c: users around one replica, without gateway and network. A user that got
 * its last token sends the next prompt at that very step boundary; the engine has
 * formed its next step by then, as a real one has when the answer reaches the client.
 *
 * Requests count in order of sending, so that which of them are measured does not
 * depend on how fast they are. The loop goes on until the last measured one has ended;
 * those sent after it keep the load up, but are not counted.
 */
#include "sim/closed_loop.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sim/prefill_first.h"
#include "sim/replica.h"
#include "stats/summary.h"

static const double ns_per_s = 1e9;

struct loop_run {
    const struct closed_loop *loop;
    struct replica *replica;             /* one of the two */
    struct prefill_first *prefill_first; /* NULL: the other */
    struct request_table *table;
    struct rng rng;
    int64_t now_ns;
    uint64_t sent;
    uint64_t first; /* of the measured ones, by order of sending */
    uint64_t end;   /* past their last */
    uint64_t ended; /* measured ones */
    uint32_t idle;  /* users that will send now */
    int64_t *ttft_ns;
    int64_t *tpot_ps; /* picoseconds: gaps of a few ms averaged over many tokens */
    uint64_t tpot_count;
};

static uint32_t length_draw(struct loop_run *run, uint32_t tokens)
{
    const double part = run->loop->jitter * rng_unit(&run->rng);
    const uint32_t less = (uint32_t)(part * tokens);
    return tokens > less ? tokens - less : 1;
}

static void on_first_token(void *context, struct request *request, int64_t now_ns)
{
    (void)context; /* the replica has noted the time in the request */
    (void)request;
    (void)now_ns;
}

static void count(struct loop_run *run, const struct request *request, int64_t now_ns)
{
    if (request->record_id < run->first || request->record_id >= run->end) {
        return;
    }
    run->ttft_ns[run->ended++] = request->first_token_ns - request->arrival_ns;
    if (request->output_tokens > 1) {
        run->tpot_ps[run->tpot_count++] =
            (now_ns - request->first_token_ns) * 1000 / (request->output_tokens - 1);
    }
}

static void on_end(void *context, struct request *request, int64_t now_ns,
                   enum outcome_status status)
{
    struct loop_run *run = context;
    CHECK(status == OUTCOME_COMPLETED, "a user's request ended as %s",
          outcome_status_name(status));
    count(run, request, now_ns);
    request_table_remove(run->table, request);
    run->idle++;
}

static void submit(struct loop_run *run, struct request *request)
{
    if (run->prefill_first != NULL) {
        prefill_first_submit(run->prefill_first, request, run->now_ns);
    } else {
        replica_submit(run->replica, request, run->now_ns);
    }
}

static int64_t next_ns(const struct loop_run *run)
{
    return run->prefill_first != NULL ? prefill_first_next_ns(run->prefill_first)
                                      : replica_next_ns(run->replica);
}

static void step_done(struct loop_run *run)
{
    if (run->prefill_first != NULL) {
        prefill_first_step_done(run->prefill_first);
    } else {
        replica_step_done(run->replica);
    }
}

static void send(struct loop_run *run)
{
    const uint32_t prompt = length_draw(run, run->loop->prompt_tokens);
    const uint32_t output = length_draw(run, run->loop->output_tokens);
    const struct segment segment = {
        .stream = segment_stream(SEGMENT_UNIQUE, run->sent),
        .tokens = prompt,
    };
    const struct trace_record record = {
        .id = run->sent++,
        .arrival_ns = run->now_ns,
        .prompt_tokens = prompt,
        .output_tokens = output,
        .think_ns = TRACE_THINK_NONE,
        .segment_count = 1,
        .segments = &segment,
    };
    const struct engine_config *engine = run->loop->engine;
    struct request *request = request_table_add(
        run->table, &record, output, engine->prefix_caching ? engine->block_tokens : 0);
    request->arrival_ns = run->now_ns;
    submit(run, request);
}

static void sum_up(struct closed_loop_result *result, struct loop_run *run)
{
    const struct spread ttft = spread_of(run->ttft_ns, run->ended);
    result->requests = run->ended;
    result->ttft_mean_s = ttft.mean / ns_per_s;
    result->ttft_median_s = ttft.p50 / ns_per_s;
    if (run->tpot_count > 0) {
        const struct spread tpot = spread_of(run->tpot_ps, run->tpot_count);
        result->tpot_mean_s = tpot.mean / 1000.0 / ns_per_s;
        result->tpot_median_s = tpot.p50 / 1000.0 / ns_per_s;
    }
    result->preemptions =
        run->replica == NULL ? 0 : replica_stats(run->replica)->preemptions;
}

void closed_loop_run(struct closed_loop_result *result, const struct closed_loop *loop)
{
    const uint64_t measured = (uint64_t)loop->users * loop->requests_per_user;
    struct loop_run run = {
        .loop = loop,
        .table = request_table_new(),
        .first = (uint64_t)loop->users * loop->warmup_per_user,
        .idle = loop->users,
        .ttft_ns = mem_alloc(measured, sizeof(int64_t)),
        .tpot_ps = mem_alloc(measured, sizeof(int64_t)),
    };
    run.end = run.first + measured;
    rng_init(&run.rng, loop->seed, "closed loop", 0);
    const struct replica_setup setup = {
        .engine = loop->engine,
        .cost = loop->cost,
        .kv_blocks = loop->kv_blocks,
        .table = run.table,
        .events = {&run, on_first_token, on_end},
    };
    if (loop->prefill_first) {
        run.prefill_first = prefill_first_new(&setup);
    } else {
        run.replica = replica_new(&setup);
    }
    while (run.ended < measured) {
        for (; run.idle > 0; run.idle--) {
            send(&run);
        }
        run.now_ns = next_ns(&run);
        CHECK(run.now_ns != INT64_MAX, "an engine with %u users is idle", loop->users);
        step_done(&run);
    }
    *result = (struct closed_loop_result){0};
    sum_up(result, &run);
    if (run.replica != NULL) {
        replica_delete(run.replica);
    }
    prefill_first_delete(run.prefill_first);
    request_table_delete(run.table);
    mem_free(run.ttft_ns);
    mem_free(run.tpot_ps);
}
