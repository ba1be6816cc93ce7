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
struct run_record;

enum arms_end { ARMS_DONE, ARMS_FAILED, ARMS_INTERRUPTED };

/* One arm per choice; setup is shared but for policy, name and parameters. Loads
 * everything, so that every error of the input is found before any work. */
NODISCARD bool arms_new(struct arms **out, const struct runner_setup *setup,
                        const struct policy_list *policies, struct err *err);
void arms_delete(struct arms *arms); /* NULL is legal */

/* Called for each arm in their order, as soon as it and those before it are done, while
 * others may still run; from one thread at a time. False ends all. */
struct arms_keeper {
    bool (*keep)(void *context, struct run_record *run, struct err *err);
    void *context;
};

/* Runs all arms on at most `threads` threads. Results depend on nothing but the arms.
 * keeper may be NULL. */
enum arms_end arms_run(struct arms *arms, uint32_t threads, bool quiet,
                       const struct arms_keeper *keeper, struct err *err);

/* Whether no arm can leave out another warm-up than the others do. */
bool arms_warm_up_alike(const struct arms *arms);

/* In the order of policies, valid after ARMS_DONE until arms_delete. */
struct run_record *const *arms_records(const struct arms *arms);
const char *arms_scenario_name(const struct arms *arms);

#endif
