/* SPDX-License-Identifier: Apache-2.0
 *
 * multi_round_qa.c: the Production Stack's benchmark of that name, on its own schedule.
 *
 * Its client wakes every 0.1 s, lets at most one user join, and has every user send who
 * has waited longer than users / qps since the last request (spec/production-stack.md
 * 8.1). Nothing is random. A benchmark is a row of runs; each starts again with user 1,
 * so that prompts come again and the order of the runs decides what is cached. Who has
 * not got an answer at the end of a run hangs up.
 *
 * A user with a request in flight waits for its end, which nobody knows here: the next
 * request names it as its parent, and `replay: hybrid` holds it back. The pace of the
 * user does not shift then, as it would in the benchmark.
 */
#include "base/mem.h"
#include "traces/generators/population.h"

#include <math.h>
#include <string.h>

enum {
    RUNS_MAX = 1000,
    USERS_MAX = 1 << 20,
    TICKS_PER_S = 10,
    RUN_SHIFT = 28,       /* of a record's id: its run above, its number below */
    HEADER_TOKENS = 40,   /* the words around the prompts, and the chat template */
    QUESTION_TOKENS = 20, /* "Here's question #3: can you tell me ..." */
};
static const int64_t tick_ns = INT64_C(1000000000) / TICKS_PER_S;

struct run {
    double users;
    double rounds;
    double gap_s; /* between two requests of a user */
    int64_t time_ns;
};

struct user {
    uint64_t number; /* from 1 in every run */
    uint32_t asked;  /* rounds that it counts as done */
    bool has_asked;  /* last_s is known */
    double last_s;
    uint64_t last_id; /* of its last record; 0: it has sent none */
    struct segment *segments;
    uint32_t segment_count;
    uint32_t prompt_tokens;
};

struct multi_round_qa {
    struct source base;
    struct population population;
    uint32_t system_tokens;
    uint32_t history_tokens;
    uint32_t answer_tokens;
    int64_t pause_ns; /* between two runs */
    uint32_t run_count;
    struct run *runs;
    int64_t end_ns; /* of the last one */
    /* Where it is. */
    uint32_t run;
    int64_t begin_ns; /* of this run */
    int64_t tick;
    bool ticking; /* joins of this tick are done */
    double last_join_s;
    uint64_t joined;
    struct user *users; /* in order of joining */
    size_t user_count;
    size_t user_capacity;
    size_t at; /* the next one to look at */
    uint64_t sent;
    uint64_t drawn;
    struct trace_record record;
};

/* ---- users ----------------------------------------------------------------------- */

static uint64_t text_of(const struct multi_round_qa *qa, uint64_t text)
{
    return segment_stream(SEGMENT_TEXT, population_id(&qa->population, text));
}

static struct user *user_join(struct multi_round_qa *qa)
{
    void *array = qa->users;
    const bool grown = mem_grow(&array, &qa->user_capacity, qa->user_count + 1,
                                sizeof *qa->users, USERS_MAX);
    if (!grown) {
        return NULL;
    }
    qa->users = array;
    struct user *user = &qa->users[qa->user_count++];
    *user = (struct user){.number = ++qa->joined};
    return user;
}

/* As if the run had been going on for long: the i-th has asked since `offset`. */
static void users_ramp_up(struct multi_round_qa *qa, const struct run *run)
{
    const double alive_s = run->gap_s * (run->rounds - 1);
    const double between_s = alive_s / run->users;
    for (uint32_t i = 0; (double)i < run->users; i++) {
        const double offset_s = alive_s - (double)i * between_s;
        struct user *user = offset_s < 0 ? NULL : user_join(qa);
        if (user == NULL) {
            return;
        }
        user->asked = (uint32_t)floor(offset_s / run->gap_s) + 1;
        user->has_asked = true;
        user->last_s = -offset_s + (double)(user->asked - 1) * run->gap_s;
    }
}

static void users_drop_finished(struct multi_round_qa *qa, const struct run *run)
{
    size_t kept = 0;
    for (size_t i = 0; i < qa->user_count; i++) {
        if ((double)qa->users[i].asked >= run->rounds) {
            mem_free(qa->users[i].segments);
        } else {
            qa->users[kept++] = qa->users[i];
        }
    }
    qa->user_count = kept;
}

static void users_clear(struct multi_round_qa *qa)
{
    for (size_t i = 0; i < qa->user_count; i++) {
        mem_free(qa->users[i].segments);
    }
    qa->user_count = 0;
}

/* ---- requests -------------------------------------------------------------------- */

