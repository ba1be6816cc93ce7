/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_validate.c: `stacksim validate`: how far the simulator is from a measured run.
 */
#include "base/outfile.h"
#include "cli/calibrate/calibrate.h"
#include "cli/command.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "cli/validate/closed_run.h"
#include "cli/validate/print.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct validate_args {
    const char *model;
    const char *format;
    const char *scales_from;
    const char *scales_out;
    const char *config_dir;
    const char *requests;
    const char *fit;
    double scale_decode; /* NaN: not given */
    double scale_mixed;
    double max_error_pct;
    bool autoscale;
    bool step_by_step;
    const char *collectives;
    const char *engine_loop;
    const char *closed_loop;
    const char *filter;
    double length_jitter;
    bool experts;
    bool cross_validate;
};

static const struct opt VALIDATE_OPTIONS[] = {
    {"--model", "NAME", OPT_STR, offsetof(struct validate_args, model),
     "affine; with --closed-loop what is shipped",
     "Cost model: affine (fitted on profile/), table (LLMServingSim's interpolation of "
     "profile/), roofline (data sheet, no profile needed) or ops (op tables in ops/, "
     "else the GPU's shipped fit of them); with --closed-loop roofline or ops. "
     "Example: --model table"},
    {"--fit", "NAME", OPT_STR, offsetof(struct validate_args, fit),
     "fitted to profile/",
     "With --model affine: step times of this fit, a file of configs/fits or a path, "
     "instead of profile/. Example: --fit rtx_4090.llama_3_1_8b"},
    {"--scale-decode", "X", OPT_F64, offsetof(struct validate_args, scale_decode), "1",
     "Factor on the time of steps that only decode. Example: --scale-decode 0.95"},
    {"--scale-mixed", "X", OPT_F64, offsetof(struct validate_args, scale_mixed), "1",
     "Factor on the time of steps with prefill. Example: --scale-mixed 1.04"},
    {"--autoscale", NULL, OPT_FLAG, offsetof(struct validate_args, autoscale), "off",
     "Search the two factors that fit this run best. What comes out is no prediction "
     "of this run; use it on others. Example: --autoscale"},
    {"--scales-out", "FILE.yaml", OPT_STR, offsetof(struct validate_args, scales_out),
     "none",
     "Write the factors that --autoscale found. "
     "Example: --autoscale --scales-out rtx_4090.yaml"},
    {"--scales-from", "FILE.yaml", OPT_STR, offsetof(struct validate_args, scales_from),
     "none",
     "Read both factors from a file that --scales-out wrote. "
     "Example: --scales-from rtx_4090.yaml"},
    {"--collectives", "HOW", OPT_STR, offsetof(struct validate_args, collectives),
     "measured",
     "Where all-reduce times come from, for --model affine: measured (the table of the "
     "GPU's file, if it has one) or ring (20 us and 16 GiB/s). "
     "Example: --collectives ring"},
    {"--engine-loop", "WHOSE", OPT_STR, offsetof(struct validate_args, engine_loop),
     "vllm",
     "Whose engine loop to simulate: vllm, or llmservingsim (no step is formed ahead, "
     "no "
     "KV block is reserved), for comparison with --model table. "
     "Example: --model table --engine-loop llmservingsim"},
    {"--closed-loop", "FILE.csv", OPT_STR, offsetof(struct validate_args, closed_loop),
     "none",
     "Instead of DIR: measured closed loops, one row each, plain or gzip; scores dense "
     "rows of every backend. Example: --closed-loop silicon_sample.csv.gz"},
    {"--filter", "COLUMN=VALUE,...", OPT_STR, offsetof(struct validate_args, filter),
     "none",
     "Only rows of --closed-loop with these values. "
     "Example: --filter system=h100_sxm,backend=vllm"},
    {"--length-jitter", "PART", OPT_F64, offsetof(struct validate_args, length_jitter),
     "by the row's source",
     "With --closed-loop: lengths are uniform between this part below the row's and "
     "the row's own; 0: all equal. Example: --length-jitter 0"},
    {"--experts", NULL, OPT_FLAG, offsetof(struct validate_args, experts), "off",
     "With --closed-loop: also score models with experts. Example: --experts"},
    {"--cross-validate", NULL, OPT_FLAG, offsetof(struct validate_args, cross_validate),
     "off",
     "With --closed-loop: also score each pair of GPU and model with the host times "
     "and "
     "cost model that suit the other pairs (takes two minutes). "
     "Example: --cross-validate"},
    {"--max-error", "PCT", OPT_F64, offsetof(struct validate_args, max_error_pct),
     "none",
     "Exit with 3 when the worst of the 15 errors is above this many percent. "
     "Example: --max-error 1"},
    {"--requests", "FILE.csv", OPT_STR, offsetof(struct validate_args, requests),
     "none",
     "Write both sides of every request, one line each, times in ms. "
     "Example: --requests out/requests.csv"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct validate_args, format), "table",
     "table for people, or json with every figure. Example: --format json"},
    {"--step-by-step", NULL, OPT_FLAG, offsetof(struct validate_args, step_by_step),
     "off",
     "Simulate every engine step singly; gives the same figures. "
     "Example: --step-by-step"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct validate_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/, for --model roofline. Example: --config-dir ./my-configs"},
    {0},
};

