/* SPDX-License-Identifier: Apache-2.0
 *
 * report_arms.h: the runs of a store as their maker meant them: arms under several
 * seeds, or a sweep over a load.
 */
#ifndef STACKSIM_CLI_REPORT_ARMS_H
#define STACKSIM_CLI_REPORT_ARMS_H

#include "base/err.h"
#include "reports/arm.h"
#include "reports/load_curves.h"
#include "reports/replicated.h"
#include "reports/stored_sweep.h"

#include <stddef.h>

struct report_arms {
    /* Arms over the seeds that all of them have, at least two; else its arms are 0. */
    struct replicated set;
    struct arm_grid grid;            /* the same; names the arms */
    const struct run_record **runs;  /* of `set`; owned, as the next */
    const struct run_record **first; /* of the first seed: one per arm of `set` */
    struct load_curves *load;        /* of a sweep over a load; else NULL */
    struct stored_sweep *sweep;      /* NULL: none */
};

/* Only what the store says of itself; arms->set follows later. A path that is no store
 * (.csv) holds no sweep. To be released in every case. */
NODISCARD bool report_arms_open(struct report_arms *arms, const char *store_path,
                                struct err *err);
/* Sorts the runs, which are borrowed until report_arms_fini. */
void report_arms_sort(struct report_arms *arms, const struct run_record *const *runs,
                      size_t count);
void report_arms_fini(struct report_arms *arms);

#endif
