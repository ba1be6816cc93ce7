/* SPDX-License-Identifier: Apache-2.0
 *
 * interrupt.h: SIGINT and SIGTERM as a question, so that a run can stop cleanly.
 *
 * The signals are blocked and asked for with sigpending: no handler, hence no global
 * flag, and threads and child processes see nothing of it.
 */
#ifndef STACKSIM_CLI_INTERRUPT_H
#define STACKSIM_CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

struct interrupt {
    sigset_t before;
};

/* From here to interrupt_release the signals wait. Call before making threads. */
void interrupt_hold(struct interrupt *interrupt);
/* True once one came; any thread may ask. */
bool interrupt_came(void);
/* Forgets a signal that came (the caller has acted on it) and restores the mask. */
void interrupt_release(const struct interrupt *interrupt);

#endif
