/* SPDX-License-Identifier: Apache-2.0
 *
 * server_child.h: a server of ours as a child process: started, ready, stopped.
 */
#ifndef STACKSIM_CLI_LIVE_SERVER_CHILD_H
#define STACKSIM_CLI_LIVE_SERVER_CHILD_H

#include "base/err.h"

#include <sys/types.h>

enum { SERVER_PATH_BYTES = 1024, SERVER_URL_BYTES = 128 };

struct server_child {
    pid_t pid;                   /* 0 = not running */
    char url[SERVER_URL_BYTES];  /* "http://127.0.0.1:43210" */
    char log[SERVER_PATH_BYTES]; /* its standard error */
};

/* argv[0] is the program's path. Waits until it says "listening on URL" on standard
 * error, which goes to log_path. False when it ends or says nothing for 30 s; what it
 * said is then part of the message. */
NODISCARD bool server_child_start(struct server_child *child, const char *const *argv,
                                  const char *log_path, struct err *err);
/* SIGTERM, and SIGKILL when that does not end it within 30 s. False when it had ended
 * before, or ended badly. */
NODISCARD bool server_child_stop(struct server_child *child, struct err *err);

/* Where this program lies; a file beside it. */
NODISCARD bool server_child_beside(const char *name, char out[SERVER_PATH_BYTES],
                                   struct err *err);

#endif
