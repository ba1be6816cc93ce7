/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_replay.c: `stacksim replay`: a trace against a server, measured like a run.
 */
#include "base/outfile.h"
#include "base/unit.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/live/bench_json.h"
#include "cli/live/client.h"
#include "cli/live/live_workload.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/result.h"
#include "cli/say.h"
#include "cli/target.h"
#include "cli/version.h"
#include "sim/scenario.h"
#include "stats/quantile.h"
#include "traces/workload.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replay_args {
    const char *url;
    const char *model;
    const char *session_header;
    const char *config_dir;
    const char *out;
    const char *bench_json;
    const char *name;
    const char *format;
    double time_scale;
    uint64_t limit;
    int64_t timeout_ns;
    bool chat;
    bool ids;
    bool append;
    bool no_requests;
    bool quiet;
};

static const struct opt REPLAY_OPTIONS[] = {
    {"--url", "URL", OPT_STR, offsetof(struct replay_args, url), "none",
     "Server with the OpenAI API: an engine or a router. "
     "Example: --url http://127.0.0.1:8000"},
    {"--model", "NAME", OPT_STR, offsetof(struct replay_args, model),
     "the first one of /v1/models",
     "Model to ask for. Example: --model meta-llama/Llama-3.1-8B-Instruct"},
    {"--chat", NULL, OPT_FLAG, offsetof(struct replay_args, chat), "off",
     "Use /v1/chat/completions, the prompt as one message, instead of /v1/completions. "
     "Example: --chat"},
    {"--prompt-ids", NULL, OPT_FLAG, offsetof(struct replay_args, ids), "off",
     "Send prompts as token ids: a real engine then counts as many tokens as were "
     "recorded. Example: --prompt-ids"},
    {"--session-header", "NAME", OPT_STR, offsetof(struct replay_args, session_header),
     "x-user-id",
     "Header that carries the session's number. Example: --session-header x-session"},
    {"--time-scale", "X", OPT_F64, offsetof(struct replay_args, time_scale), "1",
     "Send this many times as fast as recorded, and count a second that passes as X: "
     "for mock engines with the same scale. Example: --time-scale 10"},
    {"--limit", "N", OPT_U64, offsetof(struct replay_args, limit), "all",
     "Stop after this many requests. Example: --limit 1000"},
    {"--timeout", "TIME", OPT_DURATION, offsetof(struct replay_args, timeout_ns), "10m",
     "Give a request up after this time. Example: --timeout 2m"},
    {"--out", "FILE.db", OPT_STR, offsetof(struct replay_args, out),
     "nothing is stored",
     "Store the results as `run` does. Example: --out out/live.db"},
    {"--append", NULL, OPT_FLAG, offsetof(struct replay_args, append), "off",
     "Add the run to the store instead of replacing it. "
     "Example: --out out/run.db --append"},
    {"--name", "TEXT", OPT_STR, offsetof(struct replay_args, name), "replay",
     "Name of the run in tables and in the store. Example: --name 'round_robin, live'"},
    {"--no-requests", NULL, OPT_FLAG, offsetof(struct replay_args, no_requests), "off",
     "Store summaries only, no row per request. Example: --out big.db --no-requests"},
    {"--bench-json", "FILE", OPT_STR, offsetof(struct replay_args, bench_json), "none",
     "Write the result as `vllm bench serve --save-result --save-detailed` does. "
     "Example: --bench-json out/bench.json"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct replay_args, format), "table",
     "Form of the result on standard output: table, csv, json or md. "
     "Example: --format json"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct replay_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/, models/ and scenarios/. Example: --config-dir ./my-configs"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct replay_args, quiet), "off",
     "Show no progress and no notes. Example: --quiet"},
    {0},
};

/* All that one replay holds. */
struct replay_run {
    const struct replay_args *args;
    struct live_workload source;
    struct run_record *run;
    struct target *store;
    struct outfile *bench;
    struct client *client;
    struct text cost_model;
    char started_utc[24];
    int64_t start_ns;
};

static bool check(const struct replay_args *args, struct err *err)
{
    if (args->url == NULL) {
        return err_set(err, ERR_USAGE,
                       "--url: which server? For example --url http://127.0.0.1:8000");
    }
    const size_t length = strlen(args->url);
    if (strstr(args->url, "://") == NULL || args->url[length - 1] == '/') {
        return err_set(
            err, ERR_USAGE,
            "--url: '%s' is not http://HOST:PORT, without a slash at the end",
            args->url);
    }
    if (!(args->time_scale >= 0.001 && args->time_scale <= 1e6)) {
        return err_set(err, ERR_USAGE, "--time-scale: %g; from 0.001 to 1000000",
                       args->time_scale);
    }
    if (args->chat && args->ids) {
        return err_set(err, ERR_USAGE,
                       "--prompt-ids: messages of --chat cannot be token ids");
    }
    if (args->timeout_ns < 1000000) {
        return err_set(err, ERR_USAGE, "--timeout: at least 1ms");
    }
    return true;
}

