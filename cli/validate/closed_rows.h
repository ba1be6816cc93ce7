/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_rows.h: measured closed loops, one CSV row each: a fixed number of requests in
 * flight, one prompt and one output length, mean or median TTFT and TPOT.
 *
 * Columns are found by name, in any order; unknown ones are ignored. Required: system,
 * model_path, isl, osl, tp_size, silicon_ttft_ms, silicon_tpot_ms, and concurrency or
 * batch_size.
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_ROWS_H
#define STACKSIM_CLI_VALIDATE_CLOSED_ROWS_H

#include "base/err.h"
#include "cli/validate/closed_load.h"

#include <stddef.h>
#include <stdint.h>

enum { CLOSED_WORD_BYTES = 64 };

/* Why a row is not scored, in the order in which the reasons are looked for. */
#define CLOSED_REASONS(X)                                                              \
    X(FILTER, "does not match --filter")                                               \
    X(DISAGGREGATED, "prefill and decode on different engines")                        \
    X(PIPELINE, "pipeline parallelism")                                                \
    X(UNMEASURED, "no TTFT, no TPOT or no number of requests in flight")               \
    X(DUPLICATE, "the same configuration as an earlier row")                           \
    X(NO_GPU, "no file of that GPU in configs/gpus")                                   \
    X(NO_MODEL, "no model of that name in configs/models")                             \
    X(EXPERTS, "a model with experts; --experts scores those, too")                    \
    X(SPREAD, "experts and attention on groups of different sizes")                    \
    X(PRECISION, "no figures for products of that precision")                          \
    X(NO_ROOM, "its context, heads or memory do not fit by our arithmetic")

enum closed_reason {
#define X(name, help) CLOSED_##name,
    CLOSED_REASONS(X)
#undef X
        CLOSED_REASON_COUNT,
    CLOSED_SCORED = CLOSED_REASON_COUNT,
};
const char *closed_reason_help(enum closed_reason reason);

struct closed_row {
    uint64_t line;
    char system[CLOSED_WORD_BYTES];
    char model_path[CLOSED_WORD_BYTES];
    char backend[CLOSED_WORD_BYTES];
    uint32_t weight_bits; /* 0: as the model's file says */
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    uint32_t tensor_parallel;
    uint32_t ranks;       /* with attention of their own; 0 = not said */
    uint32_t expert_gpus; /* that share the experts; 0 = not said */
    uint32_t
        users; /* of one engine: batch_size, else concurrency shared by its ranks */
    enum closed_load_kind load;
    double ttft_ms;
    double tpot_ms;
};

struct closed_rows {
    struct closed_row *rows; /* those that may be scored */
    size_t count;
    size_t capacity;
    uint64_t read; /* all rows of the file */
    uint64_t left_out[CLOSED_REASON_COUNT];
};

/* filter: "column=value,column=value" or NULL. */
NODISCARD bool closed_rows_read(struct closed_rows *rows, const char *path,
                                const char *filter, struct err *err);
void closed_rows_fini(struct closed_rows *rows);

#endif
