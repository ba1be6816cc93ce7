/* SPDX-License-Identifier: Apache-2.0
 *
 * report_arms.c: see the header.
 */
#include "cli/report_arms.h"

#include "base/mem.h"
#include "reports/store.h"

#include <string.h>

bool report_arms_open(struct report_arms *arms, const char *store_path, struct err *err)
{
    *arms = (struct report_arms){0};
    const size_t length = strlen(store_path);
    struct store_reader *store = NULL;
    if (length > 4 && strcmp(store_path + length - 4, ".csv") == 0) {
        return true;
    }
    if (!store_open(&store, store_path, err)) {
        return false;
    }
    const bool ok = store_read_sweep(store, &arms->sweep, err);
    store_close(store);
    return ok;
}

static void fill_set(struct report_arms *arms, const struct run_record *const *runs)
{
    const struct arm_grid *const grid = &arms->grid;
    const size_t cells = grid->arms * grid->seeds;
    arms->runs = mem_alloc(cells, sizeof(struct run_record *));
    arms->first = mem_alloc(grid->arms, sizeof(struct run_record *));
    for (size_t i = 0; i < cells; i++) {
        arms->runs[i] = runs[grid->at[i]];
    }
    for (size_t i = 0; i < grid->arms; i++) {
        arms->first[i] = arms->runs[i * grid->seeds];
    }
    arms->set = (struct replicated){arms->runs, (const char *const *)grid->names,
                                    grid->arms, grid->seeds};
}

static void find_load(struct report_arms *arms, const struct run_record *const *runs,
                      size_t count)
{
    const struct stored_sweep *const sweep = arms->sweep;
    const struct run_record **const done =
        mem_alloc(sweep->run_count, sizeof(struct run_record *));
    for (size_t i = 0; i < sweep->run_count; i++) {
        for (size_t at = 0; at < count; at++) {
            if (strcmp(runs[at]->info.name, sweep->runs[i].name) == 0) {
                done[i] = runs[at];
            }
        }
    }
    arms->load = load_curves_new(sweep, done);
    mem_free(done);
}

void report_arms_sort(struct report_arms *arms, const struct run_record *const *runs,
                      size_t count)
{
    if (arm_grid_make(&arms->grid, runs, count)) {
        fill_set(arms, runs);
    }
    if (arms->sweep != NULL) {
        find_load(arms, runs, count);
    }
}

void report_arms_fini(struct report_arms *arms)
{
    arm_grid_fini(&arms->grid);
    mem_free(arms->runs);
    mem_free(arms->first);
    load_curves_delete(arms->load);
    stored_sweep_delete(arms->sweep);
    *arms = (struct report_arms){0};
}
