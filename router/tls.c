/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c: OpenSSL between two memory BIOs. TLS 1.2 and later, HTTP/1.1 by ALPN.
 */
#include "router/tls.h"

#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 16384 };

struct tls_context {
    SSL_CTX *ssl;
};
struct tls {
    SSL *ssl;
    BIO *in;  /* owned by ssl */
    BIO *out; /* owned by ssl */
    enum tls_state state;
    struct text plain;
    char why[256];
};

static const unsigned char HTTP11[] = "\x08http/1.1";

static void last_error(char *out, size_t out_bytes)
{
    const unsigned long code = ERR_get_error();
    if (code == 0) {
        (void)snprintf(out, out_bytes, "unknown TLS error");
        return;
    }
    ERR_error_string_n(code, out, out_bytes);
    ERR_clear_error();
}

/* As OpenSSL calls it. */
/* NOLINTNEXTLINE(readability-function-size) */
static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_bytes, const unsigned char *offered,
                           unsigned offered_bytes, void *context)
{
    (void)ssl;
    (void)context;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_bytes, HTTP11, sizeof HTTP11 - 1, offered,
                              offered_bytes) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool load_server(SSL_CTX *ssl, const struct tls_setup *setup, struct err *err)
{
    char why[256];
    if (setup->key_path == NULL) {
        return err_set(err, ERR_USAGE, "--tls-cert needs --tls-key");
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, setup->cert_path) != 1) {
        last_error(why, sizeof why);
        return err_set(err, ERR_INPUT, "%s: not a PEM certificate: %s",
                       setup->cert_path, why);
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, setup->key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1) {
        last_error(why, sizeof why);
        return err_set(err, ERR_INPUT, "%s: not the certificate's key: %s",
                       setup->key_path, why);
    }
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    return true;
}

static bool load_client(SSL_CTX *ssl, const struct tls_setup *setup, struct err *err)
{
    char why[256];
    SSL_CTX_set_verify(ssl, setup->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_alpn_protos(ssl, HTTP11, sizeof HTTP11 - 1);
    const int loaded = setup->ca_path == NULL
                           ? SSL_CTX_set_default_verify_paths(ssl)
                           : SSL_CTX_load_verify_locations(ssl, setup->ca_path, NULL);
    if (loaded != 1) {
        last_error(why, sizeof why);
        return err_set(err, ERR_INPUT, "%s: no trusted certificates: %s",
                       setup->ca_path != NULL ? setup->ca_path : "system", why);
    }
    return true;
}

bool tls_context_new(struct tls_context **out, const struct tls_setup *setup,
                     struct err *err)
{
    if (setup->server && setup->cert_path == NULL) {
        *out = NULL;
        return setup->key_path == NULL ||
               err_set(err, ERR_USAGE, "--tls-key needs --tls-cert");
    }
    SSL_CTX *ssl =
        SSL_CTX_new(setup->server ? TLS_server_method() : TLS_client_method());
    if (ssl == NULL) {
        return err_set(err, ERR_RUN, "OpenSSL gives no context");
    }
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    const bool good =
        setup->server ? load_server(ssl, setup, err) : load_client(ssl, setup, err);
    if (!good) {
        SSL_CTX_free(ssl);
        return false;
    }
    *out = mem_alloc(1, sizeof **out);
    (*out)->ssl = ssl;
    return true;
}

void tls_context_delete(struct tls_context *context)
{
    if (context != NULL) {
        SSL_CTX_free(context->ssl);
        mem_free(context);
    }
}

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[16];
    const bool numeric = inet_pton(AF_INET, host, address) == 1 ||
                         inet_pton(AF_INET6, host, address) == 1;
    if (numeric) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    /* OpenSSL copies the name, but its macro casts away const. */
    char *name = mem_strdup(host);
    const bool set =
        SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
    mem_free(name);
    return set;
}

bool tls_new(struct tls **out, struct tls_context *context, const char *host,
             struct err *err)
{
    struct tls *tls = mem_alloc(1, sizeof *tls);
    tls->ssl = SSL_new(context->ssl);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (tls->ssl == NULL || tls->in == NULL || tls->out == NULL) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        SSL_free(tls->ssl);
        mem_free(tls);
        return err_set(err, ERR_RUN, "OpenSSL gives no connection");
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    if (host == NULL) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
        if (!expect_host(tls->ssl, host)) {
            tls_delete(tls);
            return err_set(err, ERR_RUN, "%s cannot stand in a certificate", host);
        }
    }
    *out = tls;
    return true;
}

void tls_delete(struct tls *tls)
{
    if (tls != NULL) {
        SSL_free(tls->ssl);
        text_fini(&tls->plain);
        mem_free(tls);
    }
}

static void note_failure(struct tls *tls, int result)
{
    const int code = SSL_get_error(tls->ssl, result);
    if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
        return;
    }
    if (code == SSL_ERROR_ZERO_RETURN) {
        tls->state = TLS_CLOSED;
        return;
    }
    tls->state = TLS_FAILED;
    const long verified = SSL_get_verify_result(tls->ssl);
    if (verified != X509_V_OK) {
        (void)snprintf(tls->why, sizeof tls->why, "certificate refused: %s",
                       X509_verify_cert_error_string(verified));
        ERR_clear_error();
        return;
    }
    last_error(tls->why, sizeof tls->why);
}

static void read_plain(struct tls *tls)
{
    char piece[PIECE_BYTES];
    int count = 0;
    while ((count = SSL_read(tls->ssl, piece, sizeof piece)) > 0) {
        text_add_bytes(&tls->plain, piece, (size_t)count);
    }
    note_failure(tls, count);
}

enum tls_state tls_read(struct tls *tls, const char *bytes, size_t byte_count)
{
    tls->plain.length = 0;
    ERR_clear_error();
    if (byte_count > 0) {
        (void)BIO_write(tls->in, bytes, (int)byte_count);
    }
    if (tls->state == TLS_HANDSHAKE) {
        const int result = SSL_do_handshake(tls->ssl);
        if (result == 1) {
            tls->state = TLS_OPEN;
        } else {
            note_failure(tls, result);
        }
    }
    if (tls->state == TLS_OPEN) {
        read_plain(tls);
    }
    return tls->state;
}

bool tls_incoming(struct tls *tls, const char **bytes, size_t *byte_count)
{
    if (tls->plain.length == 0) {
        return false;
    }
    *bytes = tls->plain.bytes;
    *byte_count = tls->plain.length;
    tls->plain.length = 0;
    return true;
}

void tls_write(struct tls *tls, const char *bytes, size_t byte_count)
{
    if (tls->state != TLS_OPEN || byte_count == 0) {
        return;
    }
    ERR_clear_error();
    const int count = SSL_write(tls->ssl, bytes, (int)byte_count);
    if (count <= 0) {
        note_failure(tls, count);
    }
}

void tls_close(struct tls *tls)
{
    if (tls->state == TLS_OPEN) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl);
    }
}

bool tls_outgoing(struct tls *tls, const char **bytes, size_t *byte_count)
{
    char *data = NULL;
    const long length = BIO_get_mem_data(tls->out, &data);
    if (length <= 0) {
        return false;
    }
    *bytes = data;
    *byte_count = (size_t)length;
    return true;
}

void tls_sent(struct tls *tls, size_t byte_count)
{
    (void)byte_count; /* always all of it */
    (void)BIO_reset(tls->out);
}

const char *tls_why(const struct tls *tls)
{
    return tls->why;
}
