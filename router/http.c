/* SPDX-License-Identifier: Apache-2.0
 *
 * http.c: llhttp in strict mode, paused at every event so that callers can pull.
 *
 * llhttp refuses a length beside chunks in requests; what it lets pass and we do not
 * want to forward (control characters in values, a length beside chunks in answers) is
 * checked here once the head is complete.
 */
#include "router/http.h"

#include "base/mem.h"

#include <llhttp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct http_parser {
    llhttp_t llhttp;
    llhttp_settings_t settings;
    struct http_head head;
    size_t head_bytes_max;
    size_t seen_bytes; /* of target, names and values, trailers included */
    size_t extension_bytes;
    bool in_value;
    bool head_done;
    bool begun;
    bool paused;
    struct http_result *result; /* of the call under way */
    struct http_result fault;   /* event HTTP_FAULT once there was one */
};

static struct http_parser *parser_of(const llhttp_t *llhttp)
{
    return llhttp->data;
}

static int fail(struct http_parser *parser, enum http_fault fault, const char *what)
{
    parser->fault =
        (struct http_result){.event = HTTP_FAULT, .fault = fault, .what = what};
    return HPE_USER;
}

static bool count_bytes(struct http_parser *parser, size_t byte_count)
{
    parser->seen_bytes += byte_count;
    return parser->seen_bytes <= parser->head_bytes_max;
}

/* --- llhttp's callbacks ----------------------------------------------------------- */

static int on_message_begin(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_head *head = &parser->head;
    head->bytes.length = 0;
    /* Offset 0 is the empty string, so that a missing target reads as one. */
    text_add_bytes(&head->bytes, "", 1);
    head->field_count = 0;
    head->target_at = 0;
    head->method[0] = '\0';
    parser->seen_bytes = 0;
    parser->extension_bytes = 0;
    parser->in_value = false;
    parser->head_done = false;
    parser->begun = true;
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *bytes, size_t byte_count)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_head *head = &parser->head;
    if (!count_bytes(parser, byte_count)) {
        return fail(parser, HTTP_TARGET_TOO_LONG, "request target too long");
    }
    if (head->target_at == 0) {
        head->target_at = (uint32_t)head->bytes.length;
    }
    text_add_bytes(&head->bytes, bytes, byte_count);
    return 0;
}

static void end_string(struct http_head *head)
{
    text_add_bytes(&head->bytes, "", 1);
}

static int on_url_complete(llhttp_t *llhttp)
{
    end_string(&parser_of(llhttp)->head);
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *bytes, size_t byte_count)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_head *head = &parser->head;
    if (!count_bytes(parser, byte_count)) {
        return fail(parser, HTTP_HEAD_TOO_LARGE, "header fields too large");
    }
    if (parser->head_done) {
        return 0; /* trailers are counted and dropped */
    }
    if (parser->in_value || head->field_count == 0) {
        if (head->field_count == HTTP_FIELDS_MAX) {
            return fail(parser, HTTP_HEAD_TOO_LARGE, "too many header fields");
        }
        parser->in_value = false;
        head->fields[head->field_count++] =
            (struct http_field){.name_at = (uint32_t)head->bytes.length};
    }
    text_add_bytes(&head->bytes, bytes, byte_count);
    return 0;
}

static int on_header_field_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_head *head = &parser->head;
    if (!parser->head_done && head->field_count > 0) {
        end_string(head);
        head->fields[head->field_count - 1].value_at = (uint32_t)head->bytes.length;
        parser->in_value = true;
    }
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *bytes, size_t byte_count)
{
    struct http_parser *parser = parser_of(llhttp);
    if (!count_bytes(parser, byte_count)) {
        return fail(parser, HTTP_HEAD_TOO_LARGE, "header fields too large");
    }
    if (!parser->head_done) {
        text_add_bytes(&parser->head.bytes, bytes, byte_count);
    }
    return 0;
}

