/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.h: one run, from a setup to its metrics, on the calling thread.
 */
#ifndef STACKSIM_CLI_PROBE_H
#define STACKSIM_CLI_PROBE_H

#include "cli/runner.h"

#include <stdatomic.h>

enum probe_end { PROBE_DONE, PROBE_FAILED, PROBE_STOPPED };

/* Runs to the end unless *stop turns true on another thread. PROBE_DONE: the caller
 * deletes *out. */
enum probe_end probe_run(struct run_record **out, const struct runner_setup *setup,
                         const atomic_bool *stop, struct err *err);

#endif
