/* SPDX-License-Identifier: Apache-2.0
 *
 * progress.h: how far long work has come, with an estimate, on standard error.
 *
 * A bar that redraws itself on a terminal, a plain line every few seconds elsewhere.
 */
#ifndef STACKSIM_CLI_PROGRESS_H
#define STACKSIM_CLI_PROGRESS_H

#include <stdbool.h>

struct progress;

/* label: what is being done ("demo"). quiet: shows nothing, ever. */
struct progress *progress_new(const char *label, bool quiet);
/* part in [0, 1]; detail (may be NULL) is shown behind the estimate. Cheap: draws at
 * most a few times a second. */
void progress_show(struct progress *progress, double part, const char *detail);
/* Removes the bar, so that what is printed next stands on a clean line. Frees. NULL is
 * legal. */
void progress_delete(struct progress *progress);

#endif
