/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_plan.c: `stacksim plan`: which fleet, and what it costs.
 */
#include "base/mem.h"
#include "base/unit.h"
#include "cli/args.h"
#include "cli/capacity.h"
#include "cli/clock.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/policy_list.h"
#include "cli/say.h"
#include "reports/table.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { AXIS_MAX = 32, ENGINES_MAX = 1024 };

struct plan_args {
    struct scenario_args scenario;
    const char *gpus;
    const char *tensor_parallel;
    const char *policies;
    const char *format;
    uint64_t engines_max;
    uint64_t jobs;
    double attain_percent;
    double cost_span;
    bool quiet;
};

static const struct opt PLAN_OPTIONS[] = {
    {"--gpus", "A,B,C", OPT_STR, offsetof(struct plan_args, gpus),
     "l40s,a100_80_sxm,h100_sxm,h200_sxm",
     "GPU types, files of configs/gpus. Example: --gpus h100_sxm,b200_sxm"},
    {"--tp", "A,B,C", OPT_STR, offsetof(struct plan_args, tensor_parallel), "1,2,4,8",
     "Tensor-parallel sizes: GPUs of one engine. Example: --tp 1,2"},
    {"--policies", "A,B,C", OPT_STR, offsetof(struct plan_args, policies),
     "the scenario's",
     "Routing policies, as in compare. Example: --policies least_request,chwbl"},
    {"--engines-max", "N", OPT_U64, offsetof(struct plan_args, engines_max), "32",
     "Engines of one fleet, at most. Example: --engines-max 128"},
    {"--attain", "PERCENT", OPT_F64, offsetof(struct plan_args, attain_percent), "99",
     "Requests that must meet every target of the SLO. Example: --attain 95"},
    {"--cost-span", "FACTOR", OPT_F64, offsetof(struct plan_args, cost_span), "2",
     "Fleets that cost more than this many times the cheapest are not searched for. "
     "Example: --cost-span 3"},
    SCENARIO_OPTIONS(plan_args, scenario),
    {"--jobs", "N", OPT_U64, offsetof(struct plan_args, jobs), "one per core",
     "Searches at the same time. Changes no result. Example: --jobs 2"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct plan_args, format), "table",
     "table, csv, json or md; csv and json hold every candidate that was looked at. "
     "Example: --format csv"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct plan_args, quiet), "off",
     "Show no progress. Example: --quiet"},
    {0},
};

/* ---- axes ---------------------------------------------------------------------------
 */

struct names {
    char *copy;
    const char *at[AXIS_MAX];
    size_t count;
};

static bool names_read(struct names *names, const char *option, const char *text,
                       struct err *err)
{
    *names = (struct names){.copy = mem_strdup(text)};
    for (char *at = names->copy; at != NULL;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (*at == '\0' || names->count == AXIS_MAX) {
            return err_set(err, ERR_USAGE, "%s: 1 to %d names with commas, not '%s'",
                           option, AXIS_MAX, text);
        }
        names->at[names->count++] = at;
        at = comma == NULL ? NULL : comma + 1;
    }
    return true;
}

static bool sizes_read(uint32_t sizes[AXIS_MAX], const struct names *names,
                       struct err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        uint64_t value = 0;
        struct err why = {0};
        if (!unit_u64(names->at[i], &value, &why) || value < 1 || value > 64) {
            return err_set(err, ERR_USAGE, "--tp: sizes from 1 to 64, not '%s'",
                           names->at[i]);
        }
        sizes[i] = (uint32_t)value;
    }
    return true;
}

/* ---- printing
 * ------------------------------------------------------------------------ */

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
    {"tp", "TP", NULL, "GPUs of one engine", false},
    {"engines", NULL, NULL, NULL, false},
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

