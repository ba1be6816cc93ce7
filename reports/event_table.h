/* SPDX-License-Identifier: Apache-2.0
 *
 * event_table.h: events of a fleet as rows of a table.
 */
#ifndef STACKSIM_REPORTS_EVENT_TABLE_H
#define STACKSIM_REPORTS_EVENT_TABLE_H

#include "reports/run.h"
#include "reports/table.h"

/* A row of six columns: run, time in s, type, reason, object, message. */
void event_table_put(struct table *table, const struct run_record *run,
                     const struct event_row *event);

#endif
