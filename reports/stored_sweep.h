/* SPDX-License-Identifier: Apache-2.0
 *
 * stored_sweep.h: what a store knows of the sweep whose runs it collects.
 *
 * The plan is stored whole before the first run, so that a store says by itself which
 * runs are done: the i-th run of a plan has run_id i + 1, and is there once it is done.
 */
#ifndef STACKSIM_REPORTS_STORED_SWEEP_H
#define STACKSIM_REPORTS_STORED_SWEEP_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct sql;
struct text;

struct stored_key {
    char *key;   /* "policy", "rate" */
    char *value; /* as written */
};

struct stored_sweep_run {
    char *name; /* unique */
    struct stored_key *keys;
    size_t key_count;
};

struct stored_sweep {
    char *name;
    char *plan_yaml; /* the sweep's file as it was read */
    uint64_t digest; /* of all that decides the runs; equal digests: the same sweep */
    struct stored_sweep_run *runs;
    size_t run_count;
};

/* NaN when it is no plain decimal number. */
double stored_key_number(const char *value);

/* Everything in it is owned and freed; so is sweep itself. NULL is legal. */
void stored_sweep_delete(struct stored_sweep *sweep);

/* Appends "chwbl, rate 2, seed 3": a policy is called by its value alone, a path by its
 * last word. without: a key that is left out, or NULL. */
void stored_sweep_name(const struct stored_key *keys, size_t count, const char *without,
                       struct text *name);

/* For store.c and store_read.c. *out is NULL when the store holds no sweep. */
NODISCARD bool stored_sweep_insert(struct sql *sql, const struct stored_sweep *sweep,
                                   struct err *err);
NODISCARD bool stored_sweep_select(struct sql *sql, struct stored_sweep **out,
                                   struct err *err);

#endif
