/* SPDX-License-Identifier: Apache-2.0
 *
 * body.c: one scan of the JSON, then a walk over the members of the outer object.
 *
 * The text follows the stack's head: the contents of all messages, joined by line
 * feeds, the text parts of one message joined by blanks; else the prompt. Roles do not
 * count.
 */
#include "router/body.h"

#include "base/jsonl.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { KEY_BYTES_MAX = 64, IDS_MAX = BODY_VALUES_MAX };

struct body_reader {
    struct jsonl *json;
    struct text model;
    struct text session;
    struct text text;
    uint32_t *ids;
    size_t id_count;
    size_t id_capacity;
};

struct body_reader *body_reader_new(void)
{
    struct body_reader *reader = mem_alloc(1, sizeof *reader);
    reader->json = jsonl_new(BODY_VALUES_MAX);
    return reader;
}

void body_reader_delete(struct body_reader *reader)
{
    if (reader != NULL) {
        jsonl_delete(reader->json);
        text_fini(&reader->model);
        text_fini(&reader->session);
        text_fini(&reader->text);
        mem_free(reader->ids);
        mem_free(reader);
    }
}

/* --- strings ---------------------------------------------------------------------- */

static unsigned hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    return (unsigned)((c | 0x20) - 'a') + 10;
}

/* Four hex digits at `at`, which the scanner has seen; UINT32_MAX when cut. */
static uint32_t hex4(const char *at, const char *end)
{
    if (end - at < 4) {
        return UINT32_MAX;
    }
    return (hex_digit(at[0]) << 12) | (hex_digit(at[1]) << 8) |
           (hex_digit(at[2]) << 4) | hex_digit(at[3]);
}

static void add_utf8(struct text *out, uint32_t code)
{
    char bytes[4];
    size_t count = 0;
    if (code < 0x80) {
        bytes[count++] = (char)code;
    } else if (code < 0x800) {
        bytes[count++] = (char)(0xC0U | (code >> 6));
        bytes[count++] = (char)(0x80U | (code & 0x3FU));
    } else if (code < 0x10000) {
        bytes[count++] = (char)(0xE0U | (code >> 12));
        bytes[count++] = (char)(0x80U | ((code >> 6) & 0x3FU));
        bytes[count++] = (char)(0x80U | (code & 0x3FU));
    } else {
        bytes[count++] = (char)(0xF0U | (code >> 18));
        bytes[count++] = (char)(0x80U | ((code >> 12) & 0x3FU));
        bytes[count++] = (char)(0x80U | ((code >> 6) & 0x3FU));
        bytes[count++] = (char)(0x80U | (code & 0x3FU));
    }
    text_add_bytes(out, bytes, count);
}

/* "\uXXXX" at `at` (behind the u); returns where reading goes on. A lone surrogate has
 * no UTF-8 and becomes U+FFFD. */
static const char *unescape_unicode(const char *at, const char *end, struct text *out)
{
    uint32_t code = hex4(at, end);
    if (code == UINT32_MAX) {
        return end;
    }
    at += 4;
    if (code >= 0xD800 && code < 0xDC00 && end - at >= 6 && at[0] == '\\' &&
        at[1] == 'u') {
        const uint32_t low = hex4(at + 2, end);
        if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            at += 6;
        }
    }
    add_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return at;
}

static char unescape_letter(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; /* quote, slash, backslash */
    }
}

static void unescape(const char *bytes, size_t byte_count, struct text *out)
{
    const char *const end = bytes + byte_count;
    while (bytes < end) {
        const char *slash = memchr(bytes, '\\', (size_t)(end - bytes));
        const char *plain = slash != NULL ? slash : end;
        text_add_bytes(out, bytes, (size_t)(plain - bytes));
        if (slash == NULL || slash + 1 >= end) {
            return;
        }
        bytes = slash + 2;
        if (slash[1] == 'u') {
            bytes = unescape_unicode(bytes, end, out);
        } else {
            const char letter = unescape_letter(slash[1]);
            text_add_bytes(out, &letter, 1);
        }
    }
}

void body_add_string(struct text *out, const char *text, size_t byte_count)
{
    text_add(out, "\"");
    for (size_t i = 0; i < byte_count; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            text_printf(out, "\\%c", c);
        } else if (c < ' ') {
            text_printf(out, "\\u%04x", c);
        } else {
            text_add_bytes(out, text + i, 1);
        }
    }
    text_add(out, "\"");
}

/* --- members ---------------------------------------------------------------------- */

