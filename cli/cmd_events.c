/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_events.c: `stacksim events`: what befell the fleet in a stored run, one row each,
 * as `kubectl get events` shows it.
 */
#include "cli/args.h"
#include "cli/command.h"
#include "cli/say.h"
#include "cli/stored_runs.h"
#include "reports/event_table.h"

#include <stdio.h>
#include <string.h>

struct events_args {
    const char *run;
    const char *object;
    bool warnings;
    const char *format;
};

static const struct opt EVENTS_OPTIONS[] = {
    {"--run", "NAME", OPT_STR, offsetof(struct events_args, run), "all",
     "Only this run of the store. Example: --run least_request"},
    {"--object", "TEXT", OPT_STR, offsetof(struct events_args, object), "all",
     "Only objects whose name holds TEXT. Example: --object pod/pool0-3"},
    {"--warnings", NULL, OPT_FLAG, offsetof(struct events_args, warnings), "off",
     "Only events of type Warning. Example: --warnings"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct events_args, format), "table",
     "table, csv, json or md. Example: --format json"},
    {0},
};

static bool shown(const struct events_args *args, const struct event_row *event)
{
    return (!args->warnings || event->warning) &&
           (args->object == NULL || strstr(event->object, args->object) != NULL);
}

static void put_run(struct table *table, const struct run_record *run,
                    const struct events_args *args)
{
    for (size_t i = 0; i < run->event_count; i++) {
        const struct event_row *event = &run->events[i];
        if (shown(args, event)) {
            event_table_put(table, run, event);
        }
    }
}

static bool print(const struct events_args *args, const struct stored_runs *stored,
                  enum table_format format, const char *path, struct err *err)
{
    static const struct table_column columns[] = {
        {"run", "RUN", NULL, NULL, true},
        {"time_s", "TIME", "s", NULL, false},
        {"type", "TYPE", NULL, NULL, true},
        {"reason", "REASON", NULL, NULL, true},
        {"object", "OBJECT", NULL, NULL, true},
        {"message", "MESSAGE", NULL, NULL, true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    bool found = args->run == NULL;
    for (size_t i = 0; i < stored->count; i++) {
        const struct run_record *run = stored->runs[i];
        if (args->run == NULL || strcmp(run->info.name, args->run) == 0) {
            found = true;
            put_run(table, run, args);
        }
    }
    struct text out = {0};
    table_write(table, format, &out);
    table_delete(table);
    if (found) {
        fputs(text_str(&out), stdout);
    }
    text_fini(&out);
    return found ? say_flush(err)
                 : err_set(err, ERR_INPUT,
                           "%s: holds no run called %s; 'stacksim report %s' lists "
                           "what it holds",
                           path, args->run, path);
}

static int events_run(int argc, char *const *argv)
{
    struct events_args args = {.format = "table"};
    struct command_call call = {0};
    if (!command_parse(&command_events, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    struct stored_runs stored = {0};
    enum table_format format = TABLE_TEXT;
    const char *path = call.result.positional[0];
    const bool ok = table_format_parse(args.format, &format, &err) &&
                    stored_runs_read(&stored, path, &err) &&
                    print(&args, &stored, format, path, &err);
    stored_runs_fini(&stored);
    return ok ? EXIT_DONE : say_error(&err);
}

const struct command command_events = {
    .options =
        {
            .name = "events",
            .usage = "FILE.db [OPTIONS]",
            .summary = "what befell the fleet: faults, starts, scaling, evictions",
            .description =
                "Prints the events of stored runs in order of time, as `kubectl get "
                "events` does:\ncrashes and restarts, pods that found no node, "
                "rollouts, endpoints that came into\nthe router's list and went out. "
                "Runs whose fleet never changes have none\n(docs/fleet.md).\n\n"
                "Examples:\n"
                "  stacksim events out/crash.db\n"
                "  stacksim events out/crash.db --warnings --object pod/p-1\n"
                "  stacksim events out/crash.db --format json",
            .options = EVENTS_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = events_run,
};
