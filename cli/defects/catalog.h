/* SPDX-License-Identifier: Apache-2.0
 *
 * catalog.h: the defects of the Production Stack that its specification marks, and the
 * keys of a scenario that switch each of them on and off.
 *
 * One line DEFECT(...) in defects.def makes one; those that no simulation of load can
 * show are there as well, with the reason.
 */
#ifndef STACKSIM_CLI_DEFECTS_CATALOG_H
#define STACKSIM_CLI_DEFECTS_CATALOG_H

#include "base/err.h"

#include <stddef.h>

/* What a defect costs first of all, in the scenario that was made for it. */
enum defect_cost { COSTS_NOTHING, COSTS_TTFT, COSTS_GOODPUT, COSTS_ERRORS, COSTS_GPU };

struct defect {
    const char *id;       /* "shared-counter" */
    const char *where;    /* release, issue or file: "0.1.3, #915" */
    const char *what;     /* one sentence without a full stop */
    const char *scenario; /* of configs/scenarios */
    /* Routing policy that has it, for other fleets than that scenario; NULL = any. */
    const char *policy;
    /* Assignments as of --set, with blanks between them. */
    const char *with;
    const char *without;
    enum defect_cost costs;
    bool here_only; /* the keys belong to the scenario: of no use in another one */
};

/* A defect that no run shows. */
struct defect_unshown {
    const char *id;
    const char *where;
    const char *what;
    const char *why;
};

/* i-th in the table's order, NULL past the end. */
const struct defect *defect_at(size_t index);
const struct defect_unshown *defect_unshown_at(size_t index);
size_t defect_count(void);

/* The defect with this id. An id of the other list, or an unknown one, fails with the
 * reason or the nearest known one. */
NODISCARD bool defect_find(const struct defect **out, const char *id, struct err *err);

#endif
