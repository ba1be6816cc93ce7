/* SPDX-License-Identifier: Apache-2.0
 *
 * pickers.c: walks over the scores. Equals are counted in blocks, a form that compilers
 * turn into vector code, and the one drawn is looked for in its block alone.
 */
#include "policies/pickers.h"

enum { BLOCK = 64 };

static uint32_t count_equal(const double *scores, uint32_t count, double score)
{
    uint32_t equal = 0;
    for (uint32_t i = 0; i < count; i++) {
        equal += scores[i] == score;
    }
    return equal;
}

uint32_t pick_max(const double *scores, uint32_t count, struct rng *rng)
{
    double best = PICKER_LEFT_OUT;
    for (uint32_t i = 0; i < count; i++) {
        best = scores[i] > best ? scores[i] : best;
    }
    uint64_t n = rng_below(rng, count_equal(scores, count, best));
    uint32_t at = 0;
    while (at + BLOCK <= count) {
        const uint32_t equal = count_equal(scores + at, BLOCK, best);
        if (n < equal) {
            break;
        }
        n -= equal;
        at += BLOCK;
    }
    while (scores[at] != best || n-- > 0) {
        at++;
    }
    return at;
}

uint32_t pick_random(const double *scores, uint32_t count, struct rng *rng)
{
    const uint32_t out = count_equal(scores, count, PICKER_LEFT_OUT);
    uint64_t n = rng_below(rng, count - out);
    uint32_t at = 0;
    while (scores[at] == PICKER_LEFT_OUT || n-- > 0) {
        at++;
    }
    return at;
}

uint32_t pick_weighted_random(const double *scores, uint32_t count, struct rng *rng)
{
    double total = 0;
    for (uint32_t i = 0; i < count; i++) {
        total += scores[i] > 0 ? scores[i] : 0;
    }
    if (total <= 0) {
        return pick_random(scores, count, rng);
    }
    double left = rng_unit(rng) * total;
    uint32_t last = 0; /* rounding may leave a rest */
    for (uint32_t i = 0; i < count; i++) {
        if (scores[i] <= 0) {
            continue;
        }
        last = i;
        if (left < scores[i]) {
            break;
        }
        left -= scores[i];
    }
    return last;
}
