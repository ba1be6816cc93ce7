/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_runs.c: see the header.
 */
#include "cli/stored_runs.h"

#include "base/mem.h"
#include "cli/command.h"
#include "reports/run.h"
#include "reports/run_csv.h"
#include "reports/store.h"

#include <string.h>

void stored_runs_close(struct stored_runs *stored)
{
    store_close(stored->reader);
    stored->reader = NULL;
}

void stored_runs_fini(struct stored_runs *stored)
{
    for (size_t i = 0; i < stored->count; i++) {
        run_record_delete(stored->runs[i]);
    }
    mem_free(stored->runs);
    stored_runs_close(stored);
    *stored = (struct stored_runs){0};
}

bool stored_runs_read(struct stored_runs *stored, const char *path, struct err *err)
{
    *stored = (struct stored_runs){0};
    const size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".csv") == 0) {
        return run_csv_read(&stored->runs, &stored->count, path, err);
    }
    if (!store_open(&stored->reader, path, err)) {
        return false;
    }
    const size_t count = store_run_count(stored->reader);
    stored->runs = mem_alloc(count, sizeof(struct run_record *));
    while (stored->count < count) {
        if (!store_read_summary(stored->reader, stored->count,
                                &stored->runs[stored->count], err)) {
            return false;
        }
        stored->count++;
    }
    return count > 0 ||
           err_set(err, ERR_INPUT, "%s: holds no run; make one with '%s run'", path,
                   PROGRAM_NAME);
}

bool stored_runs_load(struct stored_runs *stored, const struct run_record *run,
                      struct err *err)
{
    size_t index = 0;
    struct run_record *whole = NULL;
    if (stored->reader == NULL) {
        return true; /* there are no more rows than these */
    }
    while (stored->runs[index] != run) {
        index++;
    }
    if (!store_read_run(stored->reader, index, &whole, err)) {
        return false;
    }
    /* Others point to the summary. */
    const struct run_record summary = *stored->runs[index];
    *stored->runs[index] = *whole;
    *whole = summary;
    run_record_delete(whole);
    return true;
}
