/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_score.c: errors over all rows and by GPU x model x backend x precision.
 */
#include "cli/validate/closed_score.h"

#include "base/json.h"
#include "base/mem.h"
#include "cli/validate/closed_fit.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct closed_errors closed_errors_of(const struct closed_pair *pairs, size_t count)
{
    double tpot = 0.0;
    double ttft = 0.0;
    double tpot_signed = 0.0;
    double ttft_signed = 0.0;
    for (size_t i = 0; i < count; i++) {
        const struct closed_row *row = pairs[i].row;
        const double tpot_error = pairs[i].predicted.tpot_ms / row->tpot_ms - 1.0;
        const double ttft_error = pairs[i].predicted.ttft_ms / row->ttft_ms - 1.0;
        tpot += fabs(tpot_error);
        ttft += fabs(ttft_error);
        tpot_signed += tpot_error;
        ttft_signed += ttft_error;
    }
    const double percent = 100.0 / (double)count; /* infinite for none: 0 * inf = NaN */
    return (struct closed_errors){
        .rows = count,
        .tpot_mape_pct = tpot * percent,
        .ttft_mape_pct = ttft * percent,
        .tpot_bias_pct = tpot_signed * percent,
        .ttft_bias_pct = ttft_signed * percent,
    };
}

static bool same_load(const struct closed_row *a, const struct closed_row *b)
{
    return a->prompt_tokens == b->prompt_tokens &&
           a->output_tokens == b->output_tokens &&
           strcmp(a->model_path, b->model_path) == 0;
}

static double agreement(const struct closed_pair *a, const struct closed_pair *b)
{
    const double predicted = a->predicted.tpot_ms - b->predicted.tpot_ms;
    const double measured = a->row->tpot_ms - b->row->tpot_ms;
    if (predicted == 0.0) {
        return 0.5;
    }
    return (predicted > 0.0) == (measured > 0.0) ? 1.0 : 0.0;
}

double closed_order_agreement(const struct closed_pair *pairs, size_t count,
                              uint64_t *compared)
{
    double right = 0.0;
    *compared = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            if (same_load(pairs[i].row, pairs[j].row) &&
                pairs[i].row->tpot_ms != pairs[j].row->tpot_ms) {
                right += agreement(&pairs[i], &pairs[j]);
                ++*compared;
            }
        }
    }
    return *compared == 0 ? (double)NAN : right / (double)*compared;
}

static int group_compare(const struct closed_pair *a, const struct closed_pair *b)
{
    int order = strcmp(a->row->system, b->row->system);
    if (order == 0) {
        order = strcmp(a->row->model_path, b->row->model_path);
    }
    if (order == 0) {
        order = strcmp(a->row->backend, b->row->backend);
    }
    if (order == 0) {
        order = (a->predicted.weight_bits > b->predicted.weight_bits) -
                (a->predicted.weight_bits < b->predicted.weight_bits);
    }
    return order;
}

static int pair_compare(const void *left, const void *right)
{
    const struct closed_pair *a = left;
    const struct closed_pair *b = right;
    const int order = group_compare(a, b);
    if (order != 0) {
        return order;
    }
    return (a->row->line > b->row->line) - (a->row->line < b->row->line);
}

void closed_report_sort(struct closed_report *report)
{
    qsort(report->pairs, report->count, sizeof *report->pairs, pair_compare);
}

/* Pairs of the group that begins at `start`. */
static size_t group_count(const struct closed_report *report, size_t start)
{
    size_t end = start + 1;
    while (end < report->count &&
           group_compare(&report->pairs[start], &report->pairs[end]) == 0) {
        end++;
    }
    return end - start;
}

static void left_out_table(const struct closed_rows *rows, struct text *out)
{
    for (size_t i = 0; i < CLOSED_REASON_COUNT; i++) {
        if (rows->left_out[i] > 0) {
            text_printf(out, "  %7" PRIu64 "  %s\n", rows->left_out[i],
                        closed_reason_help((enum closed_reason)i));
        }
    }
}

