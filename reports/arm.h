/* SPDX-License-Identifier: Apache-2.0
 *
 * arm.h: which runs differ in their seed alone.
 */
#ifndef STACKSIM_REPORTS_ARM_H
#define STACKSIM_REPORTS_ARM_H

#include "reports/run.h"

enum { ARM_NAME_MAX = 1024 };

/* "session@7" of seed 7 (compare) is "session"; so is "session, seed 7" (sweep), and
 * "seed 7" alone is "all". */
void arm_name(const struct run_info *info, char out[static ARM_NAME_MAX]);

/* Runs as arms by seeds: at[arm * seeds + seed] is an index into the runs given. Arms
 * stand in the order of their first run, seeds in that of the first arm. */
struct arm_grid {
    char **names; /* of the arms, owned */
    size_t *at;
    size_t arms;
    size_t seeds;
    size_t left_out; /* runs of seeds that not every arm has, and such that a later one
                        of their arm and seed replaces */
};

/* All of the runs must be of one scenario; every arm has to have the same two seeds or
 * more. False: they cannot be seen as arms over seeds, and grid is empty. */
bool arm_grid_make(struct arm_grid *grid, const struct run_record *const *runs,
                   size_t count);
void arm_grid_fini(struct arm_grid *grid);

#endif
