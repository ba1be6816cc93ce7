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

enum { BINS_MIN = 1 << 8, BINS_MAX = 1 << 16 };

static struct interval unknown_interval(void)
{
    return (struct interval){(double)NAN, (double)NAN};
}

/* Some for each value, but no more than are cheap beside the values. */
static size_t bins_for(size_t count)
{
    size_t bins = BINS_MIN;
    while (bins < BINS_MAX && bins < 4 * count) {
        bins *= 2;
    }
    return bins;
}

/* Shift that maps offsets of 0..range to bins. */
static unsigned bin_shift(uint64_t range, size_t bins)
{
    unsigned shift = 0;
    while (range >> shift >= bins) {
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
    const size_t bins = bins_for(count);
    const unsigned shift = bin_shift((uint64_t)most - (uint64_t)least, bins);
    uint32_t *in_bin = mem_alloc(bins, sizeof *in_bin);
    uint8_t *of_bin = mem_alloc(bins, sizeof *of_bin);
    for (size_t i = 0; i < count; i++) {
        in_bin[((uint64_t)position[i] - (uint64_t)least) >> shift]++;
    }
    size_t before = 0;
    for (size_t bin = 0; bin < bins; bin++) {
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

/* Values at or below each quantile, by batch; one pass for all of them. */
struct below {
    double quantiles[BATCHES_PARTS_MAX];
    size_t count[BATCHES_PARTS_MAX][BATCHES_MAX];
    size_t sizes[BATCHES_MAX];
};

static void count_below(struct below *below, const struct batches *series, size_t parts)
{
    /* Values are whole: up to a quantile is up to what it is rounded down to. */
    int64_t limits[BATCHES_PARTS_MAX] = {0};
    for (size_t i = 0; i < parts; i++) {
        limits[i] = (int64_t)floor(below->quantiles[i]);
    }
    for (size_t i = 0; i < series->count; i++) {
        const size_t batch = series->batch[i];
        const int64_t value = series->values[i];
        below->sizes[batch]++;
        for (size_t k = 0; k < parts; k++) {
            below->count[k][batch] += value <= limits[k] ? 1 : 0;
        }
    }
}

void batches_quantiles(const struct batches *series, const int64_t *sorted,
                       const struct batches_parts *wanted, struct interval *out)
{
    struct below below = {0};
    CHECK(series->batches >= 2 && series->batches <= BATCHES_MAX, "%zu batches",
          series->batches);
    CHECK(wanted->count <= BATCHES_PARTS_MAX, "%zu quantiles", wanted->count);
    for (size_t i = 0; i < wanted->count; i++) {
        out[i] = unknown_interval();
        below.quantiles[i] = quantile_of_sorted(sorted, series->count, wanted->part[i]);
    }
    if (series->count == 0) {
        return;
    }
    count_below(&below, series, wanted->count);
    for (size_t i = 0; are_alike(below.sizes, series->batches) && i < wanted->count;
         i++) {
        double parts[BATCHES_MAX];
        for (size_t k = 0; k < series->batches; k++) {
            parts[k] = (double)below.count[i][k] / (double)below.sizes[k];
        }
        const double part = wanted->part[i];
        const double half = half_width(parts, series->batches, wanted->level);
        if (part - half > 0 && part + half < 1) {
            out[i].low = quantile_of_sorted(sorted, series->count, part - half);
            out[i].high = quantile_of_sorted(sorted, series->count, part + half);
        }
    }
}
