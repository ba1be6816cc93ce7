/* SPDX-License-Identifier: Apache-2.0
 *
 * admission.h: the gateway's queue as the simulator drives it: policies/flow.h, and the
 * records of those who wait.
 *
 * A record is lent by its workload for one call only, and a request that waits has no
 * engine yet, hence no struct request: what is kept is a copy of its record.
 */
#ifndef STACKSIM_SIM_ADMISSION_H
#define STACKSIM_SIM_ADMISSION_H

#include "policies/flow.h"
#include "sim/scenario.h"
#include "traces/record.h"

struct admission;

/* A request that waits, or has just left the queue. */
struct parked {
    struct trace_record record; /* points to what follows */
    struct segment *segments;
    char *model;   /* NULL = none */
    char *tenant;  /* NULL = none */
    char *adapter; /* NULL = none */
    int64_t arrival_ns;
    uint64_t number;         /* as given to admission_arrive */
    uint32_t account;        /* its tenant in sim/fairness.h */
    uint32_t front;          /* replica of the router that it waits at */
    uint32_t timer;          /* of its client hanging up; UINT32_MAX = none */
    bool client_gone;        /* when its timer fires */
    struct attempt *attempt; /* earlier ones (sim/retries.h); NULL = none */
};

NODISCARD bool admission_new(struct admission **out, const struct scenario *scenario,
                             struct gateway *gateway, uint32_t replica,
                             struct err *err);
void admission_delete(struct admission *admission);

/* number names the request here, since a trace may hold two records of one id; rising.
 * *parked is filled when the answer is ADMIT_QUEUE; it stays valid until the request
 * was taken and admission_drop was called. */
struct admit_decision admission_arrive(struct admission *admission, int64_t now_ns,
                                       const struct trace_record *record,
                                       uint64_t number, struct parked **parked);
/* The next that may go on; NULL = nobody now. */
struct parked *admission_next(struct admission *admission, int64_t now_ns);
/* The next whose time is up; NULL = nobody's. */
struct parked *admission_expired(struct admission *admission, int64_t now_ns);
/* Anyone who waits, in order of their ends; NULL = nobody. */
struct parked *admission_any(struct admission *admission);
/* Its client hung up: takes it out of the queue. */
void admission_cancel(struct admission *admission, const struct parked *parked);
/* A copy of a record; admission_drop frees it. */
struct parked *parked_new(const struct trace_record *record, int64_t arrival_ns);
/* Frees what was taken. */
void admission_drop(struct parked *parked);

/* Of one that is in flight, so far. */
void admission_saw_tokens(struct admission *admission, uint64_t number,
                          uint32_t output_tokens);
bool admission_wants_tokens(const struct admission *admission);
void admission_ended(struct admission *admission, uint64_t number,
                     uint32_t output_tokens);
int64_t admission_deadline_ns(const struct admission *admission);
uint32_t admission_waiting(const struct admission *admission);
bool admission_needs_metrics(const struct admission *admission);

#endif
