/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_writer.c: a short queue, and one of the threads that fill it empties it.
 *
 * The store is opened anew for each transaction: in between others may read and extend
 * it, and a kill loses what is under way and nothing else.
 */
#include "cli/sweep_writer.h"

#include "base/mem.h"
#include "reports/run.h"
#include "reports/store.h"

#include <pthread.h>

struct entry {
    int64_t run_id;
    struct run_record *run;
};

struct sweep_writer {
    char *path;
    bool no_requests;
    size_t waiting_max;
    struct entry *taken;  /* of the thread that writes */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t moved; /* the queue was taken, or all is over */
    struct entry *queue;
    size_t waiting;
    size_t written;
    bool writing;
    struct err err; /* of the first transaction that failed */
};

struct sweep_writer *sweep_writer_new(const char *store_path, size_t waiting_max,
                                      bool no_requests)
{
    struct sweep_writer *writer = mem_alloc(1, sizeof *writer);
    writer->path = mem_strdup(store_path);
    writer->waiting_max = waiting_max;
    writer->no_requests = no_requests;
    writer->taken = mem_alloc(waiting_max, sizeof *writer->taken);
    writer->queue = mem_alloc(waiting_max, sizeof *writer->queue);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->moved, NULL);
    return writer;
}

void sweep_writer_delete(struct sweep_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (size_t i = 0; i < writer->waiting; i++) {
        run_record_delete(writer->queue[i].run);
    }
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->moved);
    mem_free(writer->queue);
    mem_free(writer->taken);
    mem_free(writer->path);
    mem_free(writer);
}

static bool write_entry(struct store_writer *store, const struct entry *entry,
                        bool no_requests, struct err *err)
{
    const struct run_record *run = entry->run;
    return store_begin_run_as(store, entry->run_id, err) &&
           store_add_requests(store, run->requests,
                              no_requests ? 0 : run->request_count, err) &&
           store_add_samples(store, run->samples, run->sample_count, err) &&
           store_end_run(store, run, err);
}

static bool write_taken(const struct sweep_writer *writer, size_t count,
                        struct err *err)
{
    struct store_writer *store = NULL;
    if (!store_extend_patiently(&store, writer->path, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!write_entry(store, &writer->taken[i], writer->no_requests, err)) {
            store_abort(store);
            return false;
        }
    }
    return store_commit(store, err);
}

/* The lock is held before and after, not meanwhile. */
static void write_waiting(struct sweep_writer *writer)
{
    struct err err = {0};
    struct entry *const taken = writer->queue;
    const size_t count = writer->waiting;
    writer->queue = writer->taken;
    writer->taken = taken;
    writer->waiting = 0;
    pthread_cond_broadcast(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
    const bool ok = write_taken(writer, count, &err);
    for (size_t i = 0; i < count; i++) {
        run_record_delete(taken[i].run);
    }
    pthread_mutex_lock(&writer->lock);
    if (ok) {
        writer->written += count;
    } else {
        writer->err = err;
    }
}

/* False when nothing is written any more. The lock is held. */
static bool wait_for_room(struct sweep_writer *writer)
{
    while (writer->waiting == writer->waiting_max && writer->err.kind == ERR_NONE) {
        pthread_cond_wait(&writer->moved, &writer->lock);
    }
    return writer->err.kind == ERR_NONE;
}

bool sweep_writer_put(struct sweep_writer *writer, int64_t run_id,
                      struct run_record *run, struct err *err)
{
    pthread_mutex_lock(&writer->lock);
    if (!wait_for_room(writer)) {
        run_record_delete(run);
    } else {
        writer->queue[writer->waiting++] = (struct entry){run_id, run};
        const bool mine = !writer->writing;
        writer->writing = true;
        while (mine && writer->waiting > 0 && writer->err.kind == ERR_NONE) {
            write_waiting(writer);
        }
        if (mine) {
            writer->writing = false;
            pthread_cond_broadcast(&writer->moved);
        }
    }
    const bool ok = writer->err.kind == ERR_NONE;
    if (!ok) {
        *err = writer->err;
    }
    pthread_mutex_unlock(&writer->lock);
    return ok;
}

size_t sweep_writer_written(struct sweep_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    const size_t written = writer->written;
    pthread_mutex_unlock(&writer->lock);
    return written;
}
