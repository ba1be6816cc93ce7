/* SPDX-License-Identifier: Apache-2.0
 *
 * experts.h: time of one layer's experts from measured points (moe.csv), which need not
 * make a full grid.
 */
#ifndef STACKSIM_SIM_TIMES_EXPERTS_H
#define STACKSIM_SIM_TIMES_EXPERTS_H

#include "sim/times/profile.h"

struct experts; /* points by tokens, then by activated experts */

struct experts *experts_new(const struct moe_row *rows, size_t count); /* count > 0 */
void experts_delete(struct experts *experts);

/* Linear in both; below the grid held, above extended. */
double experts_us(const struct experts *experts, double tokens, double activated);

/* Expected distinct experts among `tokens` tokens that take `per_token` of `count`
 * each, evenly and independently. */
double experts_activated(double tokens, double per_token, double count);

#endif
