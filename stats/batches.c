/* SPDX-License-Identifier: Apache-2.0
 *
 * batches.c: sums of integers per batch, so that no order of rows shows in a result.
 */
#include "stats/batches.h"

#include "base/check.h"
#include "base/mem.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { BINS_LOG2 = 16, BINS = 1 << BINS_LOG2 };

static struct interval unknown_interval(void)
{
    return (struct interval){(double)NAN, (double)NAN};
}

/* Shift that maps offsets of 0..range to bins. */
static unsigned bin_shift(uint64_t range)
{
    unsigned shift = 0;
    while (range >> shift >= BINS) {
        shift++;
    }
    return shift;
}

void batches_assign(const int64_t *position, size_t count, size_t batches,
                    uint8_t *batch)
{
    CHECK(batches >= 2 && batches <= BATCHES_MAX, "%zu batches", batches);
    int64_t least = count == 0 ? 0 : position[0];
    int64_t most = least;
    for (size_t i = 0; i < count; i++) {
        least = position[i] < least ? position[i] : least;
        most = position[i] > most ? position[i] : most;
    }
    const unsigned shift = bin_shift((uint64_t)most - (uint64_t)least);
    uint32_t *in_bin = mem_alloc(BINS, sizeof *in_bin);
    uint8_t *of_bin = mem_alloc(BINS, sizeof *of_bin);
    for (size_t i = 0; i < count; i++) {
        in_bin[((uint64_t)position[i] - (uint64_t)least) >> shift]++;
    }
    size_t before = 0;
    for (size_t bin = 0; bin < BINS; bin++) {
        /* By the bin's middle: a bin of many values belongs where most of them do. */
        const size_t middle = before + in_bin[bin] / 2;
        of_bin[bin] = (uint8_t)(count == 0 ? 0 : middle * batches / count);
        before += in_bin[bin];
        of_bin[bin] = of_bin[bin] < batches ? of_bin[bin] : (uint8_t)(batches - 1);
    }
    for (size_t i = 0; i < count; i++) {
        batch[i] = of_bin[((uint64_t)position[i] - (uint64_t)least) >> shift];
    }
    mem_free(in_bin);
    mem_free(of_bin);
}

/* Half of Student's interval for the whole from what each batch says. Batches of
 * unequal size weigh alike, since they hardly are; the whole's own value is the centre.
 */
static double half_width(const double *of_batch, size_t batches, double level)
{
    const double sd = gsl_stats_sd(of_batch, 1, batches);
    const double t = gsl_cdf_tdist_Pinv((1 + level) / 2, (double)(batches - 1));
    return t * sd / sqrt((double)batches);
}

/* Two values in each, and none twice as large as another: bursts that no batch can part
 * leave no batches to speak of. */
static bool are_alike(const size_t *sizes, size_t batches)
{
    size_t least = sizes[0];
    size_t most = sizes[0];
    for (size_t i = 1; i < batches; i++) {
        least = sizes[i] < least ? sizes[i] : least;
        most = sizes[i] > most ? sizes[i] : most;
    }
    return least >= 2 && most <= 2 * least;
}

struct interval batches_mean(const struct batches *series, double level)
{
    __extension__ typedef __int128 wide;
    wide sums[BATCHES_MAX] = {0};
    size_t sizes[BATCHES_MAX] = {0};
    double means[BATCHES_MAX];
    CHECK(series->batches >= 2 && series->batches <= BATCHES_MAX, "%zu batches",
          series->batches);
    for (size_t i = 0; i < series->count; i++) {
        sums[series->batch[i]] += series->values[i];
        sizes[series->batch[i]]++;
    }
    if (!are_alike(sizes, series->batches)) {
        return unknown_interval();
    }
    wide sum = 0;
    for (size_t i = 0; i < series->batches; i++) {
        sum += sums[i];
        means[i] = (double)sums[i] / (double)sizes[i];
    }
    const double mean = (double)sum / (double)series->count;
    const double half = half_width(means, series->batches, level);
    return (struct interval){mean - half, mean + half};
}

struct interval batches_quantile(const struct batches *series, const int64_t *sorted,
                                 double part, double level)
{
    size_t below[BATCHES_MAX] = {0};
    size_t sizes[BATCHES_MAX] = {0};
    double parts[BATCHES_MAX];
    CHECK(series->batches >= 2 && series->batches <= BATCHES_MAX, "%zu batches",
          series->batches);
    const double quantile = quantile_of_sorted(sorted, series->count, part);
    for (size_t i = 0; i < series->count; i++) {
        below[series->batch[i]] += (double)series->values[i] <= quantile ? 1 : 0;
        sizes[series->batch[i]]++;
    }
    if (!are_alike(sizes, series->batches)) {
        return unknown_interval();
    }
    for (size_t i = 0; i < series->batches; i++) {
        parts[i] = (double)below[i] / (double)sizes[i];
    }
    const double half = half_width(parts, series->batches, level);
    if (part - half <= 0 || part + half >= 1) {
        return unknown_interval();
    }
    return (struct interval){quantile_of_sorted(sorted, series->count, part - half),
                             quantile_of_sorted(sorted, series->count, part + half)};
}
