/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_ask.h: what the body of a completion or chat request asks an engine for
 * (spec/vllm-engine.md 9.2), checked in vLLM's order.
 *
 * A mock engine has no tokenizer and no model: four bytes of text are a token, and an
 * answer is as long as the client allows when it says ignore_eos, else as long as the
 * engine was told answers are.
 */
#ifndef STACKSIM_CLI_LIVE_MOCK_ASK_H
#define STACKSIM_CLI_LIVE_MOCK_ASK_H

#include "base/text.h"
#include "router/body.h"

struct mock_ask {
    struct text model; /* empty = none named */
    bool stream;
    bool include_usage;
    bool ends_by_length; /* finish_reason "length", else "stop" */
    uint32_t *ids;       /* of the prompt */
    size_t id_count;     /* at least 1 */
    size_t id_capacity;
    uint32_t output_tokens_max; /* that the client named; 0 = none */
    uint32_t output_tokens;     /* that it will get */
    uint32_t remote_tokens;     /* of the prompt: KV that another engine has */
    int32_t priority;
    uint64_t cache_salt;
    struct text kv_transfer_params; /* JSON of the answer; empty = null */
    struct text refusal;            /* the message, when it was refused */
};

/* What the engine is. */
struct mock_limits {
    uint32_t max_model_len; /* tokens */
    uint32_t answer_tokens; /* of an answer that ends by itself */
    uint32_t block_tokens;
    const char *engine_id; /* in kv_transfer_params */
    uint16_t port;
};
struct mock_body {
    bool chat;
    const char *bytes;
    size_t byte_count;
};

/* False: refused with HTTP 400 and ask->refusal. ask may be used again and again;
 * strings are its own. */
bool mock_ask_read(struct mock_ask *ask, struct body_reader *reader,
                   const struct mock_body *body, const struct mock_limits *limits);
/* The length of context and answer; apart, because an unknown model is told first. */
bool mock_ask_fit(struct mock_ask *ask, const struct mock_limits *limits);
void mock_ask_fini(struct mock_ask *ask);

#endif
