/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_calibrate.c: `stacksim calibrate`: a fit file from measured kernel times.
 */
#include "base/outfile.h"
#include "cli/command.h"
#include "cli/paths.h"
#include "cli/say.h"
#include "sim/calibrate.h"
#include "sim/config_path.h"

#include <stdio.h>
#include <string.h>

struct calibrate_args {
    const char *facts;
    const char *gpu;
    const char *model;
    const char *config_dir;
    const char *out;
    uint64_t tensor_parallel;
    uint64_t sm_count;
    uint64_t l2_bytes;
};

static const struct opt CALIBRATE_OPTIONS[] = {
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
    {"--sm-count", "N", OPT_U64, offsetof(struct calibrate_args, sm_count),
     "that of --facts",
     "Streaming multiprocessors of one GPU; they decide which decode batches leave "
     "some "
     "of them idle. Example: --sm-count 128"},
    {"--l2", "SIZE", OPT_BYTES, offsetof(struct calibrate_args, l2_bytes),
     "that of --facts",
     "L2 cache of one GPU: mixed batches beyond it cost more. Example: --l2 72MiB"},
    {"--out", "FILE", OPT_STR, offsetof(struct calibrate_args, out), "none",
     "Write the fit as YAML, for 'cost: {model: affine, fit: FILE}' in a scenario; '-' "
     "is standard output, and then no report is printed. Example: --out fit.yaml"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct calibrate_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/ and models/. Example: --config-dir ./my-configs"},
    {0},
};

/* A name of configs/FOLDER, or a path. */
static bool fact_find(const struct calibrate_args *args, const char *folder,
                      const char *name, char path[PATH_MAX], struct err *err)
{
    if (strchr(name, '/') == NULL && strstr(name, ".yaml") == NULL) {
        return config_path_find(args->config_dir, folder, name, path) ||
               err_set(err, ERR_INPUT, "no %s/%s.yaml in the configs folder", folder,
                       name);
    }
    if (snprintf(path, PATH_MAX, "%s", name) >= PATH_MAX) {
        return err_set(err, ERR_INPUT, "%s: the path is too long", name);
    }
    return true;
}

static void gpu_take(struct calibrate_gpu *gpu, const struct gpu_spec *spec)
{
    if (gpu->memory_bytes_per_s <= 0.0) {
        gpu->memory_bytes_per_s = spec->memory_bytes_per_s;
    }
    if (gpu->name[0] == '\0') {
        memcpy(gpu->name, spec->name, sizeof gpu->name);
    }
    for (uint32_t i = 0; i < spec->allreduce_count; i++) {
        if (spec->allreduce_tp[i] == gpu->tensor_parallel) {
            gpu->allreduce_s = spec->allreduce_s[i];
        }
    }
}

/* What the options say, over what the facts say. */
static bool overrides_apply(const struct calibrate_args *args, struct model_spec *model,
                            struct calibrate_gpu *gpu, struct err *err)
{
    char path[PATH_MAX];
    struct gpu_spec spec;
    if (args->tensor_parallel > 1024 || args->sm_count > 100000) {
        return err_set(err, ERR_USAGE,
                       "--tensor-parallel is at most 1024, --sm-count at most 100000");
    }
    if (args->tensor_parallel > 0) {
        gpu->tensor_parallel = (uint32_t)args->tensor_parallel;
    }
    if (args->sm_count > 0) {
        gpu->sm_count = (uint32_t)args->sm_count;
    }
    if (args->l2_bytes > 0) {
        gpu->l2_bytes = args->l2_bytes;
    }
    if (args->model != NULL && (!fact_find(args, "models", args->model, path, err) ||
                                !model_spec_load(model, path, err))) {
        return false;
    }
    if (args->gpu == NULL) {
        return true;
    }
    if (!fact_find(args, "gpus", args->gpu, path, err) ||
        !gpu_spec_load(&spec, path, err)) {
        return false;
    }
    gpu_take(gpu, &spec);
    return true;
}

static bool inputs_load(const struct calibrate_args *args, const char *dir,
                        struct model_spec *model, struct calibrate_gpu *gpu,
                        struct err *err)
{
    char beside[PATH_MAX];
    const int length = snprintf(beside, sizeof beside, "%s/../facts.json", dir);
    const bool found = length < PATH_MAX && config_path_readable(beside);
    const char *facts = args->facts != NULL ? args->facts : found ? beside : NULL;
    *model = (struct model_spec){0};
    *gpu = (struct calibrate_gpu){.tensor_parallel = 1};
    if ((facts != NULL && !calibrate_facts_load(facts, model, gpu, err)) ||
        !overrides_apply(args, model, gpu, err)) {
        return false;
    }
    if (model->layers == 0 || gpu->sm_count == 0) {
        return err_set(err, ERR_USAGE,
                       "%s: the model's shape and the GPU's SMs are not known; give "
                       "--facts FILE, or --model, --gpu and --sm-count",
                       dir);
    }
    return true;
}

/* The profile was measured on a GPU and is not to be written over. */
static bool output_check(const struct calibrate_args *args, const char *dir,
                         struct err *err)
{
    static const char *const names[] = {
        "dense.csv",    "per_sequence.csv", "attention.csv", "skew.csv",
        "skew_fit.csv", "moe.csv",          "meta.yaml",     "../facts.json"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char input[PATH_MAX];
        (void)snprintf(input, sizeof input, "%s/%s", dir, names[i]);
        const struct path_use uses[] = {{"the profile's file", input, false},
                                        {"--facts", args->facts, false},
                                        {"--out", args->out, true}};
        if (!paths_check(uses, sizeof(uses) / sizeof(uses[0]), err)) {
            return false;
        }
    }
    return true;
}

/* Opened before the fit, there whole after it. */
static bool fit_make(struct text *yaml, const struct calibrate_args *args,
                     const char *dir, struct err *err)
{
    struct model_spec model;
    struct calibrate_gpu gpu;
    struct kernel_profile *profile = NULL;
    struct outfile *file = NULL;
    bool held = output_check(args, dir, err) &&
                inputs_load(args, dir, &model, &gpu, err) &&
                (args->out == NULL || outfile_open(&file, args->out, err)) &&
                kernel_profile_load(&profile, dir, err) &&
                calibrate_profile(yaml, profile, &model, &gpu, err);
    kernel_profile_delete(profile);
    if (!held || file == NULL) {
        outfile_abort(file);
        return held;
    }
    fputs(text_str(yaml), outfile_stream(file));
    return outfile_commit(file, err);
}

static int calibrate_run(int argc, char *const *argv)
{
    struct calibrate_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_calibrate, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    const char *dir = call.result.positional[0];
    struct err err = {0};
    struct text yaml = {0};
    struct text report = {0};
    const bool to_stdout = args.out != NULL && strcmp(args.out, "-") == 0;
    const bool held = fit_make(&yaml, &args, dir, &err) &&
                      calibrate_report(&report, dir, yaml.bytes, yaml.length, &err);
    if (held && !to_stdout) {
        fputs(text_str(&report), stdout);
        if (args.out != NULL) {
            say_wrote(args.out);
        }
    }
    text_fini(&report);
    text_fini(&yaml);
    return held && say_flush(&err) ? EXIT_DONE : say_error(&err);
}

const struct command command_calibrate = {
    .options =
        {
            .name = "calibrate",
            .usage = "PROFILE_DIR [OPTIONS]",
            .summary = "fit step times to a kernel profile",
            .description =
                "PROFILE_DIR holds dense.csv, per_sequence.csv, attention.csv and, if "
                "measured, skew.csv\nand moe.csv (docs/calibration.md). Prints every "
                "coefficient with its 95 % interval, the\nresiduals, and what the data "
                "do not determine.\n\n"
                "Examples:\n"
                "  stacksim calibrate run/profile --out fit.yaml\n"
                "  stacksim calibrate profile --gpu rtx_4090 --model llama_3_1_8b "
                "--sm-count 128 \\\n"
                "    --l2 72MiB --out configs/fits/mine.yaml",
            .options = CALIBRATE_OPTIONS,
            .positional_min = 1,
            .positional_max = 1,
        },
    .run = calibrate_run,
};
