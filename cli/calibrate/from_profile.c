/* SPDX-License-Identifier: Apache-2.0
 *
 * from_profile.c: kernel times of one layer (docs/calibration.md).
 */
#include "cli/calibrate/calibrate.h"
#include "cli/paths.h"

#include <limits.h>
#include <stdio.h>

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

bool calibrate_from_profile(struct calibrate_result *result,
                            const struct calibrate_args *args, const char *path,
                            struct err *err)
{
    struct model_spec model;
    struct calibrate_gpu gpu;
    struct kernel_profile *profile = NULL;
    char beside[PATH_MAX];
    const int length = snprintf(beside, sizeof beside, "%s/../facts.json", path);
    if (!output_check(args, path, err) ||
        !calibrate_subject_load(args, length < PATH_MAX ? beside : NULL, &model, &gpu,
                                err)) {
        return false;
    }
    if (model.layers == 0 || gpu.sm_count == 0) {
        return err_set(err, ERR_USAGE,
                       "%s: the model's shape and the GPU's SMs are not known; give "
                       "--facts FILE, or --model, --gpu and --sm-count",
                       path);
    }
    const bool held = kernel_profile_load(&profile, path, err) &&
                      calibrate_profile(&result->yaml, profile, &model, &gpu, err) &&
                      calibrate_report(&result->report, path, text_str(&result->yaml),
                                       result->yaml.length, err);
    kernel_profile_delete(profile);
    return held;
}
