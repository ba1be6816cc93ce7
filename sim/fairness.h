/* SPDX-License-Identifier: Apache-2.0
 *
 * fairness.h: how evenly tenants that wait are served.
 *
 * Over a whole run service follows demand, whoever decides. What a policy can be fair
 * in is the rate at which a tenant is served while it has requests waiting: weighted
 * tokens (a prompt token counts 1, an output token 2, as in VTC) of requests that were
 * let in from the queue, per second in which the tenant had somebody there. Jain's
 * index of these rates is 1 when all are equal, and 1/n when one of n tenants gets
 * everything (Jain, Chiu, Hawe 1984).
 */
#ifndef STACKSIM_SIM_FAIRNESS_H
#define STACKSIM_SIM_FAIRNESS_H

#include "sim/observer.h"

#include <stdint.h>

struct fairness;

struct fairness *fairness_new(void);
void fairness_delete(struct fairness *fairness); /* NULL is legal */

/* The tenant's number; NULL is one, too. At most 65,536 are told apart, further ones
 * count as the nameless. */
uint32_t fairness_tenant(struct fairness *fairness, const char *name);
/* One more request of the tenant waits; times must not go back. */
void fairness_wait(struct fairness *fairness, uint32_t tenant, int64_t now_ns);
/* One that waited is let in, with so many tokens. */
void fairness_serve(struct fairness *fairness, uint32_t tenant, uint32_t prompt_tokens,
                    uint32_t output_tokens);
/* One waits no longer, for whatever reason. */
void fairness_leave(struct fairness *fairness, uint32_t tenant, int64_t now_ns);
/* One of its requests has ended, in whatever way. */
void fairness_ended(struct fairness *fairness, uint32_t tenant,
                    const struct request_outcome *outcome);

/* What became of one tenant's requests. */
struct tenant_summary {
    const char *name; /* borrowed; "" = the nameless */
    uint64_t requests;
    uint64_t completed;
    uint64_t turned_away;   /* shed or timed out */
    uint64_t prompt_tokens; /* of completed requests */
    uint64_t output_tokens;
    int64_t ttft_sum_ns;  /* of completed requests */
    int64_t waited_ns;    /* somebody of it waited at the gateway */
    double let_in_tokens; /* weighted, from the queue */
};
/* Tenants in order of their first request; those of which none has ended are left
 * out. False past
 * the last. */
bool fairness_summary(const struct fairness *fairness, uint32_t index, int64_t now_ns,
                      struct tenant_summary *summary);
/* NaN when fewer than two tenants ever waited. Those that still wait count up to
 * now_ns. */
double fairness_jain(const struct fairness *fairness, int64_t now_ns);

#endif
