/* SPDX-License-Identifier: Apache-2.0
 *
 * rng.c: xoshiro256** 1.0 (Blackman, Vigna 2018, public domain reference code), seeded
 * through splitmix64 as its authors advise.
 *
 * The name goes through XXH64 with the seed and then the index through a bijection, so
 * streams of one name differ for sure and streams of two names but for a 64-bit
 * collision.
 */
#include "base/rng.h"

#include "base/check.h"
#include "base/hash.h"

#include <string.h>

__extension__ typedef unsigned __int128 uint128;

void rng_init(struct rng *rng, uint64_t seed, const char *name, uint64_t index)
{
    uint64_t state = hash_pair(hash_xxh64(name, strlen(name), seed), index);
    for (int i = 0; i < 4; i++) {
        state += UINT64_C(0x9e3779b97f4a7c15);
        rng->word[i] = hash_mix(state);
    }
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *const word = rng->word;
    const uint64_t result = rotate_left(word[1] * 5, 7) * 9;
    const uint64_t shifted = word[1] << 17;
    word[2] ^= word[0];
    word[3] ^= word[1];
    word[1] ^= word[2];
    word[0] ^= word[3];
    word[2] ^= shifted;
    word[3] = rotate_left(word[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    CHECK(bound > 0, "no number is below 0");
    uint128 product = (uint128)rng_next(rng) * bound;
    if ((uint64_t)product < bound) {
        /* 2^64 mod bound: so many of the low halves would be hit once too often. */
        const uint64_t surplus = (0 - bound) % bound;
        while ((uint64_t)product < surplus) {
            product = (uint128)rng_next(rng) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_next(rng) >> 11) * 0x1p-53;
}
