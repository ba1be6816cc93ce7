/* SPDX-License-Identifier: Apache-2.0
 *
 * Work is done once each, whatever the number of threads.
 */
#include "cli/jobs.h"
#include "tests/harness.h"

#include <stdatomic.h>
#include <time.h>

enum { JOBS_MAX = 100 };

struct counters {
    atomic_int done[JOBS_MAX];
    atomic_int at_work;
    atomic_int at_work_max;
    int watched;
    long pause_ns;
};

static void work(void *context, size_t index)
{
    struct counters *counters = context;
    const int now = atomic_fetch_add(&counters->at_work, 1) + 1;
    int most = atomic_load(&counters->at_work_max);
    while (now > most &&
           !atomic_compare_exchange_weak(&counters->at_work_max, &most, now)) {
    }
    const struct timespec pause = {.tv_nsec = counters->pause_ns};
    nanosleep(&pause, NULL);
    atomic_fetch_add(&counters->done[index], 1);
    atomic_fetch_sub(&counters->at_work, 1);
}

static void watch(void *context)
{
    struct counters *counters = context;
    counters->watched++;
}

static void run(struct counters *counters, size_t count, uint32_t threads)
{
    const struct jobs jobs = {
        .count = count,
        .threads_max = threads,
        .context = counters,
        .work = work,
        .watch = watch,
    };
    jobs_run(&jobs);
}

static void every_job_is_done_once(void)
{
    const uint32_t threads[] = {1, 2, 7, 200};
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        struct counters counters = {.pause_ns = 10000};
        harness_note("%u threads", threads[i]);
        run(&counters, JOBS_MAX, threads[i]);
        for (size_t j = 0; j < JOBS_MAX; j++) {
            EXPECT_I64(atomic_load(&counters.done[j]), 1);
        }
    }
}

static void no_more_threads_than_allowed_work_at_once(void)
{
    struct counters counters = {.pause_ns = 1000000};
    run(&counters, 20, 3);
    EXPECT(atomic_load(&counters.at_work_max) <= 3);
    struct counters alone = {.pause_ns = 1000000};
    run(&alone, 20, 1);
    EXPECT_I64(atomic_load(&alone.at_work_max), 1);
}

static void no_job_needs_no_thread(void)
{
    struct counters counters = {0};
    run(&counters, 0, 4);
    EXPECT_I64(counters.watched, 0);
}

static void long_work_is_watched(void)
{
    struct counters counters = {.pause_ns = 350000000};
    run(&counters, 1, 1);
    EXPECT(counters.watched >= 2);
}

HARNESS_MAIN("jobs", TEST(every_job_is_done_once),
             TEST(no_more_threads_than_allowed_work_at_once),
             TEST(no_job_needs_no_thread), TEST(long_work_is_watched))
