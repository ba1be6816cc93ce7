/* SPDX-License-Identifier: Apache-2.0
 *
 * probes.h: health checks of static backends as what they are to an engine: small
 * requests that it queues, computes and answers.
 *
 * They come past the gateway: no policy, counter, statistic or outcome knows them
 * (spec/production-stack.md 2.2); queue, batch, KV cache and time of the engine do. A
 * check asks all engines of a pod and has its answer with the last of theirs.
 */
#ifndef STACKSIM_SIM_PROBES_H
#define STACKSIM_SIM_PROBES_H

#include "sim/observer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct sim;

struct probes {
    struct request **asked; /* by engine: of the check under way; NULL = none */
    uint32_t *at;           /* by engine: those that nobody waits for included */
    size_t live;            /* their sum */
    uint64_t sent;
    uint32_t open; /* answers that the check under way lacks */
};

void probes_init(struct probes *probes, uint32_t engines);
void probes_fini(struct probes *probes); /* a zeroed one is legal */

static inline uint32_t probes_at(const struct probes *probes, uint32_t engine)
{
    return probes->at != NULL ? probes->at[engine] : 0;
}

/* To these engines, which serve. sim_life_checked tells the answer, before it returns
 * if an engine refuses. */
void sim_probe_send(struct sim *sim, uint32_t first, uint32_t count);
/* Nobody waits for it any more: the connection is closed, the engine aborts. */
void sim_probe_drop(struct sim *sim, uint32_t first, uint32_t count);
/* An engine has ended it. */
void sim_probe_end(struct sim *sim, struct request *request,
                   enum outcome_status status);
/* It is lost with its engine. silent: there is no answer, not even that. */
void sim_probe_lose(struct sim *sim, struct request *request, bool silent);

#endif
