/* SPDX-License-Identifier: Apache-2.0
 *
 * op_times.h: what cost model `ops` asks of measured kernels, for one engine's shapes.
 * Two sources answer: the tables themselves (op_table.h) and what was fitted to them
 * (op_fit.h). Times are microseconds of one kernel call on one GPU.
 */
#ifndef STACKSIM_SIM_TIMES_OP_TIMES_H
#define STACKSIM_SIM_TIMES_OP_TIMES_H

#include "sim/times/layer_shape.h"
#include "sim/times/profile.h"

/* Heads are counted as heads of this many elements, for which kernels were measured. */
enum { OP_HEAD_DIM = 128 };

/* Of attention on one GPU; heads may be a fraction (OP_HEAD_DIM). */
struct op_heads {
    double query;
    double kv;
    uint32_t kv_bits;
};

/* Decode attention: one time for each batch size and context length, both ascending. */
struct op_grid {
    size_t batch_count;
    size_t context_count;
    double *batch;
    double *context; /* tokens of each sequence, the new one included */
    double *us;      /* batch by batch */
};

/* Prompts, by their length: so much for the kernel and so much for each prompt. */
struct op_lines {
    size_t count;
    double *tokens; /* ascending */
    double *base_us;
    double *per_prompt_us;
};

void op_grid_fini(struct op_grid *grid);
void op_lines_fini(struct op_lines *lines);

/* Linear in both, and beyond the grid in batch and context by the last two points; the
 * first point below. */
double op_grid_at(const struct op_grid *grid, double batch, double context);

/* `prompts` prompts of `tokens` each: linear in length between two lines, constant
 * below the first, quadratic beyond the last; never less than a shorter prompt. */
double op_lines_at(const struct op_lines *lines, double prompts, double tokens);

#endif
