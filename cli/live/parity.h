/* SPDX-License-Identifier: Apache-2.0
 *
 * parity.h: does the router decide as the simulator's policy host does? Real processes
 * on loopback on one side, the router's own record of policy inputs on the other.
 */
#ifndef STACKSIM_CLI_LIVE_PARITY_H
#define STACKSIM_CLI_LIVE_PARITY_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

struct policy_set;

enum { PARITY_ENGINES_MAX = 64, PARITY_PLUGINS_MAX = 64 };

struct parity_setup {
    const char *source;     /* trace or scenario, for cli/live/live_workload.h */
    const char *config_dir; /* NULL = the usual places */
    const char *router;     /* path of stackrouter; NULL = beside this program */
    const char *folder;     /* for logs and records; exists */
    const char *model;      /* of the mock engines */
    const char *gpu;
    uint32_t engines;
    double time_scale;
    uint64_t requests_max; /* 0 = all */
    uint64_t seed;
    bool quiet;
    const struct policy_set *policies;
    const char *const *plugins; /* paths, for the router */
    size_t plugin_count;
};

/* Ways of routing that are no policies but two legs of one, round robin each; the first
 * engine computes prompts, the others decode. */
bool parity_is_disaggregated(const char *name);
#define PARITY_DISAGGREGATED "disaggregated_prefill_orchestrated"

struct parity; /* mock engines that run */

NODISCARD bool parity_new(struct parity **out, const struct parity_setup *setup,
                          struct err *err);
/* False when an engine did not live until here. Frees in every case. */
NODISCARD bool parity_end(struct parity *parity, struct err *err);

struct parity_result {
    uint64_t requests;
    uint64_t failed; /* not answered as asked */
    uint64_t decisions;
    bool equal;
    bool interrupted;       /* nothing else is filled */
    struct text difference; /* the first one, two lines; empty when equal */
};
/* One policy, or a name of parity_is_disaggregated: a router, the trace, the
 * comparison. result starts zeroed; the caller frees its text. */
NODISCARD bool parity_policy(struct parity *parity, const char *policy,
                             struct parity_result *result, struct err *err);

/* A router's record against its own decision log. */
struct parity_files {
    const char *record;
    const char *decisions;
    const struct policy_set *policies;
};
NODISCARD bool parity_compare(const struct parity_files *files,
                              struct parity_result *result, struct err *err);

#endif
