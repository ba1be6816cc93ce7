/* SPDX-License-Identifier: Apache-2.0
 *
 * scale_metrics.h: what an autoscaler can know of one pool: counters and gauges as they
 * were at scrapes, seen so much later.
 *
 * A scrape notes everything; a reading is made of the last scrape that is old enough,
 * and for windows of the scrapes before it. Counters go on rising, means and rates are
 * differences of two scrapes, without Prometheus' extrapolation.
 */
#ifndef STACKSIM_SIM_SCALE_METRICS_H
#define STACKSIM_SIM_SCALE_METRICS_H

#include "policies/scale.h"

/* Since the run's start. */
struct scale_counters {
    uint64_t requests;      /* that came to the router */
    uint64_t asked_tokens;  /* their prompts */
    uint64_t prompt_tokens; /* of requests that have a first token */
    uint64_t first_tokens;
    int64_t ttft_ns;        /* sum over those */
    uint64_t outputs;       /* requests completed */
    uint64_t output_tokens; /* theirs */
    int64_t itl_ns;         /* sum over their gaps */
    uint64_t itl_gaps;
    double in_flight_s; /* integral of requests in flight */
};

/* Of one pod. */
struct scale_gauges {
    bool there;           /* it was scraped */
    uint32_t incarnation; /* which pod of its slot */
    uint32_t running;
    uint32_t waiting;
    double kv_used;
};

/* Whether a slot has a pod now. */
struct scale_pod {
    bool live;
    bool ready;
    uint32_t incarnation;
};

struct scale_metrics_setup {
    int64_t delay_ns;  /* from a scrape to whoever asks */
    int64_t keep_ns;   /* longest window that will be asked for */
    int64_t scrape_ns; /* between two scrapes */
    uint32_t slots;    /* pods at a time; 0 = gauges are not asked for */
};

struct scale_metrics;
struct scale_metrics *scale_metrics_new(const struct scale_metrics_setup *setup);
void scale_metrics_delete(struct scale_metrics *metrics);

/* To be counted up. */
struct scale_counters *scale_metrics_counters(struct scale_metrics *metrics);
/* More or fewer are in flight from now on. */
void scale_metrics_move(struct scale_metrics *metrics, int64_t now_ns, int change);
uint32_t scale_metrics_in_flight(const struct scale_metrics *metrics);

/* pods: one per slot, or NULL without slots. queued: at the gateway. */
void scale_metrics_scrape(struct scale_metrics *metrics, int64_t now_ns,
                          const struct scale_gauges *pods, uint32_t queued);
/* As known at now_ns; at_once: without the delay, by one who has just asked himself.
 * pods: as they are now. */
struct scale_reading scale_metrics_read(const struct scale_metrics *metrics,
                                        int64_t now_ns, bool at_once,
                                        const struct scale_query *query,
                                        const struct scale_pod *pods);

#endif
