/* SPDX-License-Identifier: Apache-2.0
 *
 * hpa.c: three steps, as the controller takes them: what the metrics ask for, what the
 * windows let through, what the limits let through. Both histories are short (a window
 * over the loop's interval) and are simply walked.
 */
#include "policies/hpa.h"

#include <math.h>

bool hpa_init(struct hpa *hpa, const double *values, uint32_t min, uint32_t max,
              struct err *err)
{
    hpa->tolerance = values[HPA_TOLERANCE];
    hpa->min = min > 0 ? min : 1;
    hpa->max = max;
    hpa->up = (struct hpa_rules){scale_ns(values[HPA_UP_WINDOW_S]), values[HPA_UP_PODS],
                                 scale_ns(values[HPA_UP_PODS_PERIOD_S]),
                                 values[HPA_UP_PERCENT],
                                 scale_ns(values[HPA_UP_PERCENT_PERIOD_S])};
    hpa->down = (struct hpa_rules){
        scale_ns(values[HPA_DOWN_WINDOW_S]), values[HPA_DOWN_PODS],
        scale_ns(values[HPA_DOWN_PODS_PERIOD_S]), values[HPA_DOWN_PERCENT],
        scale_ns(values[HPA_DOWN_PERCENT_PERIOD_S])};
    const double longest = fmax(values[HPA_UP_WINDOW_S], values[HPA_DOWN_WINDOW_S]);
    return longest / values[HPA_SYNC_S] < HPA_HISTORY_MAX - 1 ||
           err_set(err, ERR_INPUT,
                   "a window of %g s has more than %d looks of %g s; raise sync_s",
                   longest, HPA_HISTORY_MAX - 1, values[HPA_SYNC_S]);
}

/* ---- histories ------------------------------------------------------------------- */

static const struct hpa_moment *moment_at(const struct hpa_history *history,
                                          uint32_t index)
{
    return &history->moments[(history->first + index) % HPA_HISTORY_MAX];
}

/* The oldest goes when it is full. */
static void remember(struct hpa_history *history, int64_t time_ns, int64_t value)
{
    if (history->count == HPA_HISTORY_MAX) {
        history->first = (history->first + 1) % HPA_HISTORY_MAX;
        history->count--;
    }
    const uint32_t at = (history->first + history->count++) % HPA_HISTORY_MAX;
    history->moments[at] = (struct hpa_moment){time_ns, value};
}

/* Positive and negative changes after `after_ns`, each as a positive number. */
static void changes_since(const struct hpa_history *changes, int64_t after_ns,
                          int64_t *added, int64_t *removed)
{
    *added = 0;
    *removed = 0;
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct hpa_moment *change = moment_at(changes, i);
        if (change->time_ns > after_ns) {
            *added += change->value > 0 ? change->value : 0;
            *removed += change->value < 0 ? -change->value : 0;
        }
    }
}

/* ---- metrics --------------------------------------------------------------------- */

static bool within(double ratio, double tolerance)
{
    return fabs(1.0 - ratio) <= tolerance;
}

static uint32_t rounded_up(double replicas)
{
    const double most = 1e9;
    return (uint32_t)ceil(replicas < most ? replicas : most);
}

/* Mean over pods. Pods without a value are taken to be idle when there is too much to
 * do, and to be at the target when there is too little: no more is done than what they
 * could justify. Those that are not ready yet count as idle then, and not at all else.
 */
static uint32_t pods_replicas(const struct scale_view *view,
                              const struct scale_target *target,
                              const struct scale_reading *reading, double tolerance)
{
    const double ratio = reading->sum / reading->pods / target->target;
    const bool unready = reading->unready > 0 && ratio > 1.0;
    if (!unready && reading->missing == 0) {
        return within(ratio, tolerance) ? view->replicas
                                        : rounded_up(ratio * reading->pods);
    }
    double sum = reading->sum;
    uint32_t pods = reading->pods + (unready ? reading->unready : 0);
    if (reading->missing > 0 && ratio != 1.0) {
        sum += ratio < 1.0 ? target->target * reading->missing : 0.0;
        pods += reading->missing;
    }
    const double careful = sum / pods / target->target;
    if (within(careful, tolerance) || (ratio < 1.0 && careful > 1.0) ||
        (ratio > 1.0 && careful < 1.0)) {
        return view->replicas;
    }
    const uint32_t replicas = rounded_up(careful * pods);
    const bool backwards = (careful < 1.0 && replicas > view->replicas) ||
                           (careful > 1.0 && replicas < view->replicas);
    return backwards ? view->replicas : replicas;
}

