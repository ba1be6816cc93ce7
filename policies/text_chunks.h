/* SPDX-License-Identifier: Apache-2.0
 *
 * text_chunks.h: the chunk hashes of a real text (production stack, prefix-aware trie).
 *
 * A chunk is 128 Unicode code points; its hash is XXH64 (seed 0) of their UTF-8 bytes.
 * Each chunk is hashed alone; the last one may be shorter and is a chunk like any
 * other.
 */
#ifndef STACKSIM_POLICIES_TEXT_CHUNKS_H
#define STACKSIM_POLICIES_TEXT_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

enum { TEXT_CHUNK_CHARACTERS = 128 };

/* Writes at most `hashes_max` hashes and returns how many chunks the text has, so that
 * a caller who gave too little room knows what to ask for. Bytes that are not UTF-8
 * count as one character each, continuation bytes as none. */
size_t text_chunk_hashes(const char *text, size_t byte_count, uint64_t *hashes,
                         size_t hashes_max);

#endif
