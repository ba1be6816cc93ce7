/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_evq.h: the load on the event queue that `stacksim bench evq` times.
 */
#ifndef STACKSIM_CLI_BENCH_EVQ_H
#define STACKSIM_CLI_BENCH_EVQ_H

/* Moves 2^24 events with 65,536 pending and prints their totals and a digest of their
 * order, in the form of `stacksim run --format json`. Reads no clock. */
void bench_evq_once(void);

#endif
