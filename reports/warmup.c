/* SPDX-License-Identifier: Apache-2.0
 *
 * warmup.c: see the header.
 *
 * MSER-5 (White 1997) looks at TTFT and at E2E in order of arrival: queues and cold
 * prefix caches show in the first, batches that fill in the second. A cut that it finds
 * in neither before half of the run is no cut: such a run never settles.
 */
#include "reports/warmup.h"

#include "base/mem.h"
#include "base/unit.h"
#include "reports/run.h"
#include "stats/replicate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool warmup_parse(const char *text, struct warmup_rule *rule, struct err *err)
{
    static const char unit[] = "requests";
    struct err why = {0};
    *rule = (struct warmup_rule){WARMUP_NONE, 0, 0};
    if (text[0] == '\0' || strcmp(text, "none") == 0) {
        return true;
    }
    if (strcmp(text, "auto") == 0) {
        rule->kind = WARMUP_AUTO;
        return true;
    }
    char number[32] = "";
    const size_t length = strlen(text);
    size_t digits = length > strlen(unit) ? length - strlen(unit) : 0;
    if (digits > 0 && digits < sizeof number && strcmp(text + digits, unit) == 0) {
        digits -= text[digits - 1] == ' ' ? 1 : 0;
        memcpy(number, text, digits);
        rule->kind = WARMUP_REQUESTS;
        if (unit_u64(number, &rule->requests, &why)) {
            return true;
        }
    }
    rule->kind = WARMUP_TIME;
    return unit_duration_ns(text, &rule->time_ns, &why) ||
           err_set(
               err, ERR_USAGE,
               "no warm-up: '%s'; give auto, none, a time from the first arrival on "
               "(30s) or a number of requests ('1000 requests')",
               text);
}

/* ---- finding the cut ------------------------------------------------------------- */

struct arrival {
    int64_t arrival_ns;
    uint64_t request_id;
    double ttft_ns;
    double e2e_ns;
};

static int by_arrival(const void *left, const void *right)
{
    const struct arrival *a = left;
    const struct arrival *b = right;
    if (a->arrival_ns != b->arrival_ns) {
        return a->arrival_ns < b->arrival_ns ? -1 : 1;
    }
    return (a->request_id > b->request_id) - (a->request_id < b->request_id);
}

static bool is_complete(const struct request_row *row)
{
    return row->status == REQUEST_COMPLETED && row->first_token_ns != RUN_TIME_NONE;
}

/* Completed requests in order of arrival; the caller frees them. */
static struct arrival *arrivals_of(const struct run_record *run, bool all,
                                   size_t *count)
{
    struct arrival *arrivals = mem_alloc(run->request_count + 1, sizeof *arrivals);
    *count = 0;
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        const bool complete = is_complete(row);
        if (all || complete) {
            arrivals[(*count)++] = (struct arrival){
                row->arrival_ns, row->request_id,
                complete ? (double)(row->first_token_ns - row->arrival_ns) : 0,
                complete ? (double)(row->end_ns - row->arrival_ns) : 0};
        }
    }
    qsort(arrivals, *count, sizeof *arrivals, by_arrival);
    return arrivals;
}

static int64_t cut_auto(const struct run_record *run, bool *settled)
{
    size_t count = 0;
    struct arrival *arrivals = arrivals_of(run, false, &count);
    double *ttft_ns = mem_alloc(count + 1, sizeof *ttft_ns);
    double *e2e_ns = mem_alloc(count + 1, sizeof *e2e_ns);
    for (size_t i = 0; i < count; i++) {
        ttft_ns[i] = arrivals[i].ttft_ns;
        e2e_ns[i] = arrivals[i].e2e_ns;
    }
    bool both[2] = {true, true};
    const size_t first = warmup_mser5(ttft_ns, count, &both[0]);
    const size_t second = warmup_mser5(e2e_ns, count, &both[1]);
    const size_t cut = first > second ? first : second;
    *settled = both[0] && both[1];
    const int64_t from_ns =
        *settled && cut > 0 ? arrivals[cut].arrival_ns : RUN_TIME_NONE;
    mem_free(arrivals);
    mem_free(ttft_ns);
    mem_free(e2e_ns);
    return from_ns;
}

/* A run that is shorter than its warm-up has nothing to count: the cut is behind all.
 */
static int64_t cut_requests(const struct run_record *run, uint64_t requests)
{
    size_t count = 0;
    struct arrival *arrivals = arrivals_of(run, true, &count);
    int64_t from_ns = RUN_TIME_NONE;
    if (requests > 0 && count > 0) {
        from_ns = requests < count ? arrivals[requests].arrival_ns
                                   : arrivals[count - 1].arrival_ns + 1;
    }
    mem_free(arrivals);
    return from_ns;
}

static int64_t first_arrival(const struct run_record *run)
{
    int64_t first_ns = INT64_MAX;
    for (size_t i = 0; i < run->request_count; i++) {
        const int64_t arrival_ns = run->requests[i].arrival_ns;
        first_ns = arrival_ns < first_ns ? arrival_ns : first_ns;
    }
    return first_ns;
}

void warmup_find(const struct run_record *run, const struct warmup_rule *rule,
                 struct run_warmup *out)
{
    *out = (struct run_warmup){.counted_from_ns = RUN_TIME_NONE, .settled = true};
    if (run->request_count == 0) {
        return;
    }
    switch (rule->kind) {
    case WARMUP_NONE:
        break;
    case WARMUP_AUTO:
        out->counted_from_ns = cut_auto(run, &out->settled);
        break;
    case WARMUP_TIME:
        out->counted_from_ns =
            rule->time_ns == 0 ? RUN_TIME_NONE : first_arrival(run) + rule->time_ns;
        break;
    case WARMUP_REQUESTS:
        out->counted_from_ns = cut_requests(run, rule->requests);
        break;
    }
}

