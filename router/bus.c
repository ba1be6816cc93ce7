/* SPDX-License-Identifier: Apache-2.0
 *
 * bus.c: see bus.h.
 */
#include "router/bus.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <zmq.h>

/* As vLLM's publisher: messages that may wait for a slow reader. */
enum { HIGH_WATER = 100000, PART_BYTES_MAX = 64 << 20 };

struct bus {
    void *context;
};
struct bus_socket {
    void *socket;
};

struct bus *bus_new(void)
{
    struct bus *bus = mem_alloc(1, sizeof *bus);
    bus->context = zmq_ctx_new();
    CHECK(bus->context != NULL, "zmq_ctx_new: %s", zmq_strerror(errno));
    (void)zmq_ctx_set(bus->context, ZMQ_MAX_SOCKETS, 16384);
    return bus;
}

void bus_delete(struct bus *bus)
{
    if (bus != NULL) {
        (void)zmq_ctx_term(bus->context);
        mem_free(bus);
    }
}

static void set(void *socket, int option, int value)
{
    const int code = zmq_setsockopt(socket, option, &value, sizeof value);
    CHECK(code == 0, "ZeroMQ option %d: %s", option, zmq_strerror(errno));
}

bool bus_open(struct bus_socket **out, struct bus *bus, enum bus_kind kind,
              const char *endpoint, struct err *err)
{
    static const int KINDS[] = {ZMQ_SUB, ZMQ_XPUB, ZMQ_PULL, ZMQ_PUSH};
    const bool binds = kind == BUS_PUBLISH || kind == BUS_PULL;
    const int64_t part_bytes_max = PART_BYTES_MAX;
    void *socket = zmq_socket(bus->context, KINDS[kind]);
    if (socket == NULL) {
        return err_set(err, ERR_IO, "%s: %s", endpoint, zmq_strerror(errno));
    }
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_RCVHWM, HIGH_WATER);
    set(socket, ZMQ_SNDHWM, HIGH_WATER);
    (void)zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &part_bytes_max,
                         sizeof part_bytes_max);
    if (kind == BUS_SUBSCRIBE) {
        (void)zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    }
    if ((binds ? zmq_bind(socket, endpoint) : zmq_connect(socket, endpoint)) != 0) {
        const int code = errno;
        (void)zmq_close(socket);
        return err_set(err, code == EINVAL ? ERR_USAGE : ERR_IO, "%s: %s", endpoint,
                       code == EINVAL ? "is no endpoint like tcp://HOST:5557"
                                      : zmq_strerror(code));
    }
    *out = mem_alloc(1, sizeof **out);
    (*out)->socket = socket;
    return true;
}

void bus_close(struct bus_socket *socket)
{
    if (socket != NULL) {
        (void)zmq_close(socket->socket);
        mem_free(socket);
    }
}

int bus_fd(const struct bus_socket *socket)
{
    int fd = -1;
    size_t bytes = sizeof fd;
    (void)zmq_getsockopt(socket->socket, ZMQ_FD, &fd, &bytes);
    return fd;
}

bool bus_next(struct bus_socket *socket, struct text *part, bool *last)
{
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    const int count = zmq_msg_recv(&message, socket->socket, ZMQ_DONTWAIT);
    if (count >= 0) {
        part->length = 0;
        text_add_bytes(part, zmq_msg_data(&message), (size_t)count);
        *last = zmq_msg_more(&message) == 0;
    }
    (void)zmq_msg_close(&message);
    return count >= 0;
}

void bus_send(struct bus_socket *socket, const void *bytes, size_t byte_count,
              bool more)
{
    (void)zmq_send(socket->socket, bytes, byte_count,
                   ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}
