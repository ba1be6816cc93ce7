/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h: TLS without sockets: wire bytes in and out, plain bytes in and out (the only
 * user of OpenSSL).
 */
#ifndef STACKSIM_ROUTER_TLS_H
#define STACKSIM_ROUTER_TLS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* For a server cert_path and key_path (PEM) must be given. For a client ca_path is a
 * PEM file of trusted roots, NULL = the system's. */
struct tls_setup {
    bool server;
    const char *cert_path; /* NULL and server: no TLS */
    const char *key_path;
    const char *ca_path;
    bool insecure; /* client: take any certificate */
};

struct tls_context;
NODISCARD bool tls_context_new(struct tls_context **out, const struct tls_setup *setup,
                               struct err *err);
void tls_context_delete(struct tls_context *context);

enum tls_state {
    TLS_HANDSHAKE,
    TLS_OPEN,
    TLS_CLOSED, /* the peer said goodbye */
    TLS_FAILED, /* tls_why says why; an alert may be waiting to go out */
};

struct tls;
/* host: whom a client expects, name or IP address; NULL for a server. */
NODISCARD bool tls_new(struct tls **out, struct tls_context *context, const char *host,
                       struct err *err);
void tls_delete(struct tls *tls);

/* Takes what came over the wire; (NULL, 0) starts a client's handshake. */
enum tls_state tls_read(struct tls *tls, const char *bytes, size_t byte_count);
/* Lends plain bytes that arrived, once; false when there are none. Valid until the next
 * tls_read. */
bool tls_incoming(struct tls *tls, const char **bytes, size_t *byte_count);
/* Before the handshake is over there is nobody to talk to: bytes are dropped. */
void tls_write(struct tls *tls, const char *bytes, size_t byte_count);
void tls_close(struct tls *tls);
/* Lends bytes for the wire; say tls_sent when they are queued. */
bool tls_outgoing(struct tls *tls, const char **bytes, size_t *byte_count);
void tls_sent(struct tls *tls, size_t byte_count);
const char *tls_why(const struct tls *tls);

#endif
