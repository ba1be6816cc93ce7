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

static const int64_t step_us[] = {0, 300, 600, 1000};
static const int64_t sequence_us[] = {0, 10, 20, 40, 60};
static const enum closed_times times[] = {CLOSED_TIMES_AUTO, CLOSED_TIMES_MEASURED,
                                          CLOSED_TIMES_ROOFLINE};
enum {
    STEPS = sizeof step_us / sizeof step_us[0],
    SEQUENCES = sizeof sequence_us / sizeof sequence_us[0],
    CELLS = STEPS * SEQUENCES,
    HOSTS = CELLS + 1, /* added to the GPU's time, or hidden behind it */
    POINTS = HOSTS * (sizeof times / sizeof times[0]),
};
/* Front end, in TTFT alone: added to what was simulated without it. */
static const double request_ms[] = {0, 15.6, 25, 35, 50, 65, 80};
enum { REQUESTS = sizeof request_ms / sizeof request_ms[0] };
static const double ms_least = 1e-6;

struct fit {
    const struct closed_report *report;
    struct closed_validation *out;
    size_t *group_of;                       /* row -> group */
    struct closed_pair *at;                 /* point x row */
    double loss[POINTS][CLOSED_GROUPS_MAX]; /* of TPOT */
    double ttft_loss[POINTS][REQUESTS][CLOSED_GROUPS_MAX];
};

/* A choice: of TPOT, and with that of TTFT. */
struct pick {
    size_t point;
    size_t request;
};

static struct closed_point point_at(size_t index)
{
    const size_t host = index % HOSTS;
    const size_t cell = host % CELLS;
    return (struct closed_point){
        .host = {.step_ns = step_us[cell / SEQUENCES] * 1000,
                 .sequence_ns = sequence_us[cell % SEQUENCES] * 1000,
                 .overlaps = host >= CELLS},
        .times = times[index / HOSTS],
    };
}

static void group_name(char out[CLOSED_GROUP_BYTES], const struct closed_row *row)
{
    char model[CLOSED_WORD_BYTES];
    closed_model_name(model, row->model_path);
    (void)snprintf(out, CLOSED_GROUP_BYTES, "%s x %s", row->system, model);
}

static int group_order(const struct closed_group *group, const char *name,
                       const struct closed_row *row)
{
    const int order = strcmp(group->name, name);
    return order != 0 ? order : strcmp(group->backend, row->backend);
}

/* Sorted by insertion: there are few. */
static bool group_add(struct fit *fit, const struct closed_row *row, struct err *err)
{
    struct closed_validation *out = fit->out;
    char name[CLOSED_GROUP_BYTES];
    size_t at = 0;
    group_name(name, row);
    while (at < out->group_count && group_order(&out->groups[at], name, row) < 0) {
        at++;
    }
    if (at < out->group_count && group_order(&out->groups[at], name, row) == 0) {
        return true;
    }
    if (out->group_count == CLOSED_GROUPS_MAX) {
        return err_set(err, ERR_INPUT, "%s: more than %d groups of GPU, model, backend",
                       fit->report->path, CLOSED_GROUPS_MAX);
    }
    memmove(&out->groups[at + 1], &out->groups[at],
            (out->group_count - at) * sizeof out->groups[0]);
    memcpy(out->groups[at].name, name, sizeof name);
    memcpy(out->groups[at].backend, row->backend, sizeof row->backend);
    out->group_count++;
    return true;
}

