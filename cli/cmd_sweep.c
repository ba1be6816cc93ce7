/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_sweep.c: `stacksim sweep`: many runs of one scenario into one store.
 */
#include "base/mem.h"
#include "cli/args.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/pages.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "cli/sweep.h"
#include "cli/sweep_table.h"
#include "cli/target.h"
#include "reports/stored_sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 1024, SHARDS_MAX = SWEEP_RUNS_MAX };

struct sweep_args {
    struct scenario_args scenario;
    const char *out;
    const char *shard;
    const char *format;
    uint64_t jobs;
    bool dry_run;
    bool keep_going;
    bool no_requests;
    bool quiet;
};

static const struct opt SWEEP_OPTIONS[] = {
    {"--out", "FILE.db", OPT_STR, offsetof(struct sweep_args, out),
     "the sweep's name in out/",
     "The store. Runs that it holds already are not done again, so the same command "
     "goes on where it was stopped. Example: --out out/rates.db"},
    {"--shard", "I/N", OPT_STR, offsetof(struct sweep_args, shard), "1/1",
     "Do only the I-th of N shares of the runs, I from 1 to N; give each share a store "
     "of its own and join them with 'stacksim merge'. "
     "Example: --shard 3/16 --out out/rates-3.db"},
    {"--dry-run", NULL, OPT_FLAG, offsetof(struct sweep_args, dry_run), "off",
     "List the runs, which of them the store holds, and stop. Example: --dry-run"},
    SCENARIO_OPTIONS(sweep_args, scenario),
    WARMUP_OPTION(sweep_args, scenario),
    {"--jobs", "N", OPT_U64, offsetof(struct sweep_args, jobs), "one per core",
     "Runs at the same time, each on one thread. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct sweep_args, format), "table",
     "Form of the result on standard output: table, csv, json or md. "
     "Example: --format csv"},
    {"--keep-going", NULL, OPT_FLAG, offsetof(struct sweep_args, keep_going), "off",
     "When a run fails, do the others all the same. Example: --keep-going"},
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct sweep_args, no_requests), "off",
     "Store summaries and engine samples only, no row per request. "
     "Example: --no-requests"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct sweep_args, quiet), "off",
     "Show no progress. Example: --quiet"},
    {0},
};

struct sweep_call {
    const struct sweep_args *args;
    const char *path; /* SWEEP.yaml */
    struct scenario_storage storage;
    struct sweep_setup setup;
    struct text store_path;
    enum table_format format;
};

/* "3/16" */
static bool read_shard(const char *text, struct sweep_setup *setup, struct err *err)
{
    setup->shards = 1;
    if (text == NULL) {
        return true;
    }
    char *end = NULL;
    const unsigned long index = strtoul(text, &end, 10);
    const unsigned long count = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
    const bool is_plain = text[strspn(text, "0123456789/")] == '\0';
    if (!is_plain || *end != '\0' || index < 1 || index > count || count > SHARDS_MAX) {
        return err_set(err, ERR_USAGE,
                       "--shard: '%s' is no share; write I/N, from 1/N to N/N", text);
    }
    setup->shard = (uint32_t)index - 1;
    setup->shards = (uint32_t)count;
    return true;
}

static bool load(struct sweep_call *call, struct err *err)
{
    const struct sweep_args *args = call->args;
    struct sweep_setup *setup = &call->setup;
    if (!read_shard(args->shard, setup, err) ||
        !scenario_args_apply(&args->scenario, NULL, &call->storage, &setup->base,
                             err)) {
        return false;
    }
    const struct sweep_given given = {
        .policies = setup->base.policies,
        .overrides = setup->base.overrides,
        .override_count = setup->base.override_count,
    };
    if (!sweep_plan_load(&setup->plan, call->path, &given, err)) {
        return false;
    }
    setup->base.scenario_path = sweep_plan_scenario(setup->plan);
    if (args->out != NULL) {
        text_add(&call->store_path, args->out);
    } else {
        text_printf(&call->store_path, "out/%s.db",
                    sweep_plan_stored(setup->plan, "")->name);
    }
    setup->store_path = text_str(&call->store_path);
    const struct path_use uses[] = {
        {"the sweep", call->path, false},
        {"--trace", setup->base.trace_path, false},
        {"--out", setup->store_path, true},
    };
    return paths_check(uses, sizeof uses / sizeof uses[0], err);
}

/* ---- --dry-run ------------------------------------------------------------------- */

