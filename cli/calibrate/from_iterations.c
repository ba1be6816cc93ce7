/* SPDX-License-Identifier: Apache-2.0
 *
 * from_iterations.c: whole iterations, timed from outside (docs/calibration.md).
 */
#include "cli/calibrate/calibrate.h"
#include "cli/paths.h"
#include "sim/calibrate/calibrate_iterations.h"

#include <string.h>

/* The degree is the table's, unless it has none. */
static bool degree_take(const struct iteration_table *table,
                        const struct calibrate_args *args, struct calibrate_gpu *gpu,
                        struct err *err)
{
    if (table->tensor_parallel == 0 && args->tensor_parallel == 0) {
        return err_set(err, ERR_USAGE,
                       "the table has no column tensor_parallel; give "
                       "--tensor-parallel N");
    }
    if (table->tensor_parallel > 0) {
        gpu->tensor_parallel = table->tensor_parallel;
    }
    return true;
}

bool calibrate_from_iterations(struct calibrate_result *result,
                               const struct calibrate_args *args, const char *path,
                               struct err *err)
{
    struct model_spec model;
    struct calibrate_gpu gpu;
    struct iteration_table table;
    const struct path_use uses[] = {{"the table", path, false},
                                    {"--out", args->out, true}};
    const struct iteration_choice choice = {.gpu = args->table_gpu,
                                            .model = args->table_model,
                                            .tensor_parallel =
                                                (uint32_t)args->tensor_parallel};
    if (args->model == NULL || args->gpu == NULL) {
        return err_set(err, ERR_USAGE,
                       "%s: whole iterations do not say how many layers share their "
                       "time; give --model NAME, and --gpu NAME",
                       path);
    }
    if (!paths_check(uses, sizeof uses / sizeof uses[0], err) ||
        !calibrate_subject_load(args, NULL, &model, &gpu, err) ||
        !iteration_table_load(&table, path, &choice, err)) {
        return false;
    }
    const char *slash = strrchr(path, '/');
    const struct iteration_subject subject = {.model = &model,
                                              .gpu = &gpu,
                                              .origin = args->origin != NULL
                                                            ? args->origin
                                                        : slash == NULL ? path
                                                                        : slash + 1};
    struct text notes = {0};
    const bool held =
        degree_take(&table, args, &gpu, err) &&
        calibrate_iterations(&result->yaml, &notes, &table, &subject, err) &&
        calibrate_report(&result->report, path, text_str(&result->yaml),
                         result->yaml.length, err);
    text_add(&result->report, text_str(&notes));
    text_fini(&notes);
    iteration_table_fini(&table);
    return held;
}
