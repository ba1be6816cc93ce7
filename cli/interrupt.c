/* SPDX-License-Identifier: Apache-2.0
 *
 * interrupt.c: blocked signals, polled.
 */
#include "cli/interrupt.h"

#include <time.h>

static void watched(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

void interrupt_hold(struct interrupt *interrupt)
{
    sigset_t set;
    watched(&set);
    pthread_sigmask(SIG_BLOCK, &set, &interrupt->before);
}

bool interrupt_came(void)
{
    sigset_t pending;
    sigemptyset(&pending);
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1);
}

void interrupt_release(const struct interrupt *interrupt)
{
    sigset_t set;
    watched(&set);
    const struct timespec at_once = {0};
    while (sigtimedwait(&set, NULL, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &interrupt->before, NULL);
}
