/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_saturate.c: `stacksim saturate`: the highest rate within the SLO, per policy.
 *
 * One search per policy and seed, as many at once as there are cores. Searches share
 * nothing, so the number of threads changes no result.
 */
#include "base/mem.h"
#include "cli/args.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/policy_list.h"
#include "cli/progress.h"
#include "cli/saturate.h"
#include "cli/say.h"
#include "reports/table.h"
#include "stats/replicate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS_MAX = 100, SEED_BYTES = 32, OVERRIDES_MAX = 76 };

struct saturate_args {
    struct scenario_args scenario;
    const char *policies;
    const char *format;
    double attain_percent;
    double tolerance_percent;
    uint64_t seeds;
    uint64_t jobs;
    bool quiet;
};

static const struct opt SATURATE_OPTIONS[] = {
    {"--policies", "A,B,C", OPT_STR, offsetof(struct saturate_args, policies),
     "the scenario's",
     "Routing policies, as in compare. Example: --policies least_request,chwbl"},
    {"--attain", "PERCENT", OPT_F64, offsetof(struct saturate_args, attain_percent),
     "99", "Requests that must meet every target of the SLO. Example: --attain 90"},
    {"--tolerance", "PERCENT", OPT_F64,
     offsetof(struct saturate_args, tolerance_percent), "2",
     "The search ends when the rate is known this well. Example: --tolerance 0.5"},
    {"--seeds", "N", OPT_U64, offsetof(struct saturate_args, seeds), "1",
     "Search under N seeds and give the mean rate with its 95 % interval. "
     "Example: --seeds 5"},
    SCENARIO_OPTIONS(saturate_args, scenario),
    WARMUP_OPTION(saturate_args, scenario),
    {"--jobs", "N", OPT_U64, offsetof(struct saturate_args, jobs), "one per core",
     "Searches at the same time. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct saturate_args, format), "table",
     "table, csv, json or md. Example: --format json"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct saturate_args, quiet), "off",
     "Show no progress. Example: --quiet"},
    {0},
};

/* One search: a policy under a seed. */
struct job {
    struct runner_setup setup;
    const char *overrides[OVERRIDES_MAX];
    char seed[SEED_BYTES];
    struct saturate_result result;
    enum probe_end end;
    struct err err;
};

struct saturate_call {
    const struct saturate_args *args;
    const char *scenario_path;
    struct scenario_storage storage;
    struct policy_list policies;
    struct job *jobs; /* [policy * seeds + seed] */
    size_t seeds;
    atomic_bool stop;
    atomic_uint done;
    struct progress *progress;
};

static size_t job_count(const struct saturate_call *call)
{
    return call->policies.count * call->seeds;
}

static void work(void *context, size_t index)
{
    struct saturate_call *call = context;
    struct job *job = &call->jobs[index];
    const struct saturate_setup setup = {
        .base = &job->setup,
        .attain = call->args->attain_percent / 100,
        .tolerance = call->args->tolerance_percent / 100,
    };
    job->end = saturate(&job->result, &setup, &call->stop, &job->err);
    if (job->end == PROBE_FAILED) {
        atomic_store(&call->stop, true);
    }
    atomic_fetch_add(&call->done, 1);
}

static void watch(void *context)
{
    struct saturate_call *call = context;
    if (interrupt_came()) {
        atomic_store(&call->stop, true);
    }
    const unsigned done = atomic_load(&call->done);
    char detail[64];
    snprintf(detail, sizeof detail, "%u of %zu searches done", done, job_count(call));
    progress_show(call->progress, (double)done / (double)job_count(call), detail);
}

/* ---- setting up --------------------------------------------------------------------
 */

static void job_set_up(struct job *job, const struct runner_setup *base,
                       const struct policy_choice *choice, uint64_t seed)
{
    size_t count = 0;
    for (size_t i = 0; i < base->override_count; i++) {
        job->overrides[count++] = base->overrides[i];
    }
    for (size_t i = 0; i < choice->override_count; i++) {
        job->overrides[count++] = choice->overrides[i];
    }
    snprintf(job->seed, sizeof job->seed, "seed=%" PRIu64, seed);
    job->overrides[count++] = job->seed;
    job->setup = *base;
    job->setup.policy = choice->policy;
    job->setup.name = choice->name;
    job->setup.overrides = job->overrides;
    job->setup.override_count = count;
}