static bool key_is(const char *bytes, size_t byte_count, const char *name)
{
    if (memchr(bytes, '\\', byte_count) == NULL) {
        return strlen(name) == byte_count && memcmp(bytes, name, byte_count) == 0;
    }
    struct text plain = {0};
    unescape(bytes, byte_count, &plain);
    const bool equal = plain.length == strlen(name) && plain.length > 0 &&
                       memcmp(plain.bytes, name, plain.length) == 0;
    text_fini(&plain);
    return equal;
}

/* The last member of that name: what Python's reader, hence the engine, takes. */
static jsonl_value member(const struct jsonl *json, jsonl_value object,
                          const char *name)
{
    jsonl_value found = JSONL_NONE;
    if (object == JSONL_NONE || jsonl_kind(json, object) != JSONL_OBJECT) {
        return found;
    }
    for (jsonl_value key = jsonl_first(json, object); key != JSONL_NONE;
         key = jsonl_next(json, key)) {
        const char *bytes = NULL;
        size_t byte_count = 0;
        jsonl_bytes(json, key, &bytes, &byte_count);
        if (key_is(bytes, byte_count, name)) {
            found = jsonl_of_key(json, key);
        }
    }
    return found;
}

static bool is_literal(const struct jsonl *json, jsonl_value value, const char *word)
{
    if (value == JSONL_NONE || jsonl_kind(json, value) != JSONL_LITERAL) {
        return false;
    }
    const char *bytes = NULL;
    size_t byte_count = 0;
    jsonl_bytes(json, value, &bytes, &byte_count);
    return strlen(word) == byte_count && memcmp(bytes, word, byte_count) == 0;
}

static bool is_kind(const struct jsonl *json, jsonl_value value, enum jsonl_kind kind)
{
    return value != JSONL_NONE && jsonl_kind(json, value) == kind;
}

static void add_plain(const struct jsonl *json, jsonl_value value, struct text *out)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    jsonl_bytes(json, value, &bytes, &byte_count);
    if (jsonl_kind(json, value) == JSONL_STRING) {
        unescape(bytes, byte_count, out);
    } else {
        text_add_bytes(out, bytes, byte_count);
    }
}

/* As Python's str(): true is "True". */
static void read_session(struct body_reader *reader, const char *name,
                         struct body_facts *facts)
{
    const struct jsonl *json = reader->json;
    const jsonl_value value = member(json, jsonl_root(json), name);
    if (value == JSONL_NONE || is_literal(json, value, "null")) {
        return;
    }
    if (jsonl_kind(json, value) == JSONL_LITERAL) {
        text_add(&reader->session, is_literal(json, value, "true") ? "True" : "False");
    } else {
        add_plain(json, value, &reader->session);
    }
    facts->session_key = text_str(&reader->session);
}

static void read_model(struct body_reader *reader, struct body_facts *facts)
{
    const struct jsonl *json = reader->json;
    const jsonl_value value = member(json, jsonl_root(json), "model");
    if (value == JSONL_NONE || is_literal(json, value, "null")) {
        return;
    }
    const char *bytes = NULL;
    jsonl_bytes(json, value, &bytes, &facts->model_bytes);
    facts->model_at = jsonl_column(json, value) - 1;
    facts->model_bytes += jsonl_kind(json, value) == JSONL_STRING ? 2 : 0;
    facts->has_model = true;
    add_plain(json, value, &reader->model);
    facts->model = text_str(&reader->model);
}

