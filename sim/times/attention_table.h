/* SPDX-License-Identifier: Apache-2.0
 *
 * attention_table.h: attention times between measured batches, as LLMServingSim 2.0
 * interpolates them (spec/step-time.md 2).
 *
 * Linear in each of chunk tokens, tokens before the chunk, decodes, and mean decode
 * context: held below the grid, extended above it. A pair (chunk, decodes) that was not
 * measured takes the times of the nearest one that was.
 */
#ifndef STACKSIM_SIM_TIMES_ATTENTION_TABLE_H
#define STACKSIM_SIM_TIMES_ATTENTION_TABLE_H

#include "sim/times/profile.h"

struct attention_table;

struct attention_point {
    double chunk_tokens; /* of all chunks */
    double chunk_context;
    double decodes;
    double decode_context; /* mean */
};

/* The profile needs rows; it is not kept. */
struct attention_table *attention_table_new(const struct kernel_profile *profile);
void attention_table_delete(struct attention_table *table);

double attention_table_us(const struct attention_table *table,
                          const struct attention_point *point);

/* Decode contexts at which the line for batches of `decodes` decodes and no chunk may
 * bend, ascending. Returns their number, at most `most`. */
size_t attention_table_bends(const struct attention_table *table, double decodes,
                             double *out, size_t most);

#endif