static void info_fill(const struct replay_run *replay, struct run_info *info)
{
    const struct scenario *scenario = replay->source.scenario;
    *info = (struct run_info){
        .name = replay->args->name,
        .scenario_name = scenario != NULL ? scenario->name : "replay",
        .policy = "as the server does",
        .cost_model = replay->cost_model.bytes,
        .workload_origin = workload_origin(replay->source.workload),
        .program_commit = version_commit(),
        .started_utc = replay->started_utc,
    };
    if (scenario != NULL) {
        info->slo_ttft_ns = scenario->slo_ttft_ns;
        info->slo_tpot_ns = scenario->slo_tpot_ns;
        info->slo_e2e_ns = scenario->slo_e2e_ns;
    }
}

static void count_totals(struct run_record *run)
{
    struct run_totals *totals = &run->totals;
    *totals = (struct run_totals){
        .requests = run->request_count,
        .first_arrival_ns = INT64_MAX,
        .load_imbalance = (double)NAN,
        .fairness_jain = (double)NAN,
    };
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        totals->status_count[row->status]++;
        if (row->arrival_ns < totals->first_arrival_ns) {
            totals->first_arrival_ns = row->arrival_ns;
        }
        if (row->end_ns > totals->end_ns) {
            totals->end_ns = row->end_ns;
        }
        if (row->status == REQUEST_COMPLETED) {
            totals->prompt_tokens += row->prompt_tokens;
            totals->output_tokens += row->output_tokens;
            totals->prefix_hit_tokens += row->cached_tokens;
        }
    }
    /* Servers that do not tell of cached tokens leave the ratio unknown. */
    totals->prefix_query_tokens =
        totals->prefix_hit_tokens > 0 ? totals->prompt_tokens : 0;
    if (run->request_count == 0) {
        totals->first_arrival_ns = 0;
    }
}

static void note_gaps(const struct client *client, struct text *notes)
{
    size_t count = 0;
    const int64_t *gaps_ns = client_gaps_ns(client, &count);
    if (count == 0) {
        return;
    }
    int64_t *sorted = malloc(count * sizeof *sorted);
    if (sorted == NULL) {
        return;
    }
    memcpy(sorted, gaps_ns, count * sizeof *sorted);
    quantile_sort(sorted, count);
    text_printf(
        notes,
        "%sITL (gaps between events): p50 %.2f ms, p99 %.2f ms, largest "
        "%.2f ms",
        notes->length > 0 ? "\n" : "", quantile_of_sorted(sorted, count, 0.5) / 1e6,
        quantile_of_sorted(sorted, count, 0.99) / 1e6, (double)sorted[count - 1] / 1e6);
    free(sorted);
}

static void note_lateness(const struct client *client, struct text *notes)
{
    struct client_counts counts;
    char mean[24];
    char most[24];
    client_count(client, &counts);
    unit_format_ns(mean, sizeof mean, counts.late_ns_mean);
    unit_format_ns(most, sizeof most, counts.late_ns_max);
    text_printf(notes, "%srequests left %s after they were due on average, %s at most",
                notes->length > 0 ? "\n" : "", mean, most);
}

static bool finish(struct replay_run *replay, struct err *err)
{
    struct run_info info;
    struct text notes = {0};
    count_totals(replay->run);
    client_failures(replay->client, &notes);
    note_gaps(replay->client, &notes);
    note_lateness(replay->client, &notes);
    info_fill(replay, &info);
    info.notes = text_str(&notes);
    info.wall_s = (double)(clock_wall_ns() - replay->start_ns) / 1e9;
    run_set_info(replay->run, &info);
    text_fini(&notes);
    return metrics_compute(replay->run, err);
}

enum drive_end { DRIVE_DONE, DRIVE_FAILED, DRIVE_INTERRUPTED };

static enum drive_end drive(struct replay_run *replay, struct err *err)
{
    struct progress *progress = progress_new(replay->args->name, replay->args->quiet);
    enum drive_end end = DRIVE_DONE;
    bool done = false;
    while (!done && end == DRIVE_DONE) {
        struct client_counts counts;
        char detail[96];
        if (interrupt_came()) {
            end = DRIVE_INTERRUPTED;
        } else if (!client_turn(replay->client, &done, err)) {
            end = DRIVE_FAILED;
        }
        client_count(replay->client, &counts);
        (void)snprintf(detail, sizeof detail,
                       "%" PRIu64 " in flight, %" PRIu64 " failed", counts.in_flight,
                       counts.failed);
        const double part = replay->args->limit > 0
                                ? (double)counts.ended / (double)replay->args->limit
                                : workload_progress(replay->source.workload);
        progress_show(progress, part < 1 ? part : 1, detail);
    }
    progress_delete(progress);
    return end;
}

