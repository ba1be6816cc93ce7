/* SPDX-License-Identifier: Apache-2.0
 *
 * rng.h: named streams of random bits (STYLE 5.4).
 *
 * Every consumer has its own xoshiro256** stream (Blackman, Vigna 2018), seeded from
 * (seed, name, index) through splitmix64. Two consumers never share a stream, so adding
 * one leaves the draws of all others as they were. Integers only; variates are made in
 * stats/ (with GSL) from these bits.
 */
#ifndef STACKSIM_BASE_RNG_H
#define STACKSIM_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t word[4];
};

/* name: what the stream is for, e.g. "arrivals"; index: which entity. */
void rng_init(struct rng *rng, uint64_t seed, const char *name, uint64_t index);

uint64_t rng_next(struct rng *rng);

/* Uniform in [0, bound), bound > 0, without bias (Lemire 2019, with rejection). */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Uniform in [0, 1): 53 bits. */
double rng_unit(struct rng *rng);

#endif
