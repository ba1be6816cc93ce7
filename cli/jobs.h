/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs.h: independent pieces of work on a few threads.
 */
#ifndef STACKSIM_CLI_JOBS_H
#define STACKSIM_CLI_JOBS_H

#include <stddef.h>
#include <stdint.h>

struct jobs {
    size_t count;
    uint32_t threads_max; /* at least 1 */
    void *context;
    /* Called once per index in 0..count-1, in order of their start, from some thread.
     */
    void (*work)(void *context, size_t index);
    /* Called about ten times a second on the calling thread meanwhile. */
    void (*watch)(void *context);
};

/* Returns when all work is done. When no thread can be made the work is done on the
 * calling one. */
void jobs_run(const struct jobs *jobs);

#endif
