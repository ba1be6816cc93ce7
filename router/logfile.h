/* SPDX-License-Identifier: Apache-2.0
 *
 * logfile.h: a file that lines are appended to. A full disk costs lines, not requests:
 * it is said once.
 */
#ifndef STACKSIM_ROUTER_LOGFILE_H
#define STACKSIM_ROUTER_LOGFILE_H

#include "base/err.h"

#include <stddef.h>

struct logfile;

/* path NULL gives *out = NULL, which all functions take as "no log"; "-" is standard
 * output. An existing file is truncated: times start anew with the process. */
NODISCARD bool logfile_open(struct logfile **out, const char *path, struct err *err);
void logfile_write(struct logfile *file, const char *bytes, size_t byte_count);
void logfile_flush(struct logfile *file);
void logfile_close(struct logfile *file);

#endif
