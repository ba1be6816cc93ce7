/* SPDX-License-Identifier: Apache-2.0
 *
 * say.c: the only place that prints errors.
 *
 * Results go to standard output alone, so that they can be piped and compared; all that
 * a person wants to know besides goes to standard error.
 */
#include "cli/say.h"

#include "cli/command.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int say_error(const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", PROGRAM_NAME, err->text);
    return err_exit_code(err->kind);
}

void say_notes(const char *lines)
{
    while (lines != NULL && *lines != '\0') {
        const size_t length = strcspn(lines, "\n");
        if (length > 0) {
            fprintf(stderr, "note: %.*s\n", (int)length, lines);
        }
        lines += length + (lines[length] == '\n' ? 1 : 0);
    }
}

void say_wrote(const char *path)
{
    fprintf(stderr, "wrote %s\n", path);
}

int say_interrupted(const char *done_so_far, const char *path)
{
    fprintf(stderr, "%s: interrupted after %s; %s%s\n", PROGRAM_NAME, done_so_far,
            path == NULL ? "no file was to be written" : path,
            path == NULL ? "" : " was not written");
    return EXIT_INTERRUPTED;
}

/* The errno of a write before this flush is lost; the pipe itself still knows. */
static bool nobody_reads(void)
{
    struct pollfd fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLERR) != 0;
}

bool say_flush(struct err *err)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        if (errno == EPIPE || nobody_reads()) {
            /* `| head` has seen enough: no reason to lose the store of the run. */
            clearerr(stdout);
            return true;
        }
        return err_set(err, ERR_IO, "standard output: %s; the result is incomplete",
                       strerror(errno == 0 ? EIO : errno));
    }
    return true;
}
