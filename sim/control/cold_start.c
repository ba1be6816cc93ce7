/* SPDX-License-Identifier: Apache-2.0
 *
 * cold_start.c: sums of parts and ticks of probes.
 */
#include "sim/control/cold_start.h"

#include "base/check.h"

static const int64_t backoff_first_ns = INT64_C(10000000000);
static const int64_t backoff_most_ns = INT64_C(300000000000);

static int64_t bytes_ns(uint64_t bytes, double bytes_per_s)
{
    return bytes_per_s > 0 ? (int64_t)((double)bytes / bytes_per_s * 1e9) : 0;
}

struct cold_start_parts cold_start_parts(const struct cold_start *start,
                                         struct cold_start_has has)
{
    return (struct cold_start_parts){
        .image_ns =
            has.image ? 0 : bytes_ns(start->image_bytes, start->image_bytes_per_s),
        .init_ns = start->init_ns,
        .boot_ns = start->boot_ns,
        .download_ns = has.weights
                           ? 0
                           : bytes_ns(start->weight_bytes, start->download_bytes_per_s),
        .read_ns = bytes_ns(start->weight_bytes, start->read_bytes_per_s),
        .capture_ns = start->capture_ns,
    };
}

struct cold_start_parts cold_start_restart(const struct cold_start *start,
                                           bool has_weights)
{
    struct cold_start_parts parts =
        cold_start_parts(start, (struct cold_start_has){true, has_weights});
    parts.init_ns = 0;
    return parts;
}

int64_t cold_start_sum(const struct cold_start_parts *parts)
{
    return parts->image_ns + parts->init_ns + parts->boot_ns + parts->download_ns +
           parts->read_ns + parts->capture_ns;
}

/* The number of the first try at or after time_ns. */
static int64_t tries_before(const struct probe *probe, int64_t time_ns)
{
    const int64_t late_ns = time_ns - probe->initial_ns;
    return late_ns <= 0 ? 0 : (late_ns + probe->period_ns - 1) / probe->period_ns;
}

int64_t probe_seen_ns(const struct probe *probe, int64_t up_ns)
{
    return probe->period_ns == 0
               ? up_ns
               : probe->initial_ns + tries_before(probe, up_ns) * probe->period_ns;
}

int64_t probe_limit_ns(const struct probe *probe)
{
    CHECK(probe->period_ns == 0 || probe->failures > 0, "a probe that never fails");
    return probe->period_ns == 0
               ? INT64_MAX
               : probe->initial_ns + (probe->failures - 1) * probe->period_ns;
}

int64_t probe_down_ns(const struct probe *probe, int64_t gone_ns)
{
    return probe->period_ns == 0 ? INT64_MAX
                                 : probe_seen_ns(probe, gone_ns) +
                                       (probe->failures - 1) * probe->period_ns;
}

int64_t crash_backoff_ns(uint32_t restart)
{
    int64_t wait_ns = restart == 0 ? 0 : backoff_first_ns;
    for (uint32_t i = 1; i < restart && wait_ns < backoff_most_ns; i++) {
        wait_ns *= 2;
    }
    return wait_ns < backoff_most_ns ? wait_ns : backoff_most_ns;
}
