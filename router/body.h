/* SPDX-License-Identifier: Apache-2.0
 *
 * body.h: what a router wants to know of a request's body, for every API of vLLM.
 *
 * One reader for chat, completions, embeddings, rerank, messages and the rest, because
 * a text that only some paths extract is how a router comes to fail on the others.
 * Values stay where they are in the body, so that a model's name can be replaced
 * without touching another byte.
 */
#ifndef STACKSIM_ROUTER_BODY_H
#define STACKSIM_ROUTER_BODY_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prompts are not tokenised: four bytes of text count as one token, as they do where
 * recorded traces are turned into text. */
enum { BODY_BYTES_PER_TOKEN = 4, BODY_VALUES_MAX = 1 << 22 };

enum body_state { BODY_OK, BODY_NOT_JSON, BODY_NOT_OBJECT };

struct body_facts {
    enum body_state state;
    bool has_model;    /* "model" is there and not null */
    const char *model; /* unescaped; valid until the next body_read */
    size_t model_at;   /* of the value in the body, quotes included */
    size_t model_bytes;
    const char *session_key; /* NULL = absent or null; as Python's str() of the value */
    bool stream;
    uint32_t prompt_tokens; /* at least 1; estimated from text, exact for token ids */
    uint32_t output_tokens_max; /* 0 = no cap named */
    int32_t priority;
    bool prompt_is_text; /* "prompt" is there and a string */
    bool of_ids;         /* the prompt is token ids: `ids`, else `text` */
    const char *text;
    size_t text_bytes;
    const uint32_t *ids;
    size_t id_count;
};

struct body_reader;
struct body_reader *body_reader_new(void);
void body_reader_delete(struct body_reader *reader);

/* session_name: field of the body that holds the session, or NULL. The last of several
 * equal keys counts, as it does for the engine. Facts are lent until the next call. */
void body_read(struct body_reader *reader, const char *body, size_t byte_count,
               const char *session_name, struct body_facts *facts);
/* The model named in a multipart form (audio, image edits); NULL when there is none. */
const char *body_read_form_model(struct body_reader *reader, const char *content_type,
                                 const char *body, size_t byte_count);

/* Appends body with the model's value replaced by this name, JSON-escaped. */
void body_with_model(const char *body, size_t byte_count,
                     const struct body_facts *facts, const char *model,
                     struct text *out);
/* Appends the object of a body without the members named in `dropped` (ends with NULL)
 * and with `added` ("\"a\":1,\"b\":2") behind the others, which stay byte for byte. The
 * body must be an object; false when it is none. */
bool body_rebuild(struct body_reader *reader, const struct text *body,
                  const char *const *dropped, const char *added, struct text *out);
/* Appends "text" with quotes and escapes. */
void body_add_string(struct text *out, const char *text, size_t byte_count);

#endif
