/* SPDX-License-Identifier: Apache-2.0
 *
 * arrivals.c: running moments of gaps (gsl_rstat) and of counts per window.
 */
#include "stats/arrivals.h"

#include "base/check.h"
#include "base/mem.h"

#include <gsl/gsl_rstat.h>
#include <math.h>
#include <stdbool.h>

/* Counts are whole and small, so plain sums are exact; and a gap of years costs no more
 * than one of seconds, because empty windows only raise `whole`. */
struct window {
    int64_t width_ns;
    int64_t begin_ns; /* of the open window */
    double open;      /* arrivals in it */
    double whole;     /* windows that have ended */
    double sum;       /* of their counts */
    double squares;
};

struct arrivals {
    bool started;
    int64_t last_ns;
    gsl_rstat_workspace *gaps;
    size_t window_count;
    struct window windows[ARRIVALS_WINDOWS_MAX];
};

struct arrivals *arrivals_new(const int64_t *window_ns, size_t window_count)
{
    CHECK(window_count <= ARRIVALS_WINDOWS_MAX, "%zu windows", window_count);
    struct arrivals *const arrivals = mem_alloc(1, sizeof(*arrivals));
    arrivals->gaps = gsl_rstat_alloc();
    arrivals->window_count = window_count;
    for (size_t i = 0; i < window_count; i++) {
        CHECK(window_ns[i] > 0, "window %zu of no length", i);
        arrivals->windows[i].width_ns = window_ns[i];
    }
    return arrivals;
}

void arrivals_delete(struct arrivals *arrivals)
{
    if (arrivals == NULL) {
        return;
    }
    gsl_rstat_free(arrivals->gaps);
    mem_free(arrivals);
}

static void window_add(struct window *window, int64_t time_ns)
{
    const int64_t ended = (time_ns - window->begin_ns) / window->width_ns;
    if (ended > 0) {
        window->whole += (double)ended;
        window->sum += window->open;
        window->squares += window->open * window->open;
        window->open = 0;
        window->begin_ns += ended * window->width_ns;
    }
    window->open += 1;
}

void arrivals_add(struct arrivals *arrivals, int64_t time_ns)
{
    if (arrivals->started) {
        CHECK(time_ns >= arrivals->last_ns, "arrival at %lld ns after one at %lld ns",
              (long long)time_ns, (long long)arrivals->last_ns);
        gsl_rstat_add((double)(time_ns - arrivals->last_ns), arrivals->gaps);
    } else {
        arrivals->started = true;
        for (size_t i = 0; i < arrivals->window_count; i++) {
            arrivals->windows[i].begin_ns = time_ns;
        }
    }
    arrivals->last_ns = time_ns;
    for (size_t i = 0; i < arrivals->window_count; i++) {
        window_add(&arrivals->windows[i], time_ns);
    }
}

double arrivals_gap_cv(const struct arrivals *arrivals)
{
    const double mean = gsl_rstat_mean(arrivals->gaps);
    if (gsl_rstat_n(arrivals->gaps) < 2 || mean <= 0) {
        return (double)NAN;
    }
    return gsl_rstat_sd(arrivals->gaps) / mean;
}

double arrivals_dispersion(const struct arrivals *arrivals, size_t window)
{
    const struct window *const counts = &arrivals->windows[window];
    if (counts->whole < 2 || counts->sum <= 0) {
        return (double)NAN;
    }
    const double mean = counts->sum / counts->whole;
    const double variance = (counts->squares - counts->sum * mean) / counts->whole;
    return variance / mean;
}
