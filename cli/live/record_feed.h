/* SPDX-License-Identifier: Apache-2.0
 *
 * record_feed.h: a router's record of policy inputs (docs/router.md) into the policy
 * host of the simulator, to see whether it decides alike.
 *
 * A record is input: whatever a gateway would abort on (an end without a decision, an
 * endpoint that nobody knows) is an error with file and line here.
 */
#ifndef STACKSIM_CLI_LIVE_RECORD_FEED_H
#define STACKSIM_CLI_LIVE_RECORD_FEED_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

struct policy_set;

struct record_feed_setup {
    const char *path;                  /* of the record */
    const struct policy_set *policies; /* NULL = the registry */
    bool scores;                       /* in the decision log, as the router's flag */
};
/* Appends the decision log, header included, that the record gives; *decisions counts
 * its rows. */
NODISCARD bool record_feed(const struct record_feed_setup *setup, struct text *log,
                           uint64_t *decisions, struct err *err);

#endif
