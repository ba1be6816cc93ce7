/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_calibrate.c: `stacksim calibrate`: a fit file from measured kernel times.
 */
#include "base/check.h"
#include "base/outfile.h"
#include "cli/calibrate/calibrate.h"
#include "cli/command.h"
#include "cli/say.h"

#include <stdio.h>
#include <string.h>

static const struct opt CALIBRATE_OPTIONS[] = {
    {"--from", "KIND", OPT_STR, offsetof(struct calibrate_args, from),
     "found out from what lies at SOURCE",
     "profile, ops, iterations, run, bench or closed-loop, see above. "
     "Example: --from iterations"},
    {"--facts", "FILE", OPT_STR, offsetof(struct calibrate_args, facts),
     "facts.json beside the folder, if there is one",
     "GPU, model shape and tensor-parallel degree of the profile as a run's facts.json "
     "tells them. Example: --facts run/facts.json"},
    {"--gpu", "NAME", OPT_STR, offsetof(struct calibrate_args, gpu), "none",
     "File of configs/gpus, or a path: measured all-reduce times, and what --facts "
     "does "
     "not say. "
     "Example: --gpu rtx_4090"},
    {"--model", "NAME", OPT_STR, offsetof(struct calibrate_args, model),
     "that of --facts",
     "File of configs/models, or a path: the model's shape. "
     "Example: --model llama_3_1_8b"},
    {"--tensor-parallel", "N", OPT_U64,
     offsetof(struct calibrate_args, tensor_parallel), "that of --facts, else 1",
     "GPUs of the group whose single GPU was measured. Example: --tensor-parallel 2"},
    {"--table-gpu", "NAME", OPT_STR, offsetof(struct calibrate_args, table_gpu),
     "the only one in the table",
     "Of iterations: rows with this hardware. Example: --table-gpu h100-80gb"},
    {"--table-model", "NAME", OPT_STR, offsetof(struct calibrate_args, table_model),
     "the only one in the table",
     "Of iterations: rows with this model. Example: --table-model llama2-70b"},
    {"--system", "NAME", OPT_STR, offsetof(struct calibrate_args, system), "none",
     "Of op tables: the GPU, as the first part of their files' names has it. "
     "Example: --system h100_sxm"},
    {"--backend", "NAME", OPT_STR, offsetof(struct calibrate_args, backend), "vllm",
     "Of op tables: the second part, with or without a version. "
     "Example: --backend trtllm"},
    {"--sm-count", "N", OPT_U64, offsetof(struct calibrate_args, sm_count),
     "that of --facts",
     "Streaming multiprocessors of one GPU; they decide which decode batches leave "
     "some "
     "of them idle. Example: --sm-count 128"},
    {"--l2", "SIZE", OPT_BYTES, offsetof(struct calibrate_args, l2_bytes),
     "that of --facts",
     "L2 cache of one GPU: mixed batches beyond it cost more, and op tables' decodes "
     "within it are left out. Example: --l2 72MiB"},
    {"--fit", "NAME", OPT_STR, offsetof(struct calibrate_args, fit),
     "fitted to the run's own profile/, else the data sheet",
     "Of a run and of load tests: the step times that the factors stand on; a file of "
     "configs/fits, or a "
     "path. Example: --fit rtx_4090.llama_3_1_8b"},
    {"--terms", "WHICH", OPT_STR, offsetof(struct calibrate_args, terms), "scales",
     "Of a run: scales (a factor on steps that decode and one on steps with prefill) "
     "or "
     "groups (factors on dense layers, attention of decodes, attention beside "
     "prefill). "
     "Example: --terms groups"},
    {"--filter", "COLUMN=VALUE,...", OPT_STR, offsetof(struct calibrate_args, filter),
     "none",
     "Of closed loops: only rows with these values. "
     "Example: --filter system=h100_sxm,backend=vllm"},
    {"--engine", "MAP", OPT_STR, offsetof(struct calibrate_args, engine),
     "vLLM's defaults, no prefix caching",
     "Of bench and closed loops: the engine's flags, as in a scenario. "
     "Example: --engine '{max_num_seqs: 128, prefix_caching: false}'"},
    {"--source", "TEXT", OPT_STR, offsetof(struct calibrate_args, origin),
     "the file's name",
     "Of iterations: where the table comes from, for the fit's own source line. "
     "Example: --source 'perf_model.csv of splitwise-sim (MIT)'"},
    {"--out", "FILE", OPT_STR, offsetof(struct calibrate_args, out), "none",
     "Write the fit as YAML, for 'cost: {model: affine, fit: FILE}' in a scenario; '-' "
     "is standard output, and then no report is printed. Example: --out fit.yaml"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct calibrate_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/ and models/. Example: --config-dir ./my-configs"},
    {0},
};

static bool source_run(struct calibrate_result *result,
                       const struct calibrate_args *args, const char *path,
                       struct err *err)
{
    enum calibrate_source source = CALIBRATE_PROFILE;
    if (!calibrate_source_find(args, path, &source, err)) {
        return false;
    }
    switch (source) {
    case CALIBRATE_PROFILE:
        return calibrate_from_profile(result, args, path, err);
    case CALIBRATE_OPS:
        return calibrate_from_ops(result, args, path, err);
    case CALIBRATE_ITERATIONS:
        return calibrate_from_iterations(result, args, path, err);
    case CALIBRATE_RUN:
        return calibrate_from_run(result, args, path, err);
    case CALIBRATE_BENCH:
        return calibrate_from_bench(result, args, path, err);
    case CALIBRATE_CLOSED_LOOP:
        return calibrate_from_closed(result, args, path, err);
    case CALIBRATE_SOURCE_COUNT:
        break;
    }
    CHECK(false, "source %d", (int)source);
    return false;
}

/* Opened before the fit, there whole after it. */
static bool fit_make(struct calibrate_result *result, const struct calibrate_args *args,
                     const char *path, struct err *err)
{
    struct outfile *file = NULL;
    const bool held = (args->out == NULL || outfile_open(&file, args->out, err)) &&
                      source_run(result, args, path, err);
    if (!held || file == NULL) {
        outfile_abort(file);
        return held;
    }
    fputs(text_str(&result->yaml), outfile_stream(file));
    return outfile_commit(file, err);
}

static int calibrate_run(int argc, char *const *argv)
{
    struct calibrate_args args = {.terms = "scales"};
    struct command_call call = {0};
    if (!command_parse(&command_calibrate, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct err err = {0};
    struct calibrate_result result = {0};
    if (strcmp(args.terms, "scales") != 0 && strcmp(args.terms, "groups") != 0) {
        err_set(&err, ERR_USAGE, "option --terms: '%s'; use scales or groups",
                args.terms);
        return say_error(&err);
    }
    const bool to_stdout = args.out != NULL && strcmp(args.out, "-") == 0;
    const bool held = fit_make(&result, &args, call.result.positional[0], &err);
    if (held && !to_stdout) {
        fputs(text_str(&result.report), stdout);
        if (args.out != NULL) {
            say_wrote(args.out);
        }
    }
    text_fini(&result.report);
    text_fini(&result.yaml);
    return held && say_flush(&err) ? EXIT_DONE : say_error(&err);
}

const struct command command_calibrate = {
    .options =
        {
            .name = "calibrate",
            .usage = "SOURCE [OPTIONS]",
            .summary = "fit step times to measurements",
            .description =
                "SOURCE is one of these, and is told apart by what lies there "
                "(docs/calibration.md):\n\n"
                "  a folder with attention.csv         kernel times of one layer\n"
                "  a folder with SYSTEM.BACKEND-VERSION.gemm_perf.csv\n"
                "                                      op tables, one kernel call "
                "each\n"
                "  a CSV file with prompt_time and token_time\n"
                "                                      whole iterations, timed from "
                "outside\n"
                "  a folder with vllm_requests.jsonl   a measured run; factors on step "
                "times\n"
                "  a JSON file of vllm bench serve     a load test, or several; the "
                "same "
                "factors\n"
                "  a CSV file with silicon_ttft_ms and silicon_tpot_ms\n"
                "                                      closed loops, one a row; the "
                "same factors\n\n"
                "Prints every coefficient with its 95 % interval, the residuals, and "
                "what the data do\nnot determine; --out writes the fit.\n\n"
                "Examples:\n"
                "  stacksim calibrate run/profile --out fit.yaml\n"
                "  stacksim calibrate profile --gpu rtx_4090 --model llama_3_1_8b "
                "--sm-count 128 \\\n"
                "    --l2 72MiB --out configs/fits/mine.yaml\n"
                "  stacksim calibrate perf_model.csv --gpu h100_sxm --model "
                "llama_2_70b \\\n"
                "    --table-gpu h100-80gb --table-model llama2-70b "
                "--tensor-parallel 8 --out fit.yaml\n"
                "  stacksim calibrate my-run --out fit.yaml\n"
                "  stacksim calibrate bench.json --gpu h100_sxm --model llama_3_1_8b "
                "--out scales.yaml\n"
                "  stacksim calibrate rows.csv --filter system=h100_sxm,backend=vllm "
                "--out scales.yaml",
            .options = CALIBRATE_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = calibrate_run,
};