static bool groups_find(struct fit *fit, struct err *err)
{
    struct closed_validation *out = fit->out;
    char name[CLOSED_GROUP_BYTES];
    for (size_t i = 0; i < fit->report->count; i++) {
        if (!group_add(fit, fit->report->pairs[i].row, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < fit->report->count; i++) {
        const struct closed_row *row = fit->report->pairs[i].row;
        group_name(name, row);
        while (group_order(&out->groups[fit->group_of[i]], name, row) != 0) {
            fit->group_of[i]++;
        }
    }
    size_t pair = 0;
    for (size_t g = 0; g < out->group_count; g++) {
        pair += g > 0 && strcmp(out->groups[g].name, out->groups[g - 1].name) != 0;
        out->groups[g].pair = pair;
    }
    return pair > 0 ||
           err_set(err, ERR_INPUT,
                   "%s: one pair of GPU and model only; --cross-validate needs two, "
                   "leave out --filter",
                   fit->report->path);
}

static double log_error(double predicted_ms, double measured_ms)
{
    return fabs(log(fmax(predicted_ms / measured_ms, ms_least)));
}

static void losses_add(struct fit *fit, size_t point, size_t row)
{
    const struct closed_pair *pair = &fit->at[point * fit->report->count + row];
    const size_t group = fit->group_of[row];
    fit->loss[point][group] += log_error(pair->predicted.tpot_ms, pair->row->tpot_ms);
    for (size_t r = 0; r < REQUESTS; r++) {
        fit->ttft_loss[point][r][group] +=
            log_error(pair->predicted.ttft_ms + request_ms[r], pair->row->ttft_ms);
    }
}

static bool point_predict(struct fit *fit, size_t point,
                          const struct closed_setup *setup, struct err *err)
{
    const size_t count = fit->report->count;
    const struct closed_point at = point_at(point);
    struct closed_setup own = *setup;
    own.host = &at.host;
    own.times = at.times;
    struct closed_engines *engines = closed_engines_new(&own);
    size_t rows[CLOSED_GROUPS_MAX] = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        struct closed_pair *pair = &fit->at[point * count + i];
        enum closed_reason reason = CLOSED_SCORED;
        pair->row = fit->report->pairs[i].row;
        ok = closed_predict(engines, pair->row, &pair->predicted, &reason, err);
        if (ok) {
            losses_add(fit, point, i);
            rows[fit->group_of[i]]++;
        }
        pair->predicted.source = NULL; /* goes with the engines */
    }
    for (size_t g = 0; g < fit->out->group_count; g++) {
        fit->loss[point][g] /= (double)rows[g];
        for (size_t r = 0; r < REQUESTS; r++) {
            fit->ttft_loss[point][r][g] /= (double)rows[g];
        }
    }
    closed_engines_delete(engines);
    return ok;
}

/* Which groups a choice for group `own` may look at. */
typedef bool (*admitted)(const struct closed_group *own,
                         const struct closed_group *other);

static bool other_pairs(const struct closed_group *own,
                        const struct closed_group *other)
{
    return other->pair != own->pair;
}

static bool other_half(const struct closed_group *own, const struct closed_group *other)
{
    return other->pair % 2 != own->pair % 2;
}

static bool every_pair(const struct closed_group *own, const struct closed_group *other)
{
    (void)own;
    (void)other;
    return true;
}

/* The index of the least sum over the groups in use. */
static size_t least_of(const double *losses, size_t count, size_t stride,
                       const bool use[CLOSED_GROUPS_MAX])
{
    size_t best = 0;
    double least = (double)INFINITY;
    for (size_t i = 0; i < count; i++) {
        double sum = 0.0;
        for (size_t g = 0; g < CLOSED_GROUPS_MAX; g++) {
            sum += use[g] ? losses[i * stride + g] : 0.0;
        }
        if (sum < least) {
            least = sum;
            best = i;
        }
    }
    return best;
}

static struct pick best_pick(const struct fit *fit, size_t own, admitted admits)
{
    const struct closed_group *groups = fit->out->groups;
    bool use[CLOSED_GROUPS_MAX] = {0};
    for (size_t g = 0; g < fit->out->group_count; g++) {
        use[g] = admits(&groups[own], &groups[g]);
    }
    const size_t point = least_of(fit->loss[0], POINTS, CLOSED_GROUPS_MAX, use);
    const size_t request =
        least_of(fit->ttft_loss[point][0], REQUESTS, CLOSED_GROUPS_MAX, use);
    return (struct pick){point, request};
}

static struct closed_point point_of_pick(const struct pick *pick)
{
    struct closed_point point = point_at(pick->point);
    point.host.request_s = request_ms[pick->request] / 1e3;
    return point;
}

static struct closed_pair pair_at(const struct fit *fit, const struct pick *pick,
                                  size_t row)
{
    struct closed_pair pair = fit->at[pick->point * fit->report->count + row];
    pair.predicted.ttft_ms += request_ms[pick->request];
    return pair;
}

static void score_group(const struct fit *fit, size_t group, const struct pick *pick)
{
    const size_t count = fit->report->count;
    struct closed_pair *pairs = mem_alloc(count, sizeof *pairs);
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        if (fit->group_of[i] == group) {
            pairs[rows++] = pair_at(fit, pick, i);
        }
    }
    fit->out->groups[group].others = point_of_pick(pick);
    fit->out->groups[group].errors = closed_errors_of(pairs, rows);
    mem_free(pairs);
}

