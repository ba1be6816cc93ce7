/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_fit.h: how well host times found on some rows predict others.
 *
 * Rows are grouped by GPU x model, over backends and precisions. For each group the
 * host times that suit all other groups best are chosen from a grid, and the group is
 * scored with them; and the groups are dealt into two halves, each scored with what
 * suits the other one. Nothing of the GPU is fitted: its figures come from kernel
 * tables.
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_FIT_H
#define STACKSIM_CLI_VALIDATE_CLOSED_FIT_H

#include "cli/validate/closed_score.h"

enum { CLOSED_GROUPS_MAX = 256, CLOSED_GROUP_BYTES = 2 * CLOSED_WORD_BYTES + 8 };

struct closed_group {
    char name[CLOSED_GROUP_BYTES]; /* "h100_sxm x qwen3_32b" */
    struct closed_host host;       /* that suits the other groups */
    struct closed_errors errors;   /* of this group with it */
};

struct closed_validation {
    struct closed_group groups[CLOSED_GROUPS_MAX]; /* by name */
    size_t group_count;
    struct closed_host host;       /* that suits all groups: no prediction */
    struct closed_errors fitted;   /* of all with that */
    struct closed_errors left_out; /* of all, each group with its own `host` */
    double left_out_order;         /* as closed_order_agreement */
    struct closed_errors halves;   /* of all, each half with what suits the other */
    double halves_order;
};

/* report holds the scored rows, whose predictions stay as they are; setup->host is
 * not read. Fails when there
 * are fewer than two groups or too many. */
NODISCARD bool closed_cross_validate(struct closed_validation *out,
                                     const struct closed_report *report,
                                     const struct closed_setup *setup, struct err *err);

void closed_validation_table(const struct closed_validation *validation,
                             struct text *out);
/* Owned by the caller. */
struct json *closed_validation_json(const struct closed_validation *validation);

#endif
