/* SPDX-License-Identifier: Apache-2.0
 *
 * recorder.h: turns what the simulator reports into rows for reports/ (STYLE 1.1).
 *
 * sim/ and reports/ do not know each other: rows are made here alone.
 */
#ifndef STACKSIM_CLI_RECORDER_H
#define STACKSIM_CLI_RECORDER_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdio.h>

struct observer;
struct row_writer;
struct run_record;
struct scenario;
struct sim;

struct recorder {
    struct run_record *run; /* owned */
    const struct scenario *scenario;
    struct row_writer *rows; /* writes them meanwhile; NULL = nobody. Borrowed */
    FILE *decisions;         /* CSV rows of the decision log; NULL = none */
    bool scores;             /* with the score of every candidate */
    struct text line;        /* scratch of the decision log */
    bool overflowed;         /* a ceiling of run.h was reached: rows were dropped */
};

/* The decision log: where to (NULL = none), and whether with every candidate's score.
 */
struct recorder_log {
    FILE *stream;
    bool scores;
};

/* name: of the run, NULL = the policy's. intervals: computed with the metrics. Writes
 * the header of the decision log. */
struct recorder_setup {
    const struct scenario *scenario;
    const char *name;
    struct recorder_log log;
    struct row_writer *rows;
    bool intervals;
};
void recorder_begin(struct recorder *recorder, const struct recorder_setup *setup);
void recorder_drop(struct recorder *recorder);

/* Callbacks that write into recorder, which must outlive the simulation. */
void recorder_observe(struct recorder *recorder, struct observer *observer);

size_t recorder_requests(const struct recorder *recorder);

/* What is known only at the end. */
struct recorder_end {
    const struct sim *sim;
    const struct scenario *scenario;
    const char *workload_origin;
    const char *notes;
    double wall_s;
};

/* Adds totals, engines and provenance and computes the metrics. */
NODISCARD bool recorder_finish(struct recorder *recorder,
                               const struct recorder_end *end, struct err *err);

#endif
