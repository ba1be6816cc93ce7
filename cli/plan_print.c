/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_print.c: what a plan found, for people and for programs.
 */
#include "cli/plan_print.h"

#include "base/mem.h"
#include "cli/capacity.h"
#include "cli/policy_list.h"
#include "cli/say.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void put_money(struct table *table, double value)
{
    table_put_f64(table, value, 2, NULL);
}

static void put_metric(struct table *table, const struct capacity_run *run,
                       enum metric metric)
{
    char shown[400];
    metric_format(metric, run->metrics.value[metric], shown, sizeof shown);
    table_put_f64(table, run->metrics.value[metric], metric_info(metric)->decimals,
                  shown);
}

/* US dollars for a million output tokens while the fleet is loaded like this. */
static double cost_per_million(const struct capacity_run *run)
{
    return run->cost_low_per_hour / 3600 / run->output_tokens_per_s * 1e6;
}

static const struct table_column RUN_COLUMNS[] = {
    {"status", "", NULL, NULL, true},
    {"gpu", NULL, NULL, NULL, true},
    {"tp", "TP", NULL, "GPUs that share every layer", false},
    {"pp", "PP", NULL, "pipeline stages", false},
    {"engines", NULL, NULL, NULL, false},
    {"split", NULL, NULL, "engines for prompts to engines for outputs", true},
    {"policy", NULL, NULL, NULL, true},
    {"gpus", "GPUs", NULL, "of the fleet", false},
    {"cost_per_hour", "$/h", NULL, "at the low end of prices", false},
    {"cost_high_per_hour", "to", NULL, "at the high end", false},
    {"cost_per_million_tokens", "$/1M out", NULL, "output tokens, low end", false},
    {"slo_ratio", "in SLO", "%", NULL, false},
    {"ttft_ms_p99", "TTFT p99", "ms", NULL, false},
    {"tpot_ms_p99", "TPOT p99", "ms", NULL, false},
    {"e2e_ms_p99", "E2E p99", "ms", NULL, false},
    {"reason", NULL, NULL, "of those that were not simulated", true},
};
enum { RUN_COLUMN_COUNT = sizeof RUN_COLUMNS / sizeof RUN_COLUMNS[0] };

static void put_split(struct table *table, struct capacity_split split)
{
    char shown[32] = "none";
    if (capacity_is_split(split)) {
        snprintf(shown, sizeof shown, "%" PRIu32 ":%" PRIu32, split.prefill,
                 split.decode);
    }
    table_put_text(table, shown);
}

static void put_run(struct table *table, const struct capacity_group *group,
                    const struct capacity_run *run, const char *status)
{
    table_put_text(table, status);
    table_put_text(table, group->gpu);
    table_put_u64(table, group->tensor_parallel);
    table_put_u64(table, group->stages);
    table_put_u64(table, run->engines);
    put_split(table, group->split);
    table_put_text(table, group->policy->name);
    table_put_u64(table, (uint64_t)run->engines * capacity_gpus(group));
    put_money(table, run->cost_low_per_hour);
    put_money(table, run->cost_high_per_hour);
    put_money(table, cost_per_million(run));
    put_metric(table, run, METRIC_SLO_RATIO);
    put_metric(table, run, METRIC_TTFT_MS_P99);
    put_metric(table, run, METRIC_TPOT_MS_P99);
    put_metric(table, run, METRIC_E2E_MS_P99);
}

static const char *status_of(const struct capacity_result *result,
                             const struct capacity_group *group,
                             const struct capacity_run *run)
{
    if (result->cheapest == group && group->best == run) {
        return "cheapest";
    }
    return run->pareto ? "pareto" : (run->held ? "holds" : "fails");
}

static void put_pruned(struct table *table, const struct capacity_group *group,
                       uint32_t engines)
{
    enum { FIGURES = RUN_COLUMN_COUNT - 9 }; /* eight before the first, the reason */
    struct text reason = {0};
    capacity_reason(group, engines, &reason);
    table_put_text(table, "pruned");
    table_put_text(table, group->gpu);
    table_put_u64(table, group->tensor_parallel);
    table_put_u64(table, group->stages);
    table_put_u64(table, engines);
    put_split(table, group->split);
    table_put_text(table, group->policy->name);
    table_put_u64(table, (uint64_t)engines * capacity_gpus(group));
    for (size_t i = 0; i < FIGURES; i++) {
        table_put_f64(table, (double)NAN, 0, NULL);
    }
    table_put_text(table, text_str(&reason));
    text_fini(&reason);
}

static const struct capacity_run *run_of(const struct capacity_group *group,
                                         uint32_t engines)
{
    for (size_t i = 0; i < group->run_count; i++) {
        if (group->runs[i].engines == engines) {
            return &group->runs[i];
        }
    }
    return NULL;
}

