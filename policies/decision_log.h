/* SPDX-License-Identifier: Apache-2.0
 *
 * decision_log.h: a decision as a line of CSV, the same in every program.
 *
 * Two programs that decided alike leave equal bytes. Numbers are written so that they
 * read back as they were; nothing but endpoint urls comes from outside, and a url with
 * a comma, a quote or a line break is quoted (RFC 4180).
 */
#ifndef STACKSIM_POLICIES_DECISION_LOG_H
#define STACKSIM_POLICIES_DECISION_LOG_H

#include "base/text.h"
#include "policies/gateway.h"

/* "time_ns,request_id,policy,endpoint_id,url,reason,candidates,matched_length,score,
 * scores" and a line break. */
void decision_log_header(struct text *out);

/* endpoint_id and url are empty when nobody accepted. scores is "id:score" for each
 * candidate that was weighed, with spaces between; empty unless the sink asked. */
void decision_log_row(const struct decision_row *row, struct text *out);

#endif