/* Loads the scenario once: its errors are told before any work. */
static bool set_up(struct saturate_call *call, struct err *err)
{
    const struct saturate_args *args = call->args;
    struct runner_setup base = {0};
    struct runner *runner = NULL;
    if (!scenario_args_apply(&args->scenario, call->scenario_path, &call->storage,
                             &base, err) ||
        !runner_new(&runner, &base, err)) {
        return false;
    }
    const uint64_t first_seed = runner_seed(runner);
    const char *policies = args->policies;
    if (policies == NULL) {
        policies = runner_policy(runner);
    }
    const bool ok = policy_list_parse(&call->policies, base.policies, policies, err);
    runner_delete(runner);
    if (!ok) {
        return false;
    }
    call->jobs = mem_alloc(job_count(call), sizeof *call->jobs);
    for (size_t i = 0; i < job_count(call); i++) {
        job_set_up(&call->jobs[i], &base, &call->policies.choices[i / call->seeds],
                   first_seed + i % call->seeds);
    }
    return true;
}

/* ---- printing -----------------------------------------------------------------------
 */

static struct estimate rate_of(const struct saturate_call *call, size_t policy)
{
    double rates[SEEDS_MAX];
    for (size_t seed = 0; seed < call->seeds; seed++) {
        const struct job *job = &call->jobs[policy * call->seeds + seed];
        rates[seed] = job->result.factor > 0 ? job->result.rate_per_s : 0;
    }
    return estimate_mean(rates, call->seeds, 0.95);
}

static double mean_of_metric(const struct saturate_call *call, size_t policy,
                             enum metric metric)
{
    double sum = 0;
    for (size_t seed = 0; seed < call->seeds; seed++) {
        sum += call->jobs[policy * call->seeds + seed].result.held.value[metric];
    }
    return sum / (double)call->seeds;
}

static void put_metric(struct table *table, const struct saturate_call *call,
                       size_t policy, enum metric metric)
{
    char shown[400];
    const double value = mean_of_metric(call, policy, metric);
    metric_format(metric, value, shown, sizeof shown);
    table_put_f64(table, value, metric_info(metric)->decimals, shown);
}

/* people: who read of the warm-up below the table. */
static struct table *result_table(const struct saturate_call *call, bool people)
{
    static const struct table_column columns[] = {
        {"run", "", NULL, NULL, true},
        {"rate_per_s", "rate held", "req/s", "mean over seeds", false},
        {"rate_low", "low", NULL, "of its 95 % interval", false},
        {"rate_high", "high", NULL, NULL, false},
        {"rate_factor", "factor", NULL, "of the scenario's rate, first seed", false},
        {"slo_ratio", "within SLO", "%", "at that rate", false},
        {"ttft_ms_p99", "TTFT p99", "ms", "at that rate", false},
        {"tpot_ms_p99", "TPOT p99", "ms", "at that rate", false},
        {"e2e_ms_p99", "E2E p99", "ms", "at that rate", false},
        {"output_tokens_per_s", "output", "tok/s", "at that rate", false},
        {"probes", "runs", NULL, "that the search took", false},
        {"warmup", "warm-up", NULL, "left out of the metrics at that rate", true},
    };
    struct table *table =
        table_new(columns, sizeof columns / sizeof columns[0] - (people ? 1 : 0));
    double best = 0;
    for (size_t i = 0; i < call->policies.count; i++) {
        best = fmax(best, rate_of(call, i).mean);
    }
    for (size_t i = 0; i < call->policies.count; i++) {
        const struct estimate rate = rate_of(call, i);
        uint64_t probes = 0;
        for (size_t seed = 0; seed < call->seeds; seed++) {
            probes += call->jobs[i * call->seeds + seed].result.probes;
        }
        table_put_text(table, call->policies.choices[i].name);
        table_put_f64(table, rate.mean, 2, NULL);
        if (call->policies.count > 1 && rate.mean >= best && best > 0) {
            table_mark(table);
        }
        table_put_f64(table, rate.interval.low, 2, NULL);
        table_put_f64(table, rate.interval.high, 2, NULL);
        table_put_f64(table, call->jobs[i * call->seeds].result.factor, 3, NULL);
        put_metric(table, call, i, METRIC_SLO_RATIO);
        put_metric(table, call, i, METRIC_TTFT_MS_P99);
        put_metric(table, call, i, METRIC_TPOT_MS_P99);
        put_metric(table, call, i, METRIC_E2E_MS_P99);
        put_metric(table, call, i, METRIC_OUTPUT_TOKENS_PER_S);
        table_put_u64(table, probes);
        if (!people) {
            table_put_text(table, call->jobs[i * call->seeds].result.warmup);
        }
    }
    return table;
}

