/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_bench.c: `stacksim bench`: whole runs, timed; what Makefile.bench calls.
 */
#include "base/json.h"
#include "base/mem.h"
#include "cli/bench_evq.h"
#include "cli/bench_line.h"
#include "cli/bench_pick.h"
#include "cli/child.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "cli/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BENCH_RUNS_MAX = 1000, BENCH_FIXED_ARGUMENTS = 10 };
#define EVENT_QUEUE "evq"  /* instead of a scenario */
#define PICK        "pick" /* the same */

struct bench_args {
    struct opt_list sets;
    const char *config_dir;
    const char *target;
    const char *out;
    uint64_t runs;
    uint64_t warm_up;
    bool step_by_step;
    bool once;
};

static const struct opt BENCH_OPTIONS[] = {
    {"--target", "NAME", OPT_STR, offsetof(struct bench_args, target), "the scenario",
     "Name of the measurement in the JSON line. Example: --target speed-small"},
    {"--runs", "N", OPT_U64, offsetof(struct bench_args, runs), "5",
     "Timed runs; the median counts. Example: --runs 10"},
    {"--warm-up", "N", OPT_U64, offsetof(struct bench_args, warm_up), "1",
     "Runs before the timed ones, not counted. Example: --warm-up 0"},
    {"--set", "KEY=VALUE", OPT_LIST, offsetof(struct bench_args, sets), NULL,
     "Change one key of the scenario; may be given several times. "
     "Example: --set end.requests=1000"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct bench_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/, models/ and scenarios/. Example: --config-dir ./my-configs"},
    {"--out", "FILE.db", OPT_STR, offsetof(struct bench_args, out), "nothing is stored",
     "Let every run write its rows to this store, which is replaced. "
     "Example: --out /tmp/bench.db"},
    {"--step-by-step", NULL, OPT_FLAG, offsetof(struct bench_args, step_by_step), "off",
     "Simulate every engine step singly. Example: --step-by-step"},
    {"--once", NULL, OPT_FLAG, offsetof(struct bench_args, once), "off",
     "With " EVENT_QUEUE ": one run in this process, untimed, that prints its totals; "
     "the timed runs are made of it. With " PICK
     ": 16 endpoints only. Example: --once"},
    {0},
};

/* Of the timed runs. */
struct bench {
    size_t count;
    double wall_s[BENCH_RUNS_MAX];
    double cpu_s[BENCH_RUNS_MAX];
    uint64_t peak_rss_bytes;
    int64_t requests;
    int64_t events;
    int64_t steps;
    char digest[20];
};

static bool take_result(struct bench *bench, const struct text *output, struct err *err)
{
    struct json *object = NULL;
    if (!json_parse(&object, "result of the run", text_str(output), output->length,
                    err)) {
        return false;
    }
    const struct json *totals = json_get(object, "totals");
    const char *digest = json_str(json_get(object, "digest"));
    bool ok = digest != NULL &&
              json_i64(json_get(totals, "requests"), &bench->requests) &&
              json_i64(json_get(totals, "events"), &bench->events) &&
              json_i64(json_get(totals, "steps"), &bench->steps);
    if (!ok) {
        err_set(err, ERR_RUN, "the result of the run lacks its totals");
    } else if (bench->digest[0] != '\0' && strcmp(bench->digest, digest) != 0) {
        ok = err_set(err, ERR_RUN,
                     "two runs of the same scenario gave the digests %s and %s",
                     bench->digest, digest);
    } else {
        snprintf(bench->digest, sizeof bench->digest, "%s", digest);
    }
    json_delete(object);
    return ok;
}

/* False with an empty err when the run failed and has said why. */
static bool run_once(struct bench *bench, const char *const *arguments, bool timed,
                     struct err *err)
{
    struct text output = {0};
    struct child_usage usage = {0};
    const bool ok =
        child_run(arguments, &output, &usage, err) && take_result(bench, &output, err);
    text_fini(&output);
    if (ok && timed) {
        bench->wall_s[bench->count] = (double)usage.wall_ns / 1e9;
        bench->cpu_s[bench->count] = (double)usage.cpu_ns / 1e9;
        bench->count++;
        if (usage.peak_rss_bytes > bench->peak_rss_bytes) {
            bench->peak_rss_bytes = usage.peak_rss_bytes;
        }
    }
    return ok;
}

static void print_line(struct bench *bench, const char *target)
{
    const double wall_s = bench_median(bench->wall_s, bench->count);
    struct json *object = json_object();
    json_put_str(object, "target", target);
    json_put_f64(object, "wall_s", wall_s);
    json_put_f64(object, "wall_s_min", bench->wall_s[0]);
    json_put_f64(object, "wall_s_max", bench->wall_s[bench->count - 1]);
    json_put_f64(object, "cpu_s", bench_median(bench->cpu_s, bench->count));
    json_put_u64(object, "runs", bench->count);
    json_put_i64(object, "requests", bench->requests);
    json_put_f64(object, "requests_per_s", (double)bench->requests / wall_s);
    json_put_i64(object, "events", bench->events);
    json_put_f64(object, "events_per_s", (double)bench->events / wall_s);
    json_put_i64(object, "steps", bench->steps);
    json_put_f64(object, "steps_per_s", (double)bench->steps / wall_s);
    json_put_u64(object, "peak_rss_bytes", bench->peak_rss_bytes);
    json_put_str(object, "digest", bench->digest);
    bench_line_host(object);
    char *bytes = json_print(object, false);
    puts(bytes);
    mem_free(bytes);
    json_delete(object);
}

/* "run SCENARIO --quiet --format json --set ..." or "bench evq --once" */
static void arguments_of(const struct bench_args *args, const char *scenario,
                         const char **arguments)
{
    size_t count = 0;
    if (strcmp(scenario, EVENT_QUEUE) == 0) {
        arguments[count++] = "bench";
        arguments[count++] = EVENT_QUEUE;
        arguments[count++] = "--once";
        arguments[count] = NULL;
        return;
    }
    arguments[count++] = "run";
    arguments[count++] = scenario;
    arguments[count++] = "--quiet";
    arguments[count++] = "--format=json";
    if (args->step_by_step) {
        arguments[count++] = "--step-by-step";
    }
    if (args->config_dir != NULL) {
        arguments[count++] = "--config-dir";
        arguments[count++] = args->config_dir;
    }
    if (args->out != NULL) {
        arguments[count++] = "--out";
        arguments[count++] = args->out;
    }
    for (size_t i = 0; i < args->sets.count; i++) {
        arguments[count++] = "--set";
        arguments[count++] = args->sets.items[i];
    }
    arguments[count] = NULL;
}

static int bench_all(const struct bench_args *args, const char *scenario)
{
    const char *arguments[BENCH_FIXED_ARGUMENTS + 2 * OPT_LIST_MAX];
    arguments_of(args, scenario, arguments);
    struct bench *bench = mem_alloc(1, sizeof *bench);
    const char *target = args->target == NULL ? scenario : args->target;
    struct progress *progress = progress_new(target, false);
    const uint64_t all = args->warm_up + args->runs;
    struct err err = {0};
    int code = EXIT_DONE;
    for (uint64_t i = 0; i < all && code == EXIT_DONE; i++) {
        progress_show(progress, (double)i / (double)all, NULL);
        if (!run_once(bench, arguments, i >= args->warm_up, &err)) {
            code = err_exit_code(err.kind);
        } else if (interrupt_came()) {
            code = EXIT_INTERRUPTED;
        }
    }
    progress_delete(progress);
    if (code == EXIT_INTERRUPTED || interrupt_came()) {
        code = say_interrupted("some of the runs", NULL);
    } else if (code != EXIT_DONE) {
        /* A run that failed has said so itself: its standard error is ours. */
        code = err.text[0] == '\0' ? code : say_error(&err);
    } else {
        print_line(bench, target);
    }
    mem_free(bench);
    return code;
}

static int bench_run(int argc, char *const *argv)
{
    struct bench_args args = {.runs = 5, .warm_up = 1};
    struct command_call call = {0};
    if (!command_parse(&command_bench, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    const char *subject = call.result.positional[0];
    const bool queue = strcmp(subject, EVENT_QUEUE) == 0;
    const bool pick = strcmp(subject, PICK) == 0;
    if (!queue && !pick && args.once) {
        err_set(&err, ERR_USAGE, "--once: only with " EVENT_QUEUE " and " PICK);
        return say_error(&err);
    }
    if (queue && args.once) {
        bench_evq_once();
        return EXIT_DONE;
    }
    if ((queue || pick) &&
        (args.step_by_step || args.config_dir != NULL || args.sets.count > 0)) {
        err_set(&err, ERR_USAGE,
                "%s is no scenario: it takes --target, --runs and --warm-up", subject);
        return say_error(&err);
    }
    if (args.runs < 1 || args.runs > BENCH_RUNS_MAX || args.warm_up > BENCH_RUNS_MAX) {
        err_set(&err, ERR_USAGE, "--runs: 1 to %d, --warm-up: 0 to %d", BENCH_RUNS_MAX,
                BENCH_RUNS_MAX);
        return say_error(&err);
    }
    if (pick) {
        bench_pick(args.target != NULL ? args.target : subject, (size_t)args.runs,
                   args.once);
        return EXIT_DONE;
    }
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = bench_all(&args, subject);
    interrupt_release(&interrupt);
    return code;
}

const struct command command_bench = {
    .options =
        {
            .name = "bench",
            .usage = "SCENARIO [OPTIONS]",
            .summary = "time whole runs of a scenario",
            .description =
                "Runs the scenario several times, each in a process of its own, and "
                "prints one\nline of JSON: median wall and CPU time in seconds, "
                "requests, events and engine\nsteps and how many of each per second, "
                "largest memory in bytes, commit, compiler,\nCPU. Fails when two runs "
                "differ in their digest. The name " EVENT_QUEUE " in place of a\n"
                "scenario times the event queue alone: 2^24 times the earliest of "
                "65,536 pending\nevents is taken and its source sets the next one. The "
                "name " PICK " times one\n"
                "decision of every policy at 16, 256 and 4,096 endpoints, in "
                "nanoseconds.\n\n"
                "Examples:\n"
                "  stacksim bench speed-small\n"
                "  stacksim bench speed-fleet --runs 10 --target speed-fleet\n"
                "  stacksim bench " EVENT_QUEUE "\n"
                "  stacksim bench " PICK,
            .options = BENCH_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = bench_run,
};