bool hpa_metric_replicas(const struct scale_view *view,
                         const struct scale_target *target,
                         const struct scale_reading *reading, double tolerance,
                         uint32_t *replicas)
{
    if (!reading->known || (target->kind == TARGET_PODS && reading->pods == 0)) {
        return false;
    }
    switch (target->kind) {
    case TARGET_PODS:
        *replicas = pods_replicas(view, target, reading, tolerance);
        break;
    case TARGET_AVERAGE: {
        const double shared = target->target * view->pods;
        const bool settled = view->pods > 0 && within(reading->sum / shared, tolerance);
        *replicas = settled ? view->pods : rounded_up(reading->sum / target->target);
        break;
    }
    case TARGET_VALUE: {
        const double ratio = reading->sum / target->target;
        *replicas =
            within(ratio, tolerance) ? view->replicas : rounded_up(ratio * view->ready);
        break;
    }
    }
    return true;
}

/* ---- windows and limits ---------------------------------------------------------- */

/* The least that was asked for within the window that growing waits for, the most
 * within the one that shrinking waits for. */
static uint32_t stabilised(struct hpa *hpa, const struct scale_view *view,
                           uint32_t wanted)
{
    int64_t low = wanted;
    int64_t high = wanted;
    for (uint32_t i = 0; i < hpa->wanted.count; i++) {
        const struct hpa_moment *then = moment_at(&hpa->wanted, i);
        if (then->time_ns > view->now_ns - hpa->up.window_ns && then->value < low) {
            low = then->value;
        }
        if (then->time_ns > view->now_ns - hpa->down.window_ns && then->value > high) {
            high = then->value;
        }
    }
    remember(&hpa->wanted, view->now_ns, wanted);
    int64_t replicas = view->replicas;
    replicas = replicas < low ? low : replicas;
    return (uint32_t)(replicas > high ? high : replicas);
}

/* How many there were when the period began. */
static double size_before(const struct hpa *hpa, const struct scale_view *view,
                          int64_t period_ns)
{
    int64_t added = 0;
    int64_t removed = 0;
    changes_since(&hpa->changes, view->now_ns - period_ns, &added, &removed);
    return (double)((int64_t)view->replicas - added + removed);
}

static double most_allowed(const struct hpa *hpa, const struct scale_view *view)
{
    const struct hpa_rules *rules = &hpa->up;
    double most = view->replicas;
    if (rules->pods > 0) {
        most = fmax(most, size_before(hpa, view, rules->pods_period_ns) + rules->pods);
    }
    if (rules->percent > 0) {
        most = fmax(most, ceil(size_before(hpa, view, rules->percent_period_ns) *
                               (1 + rules->percent / 100)));
    }
    return fmin(most, hpa->max);
}

static double least_allowed(const struct hpa *hpa, const struct scale_view *view)
{
    const struct hpa_rules *rules = &hpa->down;
    double least = view->replicas;
    if (rules->pods > 0) {
        least =
            fmin(least, size_before(hpa, view, rules->pods_period_ns) - rules->pods);
    }
    if (rules->percent > 0) {
        least = fmin(least, floor(size_before(hpa, view, rules->percent_period_ns) *
                                  (1 - rules->percent / 100)));
    }
    return fmax(least, hpa->min);
}

static uint32_t limited(struct hpa *hpa, const struct scale_view *view, uint32_t wanted)
{
    double replicas = wanted;
    if (wanted > view->replicas) {
        replicas = fmin(replicas, most_allowed(hpa, view));
    } else if (wanted < view->replicas) {
        replicas = fmax(replicas, least_allowed(hpa, view));
    }
    if ((uint32_t)replicas != view->replicas) {
        remember(&hpa->changes, view->now_ns, (int64_t)replicas - view->replicas);
    }
    return (uint32_t)replicas;
}

/* ---- one loop -------------------------------------------------------------------- */

struct scale_decision hpa_decide(struct hpa *hpa, const struct scale_view *view,
                                 const struct scale_target *targets, uint32_t count,
                                 const struct scale_reading *readings)
{
    struct scale_decision decision = {.replicas = view->replicas};
    if (view->replicas == 0) {
        return decision;
    }
    uint32_t wanted = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t own = 0;
        if (hpa_metric_replicas(view, &targets[i], &readings[i], hpa->tolerance,
                                &own)) {
            known++;
            if (own > wanted) {
                wanted = own;
                decision.reason = scale_metric_above(targets[i].metric);
            }
        }
    }
    /* With a metric missing nobody knows that fewer would do. */
    decision.failed = known == 0 || (known < count && wanted < view->replicas);
    if (decision.failed) {
        decision.reason = "a metric has no value";
        return decision;
    }
    wanted = wanted < hpa->min ? hpa->min : wanted;
    wanted = wanted > hpa->max ? hpa->max : wanted;
    decision.replicas = limited(hpa, view, stabilised(hpa, view, wanted));
    if (decision.replicas < view->replicas) {
        decision.reason = "All metrics below target";
    }
    return decision;
}
