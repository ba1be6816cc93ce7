/* SPDX-License-Identifier: Apache-2.0
 *
 * describe.h: a loaded scenario in words.
 */
#ifndef STACKSIM_CLI_DESCRIBE_H
#define STACKSIM_CLI_DESCRIBE_H

#include "base/text.h"

#include <stdint.h>

struct scenario;

/* Engines with their KV blocks and cost models, routing, workload, limits, SLOs.
 * origin: of the workload; expected: its requests, 0 = unknown. */
void describe_scenario(const struct scenario *scenario, const char *origin,
                       uint64_t expected, struct text *out);

#endif
