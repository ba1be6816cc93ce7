/* SPDX-License-Identifier: Apache-2.0
 *
 * bootstrap.c: quantiles of resamples without making the resamples.
 *
 * A resample is how often each block was drawn. Its quantile lies where the weights of
 * the values, in ascending order, reach the wanted part of the whole. Counts per block
 * at every STRIDE-th of the sorted values lead there in a few steps: a draw costs some
 * 8 times the number of blocks and a walk of one stride, whatever the length of the
 * run.
 */
#include "stats/bootstrap.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 2000, BLOCKS_MIN = 10, MARKS = 256 };

struct item {
    int64_t value;
    uint32_t block;
};

/* A series, sorted, with the number of values of each block before each mark. */
struct ladder {
    struct item *items;
    size_t count;
    size_t blocks;
    size_t stride;
    size_t marks;     /* mark i is before item i * stride */
    uint32_t *before; /* [mark * blocks + block] */
};

static int by_value(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    if (a->value != b->value) {
        return a->value < b->value ? -1 : 1;
    }
    return (a->block > b->block) - (a->block < b->block);
}

static void ladder_init(struct ladder *ladder, const int64_t *values, size_t count,
                        size_t blocks)
{
    *ladder = (struct ladder){
        .items = mem_alloc(count, sizeof *ladder->items),
        .count = count,
        .blocks = blocks,
        .stride = count / MARKS + 1,
    };
    ladder->marks = (count + ladder->stride - 1) / ladder->stride;
    ladder->before = mem_alloc(ladder->marks * blocks, sizeof *ladder->before);
    for (size_t block = 0; block < blocks; block++) {
        for (size_t i = count * block / blocks; i < count * (block + 1) / blocks; i++) {
            ladder->items[i] = (struct item){values[i], (uint32_t)block};
        }
    }
    qsort(ladder->items, count, sizeof *ladder->items, by_value);
    uint32_t running[BOOTSTRAP_BLOCKS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        if (i % ladder->stride == 0) {
            uint32_t *const row = ladder->before + i / ladder->stride * blocks;
            for (size_t block = 0; block < blocks; block++) {
                row[block] = running[block];
            }
        }
        running[ladder->items[i].block]++;
    }
}

static void ladder_fini(struct ladder *ladder)
{
    mem_free(ladder->items);
    mem_free(ladder->before);
}

static uint64_t weight_before(const struct ladder *ladder, const uint32_t *drawn,
                              size_t mark)
{
    const uint32_t *row = ladder->before + mark * ladder->blocks;
    uint64_t sum = 0;
    for (size_t block = 0; block < ladder->blocks; block++) {
        sum += (uint64_t)drawn[block] * row[block];
    }
    return sum;
}

/* The smallest value with at least the part of all weight at or below it. */
static double ladder_quantile(const struct ladder *ladder, const uint32_t *drawn,
                              double part)
{
    uint64_t whole = 0;
    for (size_t block = 0; block < ladder->blocks; block++) {
        const size_t size = ladder->count * (block + 1) / ladder->blocks -
                            ladder->count * block / ladder->blocks;
        whole += (uint64_t)drawn[block] * size;
    }
    const double wanted = part * (double)whole;
    size_t low = 0; /* weight before it is below what is wanted, or it is the first */
    size_t high = ladder->marks;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if ((double)weight_before(ladder, drawn, middle) < wanted) {
            low = middle;
        } else {
            high = middle;
        }
    }
    uint64_t sum = weight_before(ladder, drawn, low);
    size_t last = low * ladder->stride;
    for (size_t i = last; i < ladder->count; i++) {
        const uint32_t weight = drawn[ladder->items[i].block];
        sum += weight;
        last = weight > 0 ? i : last;
        if (weight > 0 && (double)sum >= wanted) {
            break;
        }
    }
    return (double)ladder->items[last].value;
}

static struct interval percentiles(double *draws, double level)
{
    gsl_sort(draws, 1, DRAWS);
    const double tail = (1 - level) / 2;
    return (struct interval){
        gsl_stats_quantile_from_sorted_data(draws, 1, DRAWS, tail),
        gsl_stats_quantile_from_sorted_data(draws, 1, DRAWS, 1 - tail)};
}

/* base NULL: of `other` alone. */
static struct interval resample(const struct ladder *base, const struct ladder *other,
                                double part, const struct bootstrap *how)
{
    double draws[DRAWS];
    struct rng rng;
    rng_init(&rng, how->seed, "bootstrap", 0);
    for (size_t i = 0; i < DRAWS; i++) {
        uint32_t drawn[BOOTSTRAP_BLOCKS_MAX] = {0};
        for (size_t k = 0; k < other->blocks; k++) {
            drawn[rng_below(&rng, other->blocks)]++;
        }
        draws[i] = ladder_quantile(other, drawn, part) -
                   (base == NULL ? 0 : ladder_quantile(base, drawn, part));
    }
    return percentiles(draws, how->level);
}

static size_t blocks_of(size_t count, double part, const struct bootstrap *how)
{
    CHECK(part > 0 && part < 1, "part %g", part);
    CHECK(how->level > 0 && how->level < 1, "level %g", how->level);
    CHECK(how->blocks <= BOOTSTRAP_BLOCKS_MAX, "%zu blocks", how->blocks);
    return count < how->blocks ? count : how->blocks;
}

struct interval bootstrap_quantile(const int64_t *values, size_t count, double part,
                                   const struct bootstrap *how)
{
    const size_t blocks = blocks_of(count, part, how);
    if (blocks < BLOCKS_MIN) {
        return (struct interval){(double)NAN, (double)NAN};
    }
    struct ladder ladder;
    ladder_init(&ladder, values, count, blocks);
    const struct interval interval = resample(NULL, &ladder, part, how);
    ladder_fini(&ladder);
    return interval;
}

struct interval bootstrap_quantile_difference(const int64_t *base, const int64_t *other,
                                              size_t count, double part,
                                              const struct bootstrap *how)
{
    const size_t blocks = blocks_of(count, part, how);
    if (blocks < BLOCKS_MIN) {
        return (struct interval){(double)NAN, (double)NAN};
    }
    struct ladder from;
    struct ladder to;
    ladder_init(&from, base, count, blocks);
    ladder_init(&to, other, count, blocks);
    const struct interval interval = resample(&from, &to, part, how);
    ladder_fini(&from);
    ladder_fini(&to);
    return interval;
}
