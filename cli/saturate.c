/* SPDX-License-Identifier: Apache-2.0
 *
 * saturate.c: bracketing and bisection over runs.
 */
#include "cli/saturate.h"

#include "base/check.h"
#include "base/text.h"
#include "reports/warmup.h"

#include <math.h>
#include <stdio.h>

enum { OVERRIDES_MAX = 80, FACTOR_BYTES = 64, DOUBLINGS_MAX = 19 };

struct search {
    const struct saturate_setup *setup;
    const atomic_bool *stop;
    struct saturate_result *result;
    double held;  /* highest factor that held; 0 = none yet */
    double broke; /* lowest that did not; infinity = none yet */
};

/* Gaps between arrivals over the time that they take. */
static double offered_per_s(const struct run_record *run)
{
    int64_t first_ns = INT64_MAX;
    int64_t last_ns = INT64_MIN;
    for (size_t i = 0; i < run->request_count; i++) {
        const int64_t at_ns = run->requests[i].arrival_ns;
        first_ns = at_ns < first_ns ? at_ns : first_ns;
        last_ns = at_ns > last_ns ? at_ns : last_ns;
    }
    return last_ns > first_ns
               ? (double)(run->request_count - 1) / ((double)(last_ns - first_ns) / 1e9)
               : (double)NAN;
}

static void note_warmup(struct saturate_result *result, const struct run_record *run)
{
    struct text text = {0};
    warmup_describe(run, &text);
    snprintf(result->warmup, sizeof result->warmup, "%s", text_str(&text));
    text_fini(&text);
}

static void note_probe(struct search *search, double factor,
                       const struct run_record *run)
{
    struct saturate_result *result = search->result;
    const double met = run->metrics.value[METRIC_SLO_RATIO];
    result->probes++;
    if (met >= search->setup->attain) {
        search->held = factor;
        result->factor = factor;
        result->held = run->metrics;
        result->rate_per_s = offered_per_s(run);
        note_warmup(result, run);
    } else {
        search->broke = factor;
        result->broke = run->metrics;
    }
}

static enum probe_end probe(struct search *search, double factor, struct err *err)
{
    const struct runner_setup *base = search->setup->base;
    const char *overrides[OVERRIDES_MAX];
    char text[FACTOR_BYTES];
    struct runner_setup setup = *base;
    CHECK(base->override_count + 2 <= OVERRIDES_MAX, "%zu overrides",
          base->override_count);
    for (size_t i = 0; i < base->override_count; i++) {
        overrides[i] = base->overrides[i];
    }
    snprintf(text, sizeof text, "workload.rate_factor=%.17g", factor);
    overrides[setup.override_count++] = text;
    /* Nobody looks at them, and there are endless ones where the rate is next to none.
     */
    overrides[setup.override_count++] = "sample_interval=0s";
    setup.overrides = overrides;
    struct run_record *run = NULL;
    const enum probe_end end = probe_run(&run, &setup, search->stop, err);
    if (end != PROBE_DONE) {
        return end;
    }
    if (isnan(run->metrics.value[METRIC_SLO_RATIO])) {
        err_set(err, ERR_INPUT,
                "the scenario has no SLO; give one, for instance --set slo.ttft=500ms "
                "--set slo.tpot=50ms");
        run_record_delete(run);
        return PROBE_FAILED;
    }
    note_probe(search, factor, run);
    run_record_delete(run);
    return PROBE_DONE;
}

/* Away from factor 1 until one side held and the other did not. */
static enum probe_end bracket(struct search *search, struct err *err)
{
    enum probe_end end = probe(search, 1, err);
    double factor = 1;
    for (int i = 0; end == PROBE_DONE && i < DOUBLINGS_MAX; i++) {
        if (search->held > 0 && isfinite(search->broke)) {
            break;
        }
        factor = search->held > 0 ? factor * 2 : factor / 2;
        end = probe(search, factor, err);
    }
    return end;
}

enum probe_end saturate(struct saturate_result *result,
                        const struct saturate_setup *setup, const atomic_bool *stop,
                        struct err *err)
{
    *result = (struct saturate_result){0};
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        result->held.value[i] = (double)NAN;
        result->broke.value[i] = (double)NAN;
    }
    struct search search = {
        .setup = setup, .stop = stop, .result = result, .broke = (double)INFINITY};
    enum probe_end end = bracket(&search, err);
    if (end == PROBE_DONE && search.held <= 0) {
        result->verdict = SATURATE_NEVER;
        return end;
    }
    if (end == PROBE_DONE && !isfinite(search.broke)) {
        result->verdict = SATURATE_FREE;
        return end;
    }
    while (end == PROBE_DONE && search.broke / search.held > 1 + setup->tolerance) {
        end = probe(&search, sqrt(search.broke * search.held), err);
    }
    result->verdict = SATURATE_FOUND;
    return end;
}
