/* SPDX-License-Identifier: Apache-2.0
 *
 * token_text.c: see token_text.h. Letters only, so that no format that carries text
 * (JSON, CSV, SSE) has to escape any of it, and a blank in front, so that it wraps.
 */
#include "traces/token_text.h"

#include "base/hash.h"

enum { LETTERS = 30 };
static const char ALPHABET[LETTERS + 1] = "abcdefghijklmnopqrstuvwxyz0123";

static uint32_t id_of_hash(uint64_t hash)
{
    return TOKEN_TEXT_ID_FIRST + (uint32_t)((hash >> 32) * TOKEN_TEXT_ID_COUNT >> 32);
}

uint32_t token_text_id(uint64_t stream, uint64_t offset)
{
    return id_of_hash(hash_pair(stream, offset));
}

void token_text_of_id(uint32_t id, char bytes[TOKEN_TEXT_BYTES])
{
    uint32_t rest = (id - TOKEN_TEXT_ID_FIRST) % TOKEN_TEXT_ID_COUNT;
    bytes[0] = ' ';
    for (size_t i = TOKEN_TEXT_BYTES - 1; i > 0; i--) {
        bytes[i] = ALPHABET[rest % LETTERS];
        rest /= LETTERS;
    }
}

void token_text_add(struct text *out, const struct segment *segments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < segments[i].tokens; at++) {
            char bytes[TOKEN_TEXT_BYTES];
            token_text_of_id(token_text_id(segments[i].stream, segments[i].offset + at),
                             bytes);
            text_add_bytes(out, bytes, sizeof bytes);
        }
    }
}

size_t token_text_ids(const struct segment *segments, size_t count, uint32_t *ids,
                      size_t max)
{
    size_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < segments[i].tokens; at++, tokens++) {
            if (tokens < max) {
                ids[tokens] =
                    token_text_id(segments[i].stream, segments[i].offset + at);
            }
        }
    }
    return tokens;
}

/* 0 to 29, or LETTERS for any other byte. */
static uint32_t letter_of(char byte)
{
    if (byte >= 'a' && byte <= 'z') {
        return (uint32_t)(byte - 'a');
    }
    return byte >= '0' && byte <= '3' ? (uint32_t)(byte - '0') + 26 : LETTERS;
}

static uint32_t read_one(const char *bytes, size_t byte_count)
{
    uint32_t value = 0;
    bool ours = byte_count == TOKEN_TEXT_BYTES && bytes[0] == ' ';
    for (size_t i = 1; ours && i < byte_count; i++) {
        const uint32_t letter = letter_of(bytes[i]);
        ours = letter < LETTERS;
        value = value * LETTERS + letter;
    }
    return ours ? TOKEN_TEXT_ID_FIRST + value
                : id_of_hash(hash_xxh64(bytes, byte_count, 0));
}

size_t token_text_read(const char *text, size_t byte_count, uint32_t *ids, size_t max)
{
    size_t tokens = 0;
    for (size_t at = 0; at < byte_count; at += TOKEN_TEXT_BYTES, tokens++) {
        const size_t left = byte_count - at;
        if (tokens < max) {
            ids[tokens] =
                read_one(text + at, left < TOKEN_TEXT_BYTES ? left : TOKEN_TEXT_BYTES);
        }
    }
    return tokens;
}
