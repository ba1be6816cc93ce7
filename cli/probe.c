/* SPDX-License-Identifier: Apache-2.0
 *
 * probe.c: see the header.
 */
#include "cli/probe.h"

enum probe_end probe_run(struct run_record **out, const struct runner_setup *setup,
                         const atomic_bool *stop, struct err *err)
{
    struct runner *runner = NULL;
    bool done = false;
    if (!runner_new(&runner, setup, err)) {
        return PROBE_FAILED;
    }
    enum probe_end end = PROBE_DONE;
    while (end == PROBE_DONE && !done) {
        if (atomic_load(stop)) {
            end = PROBE_STOPPED;
        } else if (!runner_advance(runner, &done, err)) {
            end = PROBE_FAILED;
        }
    }
    if (end == PROBE_DONE && !runner_finish(runner, err)) {
        end = PROBE_FAILED;
    }
    if (end == PROBE_DONE) {
        *out = runner_take_record(runner);
    }
    runner_delete(runner);
    return end;
}