static bool model_check(const char *model, struct err *err)
{
    static const char *const known[] = {"affine", "table", "roofline", "ops"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(model, known[i]) == 0) {
            return true;
        }
    }
    return err_set(err, ERR_USAGE,
                   "option --model: '%s'; use affine, table, roofline or ops", model);
}

static bool scale_check(const char *option, double scale, struct err *err)
{
    return isnan(scale) || (scale >= 0.125 && scale <= SCALE_MAX) ||
           err_set(err, ERR_USAGE, "option %s: %g; use a factor from 0.125 to %d",
                   option, scale, SCALE_MAX);
}

/* An option that takes one of two words. */
struct choice {
    const char *option;
    const char *given;
    const char *first;
    const char *second;
};

static bool choices_check(const struct validate_args *args, struct err *err)
{
    const struct choice choices[] = {
        {"--format", args->format, "table", "json"},
        {"--collectives", args->collectives, "measured", "ring"},
        {"--engine-loop", args->engine_loop, "vllm", "llmservingsim"},
    };
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        const struct choice *at = &choices[i];
        if (strcmp(at->given, at->first) != 0 && strcmp(at->given, at->second) != 0) {
            return err_set(err, ERR_USAGE, "option %s: '%s'; use %s or %s", at->option,
                           at->given, at->first, at->second);
        }
    }
    return true;
}

static bool args_check(const struct validate_args *args, struct err *err)
{
    const bool given = !isnan(args->scale_decode) || !isnan(args->scale_mixed);
    const int sources = given + (args->scales_from != NULL) + args->autoscale;
    const char *model = args->model == NULL ? "" : args->model;
    if ((args->closed_loop == NULL && !model_check(model, err)) ||
        !choices_check(args, err) ||
        !scale_check("--scale-decode", args->scale_decode, err) ||
        !scale_check("--scale-mixed", args->scale_mixed, err)) {
        return false;
    }
    if (sources > 1) {
        return err_set(err, ERR_USAGE,
                       "option --autoscale, --scales-from and --scale-decode or "
                       "--scale-mixed exclude one another; give one of them");
    }
    if (args->fit != NULL && strcmp(model, "affine") != 0 &&
        strcmp(model, "ops") != 0) {
        return err_set(err, ERR_USAGE,
                       "option --fit: --model %s reads none; leave it out",
                       args->closed_loop != NULL ? "with --closed-loop" : model);
    }
    if (args->scales_out != NULL && !args->autoscale) {
        return err_set(err, ERR_USAGE,
                       "option --scales-out: writes what --autoscale found; add it");
    }
    if (!isnan(args->max_error_pct) && !(args->max_error_pct > 0.0)) {
        return err_set(err, ERR_USAGE, "option --max-error: %g; use a percentage > 0",
                       args->max_error_pct);
    }
    return true;
}

