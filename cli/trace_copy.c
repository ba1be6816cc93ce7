/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_copy.c: trace_write_all with a progress bar and a way to stop.
 */
#include "cli/trace_copy.h"

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/say.h"
#include "traces/trace_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_UP_ROWS = 4096 }; /* between looks at the clock and at signals */

enum copy_end { COPY_DONE, COPY_FAILED, COPY_INTERRUPTED };

static enum copy_end copy_rows(struct workload *workload, struct trace_writer *writer,
                               struct progress *progress, uint64_t *rows,
                               struct err *err)
{
    while (true) {
        const struct trace_record *record = NULL;
        const enum workload_result result = workload_next(workload, &record, err);
        if (result == WORKLOAD_END) {
            return COPY_DONE;
        }
        if (result == WORKLOAD_ERROR || !trace_writer_add(writer, record, err)) {
            return COPY_FAILED;
        }
        (*rows)++;
        if (*rows % LOOK_UP_ROWS == 0) {
            if (interrupt_came()) {
                return COPY_INTERRUPTED;
            }
            progress_show(progress, workload_progress(workload), NULL);
        }
    }
}

static int end_copy(struct workload *workload, uint64_t rows, const char *path,
                    bool quiet)
{
    if (!quiet) {
        say_notes(workload_notes(workload));
    }
    if (strcmp(path, "-") != 0) {
        fprintf(stderr, "wrote %s: %" PRIu64 " requests\n", path, rows);
    }
    return EXIT_DONE;
}

int trace_copy(struct workload *workload, const char *path, bool quiet)
{
    struct err err = {0};
    struct trace_writer *writer = NULL;
    if (!trace_writer_open(&writer, path, workload_block_tokens(workload),
                           workload_source(workload), &err)) {
        return say_error(&err);
    }
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    struct progress *progress = progress_new(path, quiet);
    uint64_t rows = 0;
    const enum copy_end end = copy_rows(workload, writer, progress, &rows, &err);
    progress_delete(progress);
    int code = EXIT_DONE;
    if (end == COPY_DONE) {
        code = trace_writer_commit(writer, &err) ? end_copy(workload, rows, path, quiet)
                                                 : say_error(&err);
    } else {
        trace_writer_abort(writer);
        char so_far[48];
        snprintf(so_far, sizeof so_far, "%" PRIu64 " requests", rows);
        code = end == COPY_FAILED ? say_error(&err) : say_interrupted(so_far, path);
    }
    interrupt_release(&interrupt);
    return code;
}
