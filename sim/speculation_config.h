/* SPDX-License-Identifier: Apache-2.0
 *
 * speculation_config.h: who drafts, how many tokens, and how many of them are right
 * (spec/vllm-engine.md 7).
 */
#ifndef STACKSIM_SIM_SPECULATION_CONFIG_H
#define STACKSIM_SIM_SPECULATION_CONFIG_H

#include "base/conf.h"
#include "sim/facts.h"

enum { DRAFTS_MAX = 16 };

/* name; it may overlap with host work (vLLM since January 2026); it needs slots for the
 * drafts after the next ones; a cache hit loses a block, whose hidden states it needs;
 * first compat level that has it on V1 */
#define SPECULATION_METHODS(X)                                                         \
    X(NGRAM, "ngram", false, false, false, 0)                                          \
    X(EAGLE, "eagle", true, true, true, 0)                                             \
    X(EAGLE3, "eagle3", true, true, true, 1)                                           \
    X(MTP, "mtp", true, true, true, 1)                                                 \
    X(MEDUSA, "medusa", false, false, false, 1)                                        \
    X(SUFFIX, "suffix", false, false, false, 2)                                        \
    X(DRAFT_MODEL, "draft_model", true, true, false, 2)

enum speculation_method {
#define X(id, name, async, lookahead, drops, since) SPECULATION_##id,
    SPECULATION_METHODS(X)
#undef X
};

struct speculation_config {
    enum speculation_method method;
    uint32_t tokens; /* drafts of a decoding request in each step; 0 = none */
    double acceptance[DRAFTS_MAX]; /* of the i-th draft when those before it were right
                                    */
    uint32_t lookahead;            /* token positions held beyond those of the step */
    bool drops_block;              /* of every cache hit */
    bool overlaps;                 /* with host work, under asynchronous scheduling */
    int64_t draft_ns;              /* of a step in which somebody drafts, on the GPU */
    int64_t draft_sequence_ns;     /* and for each that does, on the host */
    uint64_t draft_bytes;          /* weights of the drafter on one GPU */
};

/* Where the engine stands that drafts. */
struct speculation_place {
    const struct gpu_spec *gpu;
    const struct model_spec *model;
    uint32_t tensor_parallel;
    uint32_t compat; /* enum engine_compat */
};

/* Reads `speculative:` of an engine's map (may be NULL). */
NODISCARD bool speculation_config_load(struct speculation_config *config,
                                       const struct conf_node *map,
                                       const struct speculation_place *place,
                                       struct err *err);

/* E[g] = 1 + sum over i of the product of the first i acceptances; 1 without. */
double speculation_tokens_mean(const struct speculation_config *config);

const char *speculation_method_name(enum speculation_method method);

#endif
