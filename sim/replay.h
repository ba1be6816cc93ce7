/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.h: when the requests of a workload are released (spec/traces.md 3.4).
 *
 * Open: every record at its recorded arrival; streams. Closed and hybrid: a record with
 * parents waits for their ends and its think time (hybrid: and for its arrival). What
 * depends on what is known only when the whole file was seen, so these two read the
 * workload into memory first.
 */
#ifndef STACKSIM_SIM_REPLAY_H
#define STACKSIM_SIM_REPLAY_H

#include "sim/scenario.h"
#include "traces/workload.h"

struct replay_queue;

/* records_max 0 = all. Reads everything unless mode is REPLAY_OPEN. */
NODISCARD bool replay_new(struct replay_queue **out, struct workload *workload,
                          enum replay mode, uint64_t records_max, struct err *err);
void replay_delete(struct replay_queue *replay);

/* Lends the next record that waits for nobody, in order of arrival, until the next
 * call. WORKLOAD_END when there is none left. */
enum workload_result replay_next(struct replay_queue *replay,
                                 const struct trace_record **record, struct err *err);

/* A request has ended. For each record that waited for nothing else, calls release with
 * its time (>= end_ns) and index for replay_record. */
void replay_ended(struct replay_queue *replay, uint64_t record_id, int64_t end_ns,
                  void (*release)(void *context, int64_t time_ns, uint32_t index),
                  void *context);
const struct trace_record *replay_record(const struct replay_queue *replay,
                                         uint32_t index);

#endif
