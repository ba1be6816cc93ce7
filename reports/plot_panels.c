/* SPDX-License-Identifier: Apache-2.0
 *
 * plot_panels.c: several small plots in one picture, and axes that fit their values.
 */
#include "reports/plot_kind.h"

#include <math.h>
#include <string.h>

/* A range of this factor and more gets a logarithmic axis. */
#define LOG_FACTOR 30.0

void plot_panels_begin(struct plot_script *script, const struct plot_panels *panels)
{
    text_printf(&script->above, "panel_rows(%zu, %u)*%u + (panel_rows(%zu, %u) - 1)*%d",
                panels->count, panels->columns, panels->area_px + panels->title_px,
                panels->count, panels->columns, PLOT_AXIS_PX);
    text_printf(&script->body,
                "columns_here = W > 500 ? %u : 1\n"
                "panel_px = (W - 14 - %u - (columns_here - 1)*%u)/columns_here\n"
                "set multiplot\n",
                panels->columns, panels->left_px, panels->gap_px);
}

void plot_panels_place(struct text *out, const struct plot_panels *panels, size_t index)
{
    text_printf(out,
                "column = %zu %% columns_here\n"
                "left = %u + column*(panel_px + %u)\n"
                "set lmargin at screen real(left)/W\n"
                "set rmargin at screen real(left + panel_px)/W\n"
                "under = below + (panel_rows(%zu, %u) - 1 - %zu/columns_here)*%u\n"
                "set bmargin at screen real(under)/H\n"
                "set tmargin at screen real(under + %u)/H\n",
                index, panels->left_px, panels->gap_px, panels->count, panels->columns,
                index, panels->area_px + panels->title_px + PLOT_AXIS_PX,
                panels->area_px);
}

struct plot_panels plot_rows_begin(struct plot_script *script, const char *const *names,
                                   size_t count, size_t panel_count)
{
    enum { ROW_PX = 20, LEFT_PX_MAX = 200 };
    size_t chars = 6;
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(names[i]);
        chars = length > chars ? length : chars;
    }
    const size_t left_px = 18 + 15 * chars / 2;
    const struct plot_panels panels = {
        .count = panel_count,
        .columns = (unsigned)panel_count,
        .left_px = left_px < LEFT_PX_MAX ? (unsigned)left_px : LEFT_PX_MAX,
        .gap_px = 22,
        .area_px = (unsigned)(count + 1) * ROW_PX,
        .title_px = 10,
    };
    plot_add_below(script, 0, 0);
    plot_panels_begin(script, &panels);
    text_printf(&script->body, "unset ylabel\nunset key\nset yrange [-%zu.5:0.5]\n",
                count - 1);
    return panels;
}

static void add_row_names(struct text *out, const char *const *names, size_t count,
                          bool blank)
{
    text_add(out, "set ytics (");
    for (size_t i = 0; i < count; i++) {
        text_add(out, i == 0 ? "" : ", ");
        plot_add_quoted(out, blank ? "" : names[i]);
        text_printf(out, " -%zu", i);
    }
    text_add(out, ")");
}

void plot_rows_place(struct text *out, const struct plot_panels *panels,
                     const char *const *names, size_t count, size_t index)
{
    plot_panels_place(out, panels, index);
    text_add(out, "if (column == 0) { ");
    add_row_names(out, names, count, false);
    text_add(out, " } else { ");
    add_row_names(out, names, count, true);
    text_add(out, " }\n");
}

/* Over few powers of ten their names alone are too far apart. */
static void add_log_axis(struct text *out, const char *axis, double low, double high)
{
    text_printf(out, "set logscale %s\nset m%stics 1\n", axis, axis);
    if (high > 100.0 * low) {
        text_printf(out, "set %stics auto\n", axis);
        return;
    }
    text_printf(out, "set %stics (", axis);
    const int first = (int)floor(log10(low));
    const int last = (int)floor(log10(high));
    for (int exponent = first; exponent <= last; exponent++) {
        const double power = pow(10.0, exponent);
        text_printf(out, "%s%g,%g,%g", exponent == first ? "" : ",", power, 2.0 * power,
                    5.0 * power);
    }
    text_add(out, ")\n");
}

void plot_add_value_axis(struct text *out, const char *axis, double low, double high)
{
    /* Never empty, even when all values are equal, or zero. */
    const double least = fmin(low, high);
    const double margin = fmax(fmax(0.03 * (high - least), 0.01 * fabs(high)), 1e-6);
    text_printf(out, "set format %s '%%g'\n", axis);
    if (least > 0.0 && high > LOG_FACTOR * least) {
        add_log_axis(out, axis, least, high);
        text_printf(out, "set %srange [%.9g:%.9g]\n", axis, least / 1.08, high * 1.08);
        return;
    }
    const double from = least > 0.0 && least < 0.5 * high ? 0.0 : least - margin;
    text_printf(out, "unset logscale %s\nset %stics auto\nset %srange [%.9g:%.9g]\n",
                axis, axis, axis, fmax(from, least < 0.0 ? from : 0.0), high + margin);
}
