/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_run.c: `stacksim run`: one scenario, one policy, one result.
 *
 * Outputs are opened first, so that a wrong path costs no run; they appear under their
 * names only when the run is done.
 */
#include "base/outfile.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/row_writer.h"
#include "cli/say.h"
#include "cli/target.h"
#include "reports/run.h"
#include "reports/table.h"
#include "reports/timeline.h"

#include <stdio.h>
#include <string.h>

struct run_args {
    struct scenario_args scenario;
    const char *policy;
    const char *out;
    const char *name;
    const char *format;
    const char *decisions;
    const char *timeline;
    bool scores;
    bool append;
    bool digest;
    bool step_by_step;
    bool check;
    bool print_config;
    bool no_requests;
    bool quiet;
};

static const struct opt RUN_OPTIONS[] = {
    SCENARIO_OPTIONS(run_args, scenario),
    WARMUP_OPTION(run_args, scenario),
    SCENARIO_HELM_OPTIONS(run_args, scenario),
    {"--policy", "NAME", OPT_STR, offsetof(struct run_args, policy), "the scenario's",
     "Routing policy; 'stacksim policies' lists them. Example: --policy prefix_aware"},
    {"--out", "FILE.db", OPT_STR, offsetof(struct run_args, out), "nothing is stored",
     "Store the results in this SQLite file: the run, its metrics, one row per request "
     "and per engine sample. An older store of that name is replaced. "
     "Example: --out out/run.db"},
    {"--append", NULL, OPT_FLAG, offsetof(struct run_args, append), "off",
     "Add the run to the store instead of replacing it. "
     "Example: --out all.db --append"},
    {"--name", "TEXT", OPT_STR, offsetof(struct run_args, name), "the policy's name",
     "Name of the run in tables and in the store. Example: --name 'seed 7'"},
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct run_args, no_requests), "off",
     "Store summaries and engine samples only, no row per request. "
     "Example: --out big.db --no-requests"},
    {"--decisions", "FILE.csv", OPT_STR, offsetof(struct run_args, decisions), "none",
     "Write one line per routing decision: time, endpoint, reason, candidates, score. "
     "Example: --decisions out/decisions.csv"},
    {"--scores", NULL, OPT_FLAG, offsetof(struct run_args, scores), "off",
     "Add to every line of the decision log what each candidate scored. "
     "Example: --decisions out/decisions.csv --scores"},
    {"--timeline", "FILE.json", OPT_STR, offsetof(struct run_args, timeline), "none",
     "Write the run as a trace for ui.perfetto.dev: engines as processes, requests "
     "from "
     "the gateway through queue, prefill and decode, counters (docs/timeline.md). "
     "Example: --timeline out/run.json"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct run_args, format), "table",
     "Form of the result on standard output: table, csv, json (with totals and "
     "engines) or md. Example: --format json"},
    {"--digest", NULL, OPT_FLAG, offsetof(struct run_args, digest), "off",
     "Print only 'digest' and 16 hexadecimal digits over the outcomes of all requests: "
     "equal inputs give equal digests. Example: --digest"},
    {"--step-by-step", NULL, OPT_FLAG, offsetof(struct run_args, step_by_step), "off",
     "Simulate every engine step singly instead of skipping ahead while a batch stays "
     "the same. Slower; gives the same bytes. Example: --step-by-step --digest"},
    {"--check", NULL, OPT_FLAG, offsetof(struct run_args, check), "off",
     "Check every invariant of DESIGN.md after every event. Much slower. "
     "Example: --check"},
    {"--print-config", NULL, OPT_FLAG, offsetof(struct run_args, print_config), "off",
     "Print the scenario as it would run, every --set applied, and stop. "
     "Example: --set seed=2 --print-config"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct run_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

/* What a run writes into, all of it optional. */
struct run_outputs {
    struct target *store;
    struct row_writer *rows; /* into the store, while the run goes on */
    struct outfile *decisions;
    struct outfile *timeline;
};

static bool outputs_open(struct run_outputs *outputs, const struct run_args *args,
                         struct err *err)
{
    if (args->out != NULL &&
        !(target_open(&outputs->store, args->out, args->append, err) &&
          row_writer_new(&outputs->rows, target_store(outputs->store),
                         !args->no_requests, err))) {
        return false;
    }
    return (args->decisions == NULL ||
            outfile_open(&outputs->decisions, args->decisions, err)) &&
           (args->timeline == NULL ||
            outfile_open(&outputs->timeline, args->timeline, err));
}

static void outputs_abort(struct run_outputs *outputs)
{
    row_writer_delete(outputs->rows);
    target_abort(outputs->store);
    outfile_abort(outputs->decisions);
    outfile_abort(outputs->timeline);
    *outputs = (struct run_outputs){0};
}

/* *file NULL: it was not asked for. */
static bool commit_file(struct outfile **file, const char *path, struct err *err)
{
    struct outfile *written = *file;
    *file = NULL;
    if (written == NULL) {
        return true;
    }
    if (!outfile_commit(written, err)) {
        return false;
    }
    say_wrote(path);
    return true;
}

static bool outputs_commit(struct run_outputs *outputs, const struct run_args *args,
                           const struct run_record *run, struct err *err)
{
    struct target *store = outputs->store;
    if (outputs->timeline != NULL) {
        timeline_write(run, outfile_stream(outputs->timeline));
    }
    if (store != NULL) {
        if (!row_writer_end(outputs->rows, run, err)) {
            return false;
        }
        outputs->store = NULL;
        if (!target_commit(store, err)) {
            return false;
        }
        say_wrote(args->out);
    }
    return commit_file(&outputs->decisions, args->decisions, err) &&
           commit_file(&outputs->timeline, args->timeline, err);
}

enum drive_end { DRIVE_DONE, DRIVE_FAILED, DRIVE_INTERRUPTED };

/* rows may be NULL; a store that takes no more ends the run, which then has failed. */
static enum drive_end drive(struct runner *runner, struct row_writer *rows, bool quiet,
                            struct err *err)
{
    struct progress *progress = progress_new(runner_scenario_name(runner), quiet);
    enum drive_end end = DRIVE_DONE;
    bool done = false;
    while (!done) {
        if (interrupt_came()) {
            end = DRIVE_INTERRUPTED;
            break;
        }
        if (rows != NULL && row_writer_failed(rows, err)) {
            end = DRIVE_FAILED;
            break;
        }
        if (!runner_advance(runner, &done, err)) {
            end = DRIVE_FAILED;
            break;
        }
        progress_show(progress, runner_part(runner), NULL);
    }
    progress_delete(progress);
    return end;
}

static bool print_result(const struct run_args *args, enum table_format format,
                         const struct run_record *run, struct err *err)
{
    if (args->digest) {
        printf("digest %016llx\n", (unsigned long long)run->info.digest);
    } else {
        struct text out = {0};
        result_print(run, format, &out);
        fputs(text_str(&out), stdout);
        text_fini(&out);
    }
    if (!args->quiet) {
        say_notes(run->info.notes);
    }
    return say_flush(err);
}

static int interrupted(const struct runner *runner, const struct run_args *args)
{
    struct text so_far = {0};
    runner_describe(runner, &so_far);
    const char *path = args->out != NULL         ? args->out
                       : args->decisions != NULL ? args->decisions
                                                 : args->timeline;
    const int code = say_interrupted(text_str(&so_far), path);
    text_fini(&so_far);
    return code;
}

/* The run itself, between opening and committing the outputs. */
static int run_and_print(struct runner *runner, const struct run_args *args,
                         enum table_format format, struct run_outputs *outputs)
{
    struct err err = {0};
    const enum drive_end end = drive(runner, outputs->rows, args->quiet, &err);
    if (end == DRIVE_INTERRUPTED) {
        return interrupted(runner, args);
    }
    if (end == DRIVE_FAILED || !runner_finish(runner, &err)) {
        return say_error(&err);
    }
    struct run_record *run = runner_take_record(runner);
    const bool ok = print_result(args, format, run, &err) &&
                    outputs_commit(outputs, args, run, &err);
    run_record_delete(run);
    return ok ? EXIT_DONE : say_error(&err);
}

/* A bare name is looked up in configs/ and cannot be hit by an output. */
static bool outputs_check(const struct run_args *args, const char *scenario_path,
                          struct err *err)
{
    const bool is_path =
        scenario_path != NULL &&
        (strstr(scenario_path, ".yaml") != NULL || strchr(scenario_path, '/') != NULL);
    const struct path_use uses[] = {
        {"the scenario", is_path ? scenario_path : NULL, false},
        {"--helm", args->scenario.helm.values, false},
        {"--nodes", args->scenario.helm.nodes, false},
        {"--trace", args->scenario.trace, false},
        {"--out", args->out, true},
        {"--decisions", args->decisions, true},
        {"--timeline", args->timeline, true},
    };
    return paths_check(uses, sizeof(uses) / sizeof(uses[0]), err);
}

static int execute(const struct run_args *args, const char *scenario_path,
                   enum table_format format)
{
    struct err err = {0};
    struct run_outputs outputs = {0};
    struct runner *runner = NULL;
    struct scenario_storage storage = {0};
    struct runner_setup setup = {
        .policy = args->policy,
        .name = args->name,
        .step_by_step = args->step_by_step,
        .check_invariants = args->check,
        .decision_scores = args->scores,
        .intervals = !args->digest && format != TABLE_CSV,
    };
    int code = EXIT_DONE;
    if (!scenario_args_apply(&args->scenario, scenario_path, &storage, &setup, &err) ||
        !outputs_check(args, scenario_path, &err) ||
        !outputs_open(&outputs, args, &err)) {
        code = say_error(&err);
        goto done;
    }
    setup.decisions =
        outputs.decisions == NULL ? NULL : outfile_stream(outputs.decisions);
    setup.rows = outputs.rows;
    if (!runner_new(&runner, &setup, &err)) {
        code = say_error(&err);
        goto done;
    }
    if (args->print_config) {
        struct text yaml = {0};
        runner_print_config(runner, &yaml);
        fputs(text_str(&yaml), stdout);
        text_fini(&yaml);
        goto done;
    }
    if (!args->quiet) {
        say_notes(text_str(&storage.notes));
    }
    code = run_and_print(runner, args, format, &outputs);
done:
    outputs_abort(&outputs);
    runner_delete(runner);
    scenario_storage_fini(&storage);
    return code;
}

static int run_run(int argc, char *const *argv)
{
    struct run_args args = {.format = "table"};
    struct command_call call = {0};
    if (!command_parse(&command_run, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    enum table_format format = TABLE_TEXT;
    struct err err = {0};
    const char *path = NULL;
    if (!scenario_args_given(&args.scenario, &command_run.options, &call.result, &path,
                             &err) ||
        !table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(&args, path, format);
    interrupt_release(&interrupt);
    return code;
}

const struct command command_run = {
    .options =
        {
            .name = "run",
            .usage = "SCENARIO|--helm VALUES.yaml [OPTIONS]",
            .summary = "simulate one scenario under one policy",
            .description =
                "SCENARIO is a YAML file, or the name of one in configs/scenarios.\n\n"
                "Examples:\n"
                "  stacksim run demo\n"
                "  stacksim run demo --policy prefix_aware --seed 7 --out out/run.db\n"
                "  stacksim run fleet.yaml --set cluster.pools.0.replicas=16 --format "
                "json\n"
                "  stacksim run --helm values.yaml --gpu h100_sxm --trace t.csv",
            .options = RUN_OPTIONS,
            .positional_min = 0,
            .positional_max = 1,
        },
    .run = run_run,
};
