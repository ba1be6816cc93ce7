/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle.h: the truth about an endpoint, to measure how far a policy is from knowing
 * it.
 *
 * It is in no view. A host that makes the world may answer such questions, through
 * gateway_setup.oracle; a router cannot, and there a policy with NEED_ORACLE is refused
 * when it is made. So no other policy can come to the truth by accident, and none with
 * it into production.
 */
#ifndef STACKSIM_POLICIES_ORACLE_H
#define STACKSIM_POLICIES_ORACLE_H

#include "policies/view.h"

/* What would become of a request that went to an endpoint now, if nobody came after
 * it: by the engine's true state, and the true lengths of all requests. */
struct oracle_outlook {
    int64_t first_token_ns; /* from now until its first token */
    int64_t end_ns;         /* from now until its last one */
    int64_t delay_ns;       /* that it costs the requests there, summed over them */
    uint32_t cached_tokens; /* of its prompt, in the prefix cache now */
};

struct oracle {
    void *context;
    /* About the request that is being decided. */
    void (*ask)(void *context, uint32_t endpoint_id, const struct request_view *request,
                struct oracle_outlook *outlook);
};

#endif