static uint32_t read_u32(const struct jsonl *json, const char *name)
{
    int64_t value = 0;
    if (!jsonl_i64(json, member(json, jsonl_root(json), name), &value) || value < 0) {
        return 0;
    }
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static void read_options(const struct jsonl *json, struct body_facts *facts)
{
    int64_t priority = 0;
    facts->stream = is_literal(json, member(json, jsonl_root(json), "stream"), "true");
    facts->output_tokens_max = read_u32(json, "max_completion_tokens");
    if (facts->output_tokens_max == 0) {
        facts->output_tokens_max = read_u32(json, "max_tokens");
    }
    if (facts->output_tokens_max == 0) {
        facts->output_tokens_max = read_u32(json, "max_output_tokens");
    }
    if (jsonl_i64(json, member(json, jsonl_root(json), "priority"), &priority) &&
        priority >= INT32_MIN && priority <= INT32_MAX) {
        facts->priority = (int32_t)priority;
    }
}

/* --- the prompt ------------------------------------------------------------------- */

/* A string, or the text parts of a list joined by blanks. */
static void add_content(struct body_reader *reader, jsonl_value content)
{
    const struct jsonl *json = reader->json;
    if (is_kind(json, content, JSONL_STRING)) {
        add_plain(json, content, &reader->text);
        return;
    }
    if (!is_kind(json, content, JSONL_ARRAY)) {
        return;
    }
    bool first = true;
    for (jsonl_value part = jsonl_first(json, content); part != JSONL_NONE;
         part = jsonl_next(json, part)) {
        const jsonl_value text = member(json, part, "text");
        if (is_kind(json, text, JSONL_STRING)) {
            text_add(&reader->text, first ? "" : " ");
            add_plain(json, text, &reader->text);
            first = false;
        }
    }
}

static void add_messages(struct body_reader *reader, jsonl_value messages)
{
    const struct jsonl *json = reader->json;
    bool first = true;
    for (jsonl_value message = jsonl_first(json, messages); message != JSONL_NONE;
         message = jsonl_next(json, message)) {
        const jsonl_value content = member(json, message, "content");
        if (content == JSONL_NONE || is_literal(json, content, "null")) {
            continue;
        }
        text_add(&reader->text, first ? "" : "\n");
        add_content(reader, content);
        first = false;
    }
}

static void add_id(struct body_reader *reader, int64_t id)
{
    void *ids = reader->ids;
    if (mem_grow(&ids, &reader->id_capacity, reader->id_count + 1, sizeof *reader->ids,
                 IDS_MAX)) {
        reader->ids = ids;
        reader->ids[reader->id_count++] = (uint32_t)id;
    }
}

static void add_number(struct body_reader *reader, jsonl_value value)
{
    int64_t id = 0;
    if (is_kind(reader->json, value, JSONL_NUMBER) &&
        jsonl_i64(reader->json, value, &id)) {
        add_id(reader, id);
    }
}

static void add_item(struct body_reader *reader, jsonl_value item)
{
    const struct jsonl *json = reader->json;
    if (is_kind(json, item, JSONL_STRING)) {
        text_add(&reader->text, reader->text.length > 0 ? "\n" : "");
        add_plain(json, item, &reader->text);
        return;
    }
    add_number(reader, item);
    for (jsonl_value inner = jsonl_kind(json, item) == JSONL_ARRAY
                                 ? jsonl_first(json, item)
                                 : JSONL_NONE;
         inner != JSONL_NONE; inner = jsonl_next(json, inner)) {
        add_number(reader, inner);
    }
}

/* A string, a list of strings (joined by line feeds), a list of token ids or a list of
 * such lists. */
static void add_prompt(struct body_reader *reader, jsonl_value prompt)
{
    const struct jsonl *json = reader->json;
    if (is_kind(json, prompt, JSONL_STRING)) {
        add_plain(json, prompt, &reader->text);
        return;
    }
    for (jsonl_value item = jsonl_first(json, prompt); item != JSONL_NONE;
         item = jsonl_next(json, item)) {
        add_item(reader, item);
    }
}

static void read_prompt(struct body_reader *reader)
{
    const struct jsonl *json = reader->json;
    const jsonl_value root = jsonl_root(json);
    const jsonl_value messages = member(json, root, "messages");
    if (is_kind(json, messages, JSONL_ARRAY)) {
        add_messages(reader, messages);
        return;
    }
    static const char *const NAMES[] = {"prompt", "input", "query", "text_1"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const jsonl_value value = member(json, root, NAMES[i]);
        if (is_kind(json, value, JSONL_STRING) || is_kind(json, value, JSONL_ARRAY)) {
            add_prompt(reader, value);
            return;
        }
    }
}

static void state_prompt(struct body_reader *reader, struct body_facts *facts)
{
    facts->text = text_str(&reader->text);
    facts->text_bytes = reader->text.length;
    facts->ids = reader->ids;
    facts->id_count = reader->id_count;
    facts->of_ids = reader->id_count > 0;
    size_t tokens = facts->of_ids ? facts->id_count
                                  : (facts->text_bytes + BODY_BYTES_PER_TOKEN - 1) /
                                        BODY_BYTES_PER_TOKEN;
    tokens = tokens > 0 ? tokens : 1;
    facts->prompt_tokens = tokens > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens;
}

/* jsonl wants an object; what is JSON but none is told apart by its first byte. */
static enum body_state state_of_failure(const char *body, size_t byte_count)
{
    const char *const end = body + byte_count;
    while (body < end && strchr(" \t\r\n", *body) != NULL && *body != '\0') {
        body++;
    }
    return body < end && (*body == '[' || *body == '"') ? BODY_NOT_OBJECT
                                                        : BODY_NOT_JSON;
}

void body_read(struct body_reader *reader, const char *body, size_t byte_count,
               const char *session_name, struct body_facts *facts)
{
    struct err err = {0};
    *facts = (struct body_facts){.prompt_tokens = 1, .text = ""};
    reader->model.length = 0;
    reader->session.length = 0;
    reader->text.length = 0;
    reader->id_count = 0;
    /* An empty string where text_str would find the last one. */
    text_add(&reader->model, "");
    text_add(&reader->session, "");
    text_add(&reader->text, "");
    if (!jsonl_scan(reader->json, body, byte_count, &err)) {
        facts->state = state_of_failure(body, byte_count);
        return;
    }
    read_model(reader, facts);
    if (session_name != NULL) {
        read_session(reader, session_name, facts);
    }
    read_options(reader->json, facts);
    facts->prompt_is_text =
        is_kind(reader->json, member(reader->json, jsonl_root(reader->json), "prompt"),
                JSONL_STRING);
    read_prompt(reader);
    state_prompt(reader, facts);
}

void body_with_model(const char *body, size_t byte_count,
                     const struct body_facts *facts, const char *model,
                     struct text *out)
{
    const size_t after = facts->model_at + facts->model_bytes;
    text_add_bytes(out, body, facts->model_at);
    body_add_string(out, model, strlen(model));
    text_add_bytes(out, body + after, byte_count - after);
}

static bool is_dropped(const char *bytes, size_t byte_count, const char *const *dropped)
{
    for (; *dropped != NULL; dropped++) {
        if (key_is(bytes, byte_count, *dropped)) {
            return true;
        }
    }
    return false;
}

/* As it stands in the body, quotes included. */
static void add_raw(const struct jsonl *json, jsonl_value value, struct text *out)
{
    const char *bytes = NULL;
    size_t byte_count = 0;
    const size_t quote = jsonl_kind(json, value) == JSONL_STRING ? 1 : 0;
    jsonl_bytes(json, value, &bytes, &byte_count);
    text_add_bytes(out, bytes - quote, byte_count + 2 * quote);
}

bool body_rebuild(struct body_reader *reader, const struct text *body,
                  const char *const *dropped, const char *added, struct text *out)
{
    const struct jsonl *json = reader->json;
    struct err err;
    if (!jsonl_scan(reader->json, text_str(body), body->length, &err)) {
        return false;
    }
    const char *comma = "";
    text_add(out, "{");
    for (jsonl_value key = jsonl_first(json, jsonl_root(json)); key != JSONL_NONE;
         key = jsonl_next(json, key)) {
        const char *bytes = NULL;
        size_t byte_count = 0;
        jsonl_bytes(json, key, &bytes, &byte_count);
        if (is_dropped(bytes, byte_count, dropped)) {
            continue;
        }
        text_add(out, comma);
        comma = ",";
        add_raw(json, key, out);
        text_add(out, ":");
        add_raw(json, jsonl_of_key(json, key), out);
    }
    if (added[0] != '\0') {
        text_add(out, comma);
        text_add(out, added);
    }
    text_add(out, "}");
    return true;
}

/* --- forms ------------------------------------------------------------------------ */

static const char *find(const char *bytes, size_t byte_count, const char *word)
{
    return memmem(bytes, byte_count, word, strlen(word));
}

/* Finds the part named "model": its value lies between a blank line and the next line
 * end. Boundaries are not needed for that, since a file's bytes come after its own
 * Content-Disposition, which names another field. */
const char *body_read_form_model(struct body_reader *reader, const char *content_type,
                                 const char *body, size_t byte_count)
{
    static const char FORM[] = "multipart/form-data";
    if (content_type == NULL || strncasecmp(content_type, FORM, sizeof FORM - 1) != 0) {
        return NULL;
    }
    const char *const end = body + byte_count;
    const char *name = find(body, byte_count, "; name=\"model\"");
    if (name == NULL) {
        return NULL;
    }
    const char *value = find(name, (size_t)(end - name), "\r\n\r\n");
    if (value == NULL) {
        return NULL;
    }
    value += 4;
    const char *line_end = find(value, (size_t)(end - value), "\r\n");
    if (line_end == NULL) {
        return NULL;
    }
    reader->model.length = 0;
    text_add_bytes(&reader->model, value, (size_t)(line_end - value));
    return text_str(&reader->model);
}
