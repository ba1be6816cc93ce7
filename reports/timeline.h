/* SPDX-License-Identifier: Apache-2.0
 *
 * timeline.h: a run as a trace for ui.perfetto.dev or chrome://tracing
 * (docs/timeline.md), in Chrome's trace-event format.
 */
#ifndef STACKSIM_REPORTS_TIMELINE_H
#define STACKSIM_REPORTS_TIMELINE_H

#include "reports/run.h"

#include <stdbool.h>
#include <stdio.h>

/* Needs the run's request rows; samples become counters. One event a line, in order of
 * time. Errors of the stream are left to the caller. */
void timeline_write(const struct run_record *run, FILE *stream);

#endif
