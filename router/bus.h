/* SPDX-License-Identifier: Apache-2.0
 *
 * bus.h: ZeroMQ sockets (the only user of <zmq.h>). They read and write in a thread of
 * the library; here messages are taken and given without waiting.
 */
#ifndef STACKSIM_ROUTER_BUS_H
#define STACKSIM_ROUTER_BUS_H

#include "base/err.h"
#include "base/text.h"

#include <stdint.h>

struct bus;
struct bus_socket;

enum bus_kind {
    BUS_SUBSCRIBE, /* connects, hears everything that is published there */
    BUS_PUBLISH, /* binds, tells whoever hears; bus_next: a part that begins with 1 for
                    the first who does, with 0 when the last has gone */
    BUS_PULL,    /* binds, takes what is pushed */
    BUS_PUSH,    /* connects */
};

struct bus *bus_new(void);
/* After its sockets. */
void bus_delete(struct bus *bus);

/* endpoint: tcp://HOST:PORT, tcp://0.0.0.0:PORT, ipc://PATH. A peer that is not there
 * yet is awaited. ERR_USAGE when it is no endpoint, ERR_IO when it cannot be bound. */
NODISCARD bool bus_open(struct bus_socket **out, struct bus *bus, enum bus_kind kind,
                        const char *endpoint, struct err *err);
void bus_close(struct bus_socket *socket);

/* Readable whenever bus_next may have something; stays silent until bus_next has said
 * that there is nothing. */
int bus_fd(const struct bus_socket *socket);
/* The next part of a message into *part; *last: it ends the message. False: nothing has
 * come. Parts beyond 64 MiB are never taken. */
bool bus_next(struct bus_socket *socket, struct text *part, bool *last);
/* Gives one part; more: others of the same message follow. What nobody takes in time is
 * lost. */
void bus_send(struct bus_socket *socket, const void *bytes, size_t byte_count,
              bool more);

#endif