void warmup_align(struct run_record *const *runs, size_t count)
{
    int64_t latest_ns = RUN_TIME_NONE; /* the least of all times */
    for (size_t i = 0; i < count; i++) {
        const int64_t from_ns = runs[i]->warmup.counted_from_ns;
        latest_ns = from_ns > latest_ns ? from_ns : latest_ns;
    }
    for (size_t i = 0; i < count; i++) {
        if (runs[i]->warmup.counted_from_ns != latest_ns &&
            runs[i]->request_count > 0) {
            metrics_compute_from(runs[i], latest_ns);
        }
    }
}

/* ---- words ----------------------------------------------------------------------- */

static void add_rule(const struct run_record *run, struct text *out)
{
    const char *rule = run->info.warmup;
    if (strcmp(rule, "auto") == 0) {
        text_add(out, ", found by MSER-5");
    } else {
        text_printf(out, ", as asked for: %s", rule);
    }
}

void warmup_describe(const struct run_record *run, struct text *out)
{
    if (run->warmup.counted_from_ns == RUN_TIME_NONE) {
        text_add(out, !run->warmup.settled
                          ? "none cut: MSER-5 finds no end of it, the run never settles"
                      : strcmp(run->info.warmup, "auto") == 0
                          ? "none cut: MSER-5 finds none"
                          : "none cut");
        return;
    }
    char time[24];
    unit_format_ns(time, sizeof time,
                   run->warmup.counted_from_ns - run->totals.first_arrival_ns);
    text_printf(out, "first %" PRIu64 " requests cut (%s)", run->warmup.requests, time);
    add_rule(run, out);
}

static bool all_alike(const struct run_record *const *runs, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (runs[i]->warmup.requests != runs[0]->warmup.requests ||
            runs[i]->warmup.counted_from_ns != runs[0]->warmup.counted_from_ns ||
            runs[i]->warmup.settled != runs[0]->warmup.settled ||
            strcmp(runs[i]->info.warmup, runs[0]->info.warmup) != 0) {
            return false;
        }
    }
    return true;
}

void warmup_describe_all(const struct run_record *const *runs, size_t count,
                         struct text *out)
{
    text_add(out, "Warm-up: ");
    if (all_alike(runs, count)) {
        warmup_describe(runs[0], out);
        text_add(out, ".\n");
        return;
    }
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    size_t never = 0;
    for (size_t i = 0; i < count; i++) {
        const struct run_warmup *warmup = &runs[i]->warmup;
        least = warmup->requests < least ? warmup->requests : least;
        most = warmup->requests > most ? warmup->requests : most;
        never += warmup->settled ? 0 : 1;
    }
    text_printf(out, "first %" PRIu64, least);
    if (most > least) {
        text_printf(out, " to %" PRIu64, most);
    }
    text_add(out, " requests of each run cut");
    if (never > 0) {
        text_printf(out, "; %zu of %zu runs never settle", never, count);
    }
    text_add(out, ".\n");
}

struct sums {
    double ttft_ns;
    double e2e_ns;
    size_t count;
};

static struct sums sums_from(const struct run_record *run, int64_t from_ns)
{
    struct sums sums = {0};
    for (size_t i = 0; i < run->request_count; i++) {
        const struct request_row *row = &run->requests[i];
        if (is_complete(row) && row->arrival_ns >= from_ns) {
            sums.ttft_ns += (double)(row->first_token_ns - row->arrival_ns);
            sums.e2e_ns += (double)(row->end_ns - row->arrival_ns);
            sums.count++;
        }
    }
    return sums;
}

static bool differs(double left, double right)
{
    const double worth_saying = 0.05;
    return fabs(left - right) > worth_saying * fmax(fabs(left), fabs(right));
}

void warmup_advise(const struct run_record *run, struct text *out)
{
    const struct warmup_rule rule = {WARMUP_AUTO, 0, 0};
    struct run_warmup found;
    if (run->warmup.counted_from_ns != RUN_TIME_NONE ||
        strcmp(run->info.warmup, "auto") == 0) {
        return;
    }
    warmup_find(run, &rule, &found);
    if (found.counted_from_ns == RUN_TIME_NONE) {
        return;
    }
    const struct sums all = sums_from(run, INT64_MIN);
    const struct sums rest = sums_from(run, found.counted_from_ns);
    const double ttft[2] = {all.ttft_ns / (double)all.count,
                            rest.ttft_ns / (double)rest.count};
    const double e2e[2] = {all.e2e_ns / (double)all.count,
                           rest.e2e_ns / (double)rest.count};
    if (!differs(ttft[0], ttft[1]) && !differs(e2e[0], e2e[1])) {
        return;
    }
    char time[24];
    unit_format_ns(time, sizeof time,
                   found.counted_from_ns - run->totals.first_arrival_ns);
    text_printf(out,
                "%s warms up for some %s by MSER-5: without that time mean TTFT is "
                "%.1f instead of %.1f ms, mean E2E %.1f instead of %.1f ms; --warmup "
                "auto leaves it out.\n",
                run->info.name, time, ttft[1] / 1e6, ttft[0] / 1e6, e2e[1] / 1e6,
                e2e[0] / 1e6);
}
