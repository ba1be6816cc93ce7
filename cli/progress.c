/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.c: a bar with the time left by proportion.
 *
 * The estimate assumes that the rest goes as fast as what is done. It is shown from 2 %
 * on: before that it says more about start-up than about the work.
 */
#include "cli/progress.h"

#include "base/mem.h"
#include "base/unit.h"
#include "cli/clock.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REDRAW_NS    INT64_C(100000000)  /* on a terminal: 10 times a second */
#define PLAIN_NS     INT64_C(5000000000) /* elsewhere: a line every 5 s */
#define BAR_CELLS    30
#define ESTIMATE_MIN 0.02

struct progress {
    char label[64];
    bool quiet;
    bool terminal;
    bool drawn;
    int64_t start_ns;
    int64_t next_ns;
};

struct progress *progress_new(const char *label, bool quiet)
{
    struct progress *progress = mem_alloc(1, sizeof *progress);
    snprintf(progress->label, sizeof progress->label, "%s", label);
    progress->quiet = quiet;
    progress->terminal = isatty(STDERR_FILENO) == 1;
    progress->start_ns = clock_wall_ns();
    progress->next_ns =
        progress->start_ns + (progress->terminal ? REDRAW_NS : PLAIN_NS);
    return progress;
}

static void estimate_text(char *out, size_t out_bytes, double part, int64_t spent_ns)
{
    if (part < ESTIMATE_MIN) {
        snprintf(out, out_bytes, "estimating");
        return;
    }
    char left[24];
    const double left_ns = (double)spent_ns * (1.0 - part) / part;
    unit_format_ns(left, sizeof left, llround(left_ns));
    snprintf(out, out_bytes, "%s left", left);
}

void progress_show(struct progress *progress, double part, const char *detail)
{
    const int64_t now_ns = clock_wall_ns();
    if (progress->quiet || now_ns < progress->next_ns) {
        return;
    }
    progress->next_ns = now_ns + (progress->terminal ? REDRAW_NS : PLAIN_NS);
    part = isfinite(part) ? fmin(fmax(part, 0.0), 1.0) : 0.0;
    char left[40];
    estimate_text(left, sizeof left, part, now_ns - progress->start_ns);
    const char *space = detail == NULL ? "" : ", ";
    detail = detail == NULL ? "" : detail;
    if (!progress->terminal) {
        fprintf(stderr, "%s: %.0f %%, %s%s%s\n", progress->label, part * 100.0, left,
                space, detail);
        return;
    }
    char bar[BAR_CELLS + 1];
    const size_t full = (size_t)(part * BAR_CELLS);
    memset(bar, '-', BAR_CELLS);
    memset(bar, '#', full);
    bar[BAR_CELLS] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f %%  %s%s%s\033[K", progress->label, bar,
            part * 100.0, left, space, detail);
    fflush(stderr);
    progress->drawn = true;
}

void progress_delete(struct progress *progress)
{
    if (progress != NULL && progress->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    mem_free(progress);
}
