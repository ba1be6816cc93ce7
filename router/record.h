/* SPDX-License-Identifier: Apache-2.0
 *
 * record.h: every input of the policy's host, one JSON object a line.
 *
 * Fed in this order into a gateway of the same policy, parameters and seed, the record
 * gives the same decisions. Times are the router's monotonic nanoseconds; hashes are
 * hex strings, since JSON readers round them. The format is in docs/router.md.
 */
#ifndef STACKSIM_ROUTER_RECORD_H
#define STACKSIM_ROUTER_RECORD_H

#include "base/text.h"
#include "policies/gateway.h"
#include "router/config.h"

enum { RECORD_VERSION = 1 };

/* A host of this policy starts; what follows belongs to it. */
void record_setup(struct text *out, int64_t now_ns, const struct gateway_setup *setup);
void record_join(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                 const struct endpoint_view *endpoint);
void record_leave(struct text *out, int64_t now_ns, uint32_t endpoint_id);
void record_accepting(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                      bool accepting);
/* Before the decision. */
void record_route(struct text *out, int64_t now_ns, const struct request_view *request);
void record_first_token(struct text *out, int64_t now_ns, uint64_t request_id,
                        uint32_t endpoint_id, uint32_t prompt_tokens);
void record_end(struct text *out, int64_t now_ns, const struct attempt_end *end);
void record_metrics(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                    const struct endpoint_metrics *metrics);
void record_kv_event(struct text *out, int64_t now_ns, uint32_t endpoint_id,
                     const struct kv_event *event);

#endif
