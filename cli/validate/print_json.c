/* SPDX-License-Identifier: Apache-2.0
 *
 * print_json.c: the same figures, and the windows over time, as one JSON object.
 */
#include "base/json.h"
#include "base/mem.h"
#include "cli/validate/print.h"

static struct json *figure_json(const struct score_figure *figure)
{
    struct json *object = json_object();
    json_put_f64(object, "measured_ms", figure->measured_ms);
    json_put_f64(object, "simulated_ms", figure->simulated_ms);
    json_put_f64(object, "error_pct", figure->error_pct);
    return object;
}

static struct json *row_json(const struct score_row *row, enum score_metric metric)
{
    struct json *object = json_object();
    json_put_str(object, "is", score_metric_help(metric));
    json_put_u64(object, "requests", row->count);
    for (enum score_statistic at = 0; at < SCORE_STATISTICS_ALL; at++) {
        json_put(object, score_statistic_name(at), figure_json(&row->figures[at]));
    }
    json_put_f64(object, "mape_pct", row->mape_pct);
    json_put_f64(object, "correlation", row->correlation);
    return object;
}

static struct json *metrics_json(const struct score *score)
{
    struct json *object = json_object();
    const enum score_metric end =
        score->has_client ? SCORE_METRICS_ALL : SCORE_METRICS_ENGINE;
    for (enum score_metric metric = 0; metric < end; metric++) {
        json_put(object, score_metric_name(metric),
                 row_json(&score->rows[metric], metric));
    }
    return object;
}

static struct json *engine_json(const struct validation *validation)
{
    const struct sim_summary *summary = &validation->simulated->summary;
    struct json *object = json_object();
    json_put_u64(object, "steps", summary->steps);
    json_put_u64(object, "preemptions", summary->preemptions);
    json_put_u64(object, "recomputed_tokens", summary->recomputed_tokens);
    json_put_u64(object, "prefix_hit_tokens", summary->prefix_hit_tokens);
    json_put_u64(object, "prefix_query_tokens", summary->prefix_query_tokens);
    json_put_u64(object, "kv_blocks", validation->run->facts.kv_blocks);
    json_put_bool(object, "kv_blocks_assumed",
                  validation->run->facts.kv_blocks_assumed);
    json_put_f64(object, "makespan_s", validation->score->makespan_simulated_s);
    json_put_f64(object, "makespan_measured_s", validation->score->makespan_measured_s);
    json_put_f64(object, "end_s", (double)summary->end_ns / 1e9);
    return object;
}

static struct json *windows_json(const struct validation *validation)
{
    const struct measured_series *series = &validation->run->series;
    struct json *array = json_array();
    for (size_t i = 0; i < series->count; i++) {
        const struct measured_window *window = &series->windows[i];
        const struct simulated *simulated = validation->simulated;
        struct json *object = json_object();
        json_put_f64(object, "t_s", window->t_s);
        json_put_f64(object, "running_measured", window->running);
        json_put_f64(object, "running_simulated",
                     score_gauge_at(simulated, SCORE_RUNNING, window->t_s));
        json_put_f64(object, "waiting_measured", window->waiting);
        json_put_f64(object, "waiting_simulated",
                     score_gauge_at(simulated, SCORE_WAITING, window->t_s));
        if (series->has_kv) {
            json_put_f64(object, "kv_used_pct_measured", window->kv_used_pct);
            json_put_f64(object, "kv_used_pct_simulated",
                         score_gauge_at(simulated, SCORE_KV_USED, window->t_s));
        }
        json_push(array, object);
    }
    return array;
}

static struct json *over_time_json(const struct validation *validation)
{
    const struct score *score = validation->score;
    struct json *object = json_object();
    for (enum score_gauge gauge = 0; gauge < SCORE_GAUGES; gauge++) {
        if (gauge == SCORE_KV_USED && !score->has_kv) {
            continue;
        }
        const struct score_series *series = &score->gauges[gauge];
        struct json *item = json_object();
        json_put_f64(item, "measured_mean", series->measured_mean);
        json_put_f64(item, "simulated_mean", series->simulated_mean);
        json_put_f64(item, "mean_abs_difference", series->mean_abs_difference);
        json_put_f64(item, "correlation", series->correlation);
        json_put(object, score_gauge_name(gauge), item);
    }
    json_put(object, "windows", windows_json(validation));
    return object;
}

static struct json *scales_json(const struct validation *validation)
{
    struct json *object = json_object();
    json_put_f64(object, "decode", validation->scales.decode);
    json_put_f64(object, "mixed", validation->scales.mixed);
    json_put_str(object, "source", validation->scales_source);
    if (validation->found != NULL) {
        json_put_u64(object, "simulations", validation->found->simulations);
        json_put_f64(object, "rms_error_pct", validation->found->error_pct);
    }
    return object;
}

void validation_print_json(const struct validation *validation, struct text *out)
{
    const struct validate_case *run = validation->run;
    const struct score *score = validation->score;
    struct json *object = json_object();
    json_put_str(object, "run", run->facts.name);
    json_put_str(object, "gpu", run->gpu.name);
    json_put_str(object, "model", run->facts.model.name);
    json_put_str(object, "vllm_version", run->facts.vllm_version);
    json_put_u64(object, "requests", run->measured.count);
    json_put_str(object, "cost_model", run->model);
    json_put_str(object, "cost", text_str(&validation->simulated->cost));
    json_put(object, "scales", scales_json(validation));
    json_put_f64(object, "worst_abs_error_pct", score->worst_abs_error_pct);
    json_put_str(object, "worst_metric", score_metric_name(score->worst_metric));
    json_put_str(object, "worst_statistic",
                 score_statistic_name(score->worst_statistic));
    json_put(object, "metrics", metrics_json(score));
    json_put(object, "engine", engine_json(validation));
    if (score->windows > 0) {
        json_put(object, "over_time", over_time_json(validation));
    }
    char *text = json_print(object, true);
    text_printf(out, "%s\n", text);
    mem_free(text);
    json_delete(object);
}
