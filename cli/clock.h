/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.h: the wall clock and what this process has used; for people and benchmarks.
 *
 * Nothing here may reach a result that is compared (STYLE 5.5).
 */
#ifndef STACKSIM_CLI_CLOCK_H
#define STACKSIM_CLI_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct rusage; /* <sys/resource.h> */

/* Monotonic, for differences. */
int64_t clock_wall_ns(void);
/* User plus system time. */
int64_t clock_usage_cpu_ns(const struct rusage *usage);
/* Largest resident set. */
uint64_t clock_usage_peak_rss_bytes(const struct rusage *usage);
/* "2026-08-01T12:34:56Z"; out has at least 24 bytes. */
void clock_utc_text(char *out, size_t out_bytes);
/* Seconds since 1970. */
int64_t clock_unix_s(void);
/* Cores that this process may use, at least 1. */
uint32_t clock_cores(void);

#endif