static bool open_all(struct replay_run *replay, const char *source, struct err *err)
{
    const struct replay_args *args = replay->args;
    if (args->out != NULL &&
        !target_open(&replay->store, args->out, args->append, err)) {
        return false;
    }
    if ((args->bench_json != NULL &&
         !outfile_open(&replay->bench, args->bench_json, err)) ||
        !live_workload_open(&replay->source, source, args->config_dir, err)) {
        return false;
    }
    struct run_info info;
    clock_utc_text(replay->started_utc, sizeof replay->started_utc);
    text_printf(&replay->cost_model, "measured at %s", args->url);
    info_fill(replay, &info);
    replay->run = run_record_new(&info);
    const struct client_setup setup = {
        .url = args->url,
        .model = args->model,
        .chat = args->chat,
        .ids = args->ids,
        .session_header = args->session_header,
        .api_key = getenv("OPENAI_API_KEY"),
        .time_scale = args->time_scale,
        .timeout_ns = args->timeout_ns,
        .requests_max = args->limit,
    };
    replay->start_ns = clock_wall_ns();
    return client_new(&replay->client, &setup, replay->source.workload, replay->run,
                      err);
}

static bool store(struct replay_run *replay, struct err *err)
{
    struct target *target = replay->store;
    if (target == NULL) {
        return true;
    }
    if (!target_add(target, replay->run, !replay->args->no_requests, err)) {
        return false;
    }
    replay->store = NULL;
    if (!target_commit(target, err)) {
        return false;
    }
    say_wrote(replay->args->out);
    return true;
}

static bool write_bench(struct replay_run *replay, struct err *err)
{
    struct outfile *file = replay->bench;
    struct text out = {0};
    if (file == NULL) {
        return true;
    }
    struct bench_facts facts = {
        .backend = replay->args->chat ? "openai-chat" : "openai",
        .model = client_model(replay->client),
        .date = replay->started_utc,
    };
    facts.gaps_ns = client_gaps_ns(replay->client, &facts.gap_count);
    bench_json_write(&facts, replay->run, &out);
    fwrite(out.bytes, 1, out.length, outfile_stream(file));
    text_fini(&out);
    replay->bench = NULL;
    if (!outfile_commit(file, err)) {
        return false;
    }
    say_wrote(replay->args->bench_json);
    return true;
}

static bool print_result(const struct replay_run *replay, enum table_format format,
                         struct err *err)
{
    struct text out = {0};
    result_print(replay->run, format, &out);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    if (!replay->args->quiet) {
        say_notes(replay->run->info.notes);
    }
    return say_flush(err);
}

static int execute(struct replay_run *replay, const char *source,
                   enum table_format format)
{
    struct err err = {0};
    const struct path_use uses[] = {{"the trace", source, false},
                                    {"--out", replay->args->out, true},
                                    {"--bench-json", replay->args->bench_json, true}};
    if (!paths_check(uses, sizeof uses / sizeof uses[0], &err) ||
        !open_all(replay, source, &err)) {
        return say_error(&err);
    }
    const enum drive_end end = drive(replay, &err);
    if (end == DRIVE_INTERRUPTED) {
        struct client_counts counts;
        char so_far[64];
        client_count(replay->client, &counts);
        (void)snprintf(so_far, sizeof so_far, "%" PRIu64 " requests answered",
                       counts.ended);
        return say_interrupted(so_far, replay->args->out);
    }
    if (end == DRIVE_FAILED || !finish(replay, &err) ||
        !print_result(replay, format, &err) || !store(replay, &err) ||
        !write_bench(replay, &err)) {
        return say_error(&err);
    }
    struct client_counts counts;
    client_count(replay->client, &counts);
    return counts.failed == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int run_replay(int argc, char *const *argv)
{
    struct replay_args args = {
        .session_header = "x-user-id",
        .name = "replay",
        .format = "table",
        .time_scale = 1,
        .timeout_ns = INT64_C(600000000000),
    };
    struct command_call call = {0};
    struct err err = {0};
    enum table_format format = TABLE_TEXT;
    if (!command_parse(&command_replay, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    if (!check(&args, &err) || !table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    struct replay_run replay = {.args = &args};
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(&replay, call.result.positional[0], format);
    interrupt_release(&interrupt);
    client_delete(replay.client);
    run_record_delete(replay.run);
    target_abort(replay.store);
    outfile_abort(replay.bench);
    live_workload_close(&replay.source);
    text_fini(&replay.cost_model);
    return code;
}

const struct command command_replay = {
    .options =
        {
            .name = "replay",
            .usage = "SCENARIO|TRACE --url URL [OPTIONS]",
            .summary = "a trace against a real server, measured like a run",
            .description =
                "Sends the requests of a trace, or of a scenario's workload, to any "
                "OpenAI-compatible server at\ntheir recorded times, whatever the "
                "server "
                "does, and measures from those times. Results go into\nthe same store "
                "as those of `run`. Exit code 1 when a request failed. "
                "$OPENAI_API_KEY is sent when set.\nSee docs/live.md.\n\n"
                "Examples:\n"
                "  stacksim replay traffic.csv --url http://127.0.0.1:8000\n"
                "  stacksim replay demo --url http://127.0.0.1:8000 --time-scale 10 "
                "--limit 500 --out out/live.db",
            .options = REPLAY_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = run_replay,
};
