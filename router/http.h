/* SPDX-License-Identifier: Apache-2.0
 *
 * http.h: HTTP/1.x messages out of bytes (the only user of llhttp).
 *
 * Pulled, not pushed: http_step consumes bytes up to the next thing that matters and
 * says what it was, so that a connection's state machine reads from top to bottom.
 * Strict by intent: whatever two programs could read in two ways (a length and chunks,
 * two lengths, folded or odd header fields, bare line feeds in a chunk) is a fault.
 */
#ifndef STACKSIM_ROUTER_HTTP_H
#define STACKSIM_ROUTER_HTTP_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_FIELDS_MAX = 256, HTTP_CHUNK_EXTENSION_BYTES_MAX = 4096 };

/* Offsets into http_head.bytes; name and value are NUL-terminated there. */
struct http_field {
    uint32_t name_at;
    uint32_t value_at;
};

struct http_head {
    struct text bytes;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
    uint32_t target_at;     /* requests: as sent; see http_target */
    char method[24];        /* requests: "POST" */
    uint16_t status;        /* responses */
    uint8_t minor;          /* HTTP/1.minor */
    bool keep_alive;        /* the sender lets the connection go on */
    bool chunked;           /* body framed by chunks */
    int64_t content_length; /* -1 = not given */
};

/* The value of the first field of that name (any case), or NULL. */
const char *http_field(const struct http_head *head, const char *name);
/* The value holds this word as an element of its comma-separated list (any case). */
bool http_list_has(const char *value, const char *word);
/* Path and query, also of an absolute target ("http://host/path"); "*" stays. */
const char *http_target(const struct http_head *head);
/* "Not Found"; "Unknown" for numbers without a name. */
const char *http_reason(unsigned status);

enum http_event {
    HTTP_MORE,     /* all bytes consumed */
    HTTP_GOT_HEAD, /* head is complete: http_parser_head */
    HTTP_GOT_BODY, /* a piece of the body, lent until the next call */
    HTTP_GOT_END,  /* the message is complete; the next byte belongs to the next one */
    HTTP_FAULT,    /* the connection is of no more use */
};
enum http_fault {
    HTTP_MALFORMED,
    HTTP_HEAD_TOO_LARGE,   /* more header bytes or fields than allowed */
    HTTP_TARGET_TOO_LONG,  /* the request line alone is more than allowed */
    HTTP_AMBIGUOUS_LENGTH, /* could be read in two ways: refused (smuggling) */
};
struct http_result {
    enum http_event event;
    enum http_fault fault;
    const char *what; /* of a fault: in the parser's words; static */
    const char *body;
    size_t body_bytes;
};

struct http_parser;

struct http_parser *http_parser_new(bool of_requests, size_t head_bytes_max);
void http_parser_delete(struct http_parser *parser);
/* Consumes at most byte_count bytes; returns how many. */
size_t http_step(struct http_parser *parser, const char *bytes, size_t byte_count,
                 struct http_result *result);
/* The peer closed: HTTP_GOT_END when that ends a message, HTTP_FAULT in the middle of
 * one, HTTP_MORE between messages. */
void http_finish(struct http_parser *parser, struct http_result *result);
/* Of the message under way or just ended; changed by the next message. */
const struct http_head *http_parser_head(const struct http_parser *parser);
/* Nothing of a message was seen since the last HTTP_GOT_END. */
bool http_parser_idle(const struct http_parser *parser);

#endif
