/* SPDX-License-Identifier: Apache-2.0
 *
 * print.c: tables for a terminal.
 */
#include "cli/validate/print.h"

#include "reports/table.h"

#include <inttypes.h>
#include <stdio.h>

static void heading(const struct validation *validation, struct text *out)
{
    const struct run_facts *facts = &validation->run->facts;
    text_printf(out, "%s: %zu requests, measured with vLLM %s\n", facts->name,
                validation->run->measured.count,
                facts->vllm_version[0] == '\0' ? "of unknown version"
                                               : facts->vllm_version);
    text_printf(out, "cost model: %s\n", text_str(&validation->simulated->cost));
    text_printf(out, "scales: decode %.4g, mixed %.4g (%s)\n",
                validation->scales.decode, validation->scales.mixed,
                validation->scales_source);
    if (validation->found != NULL) {
        text_printf(out,
                    "        found in %" PRIu32 " simulations, rms error %.2f %%\n",
                    validation->found->simulations, validation->found->error_pct);
    }
    if (facts->kv_blocks_assumed) {
        text_printf(out,
                    "note: the run did not record its KV blocks; %" PRIu32
                    " are assumed\n",
                    facts->kv_blocks);
    }
    text_add(out, "\n");
}

static void put_row(struct table *table, const struct score *score,
                    enum score_metric metric)
{
    const struct score_row *row = &score->rows[metric];
    for (enum score_statistic at = 0; at < SCORE_STATISTICS_ALL; at++) {
        const struct score_figure *figure = &row->figures[at];
        char shown[32];
        snprintf(shown, sizeof shown, "%+.2f", figure->error_pct);
        table_put_text(table, score_metric_name(metric));
        table_put_text(table, score_statistic_name(at));
        table_put_f64(table, figure->measured_ms, 2, NULL);
        table_put_f64(table, figure->simulated_ms, 2, NULL);
        table_put_f64(table, figure->error_pct, 2, shown);
        if (metric == score->worst_metric && at == score->worst_statistic) {
            table_mark(table);
        }
    }
}

static void figures_print(const struct score *score, struct text *out)
{
    static const struct table_column columns[] = {
        {"metric", NULL, NULL, NULL, true},
        {"statistic", "", NULL, NULL, true},
        {"measured_ms", "measured", "ms", NULL, false},
        {"simulated_ms", "simulated", "ms", NULL, false},
        {"error_pct", "error", "%", NULL, false},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    const enum score_metric end =
        score->has_client ? SCORE_METRICS_ALL : SCORE_METRICS_ENGINE;
    for (enum score_metric metric = 0; metric < end; metric++) {
        put_row(table, score, metric);
    }
    table_write(table, TABLE_TEXT, out);
    table_delete(table);
    text_add(out, "ttft and e2e count from the moment the engine core took the request "
                  "(queued);\nthe worst error is over the 15 figures of ttft, tpot and "
                  "e2e.\n\n");
}

static void requests_print(const struct score *score, struct text *out)
{
    static const struct table_column columns[] = {
        {"metric", "per request", NULL, NULL, true},
        {"requests", NULL, NULL, NULL, false},
        {"mape_pct", "mean abs. error", "%", NULL, false},
        {"correlation", NULL, NULL, NULL, false},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    const enum score_metric end =
        score->has_client ? SCORE_METRICS_ALL : SCORE_METRICS_ENGINE;
    for (enum score_metric metric = 0; metric < end; metric++) {
        table_put_text(table, score_metric_name(metric));
        table_put_u64(table, score->rows[metric].count);
        table_put_f64(table, score->rows[metric].mape_pct, 2, NULL);
        table_put_f64(table, score->rows[metric].correlation, 5, NULL);
    }
    table_write(table, TABLE_TEXT, out);
    table_delete(table);
    text_add(out, "\n");
}

static void gauges_print(const struct score *score, struct text *out)
{
    static const struct table_column columns[] = {
        {"gauge", "over time", NULL, NULL, true},
        {"measured_mean", "measured mean", NULL, NULL, false},
        {"simulated_mean", "simulated mean", NULL, NULL, false},
        {"mean_abs_difference", "mean abs. difference", NULL, NULL, false},
        {"correlation", NULL, NULL, NULL, false},
    };
    if (score->windows == 0) {
        return;
    }
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    for (enum score_gauge gauge = 0; gauge < SCORE_GAUGES; gauge++) {
        const struct score_series *series = &score->gauges[gauge];
        if (gauge == SCORE_KV_USED && !score->has_kv) {
            continue;
        }
        table_put_text(table, score_gauge_name(gauge));
        table_put_f64(table, series->measured_mean, 2, NULL);
        table_put_f64(table, series->simulated_mean, 2, NULL);
        table_put_f64(table, series->mean_abs_difference, 2, NULL);
        table_put_f64(table, series->correlation, 5, NULL);
    }
    table_write(table, TABLE_TEXT, out);
    table_delete(table);
    text_add(out, "\n");
}

void validation_print_table(const struct validation *validation, struct text *out)
{
    const struct score *score = validation->score;
    const struct sim_summary *summary = &validation->simulated->summary;
    heading(validation, out);
    figures_print(score, out);
    requests_print(score, out);
    gauges_print(score, out);
    text_printf(out,
                "simulated: %" PRIu64 " steps, %" PRIu64 " preemptions, %" PRIu64
                " recomputed tokens, %" PRIu64 " prefix-hit tokens\n",
                summary->steps, summary->preemptions, summary->recomputed_tokens,
                summary->prefix_hit_tokens);
    text_printf(out, "makespan: measured %.3f s, simulated %.6f s (%+.2f %%)\n",
                score->makespan_measured_s, score->makespan_simulated_s,
                100.0 * (score->makespan_simulated_s / score->makespan_measured_s - 1));
    text_printf(out, "worst absolute error: %.2f %% (%s %s)\n",
                score->worst_abs_error_pct, score_metric_name(score->worst_metric),
                score_statistic_name(score->worst_statistic));
}
