/* SPDX-License-Identifier: Apache-2.0
 *
 * iterations.h: whole iterations of an engine, timed from outside: so many requests of
 * one prompt and one output length at once; the first iteration (all prompts) and the
 * mean of the later ones (a token each).
 *
 * A CSV table, plain or gzip, as splitwise-sim's perf_model.csv: columns by name, in
 * any order, others ignored:
 *
 *     prompt_size | prompt_tokens, batch_size, token_size | output_tokens,
 *     prompt_time | prompt_time_ms, token_time | token_time_ms,
 *     and, if the table has them, model, hardware | gpu, tensor_parallel
 */
#ifndef STACKSIM_SIM_TIMES_ITERATIONS_H
#define STACKSIM_SIM_TIMES_ITERATIONS_H

#include "base/err.h"
#include "sim/facts.h"

#include <stddef.h>

struct iteration_row {
    uint32_t prompt_tokens; /* of each request */
    uint32_t output_tokens; /* of each, the first one included */
    uint32_t batch;         /* requests */
    double prompt_ms;       /* the first iteration */
    double token_ms;        /* mean of the later ones; 0 = there are none */
};

/* One GPU, model and tensor-parallel degree. */
struct iteration_table {
    char gpu[FACT_NAME_BYTES]; /* as the table calls them; "" when it has no column */
    char model[FACT_NAME_BYTES];
    uint32_t tensor_parallel; /* 0: no column */
    struct iteration_row *rows;
    size_t count;
};

/* Which rows; NULL and 0: whatever the table holds. */
struct iteration_choice {
    const char *gpu;
    const char *model;
    uint32_t tensor_parallel;
};

/* Fails with file:line on a missing column or a bad number, when no row is chosen, and
 * when the rows chosen are of several GPUs, models or degrees: it lists them. */
NODISCARD bool iteration_table_load(struct iteration_table *table, const char *path,
                                    const struct iteration_choice *choice,
                                    struct err *err);
void iteration_table_fini(struct iteration_table *table);

/* True when the file's first row names the columns of such a table. */
bool iteration_table_fits(const char *path);

/* Repeats of one configuration (equal in all but times) become one row of medians,
 * in ascending order of prompt, batch, output. Returns the mean relative spread (mean
 * absolute deviation from the median) of repeated prompt times. */
double iteration_table_condense(struct iteration_table *table);

/* Sorts the values; count >= 1. */
double iteration_median(double *values, size_t count);

#endif
