/* SPDX-License-Identifier: Apache-2.0
 *
 * token_text.h: abstract tokens as text and as token ids, the same for everybody.
 *
 * A token of a stream is a blank and three letters, 4 bytes, which is what routers that
 * do not tokenise take for a token. Text and id carry each other: 30^3 values. Whoever
 * renders a recorded prompt (a load generator), answers with an output stream (a mock
 * engine) or reads either back gets the same bytes, so that prompts which share a
 * prefix as segments share it as text and as ids, as long and no longer (but for one
 * pair of tokens in 27,000).
 */
#ifndef STACKSIM_TRACES_TOKEN_TEXT_H
#define STACKSIM_TRACES_TOKEN_TEXT_H

#include "base/text.h"
#include "traces/segment.h"

enum {
    TOKEN_TEXT_BYTES = 4,
    /* Ids lie in [first, first + count): inside every vocabulary we know of, behind
     * the special tokens that some begin with. */
    TOKEN_TEXT_ID_FIRST = 1000,
    TOKEN_TEXT_ID_COUNT = 27000,
};

/* The id of one token of a stream. */
uint32_t token_text_id(uint64_t stream, uint64_t offset);
/* Exactly 4 bytes, without an end. Ids out of our range get text, too, which does not
 * read back. */
void token_text_of_id(uint32_t id, char bytes[TOKEN_TEXT_BYTES]);

/* Appends 4 bytes for each token. */
void token_text_add(struct text *out, const struct segment *segments, size_t count);
/* Writes one id for each token, at most max; returns the number of tokens. */
size_t token_text_ids(const struct segment *segments, size_t count, uint32_t *ids,
                      size_t max);
/* Reads any text: our own 4 bytes give their id, other 4 bytes (or the fewer of the
 * end) one of our ids by their hash. Writes at most max; returns the number of tokens.
 */
size_t token_text_read(const char *text, size_t byte_count, uint32_t *ids, size_t max);

#endif
