/* SPDX-License-Identifier: Apache-2.0
 *
 * request_stats.h: the sliding window of the stack's router over its own requests.
 *
 * Per endpoint: arrivals in the last window ("qps" counts requests sent, not work
 * outstanding), time to the first chunk, latency, requests in prefill (until the first
 * chunk of the answer) and in decode. An entry exactly one window old still counts.
 * Behaviour of vllm_router/stats/request_stats.py; spec/production-stack.md 3.1.
 *
 * Times never go back from call to call. An endpoint is known from its first request on
 * and stays so, whatever becomes of it, until request_stats_forget.
 */
#ifndef STACKSIM_POLICIES_REQUEST_STATS_H
#define STACKSIM_POLICIES_REQUEST_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_stats;

struct request_stats_setup {
    int64_t window_ns;
    uint32_t endpoints_max; /* ids are below */
    /* As release 0.1.3: an attempt that does not complete, or completes without a first
     * chunk, stays in prefill or decode for ever, and the latency mean keeps entries
     * that are older than the window while nothing completes. Routing reads neither. */
    bool leaks;
};

/* One endpoint as the router reports it; -1 where there is nothing to average. */
struct request_stats_row {
    double qps;
    double ttft_ns_mean;
    double latency_ns_mean;
    uint32_t in_prefill;
    uint32_t in_decode;
    uint64_t finished;
};

/* A window keeps so many entries one by one. While it holds more, later ones that come
 * within window_ns / REQUEST_STATS_EXACT_MAX share an entry and leave it together, up
 * to that much too early; counts and means stay exact otherwise. With the stack's
 * window of 60 s that begins above 273 requests a second on one endpoint and means 3.7
 * ms. A window never has more than twice as many entries (request_stats_bytes). */
enum { REQUEST_STATS_EXACT_MAX = 1 << 14 };

struct request_stats *request_stats_new(const struct request_stats_setup *setup);
void request_stats_delete(struct request_stats *stats);

void request_stats_sent(struct request_stats *stats, int64_t now_ns,
                        uint64_t request_id, uint32_t endpoint_id);
/* Ignored when the request is not open on this endpoint. */
void request_stats_first_chunk(struct request_stats *stats, int64_t now_ns,
                               uint64_t request_id, uint32_t endpoint_id);
/* completed: the answer ended normally. Ignored when not open. */
void request_stats_ended(struct request_stats *stats, int64_t now_ns,
                         uint64_t request_id, uint32_t endpoint_id, bool completed);
/* The id goes to another endpoint. */
void request_stats_forget(struct request_stats *stats, uint32_t endpoint_id);

bool request_stats_known(const struct request_stats *stats, uint32_t endpoint_id);
/* Requests sent within the window that ends now: qps times the window. */
uint64_t request_stats_arrivals(const struct request_stats *stats, int64_t now_ns,
                                uint32_t endpoint_id);
void request_stats_read(const struct request_stats *stats, int64_t now_ns,
                        uint32_t endpoint_id, struct request_stats_row *row);
size_t request_stats_bytes(const struct request_stats *stats);

#endif