static void print_notes(const struct saturate_call *call, struct text *out)
{
    text_printf(out, "At least %g %% of all requests within the SLO; rates to %g %%.\n",
                call->args->attain_percent, call->args->tolerance_percent);
    for (size_t i = 0; i < call->policies.count; i++) {
        const char *name = call->policies.choices[i].name;
        const struct saturate_result *result = &call->jobs[i * call->seeds].result;
        if (result->warmup[0] != '\0') {
            text_printf(out, "%s: warm-up at that rate%s: %s.\n", name,
                        call->seeds > 1 ? ", first seed" : "", result->warmup);
        }
        if (result->verdict == SATURATE_NEVER) {
            text_printf(out,
                        "%s: the SLO does not hold at any rate; its targets are too "
                        "tight for this fleet.\n",
                        name);
        } else if (result->verdict == SATURATE_FREE) {
            text_printf(out,
                        "%s: the SLO holds at every rate tried; the workload is too "
                        "short to fill the fleet.\n",
                        name);
        }
    }
}

static bool print(const struct saturate_call *call, enum table_format format,
                  struct err *err)
{
    struct text out = {0};
    const bool people = format == TABLE_TEXT || format == TABLE_MD;
    struct table *table = result_table(call, people);
    table_write(table, format, &out);
    table_delete(table);
    if (people) {
        text_add(&out, "\n");
        print_notes(call, &out);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(err);
}

static int execute(struct saturate_call *call, enum table_format format)
{
    struct err err = {0};
    if (!set_up(call, &err)) {
        return say_error(&err);
    }
    const uint64_t wanted = call->args->jobs;
    const struct jobs jobs = {
        .count = job_count(call),
        .threads_max = wanted == 0 || wanted > 1024 ? clock_cores() : (uint32_t)wanted,
        .context = call,
        .work = work,
        .watch = watch,
    };
    call->progress = progress_new("saturate", call->args->quiet);
    jobs_run(&jobs);
    progress_delete(call->progress);
    for (size_t i = 0; i < job_count(call); i++) {
        if (call->jobs[i].end == PROBE_FAILED) {
            return say_error(&call->jobs[i].err);
        }
    }
    if (atomic_load(&call->stop)) {
        return say_interrupted("a part of the searches", NULL);
    }
    return print(call, format, &err) ? EXIT_DONE : say_error(&err);
}

static bool args_check(const struct saturate_args *args, struct err *err)
{
    if (!(args->attain_percent > 0 && args->attain_percent <= 100)) {
        return err_set(err, ERR_USAGE, "--attain: above 0 and at most 100, not %g",
                       args->attain_percent);
    }
    if (!(args->tolerance_percent >= 0.01 && args->tolerance_percent <= 50)) {
        return err_set(err, ERR_USAGE, "--tolerance: 0.01 to 50, not %g",
                       args->tolerance_percent);
    }
    if (args->seeds < 1 || args->seeds > SEEDS_MAX) {
        return err_set(err, ERR_USAGE, "--seeds: 1 to %d, not %" PRIu64, SEEDS_MAX,
                       args->seeds);
    }
    return true;
}

static int saturate_run(int argc, char *const *argv)
{
    struct saturate_args args = {
        .format = "table", .attain_percent = 99, .tolerance_percent = 2, .seeds = 1};
    struct command_call parsed = {0};
    if (!command_parse(&command_saturate, argc, argv, &args, &parsed)) {
        return parsed.exit_code;
    }
    struct err err = {0};
    enum table_format format = TABLE_TEXT;
    if (!args_check(&args, &err) || !table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    struct saturate_call *call = mem_alloc(1, sizeof *call);
    call->args = &args;
    call->scenario_path = parsed.result.positional[0];
    call->seeds = (size_t)args.seeds;
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(call, format);
    interrupt_release(&interrupt);
    scenario_storage_fini(&call->storage);
    mem_free(call->jobs);
    mem_free(call);
    return code;
}

const struct command command_saturate = {
    .options =
        {
            .name = "saturate",
            .usage = "SCENARIO [--policies A,B,C] [OPTIONS]",
            .summary = "the highest rate at which a fleet holds its SLO",
            .description =
                "Stretches the arrivals of the workload until as many requests as "
                "--attain says meet\nevery target of the scenario's slo, by bracketing "
                "and bisection. A recorded workload\nkeeps its requests and its "
                "bursts; "
                "an overload shows the better the longer it is.\n\n"
                "Examples:\n"
                "  stacksim saturate demo --policies round_robin,least_request\n"
                "  stacksim saturate fleet.yaml --set slo.ttft=500ms --set "
                "slo.tpot=50ms "
                "--seeds 5",
            .options = SATURATE_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = saturate_run,
};
