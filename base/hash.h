/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h: 64-bit mixing, XXH64, MD5, SHA-1 and SHA-256 of bytes, and the running digest
 * of a run.
 *
 * base/hash.c is the only user of <xxhash.h>, <md5.h>, <sha1.h> and <sha2.h>. The
 * inline mixers are for numbers (map keys, block chains); anything made of bytes goes
 * through the library.
 */
#ifndef STACKSIM_BASE_HASH_H
#define STACKSIM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection on 64 bits. */
static inline uint64_t hash_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    return x;
}

/* Chains b after a; order matters: hash_pair(a, b) != hash_pair(b, a). */
static inline uint64_t hash_pair(uint64_t a, uint64_t b)
{
    return hash_mix(hash_mix(a + UINT64_C(0x9e3779b97f4a7c15)) ^ b);
}

/* XXH64 with a seed; golden values in spec/production-stack.md 1.3 use seed 0. */
uint64_t hash_xxh64(const void *bytes, size_t byte_count, uint64_t seed);

/* MD5 as 16 bytes, big end first (consistent-hash ring of the stack's router). */
void hash_md5(const void *bytes, size_t byte_count, uint8_t digest[16]);
/* SHA-1 as 20 bytes, big end first (name-based UUIDs). */
void hash_sha1(const void *bytes, size_t byte_count, uint8_t digest[20]);
/* SHA-256 as 32 bytes, big end first (keys of LMCache). */
void hash_sha256(const void *bytes, size_t byte_count, uint8_t digest[32]);

/* Running 64-bit digest over little-endian words: same words, same digest, on every
 * compiler. Not for adversaries. */
struct digest {
    uint64_t state;
    uint64_t words;
};
static inline void digest_init(struct digest *digest)
{
    digest->state = UINT64_C(0x73696d2d64696701);
    digest->words = 0;
}
static inline void digest_word(struct digest *digest, uint64_t word)
{
    digest->state = hash_pair(digest->state, word);
    digest->words++;
}
/* The words of one record, which counts as one word. They are mixed side by side: one
 * after the other, each has to wait for the last, and the digest of a request's outcome
 * took longer than all else that its end asks for. */
static inline void digest_record(struct digest *digest, const uint64_t *words,
                                 size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += hash_mix(words[i] + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
    }
    digest_word(digest, sum);
}
static inline uint64_t digest_value(const struct digest *digest)
{
    return hash_pair(digest->state, digest->words);
}

#endif
