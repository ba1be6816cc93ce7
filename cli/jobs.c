/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs.c: a counter that hands out indices, and a condition to wait on.
 */
#include "cli/jobs.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define WATCH_NS 100000000 /* between two calls of watch */

struct crew {
    const struct jobs *jobs;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t left;  /* a thread has no more work */
    size_t next;
    size_t active;
};

static bool take(struct crew *crew, size_t *index)
{
    pthread_mutex_lock(&crew->lock);
    const bool more = crew->next < crew->jobs->count;
    if (more) {
        *index = crew->next++;
    }
    pthread_mutex_unlock(&crew->lock);
    return more;
}

static void *labour(void *context)
{
    struct crew *crew = context;
    size_t index = 0;
    while (take(crew, &index)) {
        crew->jobs->work(crew->jobs->context, index);
    }
    pthread_mutex_lock(&crew->lock);
    crew->active--;
    pthread_cond_signal(&crew->left);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Waits for a thread to leave, at most WATCH_NS; returns how many are at work. */
static size_t wait_a_little(struct crew *crew)
{
    struct timespec until = {0};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WATCH_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&crew->lock);
    if (crew->active > 0) {
        pthread_cond_timedwait(&crew->left, &crew->lock, &until);
    }
    const size_t active = crew->active;
    pthread_mutex_unlock(&crew->lock);
    return active;
}

void jobs_run(const struct jobs *jobs)
{
    struct crew crew = {.jobs = jobs};
    const size_t threads =
        jobs->threads_max < jobs->count ? jobs->threads_max : jobs->count;
    pthread_t *handles = mem_alloc(threads, sizeof *handles);
    pthread_mutex_init(&crew.lock, NULL);
    pthread_cond_init(&crew.left, NULL);
    size_t made = 0;
    crew.active = threads;
    while (made < threads && pthread_create(&handles[made], NULL, labour, &crew) == 0) {
        made++;
    }
    pthread_mutex_lock(&crew.lock);
    crew.active -= threads - made;
    pthread_mutex_unlock(&crew.lock);
    if (made == 0 && jobs->count > 0) {
        crew.active = 1;
        labour(&crew);
    }
    while (wait_a_little(&crew) > 0) {
        jobs->watch(jobs->context);
    }
    for (size_t i = 0; i < made; i++) {
        pthread_join(handles[i], NULL);
    }
    pthread_cond_destroy(&crew.left);
    pthread_mutex_destroy(&crew.lock);
    mem_free(handles);
}
