/* SPDX-License-Identifier: Apache-2.0
 *
 * from_ops.c: op tables of one system and backend.
 */
#include "base/mem.h"
#include "cli/calibrate/calibrate.h"
#include "sim/calibrate/calibrate_ops.h"

#include <stdio.h>

bool calibrate_from_ops(struct calibrate_result *result,
                        const struct calibrate_args *args, const char *path,
                        struct err *err)
{
    struct op_table *table = NULL;
    char source[OP_SOURCE_BYTES / 2];
    if (args->system == NULL) {
        return err_set(err, ERR_USAGE,
                       "option --system: op tables need it: the first part of their "
                       "files' names, as h100_sxm");
    }
    if (!op_table_load(&table, path, args->system,
                       args->backend == NULL ? "vllm" : args->backend, err)) {
        return false;
    }
    if (args->origin != NULL) {
        (void)snprintf(source, sizeof source, "%s", args->origin);
    } else {
        (void)snprintf(source, sizeof source, "op tables of %s", table->backend);
    }
    struct op_fit *fit = mem_alloc(1, sizeof *fit);
    const bool held = calibrate_ops(fit, table, args->l2_bytes, source, err);
    if (held) {
        op_fit_write(fit, &result->yaml);
        calibrate_ops_report(fit, &result->report);
    }
    mem_free(fit);
    op_table_delete(table);
    return held;
}
