/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_predict.h: the engine that a measured row names, and what it answers to that
 * row's load.
 *
 * Step times come from the shipped fit of system, model, precision and parallel size
 * (configs/fits/SYSTEM.MODEL[.tpN].yaml), else from what was fitted to the op tables of
 * system and backend (SYSTEM.BACKEND.ops.yaml), else from the roofline with that GPU's
 * efficiencies; what the host does beside comes from configs/hosts/BACKEND.yaml,
 * else configs/hosts/default.yaml, else the engine's defaults. Engines are made once
 * and kept.
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_PREDICT_H
#define STACKSIM_CLI_VALIDATE_CLOSED_PREDICT_H

#include "cli/validate/closed_rows.h"

struct closed_engines;

/* What a backend's host adds (configs/hosts). */
struct closed_host {
    double request_s; /* front end, per request, in TTFT alone */
    int64_t step_ns;  /* < 0: the engine's default */
    int64_t sequence_ns;
    bool overlaps;      /* with the GPU's work; else it is added */
    bool prefill_first; /* the backend's scheduler (sim/prefill_first.h), not vLLM's */
};

/* "nvidia/Llama-3.1-8B-Instruct-FP8" -> "llama_3_1_8b", the name of a file of
 * configs/models: publisher, tuning and precision change no shape. */
void closed_model_name(char out[CLOSED_WORD_BYTES], const char *model_path);

/* Where step times come from; a fit of that very GPU, model and group goes before. */
#define CLOSED_TIMES(X)                                                                \
    X(AUTO, "auto", "fitted op tables, quantising fused; else the roofline")           \
    X(MEASURED, "measured", "fitted op tables as measured, else the roofline")         \
    X(ROOFLINE, "roofline", "the roofline, and no fit at all")                         \
    X(OPS, "ops", "fitted op tables, quantising fused; else no score")

enum closed_times {
#define X(id, name, help) CLOSED_TIMES_##id,
    CLOSED_TIMES(X)
#undef X
};

struct closed_setup {
    const char *config_dir;         /* --config-dir, or NULL */
    const struct closed_host *host; /* of all rows, but for the scheduler, which stays
                                     * the backend's; NULL: by the files */
    double jitter; /* lengths are uniform in [1 - jitter, 1] of the row's; [0, 1); NaN:
                    * by the row's load */
    enum closed_load_kind load; /* of all rows; CLOSED_LOAD_COUNT: by their sources */
    bool experts;               /* models with experts, too */
    enum closed_times times;
};

/* Borrows what setup points to. */
struct closed_engines *closed_engines_new(const struct closed_setup *setup);
void closed_engines_delete(struct closed_engines *engines);

struct closed_prediction {
    double ttft_ms;
    double tpot_ms;
    uint32_t weight_bits;
    const char *source; /* what the step times rest on; lives as long as engines */
};

/* CLOSED_SCORED, or why there is no prediction; an input error only when a file of
 * configs/ is wrong. */
NODISCARD bool closed_predict(struct closed_engines *engines,
                              const struct closed_row *row,
                              struct closed_prediction *out, enum closed_reason *reason,
                              struct err *err);

#endif
