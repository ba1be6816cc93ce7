/* SPDX-License-Identifier: Apache-2.0
 *
 * hpa.h: the controller that HPA and KEDA share: from several metrics to one number of
 * replicas, through stabilisation windows and limits to the rate of change.
 *
 * As kubernetes/kubernetes:pkg/controller/podautoscaler (replica_calculator.go,
 * horizontal.go), doubles and their rounding included.
 */
#ifndef STACKSIM_POLICIES_HPA_H
#define STACKSIM_POLICIES_HPA_H

#include "policies/scale.h"

enum { HPA_HISTORY_MAX = 4096 };

/* In one direction. */
struct hpa_rules {
    int64_t window_ns;      /* stabilisation: nothing but what all of it asked for */
    double pods;            /* at most so many within pods_period; 0 = no such rule */
    int64_t pods_period_ns; /* with both rules the larger change is allowed, */
    double percent;         /* with none there is none in this direction */
    int64_t percent_period_ns;
};

struct hpa_moment {
    int64_t time_ns;
    int64_t value;
};
struct hpa_history {
    struct hpa_moment moments[HPA_HISTORY_MAX]; /* a ring */
    uint32_t first;
    uint32_t count;
};

struct hpa {
    double tolerance; /* of the ratio to the target, around 1 */
    uint32_t min;     /* >= 1 */
    uint32_t max;
    struct hpa_rules up;
    struct hpa_rules down;
    struct hpa_history wanted;  /* recommendations before limits */
    struct hpa_history changes; /* of the size, positive or negative */
};

/* What one metric asks for; false: it has no value. */
bool hpa_metric_replicas(const struct scale_view *view,
                         const struct scale_target *target,
                         const struct scale_reading *reading, double tolerance,
                         uint32_t *replicas);
/* One loop. readings: one per target. replicas 0 switches the controller off. */
struct scale_decision hpa_decide(struct hpa *hpa, const struct scale_view *view,
                                 const struct scale_target *targets, uint32_t count,
                                 const struct scale_reading *readings);

/* The table of parameters of both, and what they mean. */
#define HPA_PARAMS(X)                                                                  \
    X(SYNC_S, "sync_s", 15, 1, 3600, "seconds between two looks at the metrics")       \
    X(TOLERANCE, "tolerance", 0.1, 0, 1,                                               \
      "nothing is done while value over target is within 1 plus or minus this")        \
    X(UP_WINDOW_S, "up_window_s", 0, 0, 3600,                                          \
      "seconds: grow to the least that was asked for within it")                       \
    X(UP_PODS, "up_pods", 4, 0, 4096, "grow by so many at most; 0: no such rule")      \
    X(UP_PODS_PERIOD_S, "up_pods_period_s", 15, 1, 1800, "within so many seconds")     \
    X(UP_PERCENT, "up_percent", 100, 0, 100000,                                        \
      "or by so much, the larger of the two; 0: no such rule")                         \
    X(UP_PERCENT_PERIOD_S, "up_percent_period_s", 15, 1, 1800,                         \
      "within so many seconds")                                                        \
    X(DOWN_WINDOW_S, "down_window_s", 300, 0, 3600,                                    \
      "seconds: shrink to the most that was asked for within it")                      \
    X(DOWN_PODS, "down_pods", 0, 0, 4096,                                              \
      "shrink by so many at most; 0: no such rule")                                    \
    X(DOWN_PODS_PERIOD_S, "down_pods_period_s", 15, 1, 1800, "within so many seconds") \
    X(DOWN_PERCENT, "down_percent", 100, 0, 100,                                       \
      "or by so much, the larger of the two; 0: no such rule")                         \
    X(DOWN_PERCENT_PERIOD_S, "down_percent_period_s", 15, 1, 1800,                     \
      "within so many seconds")

enum hpa_param {
#define X(id, name, value, low, high, help) HPA_##id,
    HPA_PARAMS(X)
#undef X
        HPA_PARAM_COUNT
};
/* Entries of a parameter table. */
#define HPA_PARAM_ENTRIES HPA_PARAMS(HPA_PARAM_ENTRY)
#define HPA_PARAM_ENTRY(id, param_name, value, low, high, text)                        \
    [HPA_##id] = {.name = (param_name),                                                \
                  .kind = PARAM_F64,                                                   \
                  .default_value = (value),                                            \
                  .min = (low),                                                        \
                  .max = (high),                                                       \
                  .help = (text)},

/* From parameter values; false: a window longer than what is remembered of it. */
NODISCARD bool hpa_init(struct hpa *hpa, const double *values, uint32_t min,
                        uint32_t max, struct err *err);

#endif
