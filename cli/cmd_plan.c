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
#include "cli/plan_print.h"
#include "cli/policy_list.h"
#include "cli/say.h"
#include "reports/table.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <string.h>

enum { AXIS_MAX = 32, ENGINES_MAX = 1024 };

struct plan_args {
    struct scenario_args scenario;
    const char *gpus;
    const char *tensor_parallel;
    const char *stages;
    const char *policies;
    const char *splits;
    const char *pair;
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
     "Tensor-parallel sizes: GPUs of an engine that share every layer. Example: --tp "
     "1,2"},
    {"--pp", "A,B,C", OPT_STR, offsetof(struct plan_args, stages), "1",
     "Pipeline stages of an engine, each of --tp GPUs. Slower to simulate. Example: "
     "--pp 1,2,4"},
    {"--policies", "A,B,C", OPT_STR, offsetof(struct plan_args, policies),
     "the scenario's",
     "Routing policies, as in compare. Example: --policies least_request,chwbl"},
    {"--splits", "A,B,C", OPT_STR, offsetof(struct plan_args, splits), "none",
     "Disaggregated prefill: engines for prompts to engines for outputs, and 'none', "
     "where each does both. Example: --splits none,1:1,1:3"},
    {"--pair", "NAME", OPT_STR, offsetof(struct plan_args, pair), "pd_independent",
     "Of splits: the policy that chooses pairs of engines. Example: --pair "
     "pd_conditional"},
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

static bool sizes_read(uint32_t sizes[AXIS_MAX], const char *option,
                       const struct names *names, uint32_t most, struct err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        uint64_t value = 0;
        struct err why = {0};
        if (!unit_u64(names->at[i], &value, &why) || value < 1 || value > most) {
            return err_set(err, ERR_USAGE, "%s: sizes from 1 to %" PRIu32 ", not '%s'",
                           option, most, names->at[i]);
        }
        sizes[i] = (uint32_t)value;
    }
    return true;
}

/* "none" or "1:3". */
static bool splits_read(struct capacity_split splits[AXIS_MAX],
                        const struct names *names, struct err *err)
{
    enum { SIDE_MAX = 64 };
    for (size_t i = 0; i < names->count; i++) {
        uint64_t prefill = 0;
        uint64_t decode = 0;
        char first[8] = "";
        const char *colon = strchr(names->at[i], ':');
        if (colon != NULL && (size_t)(colon - names->at[i]) < sizeof first) {
            memcpy(first, names->at[i], (size_t)(colon - names->at[i]));
        }
        const bool is_pair = colon != NULL && unit_u64(first, &prefill, NULL) &&
                             unit_u64(colon + 1, &decode, NULL) && prefill >= 1 &&
                             prefill <= SIDE_MAX && decode >= 1 && decode <= SIDE_MAX;
        if (!is_pair && strcmp(names->at[i], "none") != 0) {
            return err_set(err, ERR_USAGE,
                           "--splits: 'none' or P:D, engines for prompts to engines "
                           "for outputs, each 1 to %d, not '%s'",
                           SIDE_MAX, names->at[i]);
        }
        splits[i] = (struct capacity_split){(uint32_t)prefill, (uint32_t)decode};
    }
    return true;
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
    struct names stage_names;
    uint32_t stages[AXIS_MAX];
    struct names split_names;
    struct capacity_split splits[AXIS_MAX];
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
        !sizes_read(call->sizes, "--tp", &call->tensor_parallel, 64, err) ||
        !names_read(&call->stage_names, "--pp", args->stages, err) ||
        !sizes_read(call->stages, "--pp", &call->stage_names, PARALLEL_STAGES_MAX,
                    err) ||
        !names_read(&call->split_names, "--splits", args->splits, err) ||
        !splits_read(call->splits, &call->split_names, err)) {
        return false;
    }
    setup->base = &call->base;
    setup->axis = (struct capacity_axis){
        .gpus = call->gpus.at,
        .gpu_count = call->gpus.count,
        .tensor_parallel = call->sizes,
        .tensor_parallel_count = call->tensor_parallel.count,
        .stages = call->stages,
        .stages_count = call->stage_names.count,
        .splits = call->splits,
        .split_count = call->split_names.count,
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
        .pair = args->pair,
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
    return plan_print(&call->result, format, args->attain_percent, &err)
               ? EXIT_DONE
               : say_error(&err);
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
        .stages = "1",
        .splits = "none",
        .pair = "pd_independent",
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
    mem_free(call->stage_names.copy);
    mem_free(call->split_names.copy);
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
                "searches GPU types,\ntensor-parallel sizes, policies, splits of "
                "prefill "
                "and decode, and numbers of engines.\nPrints the cheapest fleet, the "
                "front of cost against p99 of "
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
