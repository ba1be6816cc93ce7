/* SPDX-License-Identifier: Apache-2.0
 *
 * clock.c: the only reader of clocks in the program.
 */
#include "cli/clock.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t clock_wall_ns(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static int64_t ns_of(struct timeval time)
{
    return (int64_t)time.tv_sec * NS_PER_S + (int64_t)time.tv_usec * 1000;
}

int64_t clock_usage_cpu_ns(const struct rusage *usage)
{
    return ns_of(usage->ru_utime) + ns_of(usage->ru_stime);
}

uint64_t clock_usage_peak_rss_bytes(const struct rusage *usage)
{
    return (uint64_t)usage->ru_maxrss * 1024; /* Linux counts in KiB */
}

void clock_utc_text(char *out, size_t out_bytes)
{
    struct timespec now = {0};
    struct tm parts = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(out, out_bytes, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

int64_t clock_unix_s(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

uint32_t clock_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (uint32_t)count;
}
