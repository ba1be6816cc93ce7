/* SPDX-License-Identifier: Apache-2.0
 *
 * kv_reports.h: what engines tell a gateway about their caches, while it is on its way.
 *
 * A change of an engine's prefix cache goes into a message, together with all others
 * until the next multiple of the batch interval (0: with those of the same instant, as
 * vLLM publishes once per step). The message arrives `delay` later, or is lost, with
 * everything in it. Messages of an engine are numbered from 0, lost ones too, so that
 * who listens can see a gap.
 */
#ifndef STACKSIM_SIM_KV_REPORTS_H
#define STACKSIM_SIM_KV_REPORTS_H

#include "policies/policy.h"
#include "sim/kvpool.h"

struct kv_reports;

struct kv_reports_config {
    int64_t delay_ns;
    int64_t batch_interval_ns;
    double loss_ratio; /* of messages, 0..1 */
};

/* clock_ns is the owner's clock, read when a change is told. */
struct kv_reports_setup {
    struct kv_reports_config config;
    uint64_t seed;
    uint32_t engines;
    const int64_t *clock_ns;
};

struct kv_reports *kv_reports_new(const struct kv_reports_setup *setup);
void kv_reports_delete(struct kv_reports *reports);

/* For the pool of this engine; valid as long as the reports are. */
const struct kv_listener *kv_reports_listener(struct kv_reports *reports,
                                              uint32_t engine, uint32_t block_tokens);
/* What it tells instead where the chunks of its tiers are what counts: it has the one
 * whose last block has this hash now, or has it no more. After kv_reports_listener. */
void kv_reports_chunk(struct kv_reports *reports, uint32_t engine, uint64_t key,
                      bool stored);

/* The engine has lost its whole cache, and says so when it starts anew. */
void kv_reports_cleared(struct kv_reports *reports, uint32_t engine);

/* When the next message arrives; INT64_MAX when none is on its way. */
int64_t kv_reports_next_ns(const struct kv_reports *reports);

struct kv_report_sink {
    void *context;
    /* The event is borrowed for the call. */
    void (*on_event)(void *context, uint32_t engine, const struct kv_event *event);
};
/* Hands over what has arrived by now_ns, in order of time, then of change. */
void kv_reports_deliver(struct kv_reports *reports, int64_t now_ns,
                        const struct kv_report_sink *sink);

#endif
