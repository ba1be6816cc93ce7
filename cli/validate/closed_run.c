/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_run.c: every row that can be scored is simulated; a few ms for the longest.
 */
#include "cli/validate/closed_run.h"

#include "base/mem.h"
#include "cli/say.h"
#include "cli/validate/closed_fit.h"

#include <stdio.h>
#include <string.h>

static bool predict_all(struct closed_report *report, struct closed_rows *rows,
                        struct closed_engines *engines, struct err *err)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct closed_pair *pair = &report->pairs[report->count];
        enum closed_reason reason = CLOSED_SCORED;
        pair->row = &rows->rows[i];
        if (!closed_predict(engines, pair->row, &pair->predicted, &reason, err)) {
            return false;
        }
        if (reason == CLOSED_SCORED) {
            report->count++;
        } else {
            rows->left_out[reason]++;
        }
    }
    closed_report_sort(report);
    return true;
}

static bool times_find(const char *name, enum closed_times *times, struct err *err)
{
    static const char *const names[] = {
#define X(id, text, help) text,
        CLOSED_TIMES(X)
#undef X
    };
    *times = CLOSED_TIMES_AUTO;
    if (name == NULL) {
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *times = (enum closed_times)i;
            return true;
        }
    }
    return err_set(
        err, ERR_USAGE,
        "option --model: '%s'; use roofline, ops or measured with --closed-loop", name);
}

static bool print(const struct closed_report *report, bool json, struct err *err)
{
    struct text out = {0};
    if (json) {
        closed_report_json(report, &out);
    } else {
        closed_report_table(report, &out);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(err);
}

bool closed_run(const struct closed_run_args *args, struct err *err)
{
    struct closed_rows rows;
    enum closed_times times = CLOSED_TIMES_AUTO;
    if (!times_find(args->model, &times, err) ||
        !closed_rows_read(&rows, args->path, args->filter, err)) {
        return false;
    }
    const struct closed_setup setup = {.config_dir = args->config_dir,
                                       .jitter = args->jitter,
                                       .load = CLOSED_LOAD_COUNT,
                                       .experts = args->experts,
                                       .times = times};
    struct closed_engines *engines = closed_engines_new(&setup);
    struct closed_report report = {
        .path = args->path,
        .rows = &rows,
        .pairs = mem_alloc(rows.count, sizeof *report.pairs),
    };
    bool ok = predict_all(&report, &rows, engines, err);
    if (ok && report.count == 0) {
        ok = err_set(err, ERR_INPUT,
                     "%s: none of %llu rows can be scored; %llu do not match --filter, "
                     "%llu name a GPU and %llu a model that configs/ lacks",
                     args->path, (unsigned long long)rows.read,
                     (unsigned long long)rows.left_out[CLOSED_FILTER],
                     (unsigned long long)rows.left_out[CLOSED_NO_GPU],
                     (unsigned long long)rows.left_out[CLOSED_NO_MODEL]);
    }
    struct closed_validation *held_out = mem_alloc(1, sizeof *held_out);
    if (ok && args->cross_validate) {
        ok = closed_cross_validate(held_out, &report, &setup, err);
        report.held_out = held_out;
    }
    ok = ok && print(&report, args->json, err);
    mem_free(held_out);
    mem_free(report.pairs);
    closed_engines_delete(engines);
    closed_rows_fini(&rows);
    return ok;
}
