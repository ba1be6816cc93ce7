/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h: one request as recorded or generated (spec/traces.md 3.1).
 */
#ifndef STACKSIM_TRACES_RECORD_H
#define STACKSIM_TRACES_RECORD_H

#include "traces/segment.h"

#include <stdint.h>

#define TRACE_THINK_NONE INT64_MIN /* think time not recorded */
enum { TRACE_PARENTS_MAX = 8 };

/* A plain value that owns nothing: pointers are borrowed from whoever lends it. */
struct trace_record {
    uint64_t id;            /* unique in the trace, below 2^56 */
    int64_t arrival_ns;     /* since trace start; for dependants the open-loop time */
    uint64_t session;       /* conversation or agent run; 0 = none */
    uint32_t turn;          /* 0-based within the session */
    uint32_t prompt_tokens; /* >= 1, the sum of the segments */
    uint32_t
        output_tokens; /* >= 1: what will be produced (truth, hidden from policies) */
    uint32_t output_tokens_max;   /* cap the client asked for; 0 = none */
    uint32_t output_tokens_guess; /* of a predictor; 0 = none */
    int32_t priority;             /* lower is more urgent; 0 default */
    int64_t think_ns;             /* delay after the last parent's end */
    int64_t cancel_ns; /* client hangs up this long after release; 0 = never */
    uint64_t parents[TRACE_PARENTS_MAX]; /* ids that must finish first */
    uint32_t parent_count;
    uint32_t segment_count;         /* >= 1 */
    const struct segment *segments; /* normalised */
    const char *model;              /* NULL = the only one */
    const char *tenant;             /* NULL = none */
    const char *adapter;            /* LoRA adapter; NULL = the base model */
};

#endif
