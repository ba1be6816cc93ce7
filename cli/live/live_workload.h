/* SPDX-License-Identifier: Apache-2.0
 *
 * live_workload.h: what is to be sent: a trace file, or the workload of a scenario.
 */
#ifndef STACKSIM_CLI_LIVE_LIVE_WORKLOAD_H
#define STACKSIM_CLI_LIVE_LIVE_WORKLOAD_H

#include "base/err.h"

struct scenario;
struct workload;

struct live_workload {
    struct workload *workload;
    struct scenario *scenario; /* NULL = a trace file was given */
};

/* name: a scenario (a path that ends in .yaml, or the name of one in
 * configs/scenarios), else a trace file. */
NODISCARD bool live_workload_open(struct live_workload *out, const char *name,
                                  const char *config_dir, struct err *err);
void live_workload_close(struct live_workload *workload);

#endif
