/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_fit.c: a grid, because the errors have kinks and the simulator is fast: all
 * rows once for every point, then choices are sums over a table. The loss is the mean
 * over groups of the mean |log(predicted / measured)| of TPOT: groups of few rows weigh
 * as much as those of many, and twice as slow is as bad as twice as fast.
 */
#include "cli/validate/closed_fit.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t step_us[] = {0, 300, 600, 1000, 2000};
static const int64_t sequence_us[] = {0, 10, 20, 40, 60, 80};
enum {
    STEPS = sizeof step_us / sizeof step_us[0],
    SEQUENCES = sizeof sequence_us / sizeof sequence_us[0],
    CELLS = STEPS * SEQUENCES,
    POINTS = 2 * CELLS,
};
static const double request_s = 15.6e-3; /* vllm-engine.md 10.5 */
static const double ms_least = 1e-6;

struct fit {
    const struct closed_report *report;
    struct closed_validation *out;
    size_t *group_of;       /* row -> group */
    struct closed_pair *at; /* point x row */
    double loss[POINTS][CLOSED_GROUPS_MAX];
};

static struct closed_host host_at(size_t point)
{
    const size_t place = point % CELLS;
    return (struct closed_host){
        .request_s = request_s,
        .step_ns = step_us[place / SEQUENCES] * 1000,
        .sequence_ns = sequence_us[place % SEQUENCES] * 1000,
        .overlaps = point >= CELLS,
    };
}

static void group_name(char out[CLOSED_GROUP_BYTES], const struct closed_row *row)
{
    char model[CLOSED_WORD_BYTES];
    closed_model_name(model, row->model_path);
    (void)snprintf(out, CLOSED_GROUP_BYTES, "%s x %s", row->system, model);
}

/* Sorted by insertion: there are few. */
static bool groups_find(struct fit *fit, struct err *err)
{
    struct closed_validation *out = fit->out;
    char name[CLOSED_GROUP_BYTES];
    for (size_t i = 0; i < fit->report->count; i++) {
        size_t at = 0;
        group_name(name, fit->report->pairs[i].row);
        while (at < out->group_count && strcmp(out->groups[at].name, name) < 0) {
            at++;
        }
        if (at < out->group_count && strcmp(out->groups[at].name, name) == 0) {
            continue;
        }
        if (out->group_count == CLOSED_GROUPS_MAX) {
            return err_set(err, ERR_INPUT, "%s: more than %d pairs of GPU and model",
                           fit->report->path, CLOSED_GROUPS_MAX);
        }
        memmove(&out->groups[at + 1], &out->groups[at],
                (out->group_count - at) * sizeof out->groups[0]);
        memcpy(out->groups[at].name, name, sizeof name);
        out->group_count++;
    }
    for (size_t i = 0; i < fit->report->count; i++) {
        group_name(name, fit->report->pairs[i].row);
        while (strcmp(out->groups[fit->group_of[i]].name, name) != 0) {
            fit->group_of[i]++;
        }
    }
    return out->group_count > 1 ||
           err_set(err, ERR_INPUT,
                   "%s: one pair of GPU and model only; --cross-validate needs two, "
                   "leave out --filter",
                   fit->report->path);
}

static bool point_predict(struct fit *fit, size_t point,
                          const struct closed_setup *setup, struct err *err)
{
    const size_t count = fit->report->count;
    const struct closed_host host = host_at(point);
    struct closed_setup own = *setup;
    own.host = &host;
    struct closed_engines *engines = closed_engines_new(&own);
    size_t rows[CLOSED_GROUPS_MAX] = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct closed_pair *pair = &fit->at[point * count + i];
        enum closed_reason reason = CLOSED_SCORED;
        pair->row = fit->report->pairs[i].row;
        ok = closed_predict(engines, pair->row, &pair->predicted, &reason, err);
        if (ok) {
            const double ratio = pair->predicted.tpot_ms / pair->row->tpot_ms;
            fit->loss[point][fit->group_of[i]] += fabs(log(fmax(ratio, ms_least)));
            rows[fit->group_of[i]]++;
        }
        pair->predicted.source = NULL; /* goes with the engines */
    }
    for (size_t g = 0; g < fit->out->group_count; g++) {
        fit->loss[point][g] /= (double)rows[g];
    }
    closed_engines_delete(engines);
    return ok;
}

/* The point of least loss over the groups whose bit is set in `use`. */
static size_t best_point(const struct fit *fit, const bool use[CLOSED_GROUPS_MAX])
{
    size_t best = 0;
    double least = (double)INFINITY;
    for (size_t point = 0; point < POINTS; point++) {
        double sum = 0.0;
        for (size_t g = 0; g < fit->out->group_count; g++) {
            sum += use[g] ? fit->loss[point][g] : 0.0;
        }
        if (sum < least) {
            least = sum;
            best = point;
        }
    }
    return best;
}

/* All rows, those of each group as at its point. */
static void compose(const struct fit *fit, const size_t *point_of,
                    struct closed_pair *out)
{
    const size_t count = fit->report->count;
    for (size_t i = 0; i < count; i++) {
        out[i] = fit->at[point_of[fit->group_of[i]] * count + i];
    }
}

