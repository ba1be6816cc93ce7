/* SPDX-License-Identifier: Apache-2.0
 *
 * piece_text.h: prompts as text: "t1+885;t77@40+12;o501+350;b14+3".
 *
 * A piece is the stream's letter and number, @offset when it is not 0, +tokens.
 * Recorded blocks count in blocks: b14+3 are the ids 14, 15 and 16 of block_tokens
 * each, b14 is one; b14+3:1100 are only their first 1100 tokens. The last piece of a
 * prompt leaves that out: whole blocks are meant, as far as the prompt goes. What does
 * not lie on blocks is written like other streams, with an offset: b0@7+5.
 */
#ifndef STACKSIM_TRACES_PIECE_TEXT_H
#define STACKSIM_TRACES_PIECE_TEXT_H

#include "base/text.h"
#include "traces/segment.h"

#include <stdbool.h>

/* block_tokens 0: no block notation. */
void piece_text_write(struct text *out, const struct segment *segments, size_t count,
                      uint32_t block_tokens);

/* Reads the piece at *at and moves *at behind it and its ';'. False: no piece there;
 * *at is where it goes wrong. */
bool piece_text_read(const char **at, uint32_t block_tokens, struct segment *piece);

#endif
