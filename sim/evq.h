/* SPDX-License-Identifier: Apache-2.0
 *
 * evq.h: the next thing to happen: at most one event of each source.
 *
 * A source (an engine, the arrival stream, a timer) has at most one event pending and
 * moves it with evq_set; a decode run that ends early is such a move, so nothing stale
 * ever lies in the queue. The order is total: time, then rank, then source. The rank is
 * the kind of event and an identity (STYLE 5.3); it takes the place of the insertion
 * number, which would differ between the fast and the step-by-step mode (ADR 0005).
 */
#ifndef STACKSIM_SIM_EVQ_H
#define STACKSIM_SIM_EVQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evq;

struct event {
    int64_t time_ns;
    uint64_t rank;
    uint32_t source;
    uint32_t reserved; /* zero */
};

/* Sources are 0 .. sources_max - 1. */
struct evq *evq_new(uint32_t sources_max);
void evq_delete(struct evq *evq);

/* Sets or moves the source's event. */
void evq_set(struct evq *evq, uint32_t source, int64_t time_ns, uint64_t rank);
/* Takes it out; legal when there is none. */
void evq_clear(struct evq *evq, uint32_t source);
/* Copies the earliest event; false when empty. */
bool evq_peek(const struct evq *evq, struct event *event);
/* The same and takes it out. */
bool evq_pop(struct evq *evq, struct event *event);
/* Makes room for more sources; existing events stay. */
void evq_grow(struct evq *evq, uint32_t sources_max);
size_t evq_count(const struct evq *evq);

#endif
