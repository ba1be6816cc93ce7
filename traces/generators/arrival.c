/* SPDX-License-Identifier: Apache-2.0
 *
 * arrival.c: renewal processes, and rate curves by time rescaling.
 *
 * Every process draws gaps of mean 1 and maps them through the inverse of the cumulated
 * rate. That keeps the variability of the gaps when the rate moves, which thinning of a
 * Poisson stream would not (spec/traces.md 4.1, nhpp).
 */
#include "traces/generators/arrival.h"

#include "base/mem.h"
#include "stats/dist.h"

#include <math.h>

enum { STEPS_MAX = 1 << 20 };

#define ARRIVAL_KINDS(X)                                                               \
    X(POISSON, "poisson")                                                              \
    X(GAMMA, "gamma")                                                                  \
    X(WEIBULL, "weibull")                                                              \
    X(FIXED, "fixed")                                                                  \
    X(BATCH, "batch")                                                                  \
    X(LINEAR, "linear")                                                                \
    X(RATE_TABLE, "rate_table")

enum arrival_kind {
#define X(name, text) ARRIVAL_##name,
    ARRIVAL_KINDS(X)
#undef X
};

static const char *const kind_names[] = {
#define X(name, text) text,
    ARRIVAL_KINDS(X)
#undef X
        NULL,
};

struct step {
    double at_s;
    double rate_per_s;
};

struct arrival {
    enum arrival_kind kind;
    struct dist *gap; /* of mean 1; NULL: exponential */
    double rate_per_s;
    double slope_per_s2;
    double gap_ns; /* 1 / rate */
    int64_t start_ns;
    int64_t now_ns;
    double now_s;   /* rate curves: the exact time */
    uint64_t index; /* fixed, batch: of the next arrival */
    uint32_t batch_size;
    int64_t batch_period_ns;
    struct step *steps;
    size_t step_count;
    double period_s; /* 0: the last step goes on */
};

static const double second_ns = 1e9;
static const double rate_max_per_s = 1e9;
/* Beyond this a time in ns would not fit. */
static const double time_max_s = 9.0e9;

static bool read_rate(struct arrival *arrival, const struct conf_node *map,
                      struct err *err)
{
    if (!conf_require(map, "rate_per_s", err) ||
        !conf_f64(map, "rate_per_s", &arrival->rate_per_s, 1e-9, rate_max_per_s, err)) {
        return false;
    }
    arrival->gap_ns = second_ns / arrival->rate_per_s;
    return true;
}

/* The gap's shape: 1/cv^2 for gamma; for weibull as given. */
static bool make_gap(struct arrival *arrival, enum dist_kind kind, double shape,
                     struct err *err)
{
    struct dist_spec spec = {.kind = kind, .first = shape, .second = 1};
    struct dist *unscaled = NULL;
    if (!dist_new(&unscaled, &spec, err)) {
        return false;
    }
    spec.second = 1 / dist_mean(unscaled);
    dist_delete(unscaled);
    return dist_new(&arrival->gap, &spec, err);
}

/* `cv` of the gaps, for gamma and for rate curves; 1 is exponential. */
static bool read_cv(struct arrival *arrival, const struct conf_node *map,
                    struct err *err)
{
    double cv = 1;
    double shape = 0;
    if (!conf_f64(map, "cv", &cv, 0.001, 1000, err) ||
        !conf_f64(map, "shape", &shape, 1e-6, 1e6, err)) {
        return false;
    }
    if (shape <= 0) {
        shape = 1 / (cv * cv);
    }
    return shape == 1.0 || make_gap(arrival, DIST_GAMMA, shape, err);
}

static bool read_weibull(struct arrival *arrival, const struct conf_node *map,
                         struct err *err)
{
    double shape = 0;
    return conf_require(map, "shape", err) &&
           conf_f64(map, "shape", &shape, 0.05, 1000, err) &&
           make_gap(arrival, DIST_WEIBULL, shape, err);
}

static bool read_batch(struct arrival *arrival, const struct conf_node *map,
                       struct err *err)
{
    if (!conf_require(map, "size", err) || !conf_require(map, "period", err) ||
        !conf_u32(map, "size", &arrival->batch_size, 1, 1U << 30, err) ||
        !conf_duration_ns(map, "period", &arrival->batch_period_ns, err)) {
        return false;
    }
    return arrival->batch_period_ns > 0 ||
           conf_fail(conf_get(map, "period"), err, "period: must be above 0");
}