static void put_run(struct table *table, const struct capacity_group *group,
                    const struct capacity_run *run, const char *status)
{
    table_put_text(table, status);
    table_put_text(table, group->gpu);
    table_put_u64(table, group->tensor_parallel);
    table_put_u64(table, run->engines);
    table_put_text(table, group->policy->name);
    table_put_u64(table, (uint64_t)run->engines * group->tensor_parallel);
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

static void put_pruned(struct table *table, const struct capacity_group *group)
{
    table_put_text(table, "pruned");
    table_put_text(table, group->gpu);
    table_put_u64(table, group->tensor_parallel);
    table_put_u64(table, group->engines_min);
    table_put_text(table, group->policy->name);
    for (size_t i = 5; i + 1 < RUN_COLUMN_COUNT; i++) {
        table_put_f64(table, (double)NAN, 0, NULL);
    }
    table_put_text(table, group->pruned);
}

/* Everything that was looked at. */
static struct table *full_table(const struct capacity_result *result)
{
    struct table *table = table_new(RUN_COLUMNS, RUN_COLUMN_COUNT);
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        for (size_t k = 0; k < group->run_count; k++) {
            put_run(table, group, &group->runs[k],
                    status_of(result, group, &group->runs[k]));
            table_put_text(table, "");
        }
        if (group->pruned[0] != '\0') {
            put_pruned(table, group);
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

static void print_verdict(const struct capacity_result *result,
                          const struct plan_args *args, struct text *out)
{
    const struct capacity_group *group = result->cheapest;
    if (group == NULL) {
        text_add(out, "No fleet holds the SLO; see the reasons below, allow more with "
                      "--engines-max, or loosen the SLO.\n");
    } else {
        text_printf(out, "Cheapest: %" PRIu32 " engines of %" PRIu32 " x %s under %s",
                    group->best->engines, group->tensor_parallel, group->gpu,
                    group->policy->name);
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
        result->candidates, result->simulated, args->attain_percent);
}

static void print_reasons(const struct capacity_result *result, struct text *out)
{
    bool any = false;
    for (size_t i = 0; i < result->count; i++) {
        const struct capacity_group *group = &result->groups[i];
        if (group->pruned[0] != '\0') {
            text_add(out, any ? "" : "\nNot searched or without success:\n");
            text_printf(out, "  %s, TP %" PRIu32 ", %s: %s\n", group->gpu,
                        group->tensor_parallel, group->policy->name, group->pruned);
            any = true;
        }
    }
}

static bool print(const struct capacity_result *result, const struct plan_args *args,
                  enum table_format format, struct err *err)
{
    struct text out = {0};
    const bool prose = format == TABLE_TEXT || format == TABLE_MD;
    struct table *table = prose ? short_table(result) : full_table(result);
    if (prose) {
        print_verdict(result, args, &out);
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

/* ---- the command
 * --------------------------------------------------------------------- */

struct plan_call {
    const struct plan_args *args;
    const char *scenario_path;
    struct scenario_storage storage;
    struct runner_setup base;
    struct names gpus;
    struct names tensor_parallel;
    uint32_t sizes[AXIS_MAX];
    struct policy_list policies;
    struct capacity_result result;
};

static bool set_up(struct plan_call *call, struct capacity_setup *setup,
                   struct err *err)
{
    const struct plan_args *args = call->args;
    struct scenario *scenario = NULL;
    if (!scenario_args_apply(&args->scenario, call->scenario_path, &call->storage,
                             &call->base, err) ||
        !names_read(&call->gpus, "--gpus", args->gpus, err) ||
        !names_read(&call->tensor_parallel, "--tp", args->tensor_parallel, err) ||
        !sizes_read(call->sizes, &call->tensor_parallel, err)) {
        return false;
    }
    setup->base = &call->base;
    setup->axis = (struct capacity_axis){
        .gpus = call->gpus.at,
        .gpu_count = call->gpus.count,
        .tensor_parallel = call->sizes,
        .tensor_parallel_count = call->tensor_parallel.count,
    };
    if (!capacity_scenario(&scenario, setup, err)) {
        return false;
    }
    const char *policies =
        args->policies == NULL ? scenario->policy->name : args->policies;
    const bool ok =
        policy_list_parse(&call->policies, call->base.policies, policies, err);
    scenario_delete(scenario);
    setup->axis.policies = call->policies.choices;
    setup->axis.policy_count = call->policies.count;
    return ok;
}

static int execute(struct plan_call *call, enum table_format format)
{
    struct err err = {0};
    const struct plan_args *args = call->args;
    struct capacity_setup setup = {
        .engines_max = (uint32_t)args->engines_max,
        .attain = args->attain_percent / 100,
        .cost_span = args->cost_span,
        .threads =
            args->jobs == 0 || args->jobs > 1024 ? clock_cores() : (uint32_t)args->jobs,
        .quiet = args->quiet,
    };
    if (!set_up(call, &setup, &err)) {
        return say_error(&err);
    }
    switch (capacity_search(&call->result, &setup, &err)) {
    case PROBE_FAILED:
        return say_error(&err);
    case PROBE_STOPPED:
        return say_interrupted("a part of the searches", NULL);
    case PROBE_DONE:
        break;
    }
    return print(&call->result, args, format, &err) ? EXIT_DONE : say_error(&err);
}

static bool args_check(const struct plan_args *args, struct err *err)
{
    if (!(args->attain_percent > 0 && args->attain_percent <= 100)) {
        return err_set(err, ERR_USAGE, "--attain: above 0 and at most 100, not %g",
                       args->attain_percent);
    }
    if (args->engines_max < 1 || args->engines_max > ENGINES_MAX) {
        return err_set(err, ERR_USAGE, "--engines-max: 1 to %d, not %" PRIu64,
                       ENGINES_MAX, args->engines_max);
    }
    return (args->cost_span >= 1 && args->cost_span <= 1e6) ||
           err_set(err, ERR_USAGE, "--cost-span: 1 or more, not %g", args->cost_span);
}

static int plan_run(int argc, char *const *argv)
{
    struct plan_args args = {
        .gpus = "l40s,a100_80_sxm,h100_sxm,h200_sxm",
        .tensor_parallel = "1,2,4,8",
        .format = "table",
        .engines_max = 32,
        .attain_percent = 99,
        .cost_span = 2,
    };
    struct command_call parsed = {0};
    if (!command_parse(&command_plan, argc, argv, &args, &parsed)) {
        return parsed.exit_code;
    }
    struct err err = {0};
    enum table_format format = TABLE_TEXT;
    if (!args_check(&args, &err) || !table_format_parse(args.format, &format, &err)) {
        return say_error(&err);
    }
    struct plan_call *call = mem_alloc(1, sizeof *call);
    call->args = &args;
    call->scenario_path = parsed.result.positional[0];
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = execute(call, format);
    interrupt_release(&interrupt);
    capacity_fini(&call->result);
    scenario_storage_fini(&call->storage);
    mem_free(call->gpus.copy);
    mem_free(call->tensor_parallel.copy);
    mem_free(call);
    return code;
}

const struct command command_plan = {
    .options =
        {
            .name = "plan",
            .usage = "SCENARIO [--gpus A,B] [--tp 1,2] [OPTIONS]",
            .summary = "the cheapest fleet that holds an SLO at the scenario's load",
            .description =
                "Takes workload, model, engine flags and SLO from the scenario and "
                "searches GPU types,\ntensor-parallel sizes, policies and numbers of "
                "engines. Prints the cheapest fleet, the\nfront of cost against p99 of "
                "TTFT, and why the others were not searched.\n\n"
                "Examples:\n"
                "  stacksim plan demo --gpus l40s,h100_sxm --tp 1,2\n"
                "  stacksim plan fleet.yaml --set slo.ttft=500ms --set slo.tpot=50ms "
                "--attain 95 --format csv",
            .options = PLAN_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = plan_run,
};
