/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_fit.h: how well host times and cost models found on some rows predict others.
 *
 * Rows are grouped by GPU x model and backend, over precisions. For each group the host
 * times and the source of step times (fitted op tables, with quantising fused or as
 * measured, or the roofline) are chosen from a grid that suit all other pairs of GPU
 * and model best, and the group is scored with them; and the pairs are dealt into two
 * halves, each scored with what suits the other one. The first choice looks at TPOT,
 * the front end's time then at TTFT. Nothing of the GPU is fitted: its figures come
 * from kernel tables. Choosing by backend was tried: with two to four pairs each it
 * predicts worse (TPOT 17 instead of 13 %).
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_FIT_H
#define STACKSIM_CLI_VALIDATE_CLOSED_FIT_H

#include "cli/validate/closed_score.h"

enum { CLOSED_GROUPS_MAX = 256, CLOSED_GROUP_BYTES = 2 * CLOSED_WORD_BYTES + 8 };

/* A point of the grid. */
struct closed_point {
    struct closed_host host;
    enum closed_times times;
};

struct closed_group {
    char name[CLOSED_GROUP_BYTES]; /* "h100_sxm x qwen3_32b" */
    char backend[CLOSED_WORD_BYTES];
    size_t pair;                 /* number of the name among all names */
    struct closed_point others;  /* what suits the other pairs */
    struct closed_errors errors; /* of this group with it */
    struct closed_point all; /* what suits all pairs of its backend: no prediction */
};

struct closed_validation {
    struct closed_group groups[CLOSED_GROUPS_MAX]; /* by name, then backend */
    size_t group_count;
    struct closed_point all;       /* what suits all pairs: no prediction */
    struct closed_errors fitted;   /* of all with that */
    struct closed_errors left_out; /* of all, each with its `others` */
    double left_out_order;         /* as closed_order_agreement */
    struct closed_errors halves;   /* of all, each half with what suits the other */
    double halves_order;
};

/* report holds the scored rows, whose predictions stay as they are; setup->host and
 * setup->times are not read. Fails when there are fewer than two pairs or too many
 * groups. */
NODISCARD bool closed_cross_validate(struct closed_validation *out,
                                     const struct closed_report *report,
                                     const struct closed_setup *setup, struct err *err);

void closed_validation_table(const struct closed_validation *validation,
                             struct text *out);
/* Owned by the caller. */
struct json *closed_validation_json(const struct closed_validation *validation);

#endif