static void segment_add(struct user *user, uint64_t stream, uint32_t tokens)
{
    if (tokens > 0) {
        user->segments[user->segment_count++] =
            (struct segment){.stream = stream, .tokens = tokens};
        user->prompt_tokens += tokens;
    }
}

/* The first prompt, or the last one with its answer, and a question. */
static void prompt_grow(struct multi_round_qa *qa, const struct run *run,
                        struct user *user)
{
    const uint32_t header = HEADER_TOKENS / 4;
    if (user->last_id == 0) {
        user->segments = mem_alloc(2 * (size_t)run->rounds + 4, sizeof *user->segments);
        segment_add(user, text_of(qa, 0), qa->system_tokens + header);
        segment_add(user, text_of(qa, 2 * user->number),
                    qa->history_tokens + HEADER_TOKENS - header);
    } else {
        segment_add(user, segment_stream(SEGMENT_OUTPUT, user->last_id),
                    qa->answer_tokens);
    }
    segment_add(user, text_of(qa, 2 * ((uint64_t)USERS_MAX + user->asked) + 1),
                QUESTION_TOKENS);
}

static const struct trace_record *request_of(struct multi_round_qa *qa,
                                             const struct run *run, struct user *user,
                                             int64_t now_ns)
{
    prompt_grow(qa, run, user);
    struct trace_record *record = &qa->record;
    record->id =
        population_id(&qa->population, (uint64_t)qa->run << RUN_SHIFT | ++qa->sent);
    record->arrival_ns = now_ns;
    record->session = population_id(&qa->population, user->number);
    record->turn = user->asked - 1;
    record->prompt_tokens = user->prompt_tokens;
    record->segments = user->segments;
    record->segment_count = user->segment_count;
    record->parent_count = user->last_id == 0 ? 0 : 1;
    record->parents[0] = user->last_id;
    record->think_ns = 0;
    record->cancel_ns = qa->begin_ns + run->time_ns - now_ns;
    population_finish(&qa->population, record);
    user->last_id = record->id;
    qa->drawn++;
    return record;
}

static bool user_fires(struct user *user, const struct run *run, double now_s)
{
    const bool over = (double)user->asked >= run->rounds;
    const bool due = !user->has_asked || now_s - user->last_s > run->gap_s;
    if (over || !due) {
        return false;
    }
    user->asked++;
    user->has_asked = true;
    user->last_s = now_s;
    return true;
}

/* ---- runs ------------------------------------------------------------------------ */

static void tick_begin(struct multi_round_qa *qa, const struct run *run, double now_s)
{
    const double between_s = run->gap_s * (run->rounds - 1) / run->users;
    if (qa->tick == 0) {
        users_ramp_up(qa, run);
    }
    if (qa->tick == 0 || now_s - qa->last_join_s > between_s) {
        (void)user_join(qa);
        qa->last_join_s = now_s;
    }
    qa->ticking = true;
    qa->at = 0;
}

static void run_next(struct multi_round_qa *qa, const struct run *run)
{
    users_clear(qa);
    qa->begin_ns += run->time_ns + qa->pause_ns;
    qa->run++;
    qa->tick = 0;
    qa->joined = 0;
    qa->sent = 0;
}

/* The next request of this tick, or NULL. */
static const struct trace_record *tick_next(struct multi_round_qa *qa,
                                            const struct run *run)
{
    const double now_s = (double)qa->tick / TICKS_PER_S;
    if (!qa->ticking) {
        tick_begin(qa, run, now_s);
    }
    while (qa->at < qa->user_count) {
        struct user *user = &qa->users[qa->at++];
        if (user_fires(user, run, now_s)) {
            return request_of(qa, run, user, qa->begin_ns + qa->tick * tick_ns);
        }
    }
    return NULL;
}

static enum workload_result qa_next(struct source *source,
                                    const struct trace_record **out, struct err *err)
{
    (void)err;
    struct multi_round_qa *qa = (struct multi_round_qa *)source;
    const struct population *population = &qa->population;
    const uint64_t most = population->requests_max;
    while (qa->run < qa->run_count && (most == 0 || qa->drawn < most)) {
        const struct run *run = &qa->runs[qa->run];
        if (qa->tick * tick_ns >= run->time_ns) {
            run_next(qa, run);
            continue;
        }
        const struct trace_record *record = tick_next(qa, run);
        if (record != NULL) {
            *out = record;
            return record->arrival_ns < population->duration_ns ? WORKLOAD_RECORD
                                                                : WORKLOAD_END;
        }
        users_drop_finished(qa, run);
        qa->ticking = false;
        qa->tick++;
    }
    return WORKLOAD_END;
}

