/* SPDX-License-Identifier: Apache-2.0
 *
 * openai.h: the answers of vLLM's OpenAI API as bytes (spec/vllm-engine.md 9).
 *
 * Fields and their order are those of vLLM 0.8.5; errors come flat, as there, and
 * wrapped, as since 0.10.1.
 */
#ifndef STACKSIM_CLI_LIVE_OPENAI_H
#define STACKSIM_CLI_LIVE_OPENAI_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* What all parts of one answer have in common; strings are borrowed. */
struct openai_answer {
    bool chat; /* chat completion, else text completion */
    const char *id;
    const char *model;
    int64_t created_unix_s;
};
struct openai_usage {
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    uint32_t cached_tokens; /* 0 = not told */
};
struct openai_text {
    const char *bytes;
    size_t byte_count;
    const char *finish_reason; /* NULL = goes on */
};

/* Events of a stream, each with its blank line. */
void openai_stream_role(struct text *out, const struct openai_answer *answer);
void openai_stream_text(struct text *out, const struct openai_answer *answer,
                        const struct openai_text *text);
void openai_stream_usage(struct text *out, const struct openai_answer *answer,
                         const struct openai_usage *usage);
void openai_stream_done(struct text *out);

/* A whole answer. kv_transfer_params: JSON, or NULL. */
void openai_whole(struct text *out, const struct openai_answer *answer,
                  const struct openai_text *text, const struct openai_usage *usage,
                  const char *kv_transfer_params);

/* type: "BadRequestError", "NotFoundError". */
void openai_error(struct text *out, unsigned status, const char *type,
                  const char *message, bool wrapped);

/* A model card of /v1/models. parent NULL: a base model. */
struct openai_card {
    const char *id;
    const char *root;
    const char *parent;
    int64_t created_unix_s;
    uint32_t max_model_len; /* 0 = null, of adapters */
};
void openai_model_card(struct text *out, const struct openai_card *card);

#endif
