/* SPDX-License-Identifier: Apache-2.0
 *
 * pickers.h: one of several by their scores (llm-d: max-score, weighted-random,
 * random).
 *
 * Scores are not negative; PICKER_LEFT_OUT marks who must not be picked, and somebody
 * must be left. Each function draws once. They return an index.
 */
#ifndef STACKSIM_POLICIES_PICKERS_H
#define STACKSIM_POLICIES_PICKERS_H

#include "base/rng.h"

#include <stdint.h>

#define PICKER_LEFT_OUT (-1e300)

/* The highest; one of several at random. */
uint32_t pick_max(const double *scores, uint32_t count, struct rng *rng);
/* Each with a probability proportional to its score: the same as the highest of
 * U^(1/score), which llm-d draws. All scores zero: each equally likely. */
uint32_t pick_weighted_random(const double *scores, uint32_t count, struct rng *rng);
/* Each equally likely. */
uint32_t pick_random(const double *scores, uint32_t count, struct rng *rng);

#endif
