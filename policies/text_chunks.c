/* SPDX-License-Identifier: Apache-2.0
 *
 * text_chunks.c: see text_chunks.h. Code points are counted by their first bytes, so
 * nothing is decoded.
 */
#include "policies/text_chunks.h"

#include "base/hash.h"

#include <stdbool.h>

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xC0U) != 0x80U;
}

/* Bytes of the chunk that starts the text. */
static size_t chunk_bytes(const char *text, size_t byte_count)
{
    size_t characters = 0;
    size_t at = 0;
    while (at < byte_count) {
        if (starts_character(text[at]) && characters++ == TEXT_CHUNK_CHARACTERS) {
            break;
        }
        at++;
    }
    return at;
}

size_t text_chunk_hashes(const char *text, size_t byte_count, uint64_t *hashes,
                         size_t hashes_max)
{
    size_t count = 0;
    size_t at = 0;
    while (at < byte_count) {
        const size_t bytes = chunk_bytes(text + at, byte_count - at);
        if (count < hashes_max) {
            hashes[count] = hash_xxh64(text + at, bytes, 0);
        }
        count++;
        at += bytes;
    }
    return count;
}
