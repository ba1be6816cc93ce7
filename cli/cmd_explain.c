/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_explain.c: `stacksim explain`: why a request was slow, and why it went there.
 *
 * The source is a scenario, or a store whose run is simulated again from the scenario
 * that it holds. A store's row and the new outcome must agree; where they do not, the
 * program or a file that the scenario names has changed, and the user is told.
 */
#include "base/mem.h"
#include "base/unit.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "reports/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct explain_args {
    struct scenario_args scenario;
    const char *policy;
    const char *run;
    const char *format;
    bool quiet;
};

static const struct opt EXPLAIN_OPTIONS[] = {
    {"--run", "NAME", OPT_STR, offsetof(struct explain_args, run), "the last one",
     "Which run of a store. Example: --run prefix_aware"},
    {"--policy", "NAME", OPT_STR, offsetof(struct explain_args, policy),
     "the scenario's", "Routing policy. Example: --policy prefix_aware"},
    SCENARIO_OPTIONS(explain_args, scenario),
    {"--format", "FORMAT", OPT_STR, offsetof(struct explain_args, format), "table",
     "table for people, or json. Example: --format json"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct explain_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

/* ---- which request ----------------------------------------------------------------
 */

static int64_t ttft_ns(const struct request_row *row)
{
    return row->first_token_ns == RUN_TIME_NONE ? -1
                                                : row->first_token_ns - row->arrival_ns;
}

static int64_t e2e_ns(const struct request_row *row)
{
    return row->end_ns == RUN_TIME_NONE ? -1 : row->end_ns - row->arrival_ns;
}

/* Mean over the tokens after the first, in 2^-10 ns, so that it compares as a whole
 * number. */
static int64_t tpot_scaled(const struct request_row *row)
{
    return row->output_tokens < 2 || row->first_token_ns == RUN_TIME_NONE
               ? -1
               : (row->end_ns - row->first_token_ns) * 1024 /
                     (int64_t)(row->output_tokens - 1);
}

static const struct {
    const char *name;
    int64_t (*value)(const struct request_row *row);
} SLOWEST[] = {
    {"slowest", e2e_ns},
    {"slowest-ttft", ttft_ns},
    {"slowest-tpot", tpot_scaled},
};
enum { SLOWEST_COUNT = sizeof SLOWEST / sizeof SLOWEST[0] };

/* The first of the largest; completed requests only. */
static bool find_slowest(const struct run_record *run, size_t which, uint64_t *id,
                         struct err *err)
{
    int64_t most = -1;
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        const int64_t value =
            row->status == REQUEST_COMPLETED ? SLOWEST[which].value(row) : -1;
        if (value > most) {
            most = value;
            *id = row->request_id;
        }
    }
    return most >= 0 ||
           err_set(err, ERR_INPUT,
                   "run %s holds no row of a completed request; give a request's "
                   "number, or store rows (without --no-requests)",
                   run->info.name);
}

/* run NULL: the source is a scenario. */
static bool find_request(const char *word, const struct run_record *run, uint64_t *id,
                         struct err *err)
{
    for (size_t i = 0; i < SLOWEST_COUNT; i++) {
        if (strcmp(word, SLOWEST[i].name) == 0) {
            return run != NULL ? find_slowest(run, i, id, err)
                               : err_set(err, ERR_USAGE,
                                         "'%s' is looked up in a store; write one with "
                                         "'stacksim run ... --out FILE.db' first",
                                         word);
        }
    }
    struct err why = {0};
    return unit_u64(word, id, &why) ||
           err_set(err, ERR_USAGE,
                   "REQUEST is a request's number, 'slowest', 'slowest-ttft' or "
                   "'slowest-tpot', not '%s'",
                   word);
}

/* ---- which run --------------------------------------------------------------------
 */

static bool is_store(const char *path)
{
    static const char magic[] = "SQLite format 3";
    char start[sizeof magic] = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    const size_t bytes = fread(start, 1, sizeof magic, file);
    (void)fclose(file);
    return bytes == sizeof magic && memcmp(start, magic, sizeof magic) == 0;
}

/* The last run of that name, or the last of all. */
static bool read_run(const char *path, const char *name, struct run_record **out,
                     struct err *err)
{
    struct store_reader *store = NULL;
    if (!store_open(&store, path, err)) {
        return false;
    }
    bool ok = true;
    bool found = false;
    for (size_t i = store_run_count(store); ok && !found && i > 0; i--) {
        run_record_delete(*out);
        *out = NULL;
        ok = store_read_run(store, i - 1, out, err);
        found = ok && (name == NULL || strcmp((*out)->info.name, name) == 0);
    }
    store_close(store);
    if (ok && !found) {
        return err_set(err, ERR_INPUT,
                       "%s: holds no run%s%s; 'stacksim report %s' "
                       "lists what it holds",
                       path, name == NULL ? "" : " called ", name == NULL ? "" : name,
                       path);
    }
    return ok;
}

struct explain_call {
    const struct explain_args *args;
    const char *source;
    struct scenario_storage storage;
    struct run_record *run; /* NULL: source is a scenario */
    struct runner_text text;
    struct explain explain;
    struct observer observer;
    struct runner *runner;
};

static bool load(struct explain_call *call, const char *request, struct err *err)
{
    const struct explain_args *args = call->args;
    struct runner_setup setup = {.policy = args->policy, .observer = &call->observer};
    if (is_store(call->source) && !read_run(call->source, args->run, &call->run, err)) {
        return false;
    }
    if (call->run == NULL && args->run != NULL) {
        return err_set(err, ERR_USAGE, "--run names a run of a store, and %s is none",
                       call->source);
    }
    if (!find_request(request, call->run, &call->explain.request_id, err) ||
        !scenario_args_apply(&args->scenario, call->source, &call->storage, &setup,
                             err)) {
        return false;
    }
    if (call->run != NULL) {
        const struct run_info *info = &call->run->info;
        call->text = (struct runner_text){info->scenario_name, info->scenario_yaml,
                                          info->scenario_dir};
        setup.text = &call->text;
        setup.policy = args->policy == NULL ? info->policy : args->policy;
    }
    explain_observe(&call->explain, &call->observer);
    return runner_new(&call->runner, &setup, err);
}

/* ---- the run ----------------------------------------------------------------------
 */

enum watch_end { WATCH_DONE, WATCH_FAILED, WATCH_INTERRUPTED };

static enum watch_end watch(struct explain_call *call, struct err *err)
{
    struct progress *progress =
        progress_new(runner_scenario_name(call->runner), call->args->quiet);
    enum watch_end end = WATCH_DONE;
    bool done = false;
    while (end == WATCH_DONE && !done && !call->explain.ended) {
        if (interrupt_came()) {
            end = WATCH_INTERRUPTED;
        } else if (!runner_advance(call->runner, &done, err)) {
            end = WATCH_FAILED;
        }
        progress_show(progress, runner_part(call->runner), NULL);
    }
    progress_delete(progress);
    return end;
}

static void compare_with_store(const struct explain_call *call)
{
    const struct request_outcome *outcome = &call->explain.outcome;
    for (size_t i = 0; i < call->run->request_count; i++) {
        const struct request_row *row = &call->run->requests[i];
        if (row->request_id == outcome->request_id &&
            (row->end_ns != outcome->end_ns || row->engine != outcome->engine ||
             row->first_token_ns != outcome->first_token_ns)) {
            char note[256];
            snprintf(note, sizeof note,
                     "the store, written by %s, has another end of this request: the "
                     "program, an option or a file that the scenario names has "
                     "changed since",
                     call->run->info.program_commit);
            say_notes(note);
        }
    }
}

static bool print(const struct explain_call *call, bool json, struct err *err)
{
    struct text out = {0};
    if (json) {
        explain_print_json(&call->explain, &out);
    } else {
        struct text label = {0};
        text_printf(&label, "%s under %s", runner_scenario_name(call->runner),
                    call->explain.policy != NULL ? call->explain.policy->name
                                                 : "no policy");
        explain_print(&call->explain, text_str(&label), &out);
        text_fini(&label);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    if (call->run != NULL && !call->args->quiet) {
        compare_with_store(call);
    }
    return say_flush(err);
}

static int execute(struct explain_call *call, const char *request, bool json)
{
    struct err err = {0};
    if (!load(call, request, &err)) {
        return say_error(&err);
    }
    switch (watch(call, &err)) {
    case WATCH_INTERRUPTED:
        return say_interrupted("a part of the run", NULL);
    case WATCH_FAILED:
        return say_error(&err);
    case WATCH_DONE:
        break;
    }
    if (!call->explain.ended) {
        err_set(&err, ERR_INPUT, "%s has no request %" PRIu64 " that ended",
                call->source, call->explain.request_id);
        return say_error(&err);
    }
    return print(call, json, &err) ? EXIT_DONE : say_error(&err);
}

static int explain_run(int argc, char *const *argv)
{
    struct explain_args args = {.format = "table"};
    struct command_call parsed = {0};
    if (!command_parse(&command_explain, argc, argv, &args, &parsed)) {
        return parsed.exit_code;
    }
    const bool json = strcmp(args.format, "json") == 0;
    if (!json && strcmp(args.format, "table") != 0) {
        struct err err = {0};
        err_set(&err, ERR_USAGE, "--format is table or json, not '%s'", args.format);
        return say_error(&err);
    }
    struct explain_call *call = mem_alloc(1, sizeof *call);
    call->args = &args;
    call->source = parsed.result.positional[0];
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(call, parsed.result.positional[1], json);
    interrupt_release(&interrupt);
    runner_delete(call->runner);
    run_record_delete(call->run);
    explain_fini(&call->explain);
    scenario_storage_fini(&call->storage);
    mem_free(call);
    return code;
}

const struct command command_explain = {
    .options =
        {
            .name = "explain",
            .usage = "SCENARIO|FILE.db REQUEST [OPTIONS]",
            .summary = "one request's life: where it went, why, and what it waited for",
            .description =
                "Simulates the run again until the request has ended and prints its "
                "way: arrival,\ndecision, queue, prefill, decode, with the share of "
                "each, and what every candidate\nlooked like to the policy. REQUEST is "
                "a request's number; in a store also\n'slowest' (by E2E), "
                "'slowest-ttft' or 'slowest-tpot'.\n\n"
                "Examples:\n"
                "  stacksim explain demo 1234 --policy prefix_aware\n"
                "  stacksim explain out/demo.db slowest-ttft --run prefix_aware\n"
                "  stacksim explain out/run.db 17 --format json",
            .options = EXPLAIN_OPTIONS,
            .positional_min = 2,
            .positional_max = 2,
        },
    .run = explain_run,
};
