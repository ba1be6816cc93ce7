/* SPDX-License-Identifier: Apache-2.0
 *
 * server_child.c: posix_spawn, a log file and waitpid.
 *
 * Standard error goes to a file and not through a pipe: nobody has to read on, and the
 * file is there when something went wrong. Signals that we hold (cli/interrupt.h) are
 * let through in the child.
 */
#include "cli/live/server_child.h"

#include "cli/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t patience_ns = INT64_C(30000000000);

static void nap(void)
{
    const struct timespec time = {.tv_nsec = 5000000};
    (void)nanosleep(&time, NULL);
}

/* posix_spawn wants pointers that are not const, and writes nothing through them. */
static int spawn(pid_t *pid, const char *const *argv,
                 const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes)
{
    char *const *plain = NULL;
    memcpy(&plain, &argv, sizeof plain);
    return posix_spawn(pid, argv[0], actions, attributes, plain, environ);
}

static bool launch(struct server_child *child, const char *const *argv, struct err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t defaults;
    (void)sigemptyset(&none);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGINT);
    (void)sigaddset(&defaults, SIGTERM);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                           O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, child->log,
                                           O_WRONLY | O_CREAT | O_TRUNC, 0644);
    (void)posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes,
                                   POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int code = spawn(&child->pid, argv, &actions, &attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    if (code != 0) {
        child->pid = 0;
        return err_set(err, ERR_IO, "%s: %s", argv[0], strerror(code));
    }
    return true;
}

/* Its first words, line breaks made blanks. */
static void read_log(const struct server_child *child, char *out, size_t out_bytes)
{
    size_t length = 0;
    FILE *file = fopen(child->log, "r");
    if (file != NULL) {
        length = fread(out, 1, out_bytes - 1, file);
        (void)fclose(file);
    }
    out[length] = '\0';
    for (char *at = out; *at != '\0'; at++) {
        if (*at == '\n') {
            *at = ' ';
        }
    }
}

static bool find_url(struct server_child *child, const char *log)
{
    static const char WORDS[] = "listening on ";
    const char *at = strstr(log, WORDS);
    if (at == NULL) {
        return false;
    }
    at += sizeof WORDS - 1;
    const size_t length = strcspn(at, " ");
    if (at[length] == '\0' || length >= sizeof child->url) {
        return false; /* the line is not complete yet */
    }
    memcpy(child->url, at, length);
    child->url[length] = '\0';
    return true;
}

bool server_child_start(struct server_child *child, const char *const *argv,
                        const char *log_path, struct err *err)
{
    char log[400];
    *child = (struct server_child){0};
    (void)snprintf(child->log, sizeof child->log, "%s", log_path);
    if (!launch(child, argv, err)) {
        return false;
    }
    const int64_t until_ns = clock_wall_ns() + patience_ns;
    while (clock_wall_ns() < until_ns) {
        int status = 0;
        const bool ended = waitpid(child->pid, &status, WNOHANG) == child->pid;
        read_log(child, log, sizeof log);
        if (ended) {
            child->pid = 0;
            return err_set(err, ERR_RUN, "%s did not start: %s", argv[0], log);
        }
        if (find_url(child, log)) {
            return true;
        }
        nap();
    }
    struct err ignored = {0};
    (void)!server_child_stop(child, &ignored);
    return err_set(err, ERR_RUN, "%s is not ready after 30 s: %s", argv[0], log);
}

bool server_child_stop(struct server_child *child, struct err *err)
{
    int status = 0;
    const pid_t pid = child->pid;
    if (pid == 0) {
        return true;
    }
    child->pid = 0;
    if (waitpid(pid, &status, WNOHANG) == pid) {
        char log[400];
        read_log(child, log, sizeof log);
        return err_set(err, ERR_RUN, "a server ended before its time: %s", log);
    }
    (void)kill(pid, SIGTERM);
    const int64_t until_ns = clock_wall_ns() + patience_ns;
    while (waitpid(pid, &status, WNOHANG) != pid) {
        if (clock_wall_ns() > until_ns) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            break;
        }
        nap();
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           err_set(err, ERR_RUN, "a server did not end well; see %s", child->log);
}

bool server_child_beside(const char *name, char out[SERVER_PATH_BYTES], struct err *err)
{
    char self[SERVER_PATH_BYTES];
    const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0) {
        return err_set(err, ERR_IO, "/proc/self/exe: %s", strerror(errno));
    }
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        slash[1] = '\0';
    }
    const int written = snprintf(out, SERVER_PATH_BYTES, "%s%s", self, name);
    return (written > 0 && written < SERVER_PATH_BYTES) ||
           err_set(err, ERR_IO, "%s: the path is too long", self);
}