static void score_group(const struct fit *fit, size_t group, size_t point)
{
    const size_t count = fit->report->count;
    struct closed_pair *pairs = mem_alloc(count, sizeof *pairs);
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (fit->group_of[i] == group) {
            pairs[rows++] = fit->at[point * count + i];
        }
    }
    fit->out->groups[group].host = host_at(point);
    fit->out->groups[group].errors = closed_errors_of(pairs, rows);
    mem_free(pairs);
}

static void choose(const struct fit *fit)
{
    struct closed_validation *out = fit->out;
    const size_t count = fit->report->count;
    struct closed_pair *pairs = mem_alloc(count, sizeof *pairs);
    size_t point_of[CLOSED_GROUPS_MAX] = {0};
    bool use[CLOSED_GROUPS_MAX] = {0};
    uint64_t compared = 0;
    memset(use, true, out->group_count);
    const size_t all = best_point(fit, use);
    out->host = host_at(all);
    out->fitted = closed_errors_of(&fit->at[all * count], count);
    for (size_t g = 0; g < out->group_count; g++) {
        use[g] = false;
        point_of[g] = best_point(fit, use);
        use[g] = true;
        score_group(fit, g, point_of[g]);
    }
    compose(fit, point_of, pairs);
    out->left_out = closed_errors_of(pairs, count);
    out->left_out_order = closed_order_agreement(pairs, count, &compared);
    for (size_t half = 0; half < 2; half++) {
        for (size_t g = 0; g < out->group_count; g++) {
            use[g] = g % 2 != half;
        }
        const size_t best = best_point(fit, use);
        for (size_t g = half; g < out->group_count; g += 2) {
            point_of[g] = best;
        }
    }
    compose(fit, point_of, pairs);
    out->halves = closed_errors_of(pairs, count);
    out->halves_order = closed_order_agreement(pairs, count, &compared);
    mem_free(pairs);
}

bool closed_cross_validate(struct closed_validation *out,
                           const struct closed_report *report,
                           const struct closed_setup *setup, struct err *err)
{
    struct fit *fit = mem_alloc(1, sizeof *fit);
    *out = (struct closed_validation){0};
    fit->report = report;
    fit->out = out;
    fit->group_of = mem_alloc(report->count, sizeof *fit->group_of);
    fit->at = mem_alloc(POINTS * report->count, sizeof *fit->at);
    bool ok = groups_find(fit, err);
    for (size_t point = 0; ok && point < POINTS; point++) {
        ok = point_predict(fit, point, setup, err);
    }
    if (ok) {
        choose(fit);
    }
    mem_free(fit->at);
    mem_free(fit->group_of);
    mem_free(fit);
    return ok;
}

static void host_text(const struct closed_host *host, struct text *out)
{
    text_printf(out, "%" PRId64 " us + %" PRId64 " us per sequence, %s",
                host->step_ns / 1000, host->sequence_ns / 1000,
                host->overlaps ? "overlapped" : "added");
}

static void errors_line(const char *what, const struct closed_errors *errors,
                        struct text *out)
{
    text_printf(out, "%-32s %5zu %11.1f %% (%+6.1f) %11.1f %% (%+6.1f)", what,
                errors->rows, errors->tpot_mape_pct, errors->tpot_bias_pct,
                errors->ttft_mape_pct, errors->ttft_bias_pct);
}

void closed_validation_table(const struct closed_validation *validation,
                             struct text *out)
{
    text_add(out,
             "\nheld out: host times that suit the other pairs of GPU and model\n");
    for (size_t g = 0; g < validation->group_count; g++) {
        const struct closed_group *group = &validation->groups[g];
        errors_line(group->name, &group->errors, out);
        text_add(out, "  ");
        host_text(&group->host, out);
        text_add(out, "\n");
    }
    errors_line("each pair by all others", &validation->left_out, out);
    text_printf(out, "  order %.3f\n", validation->left_out_order);
    errors_line("each half by the other", &validation->halves, out);
    text_printf(out, "  order %.3f\n", validation->halves_order);
    errors_line("all by all: no prediction", &validation->fitted, out);
    text_add(out, "  ");
    host_text(&validation->host, out);
    text_add(out, "\n");
}

static struct json *errors_json(const char *name, const struct closed_errors *errors,
                                const struct closed_host *host)
{
    struct json *item = json_object();
    json_put_str(item, "what", name);
    closed_errors_json(item, errors);
    if (host != NULL) {
        json_put_i64(item, "step_us", host->step_ns / 1000);
        json_put_i64(item, "sequence_us", host->sequence_ns / 1000);
        json_put_bool(item, "overlapped", host->overlaps);
    }
    return item;
}

struct json *closed_validation_json(const struct closed_validation *validation)
{
    struct json *root = json_object();
    struct json *groups = json_array();
    for (size_t g = 0; g < validation->group_count; g++) {
        const struct closed_group *group = &validation->groups[g];
        json_push(groups, errors_json(group->name, &group->errors, &group->host));
    }
    json_put(root, "pairs", groups);
    struct json *left_out =
        errors_json("each pair by all others", &validation->left_out, NULL);
    json_put_f64(left_out, "order_agreement", validation->left_out_order);
    json_put(root, "left_out", left_out);
    struct json *halves =
        errors_json("each half by the other", &validation->halves, NULL);
    json_put_f64(halves, "order_agreement", validation->halves_order);
    json_put(root, "halves", halves);
    json_put(root, "fitted",
             errors_json("all by all", &validation->fitted, &validation->host));
    return root;
}