static int on_header_value_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    if (!parser->head_done) {
        end_string(&parser->head);
    }
    return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *bytes, size_t byte_count)
{
    (void)bytes;
    struct http_parser *parser = parser_of(llhttp);
    parser->extension_bytes += byte_count;
    if (parser->extension_bytes > HTTP_CHUNK_EXTENSION_BYTES_MAX) {
        return fail(parser, HTTP_MALFORMED, "chunk extensions too long");
    }
    return 0;
}

static bool is_clean(const char *value)
{
    for (; *value != '\0'; value++) {
        const unsigned char c = (unsigned char)*value;
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static size_t count_fields(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        count += strcasecmp(head->bytes.bytes + head->fields[i].name_at, name) == 0;
    }
    return count;
}

static int check_head(struct http_parser *parser)
{
    const struct http_head *head = &parser->head;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!is_clean(head->bytes.bytes + head->fields[i].value_at)) {
            return fail(parser, HTTP_MALFORMED, "control character in a header field");
        }
    }
    const size_t lengths = count_fields(head, "content-length");
    const size_t codings = count_fields(head, "transfer-encoding");
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0)) {
        return fail(parser, HTTP_AMBIGUOUS_LENGTH,
                    "more than one statement of the body's length");
    }
    if (codings > 0 &&
        strcasecmp(http_field(head, "transfer-encoding"), "chunked") != 0) {
        return fail(parser, HTTP_AMBIGUOUS_LENGTH, "unknown transfer coding");
    }
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    struct http_head *head = &parser->head;
    parser->head_done = true;
    head->minor = llhttp->http_minor;
    head->chunked = (llhttp->flags & F_CHUNKED) != 0;
    head->content_length =
        (llhttp->flags & F_CONTENT_LENGTH) != 0 ? (int64_t)llhttp->content_length : -1;
    head->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    head->status = llhttp->status_code;
    if (llhttp->type == HTTP_REQUEST) {
        const char *name = llhttp_method_name((llhttp_method_t)llhttp->method);
        (void)snprintf(head->method, sizeof head->method, "%s", name);
        /* An upgrade is an offer; ours is to go on with HTTP/1.1. */
        if (llhttp->method != HTTP_CONNECT) {
            llhttp->upgrade = 0;
        }
    }
    if (llhttp->http_major != 1) {
        (void)fail(parser, HTTP_MALFORMED, "not HTTP/1");
        return -1;
    }
    if (check_head(parser) != 0) {
        return -1;
    }
    parser->result->event = HTTP_GOT_HEAD;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *bytes, size_t byte_count)
{
    if (byte_count == 0) {
        return 0; /* llhttp looks whether the piece goes on: it does */
    }
    struct http_result *result = parser_of(llhttp)->result;
    result->event = HTTP_GOT_BODY;
    result->body = bytes;
    result->body_bytes = byte_count;
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = parser_of(llhttp);
    parser->begun = false;
    parser->result->event = HTTP_GOT_END;
    return HPE_PAUSED;
}

/* --- the parser ------------------------------------------------------------------- */

struct http_parser *http_parser_new(bool of_requests, size_t head_bytes_max)
{
    struct http_parser *parser = mem_alloc(1, sizeof *parser);
    llhttp_settings_init(&parser->settings);
    llhttp_settings_t *settings = &parser->settings;
    settings->on_message_begin = on_message_begin;
    settings->on_url = on_url;
    settings->on_url_complete = on_url_complete;
    settings->on_header_field = on_header_field;
    settings->on_header_field_complete = on_header_field_complete;
    settings->on_header_value = on_header_value;
    settings->on_header_value_complete = on_header_value_complete;
    settings->on_chunk_extension_name = on_chunk_extension;
    settings->on_chunk_extension_value = on_chunk_extension;
    settings->on_headers_complete = on_headers_complete;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
    llhttp_init(&parser->llhttp, of_requests ? HTTP_REQUEST : HTTP_RESPONSE, settings);
    parser->llhttp.data = parser;
    parser->head_bytes_max = head_bytes_max;
    text_add_bytes(&parser->head.bytes, "", 1);
    return parser;
}

