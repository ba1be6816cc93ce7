/* SPDX-License-Identifier: Apache-2.0
 *
 * arms.h: the same workload under several policies, side by side.
 */
#ifndef STACKSIM_CLI_ARMS_H
#define STACKSIM_CLI_ARMS_H

#include "cli/policy_list.h"
#include "cli/runner.h"

#include <stddef.h>
#include <stdint.h>

struct arms;

enum arms_end { ARMS_DONE, ARMS_FAILED, ARMS_INTERRUPTED };

/* One arm per choice; setup is shared but for policy, name and parameters. Loads
 * everything, so that every error of the input is found before any work. */
NODISCARD bool arms_new(struct arms **out, const struct runner_setup *setup,
                        const struct policy_list *policies, struct err *err);
void arms_delete(struct arms *arms); /* NULL is legal */

/* Runs all arms on at most `threads` threads. Results depend on nothing but the arms.
 */
enum arms_end arms_run(struct arms *arms, uint32_t threads, bool quiet,
                       struct err *err);

/* In the order of policies, valid after ARMS_DONE until arms_delete. */
struct run_record *const *arms_records(const struct arms *arms);
const char *arms_scenario_name(const struct arms *arms);

#endif
