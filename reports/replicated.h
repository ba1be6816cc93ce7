/* SPDX-License-Identifier: Apache-2.0
 *
 * replicated.h: arms that were run under several seeds, and what follows from that.
 *
 * Under one seed all arms met the same requests, so arms are compared in pairs of equal
 * seeds. A difference counts when it is real (its 95 % interval holds no zero, after
 * Holm's adjustment for the number of arms) and matters (1 % or more).
 */
#ifndef STACKSIM_REPORTS_REPLICATED_H
#define STACKSIM_REPORTS_REPLICATED_H

#include "base/text.h"
#include "reports/compare.h"
#include "reports/run.h"
#include "reports/table.h"
#include "stats/replicate.h"

struct replicated {
    const struct run_record *const *runs; /* run of arm a, seed s: [a * seeds + s] */
    const char *const *names;             /* of the arms */
    size_t arms;
    size_t seeds; /* the same ones for all arms; >= 2 */
};

/* An arm's metric over its seeds; runs that do not know it are left out. */
struct estimate replicated_estimate(const struct replicated *set, size_t arm,
                                    enum metric metric);
/* other - base over the seeds that know both. */
struct contrast replicated_contrast(const struct replicated *set, size_t base,
                                    size_t other, enum metric metric);

/* p of no difference between the metric's best arm and this one, adjusted over all that
 * the verdict tells; NaN of the best arm, of other metrics, and where seeds are too
 * few. */
double replicated_p(const struct replicated *set, enum metric metric, size_t arm);

/* For people one line per metric with "mean ± half of the 95 % interval"; machine
 * formats get one row per arm and metric. */
void replicated_print(const struct replicated *set, enum table_format format,
                      struct text *out);
/* One row per arm, one column per headline metric of this part, "mean ± half": for
 * pages. The caller deletes it. */
struct table *replicated_table(const struct replicated *set, enum compare_part part);
/* Sentences, one per line; the first one is the verdict. */
void replicated_verdict(const struct replicated *set, struct text *out);

#endif
