/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity_candidate.h: one fleet of a plan as a scenario of its own (capacity.h).
 */
#ifndef STACKSIM_CLI_CAPACITY_CANDIDATE_H
#define STACKSIM_CLI_CAPACITY_CANDIDATE_H

#include "cli/capacity.h"

struct candidate;

/* engines: of the fleet, a multiple of what the group's split needs. */
struct candidate *candidate_new(const struct capacity_setup *setup,
                                const struct capacity_group *group, uint32_t engines);
void candidate_delete(struct candidate *candidate);
/* What runs it; borrowed. */
const struct runner_setup *candidate_setup(const struct candidate *candidate);

/* What was loaded to be looked at; the caller deletes it. */
NODISCARD bool candidate_scenario(struct scenario **out,
                                  const struct capacity_setup *setup,
                                  const struct capacity_group *group, uint32_t engines,
                                  struct err *err);

/* The scenario's first pool as a YAML map in one line, from which a second one is made.
 * *is_parallel: it has a `parallel`. The caller frees the text. */
char *candidate_pool(const struct scenario *scenario, bool *is_parallel);

#endif