/* All rows, each group with the point that the admitted ones choose for it. */
static struct closed_errors score_all(const struct fit *fit, admitted admits,
                                      double *order)
{
    const size_t count = fit->report->count;
    struct closed_pair *pairs = mem_alloc(count, sizeof *pairs);
    struct pick picks[CLOSED_GROUPS_MAX];
    uint64_t compared = 0;
    for (size_t g = 0; g < fit->out->group_count; g++) {
        picks[g] = best_pick(fit, g, admits);
    }
    for (size_t i = 0; i < count; i++) {
        pairs[i] = pair_at(fit, &picks[fit->group_of[i]], i);
    }
    const struct closed_errors errors = closed_errors_of(pairs, count);
    *order = closed_order_agreement(pairs, count, &compared);
    mem_free(pairs);
    return errors;
}

static void choose(const struct fit *fit)
{
    struct closed_validation *out = fit->out;
    const struct pick all = best_pick(fit, 0, every_pair);
    double order = 0.0;
    out->all = point_of_pick(&all);
    for (size_t g = 0; g < out->group_count; g++) {
        const struct pick pick = best_pick(fit, g, other_pairs);
        score_group(fit, g, &pick);
    }
    out->fitted = score_all(fit, every_pair, &order);
    out->left_out = score_all(fit, other_pairs, &out->left_out_order);
    out->halves = score_all(fit, other_half, &out->halves_order);
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

static const char *times_name(const struct closed_point *point)
{
    static const char *const names[] = {
#define X(id, text, help) text,
        CLOSED_TIMES(X)
#undef X
    };
    return names[point->times];
}

static void point_text(const struct closed_point *point, struct text *out)
{
    const struct closed_host *host = &point->host;
    text_printf(
        out, "%s, %" PRId64 " us + %" PRId64 " us per sequence %s, %g ms per request",
        times_name(point), host->step_ns / 1000, host->sequence_ns / 1000,
        host->overlaps ? "overlapped" : "added", host->request_s * 1e3);
}

static void errors_line(const char *what, const struct closed_errors *errors,
                        struct text *out)
{
    text_printf(out, "%-44s %5zu %11.1f %% (%+6.1f) %11.1f %% (%+6.1f)", what,
                errors->rows, errors->tpot_mape_pct, errors->tpot_bias_pct,
                errors->ttft_mape_pct, errors->ttft_bias_pct);
}

void closed_validation_table(const struct closed_validation *validation,
                             struct text *out)
{
    text_add(out, "\nheld out: cost model and host times that suit the other pairs of "
                  "GPU and model\n");
    for (size_t g = 0; g < validation->group_count; g++) {
        const struct closed_group *group = &validation->groups[g];
        char what[CLOSED_GROUP_BYTES + CLOSED_WORD_BYTES];
        (void)snprintf(what, sizeof what, "%s x %s", group->name, group->backend);
        errors_line(what, &group->errors, out);
        text_add(out, "  ");
        point_text(&group->others, out);
        text_add(out, "\n");
    }
    errors_line("each pair by all others", &validation->left_out, out);
    text_printf(out, "  order %.3f\n", validation->left_out_order);
    errors_line("each half by the other", &validation->halves, out);
    text_printf(out, "  order %.3f\n", validation->halves_order);
    errors_line("all by all: no prediction", &validation->fitted, out);
    text_add(out, "  ");
    point_text(&validation->all, out);
    text_add(out, "\n");
}

static struct json *errors_json(const char *name, const struct closed_errors *errors)
{
    struct json *item = json_object();
    json_put_str(item, "what", name);
    closed_errors_json(item, errors);
    return item;
}

static void point_json(struct json *item, const struct closed_point *point)
{
    json_put_str(item, "times", times_name(point));
    json_put_i64(item, "step_us", point->host.step_ns / 1000);
    json_put_i64(item, "sequence_us", point->host.sequence_ns / 1000);
    json_put_bool(item, "overlapped", point->host.overlaps);
    json_put_f64(item, "request_ms", point->host.request_s * 1e3);
}

struct json *closed_validation_json(const struct closed_validation *validation)
{
    struct json *root = json_object();
    struct json *groups = json_array();
    for (size_t g = 0; g < validation->group_count; g++) {
        const struct closed_group *group = &validation->groups[g];
        struct json *item = errors_json(group->name, &group->errors);
        json_put_str(item, "backend", group->backend);
        point_json(item, &group->others);
        json_push(groups, item);
    }
    json_put(root, "pairs", groups);
    struct json *left_out =
        errors_json("each pair by all others", &validation->left_out);
    json_put_f64(left_out, "order_agreement", validation->left_out_order);
    json_put(root, "left_out", left_out);
    struct json *halves = errors_json("each half by the other", &validation->halves);
    json_put_f64(halves, "order_agreement", validation->halves_order);
    json_put(root, "halves", halves);
    struct json *fitted = errors_json("all by all", &validation->fitted);
    point_json(fitted, &validation->all);
    json_put(root, "fitted", fitted);
    return root;
}
