/* SPDX-License-Identifier: Apache-2.0
 *
 * subject.c: which GPU and model the measurements are of.
 */
#include "cli/calibrate/calibrate.h"
#include "sim/config_path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool calibrate_fact_find(const struct calibrate_args *args, const char *folder,
                         const char *name, char *path, struct err *err)
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
    if (args->model != NULL &&
        (!calibrate_fact_find(args, "models", args->model, path, err) ||
         !model_spec_load(model, path, err))) {
        return false;
    }
    if (args->gpu == NULL) {
        return true;
    }
    if (!calibrate_fact_find(args, "gpus", args->gpu, path, err) ||
        !gpu_spec_load(&spec, path, err)) {
        return false;
    }
    gpu_take(gpu, &spec);
    return true;
}

bool calibrate_subject_load(const struct calibrate_args *args, const char *beside,
                            struct model_spec *model, struct calibrate_gpu *gpu,
                            struct err *err)
{
    const bool found = beside != NULL && config_path_readable(beside);
    const char *facts = args->facts != NULL ? args->facts : found ? beside : NULL;
    *model = (struct model_spec){0};
    *gpu = (struct calibrate_gpu){.tensor_parallel = 1};
    return (facts == NULL || calibrate_facts_load(facts, model, gpu, err)) &&
           overrides_apply(args, model, gpu, err);
}