static void qa_close(struct source *source)
{
    struct multi_round_qa *qa = (struct multi_round_qa *)source;
    users_clear(qa);
    population_fini(&qa->population);
    mem_free(qa->users);
    mem_free(qa->runs);
    text_fini(&qa->base.origin);
    mem_free(qa);
}

static double qa_progress(const struct source *source)
{
    const struct multi_round_qa *qa = (const struct multi_round_qa *)source;
    return (double)qa->record.arrival_ns / (double)qa->end_ns;
}

static const struct source_type multi_round_qa_type = {
    .name = "multi_round_qa",
    .next = qa_next,
    .close = qa_close,
    .progress = qa_progress,
};

/* ---- opening --------------------------------------------------------------------- */

/* users and rounds of all runs, which each may have its own. */
struct defaults {
    uint32_t users;
    uint32_t rounds;
    int64_t time_ns;
};

static bool read_run(struct multi_round_qa *qa, const struct conf_node *map,
                     const struct defaults *common, struct err *err)
{
    struct defaults own = *common;
    double qps = 0;
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "runs: each is a map, as {qps: 1.5, time: 100s}");
    }
    if (!conf_require(map, "qps", err) || !conf_f64(map, "qps", &qps, 1e-3, 1e4, err) ||
        !conf_u32(map, "users", &own.users, 1, USERS_MAX, err) ||
        !conf_u32(map, "rounds", &own.rounds, 2, 10000, err) ||
        !conf_duration_ns(map, "time", &own.time_ns, err)) {
        return false;
    }
    if (own.users == 0 || own.rounds == 0 || own.time_ns <= 0) {
        return conf_fail(map, err,
                         "runs: users, rounds and time are needed, here or beside "
                         "`runs` for all of them");
    }
    qa->runs[qa->run_count++] = (struct run){.users = own.users,
                                             .rounds = own.rounds,
                                             .gap_s = own.users / qps,
                                             .time_ns = own.time_ns};
    qa->end_ns += own.time_ns + qa->pause_ns;
    return true;
}

static bool read_runs(struct multi_round_qa *qa, const struct conf_node *map,
                      struct err *err)
{
    const struct conf_node *runs = NULL;
    struct defaults common = {0};
    if (!conf_u32(map, "users", &common.users, 1, USERS_MAX, err) ||
        !conf_u32(map, "rounds", &common.rounds, 2, 10000, err) ||
        !conf_duration_ns(map, "time", &common.time_ns, err) ||
        !conf_duration_ns(map, "pause", &qa->pause_ns, err) ||
        !conf_require(map, "runs", err) || !conf_list(map, "runs", &runs, err)) {
        return false;
    }
    const size_t count = conf_count(runs);
    if (count == 0 || count > RUNS_MAX) {
        return conf_fail(conf_get(map, "runs"), err, "runs: 1 to %d", RUNS_MAX);
    }
    qa->runs = mem_alloc(count, sizeof *qa->runs);
    for (size_t i = 0; i < count; i++) {
        if (!read_run(qa, conf_at(runs, i), &common, err)) {
            return false;
        }
    }
    return true;
}

bool multi_round_qa_open(struct source **out, const struct conf_node *map,
                         const struct population *population, struct err *err)
{
    struct multi_round_qa *qa = mem_alloc(1, sizeof *qa);
    qa->base.type = &multi_round_qa_type;
    qa->system_tokens = 1000; /* as the benchmark's own scripts have it */
    qa->history_tokens = 20000;
    qa->answer_tokens = 100;
    qa->pause_ns = INT64_C(10000000000);
    if (!conf_u32(map, "system_tokens", &qa->system_tokens, 0, 1 << 24, err) ||
        !conf_u32(map, "history_tokens", &qa->history_tokens, 0, 1 << 24, err) ||
        !conf_u32(map, "answer_tokens", &qa->answer_tokens, 1, 1 << 24, err) ||
        !read_runs(qa, map, err)) {
        qa_close(&qa->base); /* the population is still the caller's */
        return false;
    }
    qa->population = *population;
    qa->record = (struct trace_record){
        .output_tokens = qa->answer_tokens,
        .output_tokens_max = qa->answer_tokens,
        .output_tokens_guess = population->predicted ? qa->answer_tokens : 0,
        .priority = population->priority,
        .model = population->model,
        .tenant = population->tenant,
        .adapter = population->adapter,
    };
    text_printf(&qa->base.origin, "multi_round_qa, %u runs", qa->run_count);
    *out = &qa->base;
    return true;
}
