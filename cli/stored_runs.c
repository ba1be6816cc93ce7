/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_runs.c: see the header.
 */
#include "cli/stored_runs.h"

#include "base/mem.h"
#include "cli/command.h"
#include "reports/run_csv.h"
#include "reports/store.h"

#include <string.h>

void stored_runs_fini(struct stored_runs *stored)
{
    for (size_t i = 0; i < stored->count; i++) {
        run_record_delete(stored->runs[i]);
    }
    mem_free(stored->runs);
    *stored = (struct stored_runs){0};
}

bool stored_runs_read(struct stored_runs *stored, const char *path, bool rows,
                      struct err *err)
{
    struct store_reader *store = NULL;
    *stored = (struct stored_runs){0};
    const size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".csv") == 0) {
        return run_csv_read(&stored->runs, &stored->count, path, err);
    }
    if (!store_open(&store, path, err)) {
        return false;
    }
    const size_t count = store_run_count(store);
    stored->runs = mem_alloc(count, sizeof(struct run_record *));
    bool ok = true;
    while (ok && stored->count < count) {
        struct run_record **run = &stored->runs[stored->count];
        ok = rows ? store_read_run(store, stored->count, run, err)
                  : store_read_summary(store, stored->count, run, err);
        stored->count += ok ? 1 : 0;
    }
    store_close(store);
    if (ok && count == 0) {
        return err_set(err, ERR_INPUT, "%s: holds no run; make one with '%s run'", path,
                       PROGRAM_NAME);
    }
    return ok;
}