void http_parser_delete(struct http_parser *parser)
{
    if (parser != NULL) {
        text_fini(&parser->head.bytes);
        mem_free(parser);
    }
}

const struct http_head *http_parser_head(const struct http_parser *parser)
{
    return &parser->head;
}

bool http_parser_idle(const struct http_parser *parser)
{
    return !parser->begun;
}

static enum http_fault fault_of(llhttp_errno_t error)
{
    const bool ambiguous = error == HPE_INVALID_TRANSFER_ENCODING ||
                           error == HPE_UNEXPECTED_CONTENT_LENGTH ||
                           error == HPE_INVALID_CONTENT_LENGTH;
    return ambiguous ? HTTP_AMBIGUOUS_LENGTH : HTTP_MALFORMED;
}

/* What a failed or paused run of llhttp means. */
static void conclude(struct http_parser *parser, llhttp_errno_t error,
                     struct http_result *result)
{
    if (error == HPE_OK) {
        return;
    }
    if (error == HPE_PAUSED && parser->fault.event != HTTP_FAULT) {
        parser->paused = true;
        return;
    }
    if (parser->fault.event != HTTP_FAULT) {
        const char *what = llhttp_get_error_reason(&parser->llhttp);
        (void)fail(parser, fault_of(error), what != NULL ? what : "malformed message");
    }
    *result = parser->fault;
}

size_t http_step(struct http_parser *parser, const char *bytes, size_t byte_count,
                 struct http_result *result)
{
    *result = parser->fault;
    if (parser->fault.event == HTTP_FAULT) {
        return 0;
    }
    if (parser->paused) {
        llhttp_resume(&parser->llhttp);
        parser->paused = false;
    }
    parser->result = result;
    const llhttp_errno_t error = llhttp_execute(&parser->llhttp, bytes, byte_count);
    parser->result = NULL;
    const char *stop =
        error == HPE_OK ? bytes + byte_count : llhttp_get_error_pos(&parser->llhttp);
    conclude(parser, error, result);
    return stop != NULL && stop >= bytes ? (size_t)(stop - bytes) : 0;
}

void http_finish(struct http_parser *parser, struct http_result *result)
{
    *result = parser->fault;
    if (parser->fault.event == HTTP_FAULT || !parser->begun) {
        return;
    }
    if (parser->paused) {
        llhttp_resume(&parser->llhttp);
        parser->paused = false;
    }
    parser->result = result;
    const llhttp_errno_t error = llhttp_finish(&parser->llhttp);
    parser->result = NULL;
    conclude(parser, error, result);
    if (result->event == HTTP_MORE) {
        (void)fail(parser, HTTP_MALFORMED, "the peer closed inside a message");
        *result = parser->fault;
    }
}

/* --- heads ------------------------------------------------------------------------ */

const char *http_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->bytes.bytes + head->fields[i].name_at, name) == 0) {
            return head->bytes.bytes + head->fields[i].value_at;
        }
    }
    return NULL;
}

bool http_list_has(const char *value, const char *word)
{
    const size_t length = strlen(word);
    while (value != NULL && *value != '\0') {
        value += strspn(value, " \t,");
        size_t item = strcspn(value, ",");
        const char *next = value + item;
        while (item > 0 && (value[item - 1] == ' ' || value[item - 1] == '\t')) {
            item--;
        }
        if (item == length && strncasecmp(value, word, length) == 0) {
            return true;
        }
        value = next;
    }
    return false;
}

const char *http_target(const struct http_head *head)
{
    const char *target = head->bytes.bytes + head->target_at;
    const char *scheme = strstr(target, "://");
    if (target[0] == '/' || scheme == NULL) {
        return target;
    }
    const char *path = strchr(scheme + 3, '/');
    return path != NULL ? path : "/";
}

/* llhttp's names are identifiers; these are what people write. */
static const struct {
    unsigned status;
    const char *reason;
} REASONS[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++) {
        if (REASONS[i].status == status) {
            return REASONS[i].reason;
        }
    }
    return "Unknown";
}
