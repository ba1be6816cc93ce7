/* SPDX-License-Identifier: Apache-2.0
 *
 * retries.h: requests whose attempt at an engine has failed, or hangs, and who tries
 * again: the router at another engine as long as no byte has come, then the client
 * after a pause. Only where the fleet changes; elsewhere a request has one attempt.
 */
#ifndef STACKSIM_SIM_RETRIES_H
#define STACKSIM_SIM_RETRIES_H

#include "sim/scenario_control.h"

struct attempt;
struct incoming;
struct parked;
struct request;
struct sim;
struct timer;

/* Of the whole run. */
struct retries {
    struct attempt *hung_first; /* in order of their begin */
    struct attempt *hung_last;
    struct attempt *paused_first;
    struct attempt *paused_last;
    struct attempt *all; /* whatever they do, in no order that matters */
    uint64_t hung;
    uint64_t paused;
    uint64_t held;     /* of those: at the router, until an engine comes */
    uint32_t *hung_at; /* by engine */
};
void retries_init(struct retries *retries, uint32_t engines);
void retries_fini(struct retries *retries);

/* The request has got an engine: its attempts so far, or the first one. */
void sim_attempt_begin(struct sim *sim, struct request *request,
                       const struct incoming *incoming);
/* It ends: frees what is kept. Returns how many attempts it had. */
uint32_t sim_attempt_end(struct request *request);
/* No engine holds it any more. It hangs for wait_ns (INT64_MAX: until
 * sim_attempts_reset), then its attempt has failed. */
void sim_attempt_hang(struct sim *sim, struct request *request, int64_t wait_ns);
/* Those that hang at this engine: their attempts have failed now. */
void sim_attempts_reset(struct sim *sim, uint32_t engine);
void sim_hung_visit(const struct sim *sim,
                    void (*visit)(void *context, struct request *request),
                    void *context);
/* Its client hangs up. False: it does not hang. */
bool sim_attempt_cancel(struct sim *sim, struct request *request);
/* ATTEMPT_LOST, RETRY. */
void sim_attempt_timer(struct sim *sim, const struct timer *timer);
/* No endpoint accepts it: the router holds it, a client tries again, or it ends. */
void sim_attempt_unroutable(struct sim *sim, const struct incoming *incoming);
/* An endpoint has come: those that the router holds are routed again. */
void sim_attempts_release(struct sim *sim);
/* The run's time is up. */
void sim_attempts_stop(struct sim *sim);

#endif
