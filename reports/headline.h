/* SPDX-License-Identifier: Apache-2.0
 *
 * headline.h: the one sentence and the few figures that a reader takes away.
 */
#ifndef STACKSIM_REPORTS_HEADLINE_H
#define STACKSIM_REPORTS_HEADLINE_H

#include "base/text.h"
#include "reports/load_curves.h"
#include "reports/replicated.h"
#include "reports/run.h"

/* Arms to be compared: several seeds of each, or a run of each. */
struct headline_arms {
    const struct run_record *const *runs; /* one per arm; of the first seed */
    size_t count;
    const struct replicated *seeds; /* NULL: one seed */
};

/* "round_robin gives the first token soonest: 217 ms on average, 11 % less than
 * least_request." One sentence, without a line end. A difference below 1 %, or one that
 * the seeds do not support, is called none. */
void headline_write(const struct headline_arms *arms, struct text *out);

/* Of a sweep: who leads at the lowest and at the highest load. */
void headline_write_load(const struct load_curves *load, struct text *out);

/* Who is best in the metrics that matter most, as HTML: a tile for each. */
void headline_add_tiles(const struct headline_arms *arms, struct text *out);

#endif