static bool scales_choose(struct validation *validation,
                          const struct validate_args *args,
                          struct autoscale_result *found, struct err *err)
{
    validation->scales = (struct validate_scales){1.0, 1.0};
    validation->scales_source = "none";
    if (args->autoscale) {
        validation->scales_source = "found on this very run";
        validation->found = found;
        if (!autoscale(found, validation->run, err)) {
            return false;
        }
        validation->scales = found->scales;
    } else if (args->scales_from != NULL) {
        validation->scales_source = args->scales_from;
        return scales_read(&validation->scales, args->scales_from, err);
    } else if (!isnan(args->scale_decode) || !isnan(args->scale_mixed)) {
        validation->scales_source = "given";
        validation->scales.decode =
            isnan(args->scale_decode) ? 1.0 : args->scale_decode;
        validation->scales.mixed = isnan(args->scale_mixed) ? 1.0 : args->scale_mixed;
    }
    return true;
}

/* What a validation writes into, opened before any work. */
struct validate_outputs {
    struct outfile *scales;
    struct outfile *requests;
};

static bool outputs_open(struct validate_outputs *outputs,
                         const struct validate_args *args, struct err *err)
{
    const struct path_use uses[] = {{"--scales-from", args->scales_from, false},
                                    {"--fit", args->fit, false},
                                    {"--scales-out", args->scales_out, true},
                                    {"--requests", args->requests, true}};
    return paths_check(uses, sizeof(uses) / sizeof(uses[0]), err) &&
           (args->scales_out == NULL ||
            outfile_open(&outputs->scales, args->scales_out, err)) &&
           (args->requests == NULL ||
            outfile_open(&outputs->requests, args->requests, err));
}

static bool commit(struct outfile **file, struct err *err)
{
    struct outfile *const written = *file;
    *file = NULL;
    return outfile_commit(written, err);
}

static bool outputs_commit(struct validate_outputs *outputs,
                           const struct validation *validation, struct err *err)
{
    if (outputs->requests != NULL) {
        validation_write_requests(validation, outfile_stream(outputs->requests));
        if (!commit(&outputs->requests, err)) {
            return false;
        }
    }
    if (outputs->scales == NULL) {
        return true;
    }
    struct text yaml = {0};
    scales_write(&yaml, validation->run, validation->found);
    fputs(text_str(&yaml), outfile_stream(outputs->scales));
    text_fini(&yaml);
    return commit(&outputs->scales, err);
}

