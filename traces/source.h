/* SPDX-License-Identifier: Apache-2.0
 *
 * source.h: what a workload draws its records from: a file or a population.
 *
 * Internal to traces/. A source is a struct that begins with `struct source`;
 * workload.c adds what all have in common (limit, rate factor, merging).
 */
#ifndef STACKSIM_TRACES_SOURCE_H
#define STACKSIM_TRACES_SOURCE_H

#include "base/text.h"
#include "traces/workload.h"

struct source;

struct source_type {
    const char *name;
    /* In order of (arrival_ns, id); the record is lent until the next call. */
    enum workload_result (*next)(struct source *source,
                                 const struct trace_record **record, struct err *err);
    void (*close)(struct source *source);
    /* Records still to come, 0 = unknown. NULL: always unknown. */
    uint64_t (*expected)(const struct source *source);
    /* Part done in [0, 1]. NULL: unknown. */
    double (*progress)(const struct source *source);
    /* One line each. NULL: none. */
    void (*notes)(const struct source *source, struct text *out);
    /* NULL: none. */
    void (*counts)(const struct source *source, struct trace_counts *counts);
};

struct source {
    const struct source_type *type;
    uint32_t block_tokens; /* of recorded block ids; 0 = none */
    struct text origin;    /* for workload_origin */
    struct text lineage;   /* for workload_source; empty: as origin */
};

#endif
