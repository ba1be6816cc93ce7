/* SPDX-License-Identifier: Apache-2.0
 *
 * reader.h: a trace file as a source of records, whatever its format.
 */
#ifndef STACKSIM_TRACES_READER_H
#define STACKSIM_TRACES_READER_H

#include "traces/source.h"

/* options are copied, strings too. limit and rate_factor are the workload's business.
 */
NODISCARD bool reader_open(struct source **out, const char *path,
                           const struct trace_options *options, struct err *err);

#endif