static bool read_step(struct arrival *arrival, const struct conf_node *node,
                      struct err *err)
{
    struct step *const step = &arrival->steps[arrival->step_count];
    int64_t at_ns = 0;
    if (!conf_require(node, "at", err) || !conf_require(node, "rate_per_s", err) ||
        !conf_duration_ns(node, "at", &at_ns, err) ||
        !conf_f64(node, "rate_per_s", &step->rate_per_s, 0, rate_max_per_s, err)) {
        return false;
    }
    step->at_s = (double)at_ns / second_ns;
    if (arrival->step_count > 0 && step->at_s <= step[-1].at_s) {
        return conf_fail(node, err, "at: steps must be in order of time");
    }
    arrival->step_count++;
    return true;
}

static bool check_steps(const struct arrival *arrival, const struct conf_node *map,
                        struct err *err)
{
    double rates = 0;
    for (size_t i = 0; i < arrival->step_count; i++) {
        rates += arrival->steps[i].rate_per_s;
    }
    if (rates <= 0) {
        return conf_fail(map, err, "steps: one rate at least must be above 0");
    }
    const double last_s = arrival->steps[arrival->step_count - 1].at_s;
    if (arrival->period_s > 0 && arrival->period_s <= last_s) {
        return conf_fail(map, err, "period: must be beyond the last step");
    }
    return true;
}

static bool read_steps(struct arrival *arrival, const struct conf_node *map,
                       struct err *err)
{
    const struct conf_node *list = NULL;
    int64_t period_ns = 0;
    if (!conf_require(map, "steps", err) || !conf_list(map, "steps", &list, err) ||
        !conf_duration_ns(map, "period", &period_ns, err) ||
        !read_cv(arrival, map, err)) {
        return false;
    }
    const size_t count = conf_count(list);
    if (count == 0 || count > STEPS_MAX) {
        return conf_fail(list, err, "steps: %zu of them; 1 to %d are allowed", count,
                         STEPS_MAX);
    }
    arrival->period_s = (double)period_ns / second_ns;
    arrival->steps = mem_alloc(count, sizeof(struct step));
    for (size_t i = 0; i < count; i++) {
        if (!read_step(arrival, conf_at(list, i), err)) {
            return false;
        }
    }
    return check_steps(arrival, map, err);
}

static bool read_linear(struct arrival *arrival, const struct conf_node *map,
                        struct err *err)
{
    return read_rate(arrival, map, err) &&
           conf_f64(map, "slope_per_s2", &arrival->slope_per_s2, -1e6, 1e6, err) &&
           read_cv(arrival, map, err);
}

static bool read_kind(struct arrival *arrival, const struct conf_node *map,
                      struct err *err)
{
    switch (arrival->kind) {
    case ARRIVAL_POISSON:
    case ARRIVAL_FIXED:
        return read_rate(arrival, map, err);
    case ARRIVAL_GAMMA:
        return read_rate(arrival, map, err) && read_cv(arrival, map, err);
    case ARRIVAL_WEIBULL:
        return read_rate(arrival, map, err) && read_weibull(arrival, map, err);
    case ARRIVAL_BATCH:
        return read_batch(arrival, map, err);
    case ARRIVAL_LINEAR:
        return read_linear(arrival, map, err);
    case ARRIVAL_RATE_TABLE:
    default:
        return read_steps(arrival, map, err);
    }
}

static struct arrival *arrival_new(enum arrival_kind kind, int64_t start_ns)
{
    struct arrival *const arrival = mem_alloc(1, sizeof(*arrival));
    arrival->kind = kind;
    arrival->start_ns = start_ns;
    arrival->now_ns = start_ns;
    arrival->now_s = (double)start_ns / second_ns;
    return arrival;
}

bool arrival_open(struct arrival **out, const struct conf_node *map, int64_t start_ns,
                  struct err *err)
{
    uint32_t kind = ARRIVAL_POISSON;
    if (!conf_enum(map, "kind", kind_names, &kind, err)) {
        return false;
    }
    struct arrival *const arrival = arrival_new((enum arrival_kind)kind, start_ns);
    if (!read_kind(arrival, map, err)) {
        arrival_close(arrival);
        return false;
    }
    *out = arrival;
    return true;
}

bool arrival_open_linear(struct arrival **out, double rate_per_s, double slope_per_s2,
                         int64_t start_ns, struct err *err)
{
    const double start_s = (double)start_ns / second_ns;
    if (rate_per_s + slope_per_s2 * start_s <= 0) {
        return err_set(err, ERR_INPUT,
                       "a rate of %g/s %+g/s per second is not above 0 at %g s",
                       rate_per_s, slope_per_s2, start_s);
    }
    struct arrival *const arrival = arrival_new(ARRIVAL_LINEAR, start_ns);
    arrival->rate_per_s = rate_per_s;
    arrival->slope_per_s2 = slope_per_s2;
    *out = arrival;
    return true;
}

