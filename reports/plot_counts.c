/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_counts.c: one scale for runs whose queues differ by orders of magnitude.
 *
 * gnuplot's logarithmic axes have no zero, and zero is the count that matters most, so
 * the data are transformed and the labels written by hand.
 */
#include "reports/plot_kind.h"

#include <math.h>

/* Below these a linear axis still shows both. */
#define LOG_RATIO 20.0
#define LOG_MAX   200.0

void plot_counts_add(struct plot_counts *counts, double run_max)
{
    counts->max = fmax(counts->max, run_max);
    counts->smallest = fmin(counts->smallest, run_max);
    counts->is_log =
        counts->max > LOG_MAX && counts->max > LOG_RATIO * fmax(counts->smallest, 1.0);
}

void plot_add_counts_axis(struct text *out, const char *axis,
                          const struct plot_counts *counts, double labels)
{
    const double max = fmax(counts->max, 1.0);
    if (!counts->is_log) {
        text_printf(out, "set %srange [0:%.6g]\nset %stics %g\n", axis, max * 1.05,
                    axis, plot_step(max, labels));
        return;
    }
    text_printf(out, "set %srange [0:%.6g]\nset %stics ('0' 0", axis,
                log10(1.0 + max) * 1.05, axis);
    /* Over many powers 0 and 1 are too close for two labels. */
    for (int exponent = max < 1000.0 ? 0 : 1; exponent <= (int)log10(max); exponent++) {
        const double power = pow(10.0, exponent);
        text_printf(out, ", '%.0f' %.6g", power, log10(1.0 + power));
    }
    text_add(out, ")\n");
}

void plot_add_counts_column(struct text *out, const struct plot_counts *counts,
                            unsigned column)
{
    if (counts->is_log) {
        text_printf(out, "(log10(1+$%u))", column);
    } else {
        text_printf(out, "%u", column);
    }
}
