/* SPDX-License-Identifier: Apache-2.0
 *
 * row_writer.c: a ring of chunks between the thread that simulates and one that writes.
 *
 * Chunks, not rows, change hands: a lock per 4,096 rows costs nothing. The run fills a
 * chunk of requests and one of samples beside the ring; a full one is swapped into it.
 */
#include "cli/row_writer.h"

#include "base/check.h"
#include "base/mem.h"
#include "reports/run.h"
#include "reports/store.h"

#include <pthread.h>

enum row_kind { ROWS_REQUESTS, ROWS_SAMPLES, ROW_KINDS };

/* Rows of one kind; the other array is NULL until a chunk first needs it. */
struct chunk {
    enum row_kind kind;
    size_t count;
    struct request_row *requests;
    struct engine_sample_row *samples;
};

struct row_writer {
    struct store_writer *store;
    bool requests;
    struct chunk open[ROW_KINDS]; /* of the thread that simulates */
    struct chunk taken;           /* of the one that writes */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t moved;
    struct chunk ring[ROW_WRITER_CHUNKS];
    size_t first;
    size_t waiting;
    bool closed;
    struct err err; /* of the first write that failed */
};

static void chunk_fini(struct chunk *chunk)
{
    mem_free(chunk->requests);
    mem_free(chunk->samples);
}

static void swap(struct chunk *a, struct chunk *b)
{
    const struct chunk kept = *a;
    *a = *b;
    *b = kept;
}

static bool write_chunk(struct store_writer *store, const struct chunk *chunk,
                        struct err *err)
{
    return chunk->kind == ROWS_REQUESTS
               ? store_add_requests(store, chunk->requests, chunk->count, err)
               : store_add_samples(store, chunk->samples, chunk->count, err);
}

/* The lock is held before and after, not meanwhile. */
static void write_next(struct row_writer *writer)
{
    struct err err = {0};
    swap(&writer->taken, &writer->ring[writer->first]);
    writer->first = (writer->first + 1) % ROW_WRITER_CHUNKS;
    writer->waiting--;
    pthread_cond_broadcast(&writer->moved);
    if (writer->err.kind != ERR_NONE) {
        return;
    }
    pthread_mutex_unlock(&writer->lock);
    const bool ok = write_chunk(writer->store, &writer->taken, &err);
    pthread_mutex_lock(&writer->lock);
    if (!ok) {
        writer->err = err;
    }
}

static void *work(void *context)
{
    struct row_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    while (!writer->closed || writer->waiting > 0) {
        if (writer->waiting > 0) {
            write_next(writer);
        } else {
            pthread_cond_wait(&writer->moved, &writer->lock);
        }
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

bool row_writer_new(struct row_writer **out, struct store_writer *store, bool requests,
                    struct err *err)
{
    if (!store_begin_run(store, err)) {
        return false;
    }
    struct row_writer *writer = mem_alloc(1, sizeof *writer);
    writer->store = store;
    writer->requests = requests;
    writer->open[ROWS_SAMPLES].kind = ROWS_SAMPLES;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->moved, NULL);
    /* Without a thread the run writes by itself. */
    writer->has_thread = pthread_create(&writer->thread, NULL, work, writer) == 0;
    *out = writer;
    return true;
}

/* Hands the open chunk of a kind over, and waits for room before. */
static void hand_over(struct row_writer *writer, enum row_kind kind)
{
    struct chunk *open = &writer->open[kind];
    if (open->count == 0) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    while (writer->has_thread && writer->waiting == ROW_WRITER_CHUNKS) {
        pthread_cond_wait(&writer->moved, &writer->lock);
    }
    const size_t at = (writer->first + writer->waiting) % ROW_WRITER_CHUNKS;
    swap(open, &writer->ring[at]);
    writer->waiting++;
    pthread_cond_broadcast(&writer->moved);
    if (!writer->has_thread) {
        write_next(writer);
    }
    pthread_mutex_unlock(&writer->lock);
    open->kind = kind;
    open->count = 0;
}

void row_writer_request(struct row_writer *writer, const struct request_row *row)
{
    struct chunk *open = &writer->open[ROWS_REQUESTS];
    if (!writer->requests) {
        return;
    }
    if (open->requests == NULL) {
        open->requests = mem_alloc(ROW_WRITER_ROWS, sizeof *open->requests);
    }
    open->requests[open->count++] = *row;
    if (open->count == ROW_WRITER_ROWS) {
        hand_over(writer, ROWS_REQUESTS);
    }
}

void row_writer_sample(struct row_writer *writer, const struct engine_sample_row *row)
{
    struct chunk *open = &writer->open[ROWS_SAMPLES];
    if (open->samples == NULL) {
        open->samples = mem_alloc(ROW_WRITER_ROWS, sizeof *open->samples);
    }
    open->samples[open->count++] = *row;
    if (open->count == ROW_WRITER_ROWS) {
        hand_over(writer, ROWS_SAMPLES);
    }
}

bool row_writer_failed(struct row_writer *writer, struct err *err)
{
    pthread_mutex_lock(&writer->lock);
    const bool failed = writer->err.kind != ERR_NONE;
    if (failed) {
        *err = writer->err;
    }
    pthread_mutex_unlock(&writer->lock);
    return failed;
}

static void join(struct row_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->closed = true;
    pthread_cond_broadcast(&writer->moved);
    pthread_mutex_unlock(&writer->lock);
    if (writer->has_thread) {
        pthread_join(writer->thread, NULL);
        writer->has_thread = false;
    }
}

bool row_writer_end(struct row_writer *writer, const struct run_record *run,
                    struct err *err)
{
    CHECK(!writer->closed, "the rows of run %s were ended before", run->info.name);
    hand_over(writer, ROWS_REQUESTS);
    hand_over(writer, ROWS_SAMPLES);
    join(writer);
    if (writer->err.kind != ERR_NONE) {
        *err = writer->err;
        return false;
    }
    return store_end_run(writer->store, run, err);
}

void row_writer_delete(struct row_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    writer->waiting = 0; /* nobody wants them any more */
    pthread_mutex_unlock(&writer->lock);
    join(writer);
    for (size_t i = 0; i < ROW_WRITER_CHUNKS; i++) {
        chunk_fini(&writer->ring[i]);
    }
    chunk_fini(&writer->open[ROWS_REQUESTS]);
    chunk_fini(&writer->open[ROWS_SAMPLES]);
    chunk_fini(&writer->taken);
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->moved);
    mem_free(writer);
}
