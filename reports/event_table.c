/* SPDX-License-Identifier: Apache-2.0
 *
 * event_table.c: see event_table.h.
 */
#include "reports/event_table.h"

void event_table_put(struct table *table, const struct run_record *run,
                     const struct event_row *event)
{
    table_put_text(table, run->info.name);
    table_put_f64(table, (double)event->time_ns / 1e9, 3, NULL);
    table_put_text(table, event->warning ? "Warning" : "Normal");
    table_put_text(table, event->reason);
    table_put_text(table, event->object);
    table_put_text(table, event->message);
}
