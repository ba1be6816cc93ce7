/* SPDX-License-Identifier: Apache-2.0
 *
 * child.h: this program once more as a process of its own, timed as a whole.
 */
#ifndef STACKSIM_CLI_CHILD_H
#define STACKSIM_CLI_CHILD_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

struct child_usage {
    int64_t wall_ns; /* from before it was started until after it had ended */
    int64_t cpu_ns;  /* user + system */
    uint64_t peak_rss_bytes;
};

/* arguments: NULL-terminated, without the program's name. Its standard output is
 * appended to output. False when it could not be started; or, with an empty text in
 * err, when it ended with an error, which it has told itself on standard error. */
NODISCARD bool child_run(const char *const *arguments, struct text *output,
                         struct child_usage *usage, struct err *err);

#endif
