/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_grid.c: engine samples averaged to what a picture can show.
 */
#include "base/mem.h"
#include "reports/plot_kind.h"

#include <math.h>

static size_t engines_of(const struct run_record *run)
{
    size_t count = run->engine_count;
    for (size_t i = 0; i < run->sample_count; i++) {
        const size_t engine = run->samples[i].engine;
        count = engine >= count ? engine + 1 : count;
    }
    return count;
}

static size_t moments_of(const struct run_record *run)
{
    size_t count = 1;
    for (size_t i = 1; i < run->sample_count; i++) {
        count += run->samples[i].time_ns != run->samples[i - 1].time_ns;
    }
    return count;
}

struct sums {
    double *samples;  /* [row * bins + bin]: how many were added */
    double *moments;  /* [bin]: sample times in it */
    double *kv_total; /* [bin] */
};

static void add_samples(struct load_grid *grid, const struct run_record *run,
                        struct sums *sums)
{
    const struct engine_sample_row *const first = &run->samples[0];
    const int64_t span_ns =
        run->samples[run->sample_count - 1].time_ns - first->time_ns + 1;
    for (size_t i = 0; i < run->sample_count; i++) {
        const struct engine_sample_row *const sample = &run->samples[i];
        const double part =
            (double)(sample->time_ns - first->time_ns) / (double)span_ns;
        size_t bin = (size_t)(part * (double)grid->bin_count);
        bin = bin < grid->bin_count ? bin : grid->bin_count - 1;
        const size_t cell =
            sample->engine / grid->engines_per_row * grid->bin_count + bin;
        grid->in_flight[cell] +=
            (double)sample->running_requests + (double)sample->waiting_requests;
        sums->samples[cell] += 1.0;
        grid->waiting[bin] += (double)sample->waiting_requests;
        grid->kv_used_ratio[bin] += (double)sample->kv_used_blocks;
        sums->kv_total[bin] += (double)sample->kv_total_blocks;
        const bool is_new = i == 0 || sample->time_ns != sample[-1].time_ns;
        sums->moments[bin] += is_new ? 1.0 : 0.0;
    }
}

/* Divides each sum by its count; an empty cell repeats the one before it. */
static void average(double *values, const double *counts, size_t bin_count)
{
    double before = 0.0;
    for (size_t i = 0; i < bin_count; i++) {
        before = counts[i] > 0.0 ? values[i] / counts[i] : before;
        values[i] = before;
    }
}

struct load_grid *load_grid_new(const struct run_record *run, size_t bins_max,
                                size_t rows_max)
{
    if (run->sample_count == 0) {
        return NULL;
    }
    const size_t engines = engines_of(run);
    const size_t moments = moments_of(run);
    const size_t bins = moments < bins_max ? moments : bins_max;
    struct load_grid *const grid = mem_alloc(1, sizeof *grid);
    grid->bin_count = bins;
    grid->engines_per_row = (engines + rows_max - 1) / rows_max;
    grid->row_count = (engines + grid->engines_per_row - 1) / grid->engines_per_row;
    grid->start_s = (double)run->samples[0].time_ns * 1e-9;
    const int64_t span_ns =
        run->samples[run->sample_count - 1].time_ns - run->samples[0].time_ns;
    /* A single moment, or two a nanosecond apart, still need a width to be drawn. */
    grid->bin_s =
        moments == 1 ? 1.0 : fmax((double)span_ns * 1e-9 / (double)bins, 1e-3);
    grid->in_flight = mem_alloc(grid->row_count * bins, sizeof *grid->in_flight);
    grid->waiting = mem_alloc(bins, sizeof *grid->waiting);
    grid->kv_used_ratio = mem_alloc(bins, sizeof *grid->kv_used_ratio);
    struct sums sums = {
        .samples = mem_alloc(grid->row_count * bins, sizeof *sums.samples),
        .moments = mem_alloc(bins, sizeof *sums.moments),
        .kv_total = mem_alloc(bins, sizeof *sums.kv_total),
    };
    add_samples(grid, run, &sums);
    for (size_t row = 0; row < grid->row_count; row++) {
        average(&grid->in_flight[row * bins], &sums.samples[row * bins], bins);
    }
    average(grid->waiting, sums.moments, bins);
    average(grid->kv_used_ratio, sums.kv_total, bins);
    mem_free(sums.samples);
    mem_free(sums.moments);
    mem_free(sums.kv_total);
    return grid;
}

void load_grid_delete(struct load_grid *grid)
{
    if (grid == NULL) {
        return;
    }
    mem_free(grid->in_flight);
    mem_free(grid->waiting);
    mem_free(grid->kv_used_ratio);
    mem_free(grid);
}

struct plot_time_unit plot_time_unit(double duration_s)
{
    if (duration_s > 6.0 * 3600.0) {
        return (struct plot_time_unit){"h", 3600.0};
    }
    if (duration_s > 10.0 * 60.0) {
        return (struct plot_time_unit){"min", 60.0};
    }
    return (struct plot_time_unit){"s", 1.0};
}