static bool print(const struct validation *validation, bool as_json, struct err *err)
{
    struct text out = {0};
    if (as_json) {
        validation_print_json(validation, &out);
    } else {
        validation_print_table(validation, &out);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return say_flush(err);
}

static bool bound_check(const struct score *score, double max_error_pct,
                        struct err *err)
{
    return isnan(max_error_pct) || score->worst_abs_error_pct <= max_error_pct ||
           err_set(err, ERR_BOUND,
                   "worst absolute error %.2f %% (%s %s) is above --max-error %g %%",
                   score->worst_abs_error_pct, score_metric_name(score->worst_metric),
                   score_statistic_name(score->worst_statistic), max_error_pct);
}

/* A name of configs/fits, or a path. */
static bool fit_find(const struct validate_args *args, char path[PATH_MAX],
                     struct err *err)
{
    const struct calibrate_args where = {.config_dir = args->config_dir};
    return args->fit == NULL ||
           calibrate_fact_find(&where, "fits", args->fit, path, err);
}

static int execute(const struct validate_args *args, const char *dir)
{
    struct err err = {0};
    struct validate_outputs outputs = {0};
    struct validate_case *run = NULL;
    struct simulated simulated = {0};
    struct autoscale_result found;
    struct score score;
    struct validation validation = {.simulated = &simulated, .score = &score};
    char fit_path[PATH_MAX];
    const struct validate_case_setup setup = {
        .dir = dir,
        .model = args->model,
        .config_dir = args->config_dir,
        .fit_path = args->fit == NULL ? NULL : fit_path,
        .ring = strcmp(args->collectives, "ring") == 0,
        .as_llmservingsim = strcmp(args->engine_loop, "llmservingsim") == 0,
    };
    bool ok = fit_find(args, fit_path, &err) &&
              validate_case_load(&run, &setup, &err) &&
              outputs_open(&outputs, args, &err);
    validation.run = run;
    ok = ok && scales_choose(&validation, args, &found, &err);
    if (ok) {
        const struct simulate_options options = {validation.scales, args->step_by_step};
        ok = simulate_case(&simulated, run, &options, &err);
    }
    if (ok) {
        score_of(&score, run, &simulated);
        ok = print(&validation, strcmp(args->format, "json") == 0, &err) &&
             outputs_commit(&outputs, &validation, &err) &&
             bound_check(&score, args->max_error_pct, &err);
    }
    outfile_abort(outputs.scales);
    outfile_abort(outputs.requests);
    simulated_fini(&simulated);
    validate_case_delete(run);
    return ok ? EXIT_DONE : say_error(&err);
}

static int execute_closed_loop(const struct validate_args *args)
{
    struct err err = {0};
    const struct closed_run_args run = {
        .path = args->closed_loop,
        .filter = args->filter,
        .config_dir = args->config_dir,
        .jitter = args->length_jitter,
        .experts = args->experts,
        .model = args->model,
        .json = strcmp(args->format, "json") == 0,
        .cross_validate = args->cross_validate,
    };
    return closed_run(&run, &err) ? EXIT_DONE : say_error(&err);
}

/* A folder or a file of closed loops, not both. */
static bool subject_check(const struct validate_args *args, size_t folders,
                          struct err *err)
{
    if ((args->closed_loop == NULL) != (folders == 1)) {
        return err_set(err, ERR_USAGE,
                       "validate: give one folder, or --closed-loop with a file");
    }
    if (!isnan(args->length_jitter) &&
        !(args->length_jitter >= 0.0 && args->length_jitter < 1.0)) {
        return err_set(err, ERR_USAGE,
                       "option --length-jitter: %g; use a part from 0 to below 1",
                       args->length_jitter);
    }
    const bool closed = args->filter != NULL || args->cross_validate || args->experts;
    if (args->closed_loop == NULL && closed) {
        const char *rest = args->experts ? "--experts" : "--cross-validate";
        return err_set(err, ERR_USAGE, "option %s: is for --closed-loop only",
                       args->filter != NULL ? "--filter" : rest);
    }
    return true;
}

static int validate_run(int argc, char *const *argv)
{
    struct validate_args args = {
        .format = "table",
        .collectives = "measured",
        .engine_loop = "vllm",
        .length_jitter = (double)NAN,
        .scale_decode = (double)NAN,
        .scale_mixed = (double)NAN,
        .max_error_pct = (double)NAN,
    };
    struct command_call call = {0};
    struct err err = {0};
    if (!command_parse(&command_validate, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    if (args.model == NULL && args.closed_loop == NULL) {
        args.model = "affine";
    }
    if (!args_check(&args, &err) ||
        !subject_check(&args, call.result.positional_count, &err)) {
        return say_error(&err);
    }
    if (args.closed_loop != NULL) {
        return execute_closed_loop(&args);
    }
    return execute(&args, call.result.positional[0]);
}

const struct command command_validate = {
    .options =
        {
            .name = "validate",
            .usage = "DIR | --closed-loop FILE.csv [OPTIONS]",
            .summary = "compare the simulator with a measured run",
            .description =
                "DIR holds workload.jsonl, vllm_requests.jsonl, facts.json, profile/ "
                "and, if recorded,\nvllm_timeseries.csv (docs/validation.md). The "
                "engine is built from the facts, its step\ntimes from the profile; "
                "then the workload is simulated and every request compared.\n\n"
                "Examples:\n"
                "  stacksim validate my-run\n"
                "  stacksim validate my-run --autoscale --scales-out my-gpu.yaml\n"
                "  stacksim validate other-run --scales-from my-gpu.yaml --max-error "
                "2\n"
                "  stacksim validate --closed-loop silicon_sample.csv.gz --format json",
            .options = VALIDATE_OPTIONS,
            .positional_min = 0,
            .positional_max = 1,
        },
    .run = validate_run,
};
