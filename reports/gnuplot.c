/* SPDX-License-Identifier: Apache-2.0
 *
 * gnuplot.c: posix_spawn rather than popen, as there is no shell to quote for and
 * ENOENT tells "not installed" from "failed".
 */
#include "reports/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_BYTES = 400 };

/* Keeps the first bytes and reads the rest away, so that the child never blocks. Line
 * ends become blanks. */
static void read_said(int descriptor, char said[static SAID_BYTES])
{
    size_t length = 0;
    char buffer[512];
    for (;;) {
        const ssize_t got = read(descriptor, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        const size_t room = SAID_BYTES - 1 - length;
        const size_t take = (size_t)got < room ? (size_t)got : room;
        memcpy(&said[length], buffer, take);
        length += take;
    }
    for (size_t i = 0; i < length; i++) {
        if (said[i] == '\n') {
            said[i] = ' ';
        }
    }
    said[length] = '\0';
}

/* 0 or the number of an error, as posix_spawn. The child's stdout and stderr go into
 * the pipe. */
static int spawn(const char *folder, const char *script, const int pipe_ends[2],
                 pid_t *child)
{
    char name[] = "gnuplot"; /* posix_spawn wants them writable */
    char no_start_up_files[] = "-d";
    char *const argv[] = {name, no_start_up_files, strdupa(script), NULL};
    posix_spawn_file_actions_t actions;
    int code = posix_spawn_file_actions_init(&actions);
    if (code != 0) {
        return code;
    }
    code = posix_spawn_file_actions_addchdir_np(&actions, folder);
    code = code != 0 ? code
                     : posix_spawn_file_actions_addopen(&actions, STDIN_FILENO,
                                                        "/dev/null", O_RDONLY, 0);
    code = code != 0 ? code
                     : posix_spawn_file_actions_adddup2(&actions, pipe_ends[1],
                                                        STDOUT_FILENO);
    code = code != 0 ? code
                     : posix_spawn_file_actions_adddup2(&actions, pipe_ends[1],
                                                        STDERR_FILENO);
    code = code != 0 ? code : posix_spawnp(child, name, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return code;
}

static bool wait_for(pid_t child, int *status)
{
    while (waitpid(child, status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

enum gnuplot_result gnuplot_run(const char *folder, const char *script, struct err *err)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        (void)err_set(err, ERR_IO, "gnuplot: no pipe: %s", strerror(errno));
        return GNUPLOT_FAILED;
    }
    pid_t child = 0;
    const int code = spawn(folder, script, pipe_ends, &child);
    (void)close(pipe_ends[1]);
    char said[SAID_BYTES] = "";
    if (code == 0) {
        read_said(pipe_ends[0], said);
    }
    (void)close(pipe_ends[0]);
    if (code == ENOENT || code == EACCES) {
        return GNUPLOT_ABSENT;
    }
    int status = 0;
    if (code != 0 || !wait_for(child, &status)) {
        (void)err_set(err, ERR_IO, "gnuplot: %s", strerror(code != 0 ? code : errno));
        return GNUPLOT_FAILED;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        (void)err_set(err, ERR_IO,
                      "%s%s: gnuplot failed: %s; try 'gnuplot %s' in that folder",
                      folder, script, said, script);
        return GNUPLOT_FAILED;
    }
    return GNUPLOT_DRAWN;
}