/* Every candidate. */
static struct table *full_table(const struct capacity_result *result)
{
    struct table *table = table_new(RUN_COLUMNS, RUN_COLUMN_COUNT);
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        for (uint32_t k = 0; k < group->candidates; k++) {
            const uint32_t engines = capacity_candidate(group, k);
            const struct capacity_run *run = run_of(group, engines);
            if (run == NULL) {
                put_pruned(table, group, engines);
            } else {
                put_run(table, group, run, status_of(result, group, run));
                table_put_text(table, "");
            }
        }
    }
    return table;
}

struct shown {
    const struct capacity_group *group;
    const struct capacity_run *run;
};

static bool comes_before(const struct shown *a, const struct shown *b)
{
    const double cost_a = a->run->cost_low_per_hour;
    const double cost_b = b->run->cost_low_per_hour;
    return isnan(cost_b) ? !isnan(cost_a) : cost_a < cost_b;
}

/* The best fleet of each group and the Pareto front, cheapest first. */
static struct table *short_table(const struct capacity_result *result)
{
    struct shown *shown =
        mem_alloc(result->count * CAPACITY_RUNS_MAX + 1, sizeof *shown);
    size_t count = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        for (size_t k = 0; k < group->run_count; k++) {
            const struct shown one = {group, &group->runs[k]};
            if (!one.run->pareto && group->best != one.run) {
                continue;
            }
            size_t at = count++;
            while (at > 0 && comes_before(&one, &shown[at - 1])) {
                shown[at] = shown[at - 1];
                at--;
            }
            shown[at] = one;
        }
    }
    struct table *table = table_new(RUN_COLUMNS, RUN_COLUMN_COUNT - 1);
    for (size_t i = 0; i < count; i++) {
        put_run(table, shown[i].group, shown[i].run,
                status_of(result, shown[i].group, shown[i].run));
    }
    mem_free(shown);
    return table;
}

/* " in 4 stages, 2 of them for prompts," */
static void add_split_words(const struct capacity_group *group, struct text *out)
{
    const struct capacity_split split = group->split;
    if (group->stages > 1) {
        text_printf(out, " in %" PRIu32 " stages", group->stages);
    }
    if (capacity_is_split(split)) {
        text_printf(out, ", %" PRIu32 " of them for prompts,",
                    group->best->engines / (split.prefill + split.decode) *
                        split.prefill);
    }
}

static void print_verdict(const struct capacity_result *result, double attain_percent,
                          struct text *out)
{
    const struct capacity_group *group = result->cheapest;
    if (group == NULL) {
        text_add(out, "No fleet holds the SLO; see the reasons below, allow more with "
                      "--engines-max, or loosen the SLO.\n");
    } else {
        text_printf(out, "Cheapest: %" PRIu32 " engines of %" PRIu32 " x %s",
                    group->best->engines, capacity_gpus(group), group->gpu);
        add_split_words(group, out);
        text_printf(out, " under %s", group->policy->name);
        if (!isnan(group->best->cost_low_per_hour)) {
            text_printf(out,
                        ", $%.2f to $%.2f per hour, $%.2f per million output tokens",
                        group->best->cost_low_per_hour, group->best->cost_high_per_hour,
                        cost_per_million(group->best));
        }
        text_add(out, ".\n");
    }
    text_printf(
        out,
        "%" PRIu64 " candidates: %" PRIu64 " simulated, the rest by order or "
        "arithmetic. At least %g %% of all requests within the SLO, one seed.\n",
        result->candidates, result->simulated, attain_percent);
}

static void print_reasons(const struct capacity_result *result, struct text *out)
{
    bool any = false;
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        if (group->pruned[0] != '\0') {
            text_add(out, any ? "" : "\nNot searched or without success:\n");
            text_printf(out, "  %s, TP %" PRIu32, group->gpu, group->tensor_parallel);
            if (group->stages > 1) {
                text_printf(out, ", PP %" PRIu32, group->stages);
            }
            text_printf(out, ", %s", group->policy->name);
            if (capacity_is_split(group->split)) {
                text_printf(out, ", %" PRIu32 ":%" PRIu32, group->split.prefill,
                            group->split.decode);
            }
            text_printf(out, ": %s\n", group->pruned);
            any = true;
        }
    }
}

bool plan_print(const struct capacity_result *result, enum table_format format,
                double attain_percent, struct err *err)
{
    struct text out = {0};
    const bool prose = format == TABLE_TEXT || format == TABLE_MD;
    struct table *table = prose ? short_table(result) : full_table(result);
    if (prose) {
        print_verdict(result, attain_percent, &out);
        text_add(&out, "\n");
    }
    if (!prose || table_rows(table) > 0) {
        table_write(table, format, &out);
    }
    if (prose) {
        print_reasons(result, &out);
    }
    table_delete(table);
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(err);
}
