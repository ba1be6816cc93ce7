/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_compare.c: `stacksim compare`: the same traffic under several policies.
 */
#include "base/mem.h"
#include "cli/args.h"
#include "cli/arms.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/pages.h"
#include "cli/policy_list.h"
#include "cli/say.h"
#include "cli/target.h"
#include "reports/compare.h"
#include "reports/replicated.h"
#include "reports/warmup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS_MAX = 100 };

struct compare_args {
    struct scenario_args scenario;
    const char *policies;
    const char *admission;
    const char *out;
    const char *format;
    uint64_t jobs;
    uint64_t seeds;
    bool append;
    bool digest;
    bool step_by_step;
    bool check;
    bool no_requests;
    bool no_report;
    bool quiet;
};

static const struct opt COMPARE_OPTIONS[] = {
    {"--policies", "A,B,C", OPT_STR, offsetof(struct compare_args, policies),
     POLICY_LIST_DEFAULT,
     "Routing policies to compare, with commas, each with parameters of its own behind "
     "colons; 'stacksim policies' lists both; 'all' takes every policy. "
     "Example: --policies round_robin,prefix_aware:prefix_min_match_length=4096"},
    {"--admission", "A,B,C", OPT_STR, offsetof(struct compare_args, admission),
     "the scenario's",
     "Admission policies to compare, as --policies, 'none' among them: every routing "
     "policy under each; without --policies the scenario's alone. "
     "Example: --admission none,vtc,token_bucket"},
    {"--seeds", "N", OPT_U64, offsetof(struct compare_args, seeds), "1",
     "Run every policy under N seeds, from the scenario's on, and compare means with "
     "their 95 % intervals, seed by seed. Example: --seeds 5"},
    SCENARIO_OPTIONS(compare_args, scenario),
    WARMUP_OPTION(compare_args, scenario),
    SCENARIO_HELM_OPTIONS(compare_args, scenario),
    {"--out", "DIR|FILE.db", OPT_STR, offsetof(struct compare_args, out), "out",
     "Where the store, the plots and the HTML page go: a folder, in which they are "
     "called after the scenario, or the name of the store. An older store of that name "
     "is replaced. Example: --out out/tuesday.db"},
    {"--append", NULL, OPT_FLAG, offsetof(struct compare_args, append), "off",
     "Add the runs to the store instead of replacing it. Example: --append"},
    {"--jobs", "N", OPT_U64, offsetof(struct compare_args, jobs), "one per core",
     "Runs at the same time, each on one thread. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct compare_args, format), "table",
     "Form of the comparison on standard output: table, csv, json or md. "
     "Example: --format md"},
    {"--digest", NULL, OPT_FLAG, offsetof(struct compare_args, digest), "off",
     "Print only a line 'digest NAME' with 16 hexadecimal digits per run. "
     "Example: --digest"},
    {"--step-by-step", NULL, OPT_FLAG, offsetof(struct compare_args, step_by_step),
     "off",
     "Simulate every engine step singly. Slower; gives the same bytes. "
     "Example: --step-by-step"},
    {"--check", NULL, OPT_FLAG, offsetof(struct compare_args, check), "off",
     "Check every invariant of DESIGN.md after every event. Much slower. "
     "Example: --check"},
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct compare_args, no_requests), "off",
     "Store summaries and engine samples only, no row per request. "
     "Example: --no-requests"},
    {"--no-report", NULL, OPT_FLAG, offsetof(struct compare_args, no_report), "off",
     "Make no plots and no HTML page; 'stacksim report' makes them later. "
     "Example: --no-report"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct compare_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

struct compare_call {
    const struct compare_args *args;
    const char *scenario_path;
    const char *command; /* as given, for the page */
    struct scenario_storage storage[SEEDS_MAX];
    struct policy_list policies;
    enum table_format format;
    size_t seeds;
    uint64_t first_seed;
    char policy[ARM_NAME_BYTES];  /* the scenario's */
    struct arms *arms[SEEDS_MAX]; /* of each seed */
    struct text store_path;
    struct text stem; /* of the pages' names */
    struct text verdict;
    struct target *store; /* NULL once committed */
};

static const struct run_record *run_of(const struct compare_call *call, size_t arm,
                                       size_t seed)
{
    return arms_records(call->arms[seed])[arm];
}

static void print_digests(const struct compare_call *call, struct text *out)
{
    for (size_t arm = 0; arm < call->policies.count; arm++) {
        for (size_t seed = 0; seed < call->seeds; seed++) {
            const struct run_record *run = run_of(call, arm, seed);
            text_printf(out, "digest %s %016" PRIx64 "\n", run->info.name,
                        run->info.digest);
        }
    }
}

/* runs: those of the first seed. */
static void print_runs(const struct compare_call *call,
                       const struct run_record *const *runs,
                       const struct replicated *set)
{
    const bool prose = call->format == TABLE_TEXT || call->format == TABLE_MD;
    struct text out = {0};
    if (call->args->digest) {
        print_digests(call, &out);
    } else if (set->seeds > 1) {
        replicated_print(set, call->format, &out);
    } else {
        compare_print(runs, set->arms, call->format, &out);
    }
    if (!call->args->digest && prose) {
        text_add(&out, "\n");
        text_add(&out, text_str(&call->verdict));
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    /* The workload is the same in all runs, and so are its notes. */
    if (!call->args->quiet) {
        say_notes(runs[0]->info.notes);
    }
}

static bool commit_store(struct compare_call *call, struct err *err)
{
    struct target *store = call->store;
    call->store = NULL;
    if (!target_commit(store, err)) {
        return false;
    }
    say_wrote(text_str(&call->store_path));
    return true;
}

/* All that is made of the finished arms. Pictures and page show the first seed. */
static bool publish_set(struct compare_call *call, const struct replicated *set,
                        const struct run_record *const *runs, struct err *err)
{
    if (set->seeds > 1) {
        replicated_verdict(set, &call->verdict);
    } else {
        compare_verdict(runs, set->arms, &call->verdict);
    }
    print_runs(call, runs, set);
    if (!say_flush(err) || !commit_store(call, err)) {
        return false;
    }
    const struct pages pages = {
        .runs = runs,
        .run_count = set->arms,
        .stem = text_str(&call->stem),
        .store_path = text_str(&call->store_path),
        .command = call->command,
        .verdict = text_str(&call->verdict),
        .seeds = set->seeds > 1 ? set : NULL,
    };
    return call->args->no_report || pages_write(&pages, err);
}

static bool publish(struct compare_call *call, struct err *err)
{
    const size_t arms = call->policies.count;
    const char *names[ARMS_MAX] = {NULL};
    const struct run_record **runs =
        mem_alloc(arms * call->seeds, sizeof(struct run_record *));
    const struct run_record *first[ARMS_MAX] = {NULL};
    for (size_t arm = 0; arm < arms; arm++) {
        names[arm] = call->policies.choices[arm].name;
        first[arm] = run_of(call, arm, 0);
        for (size_t seed = 0; seed < call->seeds; seed++) {
            runs[arm * call->seeds + seed] = run_of(call, arm, seed);
        }
    }
    const struct replicated set = {runs, names, arms, call->seeds};
    const bool ok = publish_set(call, &set, first, err);
    mem_free(runs);
    return ok;
}

/* "session" -> "session@7": names are unique in a store. */
static void name_by_seed(struct policy_list *list, uint64_t seed)
{
    for (size_t i = 0; i < list->count; i++) {
        char *name = list->choices[i].name;
        const size_t length = strlen(name);
        snprintf(name + length, ARM_NAME_BYTES - length, "@%" PRIu64, seed);
    }
}

/* Of the scenario and its options; one runner is made to be asked. */
static bool first_seed(struct compare_call *call, struct err *err)
{
    struct runner *runner = NULL;
    struct runner_setup setup = {0};
    if (!scenario_args_apply(&call->args->scenario, call->scenario_path,
                             &call->storage[0], &setup, err) ||
        !runner_new(&runner, &setup, err)) {
        return false;
    }
    call->first_seed = runner_seed(runner);
    snprintf(call->policy, sizeof call->policy, "%s", runner_policy(runner));
    runner_delete(runner);
    return true;
}

/* The arms of one seed; the first one is as the scenario says. */
static bool load_seed(struct compare_call *call, size_t index, struct err *err)
{
    const struct compare_args *args = call->args;
    struct scenario_args scenario = args->scenario;
    char text[24];
    struct runner_setup setup = {
        .step_by_step = args->step_by_step,
        .check_invariants = args->check,
        .intervals = call->seeds == 1 && !args->digest,
    };
    if (call->seeds > 1) {
        snprintf(text, sizeof text, "%" PRIu64, call->first_seed + index);
        scenario.seed = text;
    }
    scenario_storage_fini(&call->storage[index]);
    const char *policies = args->policies == NULL && args->admission != NULL
                               ? call->policy
                               : args->policies;
    if (!scenario_args_apply(&scenario, call->scenario_path, &call->storage[index],
                             &setup, err) ||
        !policy_list_parse(&call->policies, setup.policies, policies, err) ||
        (args->admission != NULL &&
         !policy_list_cross(&call->policies, args->admission, err))) {
        return false;
    }
    struct policy_list *named = mem_alloc(1, sizeof *named);
    *named = call->policies;
    if (call->seeds > 1) {
        name_by_seed(named, call->first_seed + index);
    }
    const bool ok = arms_new(&call->arms[index], &setup, named, err);
    mem_free(named);
    return ok;
}

/* Before the runs, so that a wrong path costs none. */
static bool open_outputs(struct compare_call *call, struct err *err)
{
    struct text folder = {0};
    pages_paths(call->args->out, arms_scenario_name(call->arms[0]), &call->store_path,
                &call->stem);
    pages_folder(text_str(&call->store_path), &folder);
    const bool ok =
        target_make_folder(text_str(&folder), err) &&
        target_open(&call->store, text_str(&call->store_path), call->args->append, err);
    text_fini(&folder);
    return ok;
}

/* What a seed's runs are kept with: rows of later seeds are only in the store, since
 * pictures show the first. */
struct keeping {
    struct compare_call *call;
    bool drop;
};

static bool keep_run(void *context, struct run_record *run, struct err *err)
{
    const struct keeping *keeping = context;
    const struct compare_call *call = keeping->call;
    if (!target_add(call->store, run, !call->args->no_requests, err)) {
        return false;
    }
    if (keeping->drop) {
        run_drop_requests(run);
    }
    return true;
}

/* After the runs, where all had to be there to know what each leaves out. */
static bool keep_aligned(struct keeping *keeping, struct arms *arms, struct err *err)
{
    const size_t count = keeping->call->policies.count;
    struct run_record *const *records = arms_records(arms);
    warmup_align(records, count);
    for (size_t i = 0; i < count; i++) {
        if (!keep_run(keeping, records[i], err)) {
            return false;
        }
    }
    return true;
}

/* Exit code of a seed; EXIT_DONE goes on. */
static int run_seed(struct compare_call *call, size_t index, uint32_t threads)
{
    struct err err = {0};
    if (index > 0 && !load_seed(call, index, &err)) {
        return say_error(&err);
    }
    struct arms *arms = call->arms[index];
    struct keeping keeping = {call, index > 0};
    const struct arms_keeper keeper = {keep_run, &keeping};
    const bool at_once = arms_warm_up_alike(arms);
    switch (
        arms_run(arms, threads, call->args->quiet, at_once ? &keeper : NULL, &err)) {
    case ARMS_INTERRUPTED:
        return say_interrupted("a part of the runs", text_str(&call->store_path));
    case ARMS_FAILED:
        return say_error(&err);
    case ARMS_DONE:
        break;
    }
    return at_once || keep_aligned(&keeping, arms, &err) ? EXIT_DONE : say_error(&err);
}

static int execute(struct compare_call *call)
{
    struct err err = {0};
    const uint64_t wanted = call->args->jobs;
    const uint32_t threads =
        wanted == 0 || wanted > ARMS_MAX ? clock_cores() : (uint32_t)wanted;
    if (!first_seed(call, &err) || !load_seed(call, 0, &err) ||
        !open_outputs(call, &err)) {
        return say_error(&err);
    }
    if (!call->args->quiet) {
        say_notes(text_str(&call->storage[0].notes));
    }
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < call->seeds; i++) {
        code = run_seed(call, i, threads);
    }
    if (code == EXIT_DONE && !publish(call, &err)) {
        code = say_error(&err);
    }
    return code;
}

static void call_fini(struct compare_call *call)
{
    target_abort(call->store);
    for (size_t i = 0; i < call->seeds; i++) {
        arms_delete(call->arms[i]);
        scenario_storage_fini(&call->storage[i]);
    }
    text_fini(&call->store_path);
    text_fini(&call->stem);
    text_fini(&call->verdict);
    mem_free(call);
}

static int compare_run(int argc, char *const *argv)
{
    struct compare_args args = {.format = "table", .out = "out", .seeds = 1};
    struct command_call call = {0};
    if (!command_parse(&command_compare, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    enum table_format format = TABLE_TEXT;
    const char *path = NULL;
    if (!scenario_args_given(&args.scenario, &command_compare.options, &call.result,
                             &path, &err) ||
        !table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    if (args.seeds < 1 || args.seeds > SEEDS_MAX) {
        err_set(&err, ERR_USAGE, "--seeds: 1 to %d, not %" PRIu64, SEEDS_MAX,
                args.seeds);
        return say_error(&err);
    }
    struct compare_call *work = mem_alloc(1, sizeof *work);
    work->args = &args;
    work->scenario_path = path;
    work->format = format;
    work->seeds = (size_t)args.seeds;
    struct text line = {0};
    command_line(&command_compare, argc, argv, &line);
    work->command = text_str(&line);
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(work);
    interrupt_release(&interrupt);
    call_fini(work);
    text_fini(&line);
    return code;
}

const struct command command_compare = {
    .options =
        {
            .name = "compare",
            .usage = "SCENARIO|--helm VALUES.yaml [--policies A,B,C] [OPTIONS]",
            .summary = "simulate the same traffic under several policies",
            .description =
                "Every policy meets the very same requests. Prints a table and what "
                "may "
                "be said\nabout the difference; writes a store, plots and an HTML page "
                "and names them.\nSCENARIO is a YAML file, or the name of one in "
                "configs/scenarios.\n\n"
                "Examples:\n"
                "  stacksim compare demo\n"
                "  stacksim compare demo --policies round_robin,session --seeds 5\n"
                "  stacksim compare failure-modes/low-priority-flood --admission "
                "none,vtc\n"
                "  stacksim compare fleet.yaml --trace traffic.csv.gz --out out/t.db\n"
                "  stacksim compare --helm values.yaml --gpu h100_sxm --trace t.csv",
            .options = COMPARE_OPTIONS,
            .positional_min = 0,
            .positional_max = 1,
        },
    .run = compare_run,
};
