/* SPDX-License-Identifier: Apache-2.0
 *
 * router.h: stackrouter as a child process, and clients that block.
 */
#ifndef STACKSIM_TESTS_LOOPBACK_ROUTER_H
#define STACKSIM_TESTS_LOOPBACK_ROUTER_H

#include "tests/harness.h"
#include "tests/loopback/engine.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { WAIT_MS = 20000 };
#define QUESTION "{\"model\":\"m\",\"prompt\":\"x\"}"

/* --- the router as a child -------------------------------------------------------- */

struct router {
    pid_t pid;
    int port;
    FILE *says; /* its standard error */
};

/* Waits for a line that holds this word. */
static inline void wait_for(struct router *router, const char *word, char *line,
                            size_t line_bytes)
{
    do {
        const char *read = fgets(line, (int)line_bytes, router->says);
        REQUIRE(read != NULL);
    } while (strstr(line, word) == NULL);
}

/* flags: separated by blanks. */
static inline struct router start(const char *flags)
{
    struct router router = {0};
    char *arguments[64] = {NULL};
    size_t count = 0;
    char program[1024];
    char *copy = mem_strdup(flags);
    char *rest = copy;
    char line[512];
    int ends[2];
    (void)snprintf(program, sizeof program, "%s/stackrouter", getenv("STACKSIM_BUILD"));
    static char port[] = "--port=0";
    static char host[] = "--host=127.0.0.1";
    arguments[count++] = program;
    arguments[count++] = port;
    arguments[count++] = host;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        arguments[count++] = word;
    }
    REQUIRE(pipe(ends) == 0);
    router.pid = fork();
    if (router.pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)close(ends[0]);
        (void)execv(program, arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    mem_free(copy);
    router.says = fdopen(ends[0], "r");
    wait_for(&router, "listening on", line, sizeof line);
    router.port = (int)strtol(strrchr(line, ':') + 1, NULL, 10);
    return router;
}

/* Its exit code after SIGTERM. */
static inline int stop(struct router *router)
{
    int status = 0;
    (void)kill(router->pid, SIGTERM);
    (void)waitpid(router->pid, &status, 0);
    (void)fclose(router->says);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- a client --------------------------------------------------------------------- */

static inline int connect_to(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval most = {.tv_sec = WAIT_MS / 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    REQUIRE(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static inline void send_text(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left > 0) {
        const ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        REQUIRE(sent > 0);
        text += sent;
        left -= (size_t)sent;
    }
}

static inline void post(int fd, const char *path, const char *body)
{
    struct text request = {0};
    text_printf(&request,
                "POST %s HTTP/1.1\r\nHost: r\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                path, strlen(body), body);
    send_text(fd, request.bytes);
    text_fini(&request);
}

static inline void clear(struct text *text)
{
    text->length = 0;
    text_add(text, "");
}

/* Reads until the text holds this part, or the end. */
static inline bool read_until(int fd, const char *part, struct text *got)
{
    while (part == NULL || strstr(text_str(got), part) == NULL) {
        char bytes[16384];
        const ssize_t count = recv(fd, bytes, sizeof bytes, 0);
        if (count <= 0) {
            return part == NULL && count == 0;
        }
        text_add_bytes(got, bytes, (size_t)count);
    }
    return true;
}

/* One request on a connection of its own; the whole answer. */
static inline void ask(int port, const char *request, struct text *got)
{
    const int fd = connect_to(port);
    clear(got);
    send_text(fd, request);
    (void)read_until(fd, NULL, got);
    (void)close(fd);
}

static inline void ask_get(int port, const char *path, struct text *got)
{
    char request[256];
    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: r\r\nConnection: close\r\n\r\n", path);
    ask(port, request, got);
}

static inline void ask_post(int port, const char *body, struct text *got)
{
    struct text request = {0};
    text_printf(&request,
                "POST /v1/completions HTTP/1.1\r\nHost: r\r\nConnection: close\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                strlen(body), body);
    ask(port, request.bytes, got);
    text_fini(&request);
}

static inline void backends_flags(struct text *out, const char *scheme, int first,
                                  int second)
{
    text_printf(out, "--static-backends=%s://127.0.0.1:%d", scheme, first);
    if (second > 0) {
        text_printf(out, ",%s://127.0.0.1:%d", scheme, second);
    }
    text_printf(out, " --static-models=%s", second > 0 ? "m,m" : "m");
}

/* A thousand streams want more descriptors than the usual soft limit. */
static inline void raise_limit(void)
{
    struct rlimit limit;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

#endif