void arrival_close(struct arrival *arrival)
{
    if (arrival != NULL) {
        dist_delete(arrival->gap);
        mem_free(arrival->steps);
        mem_free(arrival);
    }
}

static double draw_gap(const struct arrival *arrival, struct rng *rng)
{
    return arrival->gap == NULL ? dist_draw_unit_exponential(rng)
                                : dist_draw(arrival->gap, rng);
}

/* Solves rate * x + slope * x^2 / 2 = gap, in the form that does not cancel. */
static bool move_linear(struct arrival *arrival, double gap)
{
    const double rate = arrival->rate_per_s + arrival->slope_per_s2 * arrival->now_s;
    const double square = rate * rate + 2 * arrival->slope_per_s2 * gap;
    if (rate < 0 || square < 0) {
        return false; /* a falling rate has reached zero */
    }
    const double denominator = rate + sqrt(square);
    arrival->now_s += denominator > 0 ? 2 * gap / denominator : time_max_s;
    return true;
}

/* The step in force at a time within the table, and where it ends. */
static size_t step_at(const struct arrival *arrival, double at_s, double *end_s)
{
    size_t low = 0;
    size_t high = arrival->step_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (arrival->steps[middle].at_s <= at_s) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (high < arrival->step_count) {
        *end_s = arrival->steps[high].at_s;
    } else {
        *end_s = arrival->period_s > 0 ? arrival->period_s : (double)INFINITY;
    }
    return low;
}

static bool move_table(struct arrival *arrival, double gap)
{
    const double period_s = arrival->period_s;
    double round_s = period_s > 0 ? floor(arrival->now_s / period_s) * period_s : 0;
    while (arrival->now_s < time_max_s) {
        double end_s = 0;
        const size_t at = step_at(arrival, arrival->now_s - round_s, &end_s);
        const double rate = arrival->steps[at].rate_per_s;
        const double holds = rate * (round_s + end_s - arrival->now_s);
        if (rate > 0 && gap < holds) {
            arrival->now_s += gap / rate;
            return true;
        }
        if (isinf(end_s)) {
            return false; /* the last rate is 0 for good */
        }
        gap -= rate > 0 ? holds : 0;
        arrival->now_s = round_s + end_s;
        round_s += end_s == period_s ? period_s : 0;
    }
    return false;
}

static int64_t next_on_curve(struct arrival *arrival, struct rng *rng)
{
    const double gap = draw_gap(arrival, rng);
    const bool moved = arrival->kind == ARRIVAL_LINEAR ? move_linear(arrival, gap)
                                                       : move_table(arrival, gap);
    if (!moved || arrival->now_s >= time_max_s) {
        return ARRIVAL_NEVER;
    }
    return (int64_t)llrint(arrival->now_s * second_ns);
}

int64_t arrival_next(struct arrival *arrival, struct rng *rng)
{
    switch (arrival->kind) {
    case ARRIVAL_FIXED: {
        const double at_ns = (double)arrival->index++ * arrival->gap_ns;
        return at_ns > time_max_s * second_ns ? ARRIVAL_NEVER
                                              : arrival->start_ns + llrint(at_ns);
    }
    case ARRIVAL_BATCH: {
        const uint64_t batch = arrival->index++ / arrival->batch_size;
        int64_t at_ns = 0;
        return __builtin_mul_overflow((int64_t)batch, arrival->batch_period_ns, &at_ns)
                   ? ARRIVAL_NEVER
                   : arrival->start_ns + at_ns;
    }
    case ARRIVAL_LINEAR:
    case ARRIVAL_RATE_TABLE:
        return next_on_curve(arrival, rng);
    case ARRIVAL_POISSON:
    case ARRIVAL_GAMMA:
    case ARRIVAL_WEIBULL:
    default: {
        const double gap_ns = draw_gap(arrival, rng) * arrival->gap_ns;
        if (gap_ns > time_max_s * second_ns - (double)arrival->now_ns) {
            return ARRIVAL_NEVER;
        }
        arrival->now_ns += llrint(gap_ns);
        return arrival->now_ns;
    }
    }
}

void arrival_describe(const struct arrival *arrival, struct text *out)
{
    text_add(out, kind_names[arrival->kind]);
    if (arrival->kind == ARRIVAL_BATCH) {
        text_printf(out, " of %u", arrival->batch_size);
    } else if (arrival->kind != ARRIVAL_RATE_TABLE) {
        text_printf(out, " %g/s", arrival->rate_per_s);
    }
}
