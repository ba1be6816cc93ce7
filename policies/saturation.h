/* SPDX-License-Identifier: Apache-2.0
 *
 * saturation.h: how full a fleet is: 1 = as full as it should get (spec/policies.md 9).
 *
 * Three detectors. By engine metrics: the mean over endpoints of the larger of queue
 * length and KV use, each over its threshold; a metric that is missing or too old
 * counts as 1, and whatever came since the scrape is not seen. By requests or tokens in
 * flight, which this gateway counts itself: exact and of now.
 */
#ifndef STACKSIM_POLICIES_SATURATION_H
#define STACKSIM_POLICIES_SATURATION_H

#include "policies/admit.h"

enum saturation_detector {
    SATURATION_METRICS,
    SATURATION_REQUESTS,
    SATURATION_TOKENS,
};

struct saturation {
    enum saturation_detector detector;
    double queue_max;       /* requests waiting in an engine that make it full */
    double kv_max;          /* ratio of KV cache in use that does */
    double requests_max;    /* in flight per endpoint */
    double tokens_max;      /* in flight per endpoint */
    int64_t stale_after_ns; /* metrics older than this count as full */
};

/* The parameters of a detector, for the tables of the policies that have one; place is
 * their first index and must be SATURATION_PARAMS long. */
enum { SATURATION_PARAMS = 6 };
#define SATURATION_PARAM_TABLE(place, detector_default)                                \
    [(place)] = {.name = "detector",                                                   \
                 .kind = PARAM_U64,                                                    \
                 .default_value = (detector_default),                                  \
                 .max = 2,                                                             \
                 .help =                                                               \
                     "what saturation is: 0 engine metrics, 1 requests in flight, "    \
                     "2 tokens in flight"},                                            \
    [(place) + 1] = {.name = "engine_queue_max",                                       \
                     .kind = PARAM_F64,                                                \
                     .default_value = 5,                                               \
                     .min = 0.001,                                                     \
                     .max = 1e9,                                                       \
                     .help = "detector 0: requests in an engine's queue that make it " \
                             "full"},                                                  \
    [(place) + 2] = {.name = "kv_max",                                                 \
                     .kind = PARAM_F64,                                                \
                     .default_value = 0.8,                                             \
                     .min = 0.001,                                                     \
                     .max = 1,                                                         \
                     .help = "detector 0: part of its KV cache in use that makes an "  \
                             "engine full"},                                           \
    [(place) + 3] = {.name = "stale_after_s",                                          \
                     .kind = PARAM_F64,                                                \
                     .default_value = 0.2,                                             \
                     .min = 0,                                                         \
                     .max = 1e6,                                                       \
                     .help = "detector 0: seconds; an engine whose metrics are older " \
                             "counts as full"},                                        \
    [(place) + 4] = {.name = "requests_max",                                           \
                     .kind = PARAM_F64,                                                \
                     .default_value = 100,                                             \
                     .min = 0.001,                                                     \
                     .max = 1e9,                                                       \
                     .help = "detector 1: requests in flight per endpoint that fill "  \
                             "the fleet"},                                             \
    [(place) + 5] = {.name = "tokens_max",                                             \
                     .kind = PARAM_F64,                                                \
                     .default_value = 1e6,                                             \
                     .min = 1,                                                         \
                     .max = 1e15,                                                      \
                     .help = "detector 2: prompt and predicted output tokens in "      \
                             "flight per endpoint that fill the fleet"}

/* From such a table's values. */
void saturation_init(struct saturation *saturation,
                     const double values[SATURATION_PARAMS]);
/* 0 = nothing to do; at least one endpoint in the view. */
double saturation_now(const struct saturation *saturation,
                      const struct admit_view *view);

#endif
