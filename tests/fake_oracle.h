/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_oracle.h: answers of no meaning, that follow from the question, for tests that
 * run every policy.
 */
#ifndef STACKSIM_TESTS_FAKE_ORACLE_H
#define STACKSIM_TESTS_FAKE_ORACLE_H

#include "base/hash.h"
#include "policies/oracle.h"

static inline void fake_oracle_ask(void *context, uint32_t endpoint_id,
                                   const struct request_view *request,
                                   struct oracle_outlook *outlook)
{
    (void)context;
    const uint64_t bits = hash_pair(request->request_id, endpoint_id);
    *outlook = (struct oracle_outlook){
        .first_token_ns = (int64_t)(bits % 4),
        .end_ns = (int64_t)(4 + bits % 16),
        .delay_ns = (int64_t)(bits / 16 % 4),
        .cached_tokens = (uint32_t)(bits % 8),
    };
}

static const struct oracle fake_oracle = {.ask = fake_oracle_ask};

#endif
