/* SPDX-License-Identifier: Apache-2.0
 *
 * verdict.c: what a defect costs, in words: the worst first, nothing that is below one
 * percent or may be chance.
 */
#include "cli/defects/page.h"

#include <math.h>
#include <stdio.h>

enum { SPAN_BYTES = 32, PART_BYTES = 160 };
/* Times what is without the defect: from where "times as long" is said, and GPU time at
 * all, which a longer end of the run adds to. */
static const double times_from = 2;
static const double gpu_from = 1.1;
static const double nearly_all = 0.9995;

static void add_part(struct text *out, const char *text)
{
    text_add(out, out->length > 0 ? "; " : "");
    text_add(out, text);
}

static const char *span(double milliseconds, char text[SPAN_BYTES])
{
    if (milliseconds < 1000) {
        (void)snprintf(text, SPAN_BYTES, "%.3g ms", milliseconds);
    } else {
        (void)snprintf(text, SPAN_BYTES, "%.*f s", milliseconds < 10000 ? 1 : 0,
                       milliseconds / 1000);
    }
    return text;
}

/* Of a share in [0, 1]: "0.41 %", "16 %", "99.6 %". */
static const char *percent(double share, char text[SPAN_BYTES])
{
    const double value = share * 100;
    const int decimals = value > 99 ? 1 : value >= 10 ? 0 : value >= 1 ? 1 : 2;
    (void)snprintf(text, SPAN_BYTES, "%.*f %%", share > 0 ? decimals : 0, value);
    return text;
}

static const char *times(double factor, char text[SPAN_BYTES])
{
    (void)snprintf(text, SPAN_BYTES, "%.*f times", factor < 10 ? 1 : 0, factor);
    return text;
}

static void add_errors(const struct study_figure *errors, struct text *out)
{
    char text[PART_BYTES];
    char with[SPAN_BYTES];
    char without[SPAN_BYTES];
    if (errors->with >= nearly_all) {
        add_part(out, "every request fails");
        return;
    }
    (void)snprintf(text, sizeof text, "%s of the requests fail (without it %s)",
                   percent(errors->with, with), percent(errors->without, without));
    add_part(out, text);
}

static void add_goodput(const struct study_figure *goodput, struct text *out)
{
    char text[PART_BYTES];
    char part[SPAN_BYTES];
    const double share = goodput->cost.difference / goodput->without;
    (void)snprintf(text, sizeof text, "goodput %s by %s", share < 0 ? "falls" : "rises",
                   percent(fabs(share), part));
    add_part(out, text);
}

static void add_ttft(const struct study_figure *ttft, struct text *out)
{
    char text[PART_BYTES];
    char from[SPAN_BYTES];
    char to[SPAN_BYTES];
    char factor[SPAN_BYTES];
    const double grown = ttft->with / ttft->without;
    const int length = snprintf(text, sizeof text, "TTFT p99 %s from %s to %s",
                                grown > 1 ? "grows" : "shrinks",
                                span(ttft->without, from), span(ttft->with, to));
    if (grown >= times_from) {
        (void)snprintf(text + length, sizeof text - (size_t)length, ", %s as long",
                       times(grown, factor));
    }
    add_part(out, text);
}

void defects_verdict(const struct study_row *row, size_t seeds, struct text *out)
{
    const struct study_figure *figures = row->figures;
    const struct study_figure *gpu = &figures[STUDY_GPU_HOURS_GOOD];
    char text[PART_BYTES];
    char factor[SPAN_BYTES];
    if (study_is_same(row)) {
        text_add(out, "changes nothing here");
        return;
    }
    if (study_is_clear(&figures[STUDY_ERRORS])) {
        add_errors(&figures[STUDY_ERRORS], out);
    }
    if (figures[STUDY_ERRORS].with >= nearly_all) {
        return; /* all is said */
    }
    if (study_is_clear(&figures[STUDY_GOODPUT])) {
        add_goodput(&figures[STUDY_GOODPUT], out);
    }
    if (study_is_clear(&figures[STUDY_TTFT])) {
        add_ttft(&figures[STUDY_TTFT], out);
    }
    if (study_is_clear(gpu) && gpu->with > gpu_from * gpu->without) {
        (void)snprintf(text, sizeof text, "each good answer takes %s the GPU time",
                       times(gpu->with / gpu->without, factor));
        add_part(out, text);
    }
    if (out->length == 0) {
        text_printf(out, "costs nothing that %zu seed%s can tell from chance", seeds,
                    seeds == 1 ? "" : "s");
    }
}
