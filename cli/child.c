/* SPDX-License-Identifier: Apache-2.0
 *
 * child.c: spawn, read, wait4.
 *
 * A process of its own because a benchmark that is quoted has to hold start-up, reading
 * of files and the largest memory of one run and of nothing else; a loop in the parent
 * would measure warm caches and the peak of all runs together.
 */
#include "cli/child.h"

#include "base/mem.h"
#include "cli/clock.h"
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char **argv_of(const char *const *arguments)
{
    size_t count = 0;
    while (arguments[count] != NULL) {
        count++;
    }
    char **argv = mem_alloc(count + 2, sizeof(char *));
    argv[0] = mem_strdup(PROGRAM_NAME);
    for (size_t i = 0; i < count; i++) {
        argv[i + 1] = mem_strdup(arguments[i]);
    }
    return argv;
}

static void argv_free(char **argv)
{
    for (size_t i = 0; argv[i] != NULL; i++) {
        mem_free(argv[i]);
    }
    mem_free(argv);
}

/* Signals wait in the parent; the child gets them as usual. */
static int spawn(pid_t *child, const char *const *arguments, int out_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    char **argv = argv_of(arguments);
    const int problem =
        posix_spawn(child, "/proc/self/exe", &actions, &attributes, argv, environ);
    argv_free(argv);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return problem;
}

static void read_all(int fd, struct text *output)
{
    char bytes[4096];
    while (true) {
        const ssize_t count = read(fd, bytes, sizeof bytes);
        if (count > 0) {
            text_add_bytes(output, bytes, (size_t)count);
        } else if (count == 0 || errno != EINTR) {
            return;
        }
    }
}

bool child_run(const char *const *arguments, struct text *output,
               struct child_usage *usage, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    const int64_t start_ns = clock_wall_ns();
    pid_t child = 0;
    const int problem = spawn(&child, arguments, ends[1]);
    close(ends[1]);
    if (problem != 0) {
        close(ends[0]);
        return err_set(err, ERR_IO, "cannot start a run: %s", strerror(problem));
    }
    read_all(ends[0], output);
    close(ends[0]);
    int status = 0;
    struct rusage resources = {0};
    while (wait4(child, &status, 0, &resources) < 0 && errno == EINTR) {
    }
    usage->wall_ns = clock_wall_ns() - start_ns;
    usage->cpu_ns = clock_usage_cpu_ns(&resources);
    usage->peak_rss_bytes = clock_usage_peak_rss_bytes(&resources);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        const bool wrong = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_WRONG;
        return err_set(err, wrong ? ERR_INPUT : ERR_RUN, "%s", "");
    }
    return true;
}