static void print_plan(const struct sweep_call *call, const struct stored_sweep *stored,
                       const bool *done, struct text *out)
{
    const struct table_column columns[] = {
        {.name = "number"},
        {.name = "run", .is_text = true},
        {.name = "state", .is_text = true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (size_t i = call->setup.shard; i < stored->run_count; i += call->setup.shards) {
        table_put_u64(table, i + 1);
        table_put_text(table, stored->runs[i].name);
        table_put_text(table, done[i] ? "done" : "to do");
    }
    table_write(table, call->format, out);
    table_delete(table);
}

static int dry_run(const struct sweep_call *call)
{
    struct err err = {0};
    const struct stored_sweep *stored = NULL;
    if (!sweep_digest(&call->setup, &stored, &err)) {
        return say_error(&err);
    }
    bool *done = mem_alloc(stored->run_count, sizeof *done);
    struct text out = {0};
    bool ok = sweep_look(call->setup.store_path, stored, done, &err);
    if (ok) {
        print_plan(call, stored, done, &out);
        fputs(text_str(&out), stdout);
        ok = say_flush(&err);
    }
    text_fini(&out);
    mem_free(done);
    return ok ? EXIT_DONE : say_error(&err);
}

/* ---- the runs -------------------------------------------------------------------- */

static int say_failures(const struct sweep *sweep)
{
    struct err err = {0};
    size_t at = 0;
    int code = EXIT_FAILED;
    while (sweep_failure(sweep, &at, &err)) {
        code = say_error(&err);
    }
    return code;
}

static bool print_result(const struct sweep_call *call, struct err *err)
{
    struct text out = {0};
    bool ok = sweep_table(call->setup.store_path, call->format, &out, err);
    if (ok) {
        fputs(text_str(&out), stdout);
        ok = say_flush(err);
    }
    text_fini(&out);
    return ok;
}

/* A message of its own: unlike other commands, this one keeps what is done. */
static void say_how_far(const struct sweep *sweep, const char *path, const char *why)
{
    fprintf(stderr,
            "%s: %s; %s holds %zu of %zu runs, the same command does the rest\n",
            PROGRAM_NAME, why, path, sweep_finished(sweep), sweep_count(sweep));
}

static int run_sweep(const struct sweep_call *call, struct sweep *sweep)
{
    const char *path = call->setup.store_path;
    struct err err = {0};
    if (!call->args->quiet && sweep_found(sweep) > 0) {
        fprintf(stderr, "note: %s holds %zu of %zu runs already\n", path,
                sweep_found(sweep), sweep_count(sweep));
    }
    switch (sweep_run(sweep)) {
    case SWEEP_INTERRUPTED:
        say_how_far(sweep, path, "interrupted");
        return EXIT_INTERRUPTED;
    case SWEEP_FAILED: {
        const int code = say_failures(sweep);
        if (!call->args->quiet) {
            say_how_far(sweep, path, "not all runs were done");
        }
        return code;
    }
    case SWEEP_DONE:
        break;
    }
    if (!print_result(call, &err)) {
        return say_error(&err);
    }
    say_wrote(path);
    return EXIT_DONE;
}

static int execute(struct sweep_call *call)
{
    struct err err = {0};
    struct sweep *sweep = NULL;
    struct text folder = {0};
    if (!load(call, &err)) {
        return say_error(&err);
    }
    if (call->args->dry_run) {
        return dry_run(call);
    }
    pages_folder(call->setup.store_path, &folder);
    const bool ok = target_make_folder(text_str(&folder), &err) &&
                    sweep_new(&sweep, &call->setup, &err);
    text_fini(&folder);
    const int code = ok ? run_sweep(call, sweep) : say_error(&err);
    sweep_delete(sweep);
    return code;
}

static int sweep_command(int argc, char *const *argv)
{
    struct sweep_args args = {.format = "table"};
    struct command_call call = {0};
    struct sweep_call work = {.args = &args};
    struct err err = {0};
    if (!command_parse(&command_sweep, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    if (!table_format_parse(args.format, &work.format, &err)) {
        return say_error(&err);
    }
    work.path = call.result.positional[0];
    work.setup = (struct sweep_setup){
        .threads = args.jobs == 0 || args.jobs > JOBS_MAX ? clock_cores()
                                                          : (uint32_t)args.jobs,
        .no_requests = args.no_requests,
        .keep_going = args.keep_going,
        .quiet = args.quiet,
    };
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(&work);
    interrupt_release(&interrupt);
    sweep_plan_delete(work.setup.plan);
    scenario_storage_fini(&work.storage);
    text_fini(&work.store_path);
    return code;
}

const struct command command_sweep = {
    .options =
        {
            .name = "sweep",
            .usage = "SWEEP.yaml [OPTIONS]",
            .summary = "many runs of a scenario over a grid of keys, on all cores",
            .description =
                "SWEEP.yaml names a scenario and the keys to vary (docs/sweep.md). "
                "Each run lands in the\nstore when it ends; a sweep that was stopped "
                "goes on where it was. Arms of the same seed\nmeet the very same "
                "requests. Prints means over the seeds of each arm.\n\n"
                "Examples:\n"
                "  stacksim sweep rates.yaml --dry-run\n"
                "  stacksim sweep rates.yaml --out out/rates.db\n"
                "  stacksim sweep rates.yaml --shard 1/4 --out out/rates-1.db",
            .options = SWEEP_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = sweep_command,
};