void closed_report_table(const struct closed_report *report, struct text *out)
{
    uint64_t compared = 0;
    const struct closed_errors all = closed_errors_of(report->pairs, report->count);
    const double order =
        closed_order_agreement(report->pairs, report->count, &compared);
    text_printf(out, "%s: %" PRIu64 " rows, %zu scored; left out:\n", report->path,
                report->rows->read, report->count);
    left_out_table(report->rows, out);
    text_printf(out, "\n%-44s %5s %22s %22s\n", "system x model x backend, weights",
                "rows", "TPOT MAPE (bias)", "TTFT MAPE (bias)");
    for (size_t i = 0, count = 0; i < report->count; i += count) {
        const struct closed_pair *first = &report->pairs[i];
        count = group_count(report, i);
        const struct closed_errors errors = closed_errors_of(first, count);
        text_printf(out,
                    "%s x %s x %s, %" PRIu32
                    " bit\n%44s %5zu %11.1f %% (%+6.1f) %11.1f %% (%+6.1f)\n",
                    first->row->system, first->row->model_path, first->row->backend,
                    first->predicted.weight_bits, "", errors.rows, errors.tpot_mape_pct,
                    errors.tpot_bias_pct, errors.ttft_mape_pct, errors.ttft_bias_pct);
    }
    text_printf(out, "\n%-44s %5zu %11.1f %% (%+6.1f) %11.1f %% (%+6.1f)\n", "all",
                all.rows, all.tpot_mape_pct, all.tpot_bias_pct, all.ttft_mape_pct,
                all.ttft_bias_pct);
    text_printf(out,
                "order agreement (TPOT, one model and lengths): %.3f of %" PRIu64
                " pairs\n",
                order, compared);
    if (report->held_out != NULL) {
        closed_validation_table(report->held_out, out);
    }
}

void closed_errors_json(struct json *object, const struct closed_errors *errors)
{
    json_put_u64(object, "rows", errors->rows);
    json_put_f64(object, "tpot_mape_pct", errors->tpot_mape_pct);
    json_put_f64(object, "ttft_mape_pct", errors->ttft_mape_pct);
    json_put_f64(object, "tpot_bias_pct", errors->tpot_bias_pct);
    json_put_f64(object, "ttft_bias_pct", errors->ttft_bias_pct);
}

static struct json *left_out_json(const struct closed_rows *rows)
{
    struct json *list = json_array();
    for (size_t i = 0; i < CLOSED_REASON_COUNT; i++) {
        if (rows->left_out[i] > 0) {
            struct json *item = json_object();
            json_put_u64(item, "rows", rows->left_out[i]);
            json_put_str(item, "why", closed_reason_help((enum closed_reason)i));
            json_push(list, item);
        }
    }
    return list;
}

static struct json *groups_json(const struct closed_report *report)
{
    struct json *list = json_array();
    for (size_t i = 0, count = 0; i < report->count; i += count) {
        const struct closed_pair *first = &report->pairs[i];
        count = group_count(report, i);
        const struct closed_errors errors = closed_errors_of(first, count);
        struct json *item = json_object();
        json_put_str(item, "system", first->row->system);
        json_put_str(item, "model_path", first->row->model_path);
        json_put_str(item, "backend", first->row->backend);
        json_put_u64(item, "weight_bits", first->predicted.weight_bits);
        closed_errors_json(item, &errors);
        json_put_str(item, "first_cost_model", first->predicted.source);
        json_push(list, item);
    }
    return list;
}

void closed_report_json(const struct closed_report *report, struct text *out)
{
    uint64_t compared = 0;
    const struct closed_errors all = closed_errors_of(report->pairs, report->count);
    const double order =
        closed_order_agreement(report->pairs, report->count, &compared);
    struct json *root = json_object();
    json_put_str(root, "file", report->path);
    closed_errors_json(root, &all);
    json_put_f64(root, "order_agreement", order);
    json_put_u64(root, "ordered_pairs", compared);
    json_put_u64(root, "rows_read", report->rows->read);
    json_put(root, "left_out", left_out_json(report->rows));
    json_put(root, "groups", groups_json(report));
    if (report->held_out != NULL) {
        json_put(root, "held_out", closed_validation_json(report->held_out));
    }
    char *text = json_print(root, true);
    text_printf(out, "%s\n", text);
    mem_free(text);
    json_delete(root);
}
