/* SPDX-License-Identifier: Apache-2.0
 *
 * say.h: what goes to standard error: one error per failure, and notes.
 */
#ifndef STACKSIM_CLI_SAY_H
#define STACKSIM_CLI_SAY_H

#include "base/err.h"

/* Prints "stacksim: text" and returns the exit code of its kind. */
int say_error(const struct err *err);

/* Prints "note: ..." for every line of `lines` ("" prints nothing). */
void say_notes(const char *lines);

/* Prints "wrote PATH". */
void say_wrote(const char *path);

/* Prints that SIGINT or SIGTERM came, what was done until then, and that `path` (may be
 * NULL) was not written. Returns the exit code 130. */
int say_interrupted(const char *done_so_far, const char *path);

/* Flushes standard output; false with err when the bytes could not be written. A reader
 * that went away is no error. */
NODISCARD bool say_flush(struct err *err);

#endif
