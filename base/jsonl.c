/* SPDX-License-Identifier: Apache-2.0
 *
 * jsonl.c: jsmn's tokens, then one pass that makes them trustworthy.
 *
 * jsmn finds the tokens fast but lets much pass that is not JSON: "[1,,2]", "{"a" 1}",
 * "[1 2]", "12ab". The pass demands of each token its own separator in front, directly
 * after what the separator separates, and of each closing bracket that nothing but the
 * last child stands before it; so no stray character can hide. On the way it links
 * siblings, which jsmn does not.
 */
#include "base/jsonl.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

enum { TOKENS_MIN = 256 };

/* Of a token: its next sibling, and while scanning its last child so far. */
struct link {
    uint32_t next;
    uint32_t last_child;
};

struct jsonl {
    size_t tokens_max;
    size_t capacity;
    size_t count;
    jsmntok_t *tokens;
    struct link *links;
    const char *line;
    size_t byte_count;
};

struct jsonl *jsonl_new(size_t tokens_max)
{
    struct jsonl *jsonl = mem_alloc(1, sizeof *jsonl);
    jsonl->tokens_max = tokens_max;
    jsonl->capacity = tokens_max < TOKENS_MIN ? tokens_max : TOKENS_MIN;
    jsonl->tokens = mem_alloc(jsonl->capacity, sizeof *jsonl->tokens);
    jsonl->links = mem_alloc(jsonl->capacity, sizeof *jsonl->links);
    return jsonl;
}

void jsonl_delete(struct jsonl *jsonl)
{
    if (jsonl != NULL) {
        mem_free(jsonl->tokens);
        mem_free(jsonl->links);
        mem_free(jsonl);
    }
}

static bool fail_at(size_t at, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "column %zu: %s", at + 1, what);
}

/* --- checking what jsmn lets pass ----------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where the token begins and one past where it ends, quotes included. */
static size_t token_begin(const jsmntok_t *token)
{
    return (size_t)token->start - (token->type == JSMN_STRING ? 1 : 0);
}
static size_t token_end(const jsmntok_t *token)
{
    return (size_t)token->end + (token->type == JSMN_STRING ? 1 : 0);
}

/* One past where a child ends: for a key that is the end of its value. */
static size_t child_end(const struct jsonl *jsonl, uint32_t child)
{
    const jsmntok_t *token = &jsonl->tokens[child];
    const bool is_key = token->type == JSMN_STRING && token->size == 1;
    return token_end(is_key ? token + 1 : token);
}

/* One past the last character before `at` that is not blank; not below `floor`. */
static size_t before_blanks(const char *line, size_t at, size_t floor)
{
    while (at > floor && is_blank(line[at - 1])) {
        at--;
    }
    return at;
}

/* The characters between `from` and `to` are blanks and exactly one `separator`. */
static bool separated_by(const char *line, size_t from, size_t to, char separator)
{
    const size_t after = before_blanks(line, to, from);
    return after > from && line[after - 1] == separator &&
           before_blanks(line, after - 1, from) == from;
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at;
}

/* The grammar of RFC 8259, section 6. */
static bool is_number(const char *at, const char *end)
{
    if (at < end && *at == '-') {
        at++;
    }
    const char *digits = at;
    at = skip_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1)) {
        return false;
    }
    if (at < end && *at == '.') {
        digits = at + 1;
        at = skip_digits(digits, end);
        if (at == digits) {
            return false;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '-' || *at == '+') ? 1 : 0;
        digits = at;
        at = skip_digits(at, end);
        if (at == digits) {
            return false;
        }
    }
    return at == end;
}

static bool is_literal(const char *bytes, size_t byte_count)
{
    return (byte_count == 4 && memcmp(bytes, "true", 4) == 0) ||
           (byte_count == 5 && memcmp(bytes, "false", 5) == 0) ||
           (byte_count == 4 && memcmp(bytes, "null", 4) == 0);
}

static bool check_primitive(const struct jsonl *jsonl, const jsmntok_t *token,
                            struct err *err)
{
    const char *bytes = jsonl->line + token->start;
    const char *end = jsonl->line + token->end;
    if (is_number(bytes, end) || is_literal(bytes, (size_t)(end - bytes))) {
        return true;
    }
    return fail_at((size_t)token->start, err,
                   "neither a number nor true, false or null");
}

/* The separator that token i owes to its parent, and the sibling links. */
static bool check_place(struct jsonl *jsonl, uint32_t i, struct err *err)
{
    const jsmntok_t *token = &jsonl->tokens[i];
    const uint32_t parent_index = (uint32_t)token->parent;
    const jsmntok_t *parent = &jsonl->tokens[parent_index];
    struct link *link = &jsonl->links[parent_index];
    const size_t begin = token_begin(token);
    if (parent->type == JSMN_STRING) {
        const int owner = parent->parent;
        if (owner < 0 || jsonl->tokens[owner].type != JSMN_OBJECT) {
            return fail_at(begin, err, "':' outside an object");
        }
        return separated_by(jsonl->line, token_end(parent), begin, ':') ||
               fail_at(begin, err, "expected one ':' before this");
    }
    if (parent->type == JSMN_OBJECT &&
        (token->type != JSMN_STRING || token->size != 1)) {
        return fail_at(begin, err, "expected \"key\": value");
    }
    if (parent->type == JSMN_PRIMITIVE) {
        return fail_at(begin, err, "expected ',' before this");
    }
    const uint32_t last = link->last_child;
    link->last_child = i;
    if (last == JSONL_NONE) {
        return before_blanks(jsonl->line, begin, (size_t)parent->start + 1) ==
                   (size_t)parent->start + 1 ||
               fail_at(begin, err, "unexpected ',' before this");
    }
    jsonl->links[last].next = i;
    return separated_by(jsonl->line, child_end(jsonl, last), begin, ',') ||
           fail_at(begin, err, "expected one ',' before this");
}

/* Nothing but blanks between a container's last child and its bracket. */
static bool check_close(const struct jsonl *jsonl, uint32_t i, struct err *err)
{
    const jsmntok_t *token = &jsonl->tokens[i];
    const uint32_t last = jsonl->links[i].last_child;
    const size_t from =
        last == JSONL_NONE ? (size_t)token->start + 1 : child_end(jsonl, last);
    const size_t bracket = (size_t)token->end - 1;
    return before_blanks(jsonl->line, bracket, from) == from ||
           fail_at(bracket, err, "unexpected ',' or ':' before this");
}

static bool check_root(const struct jsonl *jsonl, struct err *err)
{
    const jsmntok_t *root = jsonl->tokens;
    if (jsonl->count == 0) {
        return fail_at(0, err, "expected a JSON object, the line is blank");
    }
    if (root->type != JSMN_OBJECT) {
        return fail_at(token_begin(root), err, "expected a JSON object");
    }
    if (before_blanks(jsonl->line, (size_t)root->start, 0) != 0) {
        return fail_at(0, err, "expected '{'");
    }
    for (size_t at = (size_t)root->end; at < jsonl->byte_count; at++) {
        if (!is_blank(jsonl->line[at])) {
            return fail_at(at, err, "more text after the object");
        }
    }
    return true;
}

static bool check_tokens(struct jsonl *jsonl, struct err *err)
{
    if (!check_root(jsonl, err)) {
        return false;
    }
    for (uint32_t i = 0; i < jsonl->count; i++) {
        const jsmntok_t *token = &jsonl->tokens[i];
        jsonl->links[i] = (struct link){JSONL_NONE, JSONL_NONE};
        if (token->type == JSMN_PRIMITIVE && !check_primitive(jsonl, token, err)) {
            return false;
        }
        if (i > 0 && !check_place(jsonl, i, err)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < jsonl->count; i++) {
        const jsmntype_t type = jsonl->tokens[i].type;
        if ((type == JSMN_OBJECT || type == JSMN_ARRAY) &&
            !check_close(jsonl, i, err)) {
            return false;
        }
    }
    return true;
}

/* --- scanning ------------------------------------------------------------------- */

static bool grow_tokens(struct jsonl *jsonl)
{
    if (jsonl->capacity >= jsonl->tokens_max) {
        return false;
    }
    size_t links = jsonl->capacity;
    void *tokens_memory = jsonl->tokens;
    void *links_memory = jsonl->links;
    const bool grown = mem_grow(&tokens_memory, &jsonl->capacity, jsonl->capacity + 1,
                                sizeof *jsonl->tokens, jsonl->tokens_max) &&
                       mem_grow(&links_memory, &links, links + 1, sizeof *jsonl->links,
                                jsonl->tokens_max);
    jsonl->tokens = tokens_memory;
    jsonl->links = links_memory;
    return grown;
}

bool jsonl_scan(struct jsonl *jsonl, const char *line, size_t byte_count,
                struct err *err)
{
    jsmn_parser parser;
    jsmn_init(&parser);
    jsonl->line = line;
    jsonl->byte_count = byte_count;
    jsonl->count = 0;
    int found = JSMN_ERROR_NOMEM;
    while (found == JSMN_ERROR_NOMEM) {
        found = jsmn_parse(&parser, line, byte_count, jsonl->tokens,
                           (unsigned)jsonl->capacity);
        if (found == JSMN_ERROR_NOMEM && !grow_tokens(jsonl)) {
            return err_set(err, ERR_INPUT,
                           "column %u: more than %zu values on one line",
                           parser.pos + 1, jsonl->tokens_max);
        }
    }
    if (found == JSMN_ERROR_PART) {
        return fail_at(byte_count, err, "the line ends inside a value");
    }
    if (found < 0) {
        return fail_at(parser.pos, err, "not JSON");
    }
    /* jsmn stops at a NUL; what is behind it would go unread. */
    if (parser.pos < byte_count) {
        return fail_at(parser.pos, err, "NUL character");
    }
    jsonl->count = (size_t)found;
    return check_tokens(jsonl, err);
}

/* --- reading -------------------------------------------------------------------- */

jsonl_value jsonl_root(const struct jsonl *jsonl)
{
    return jsonl->count > 0 ? 0 : JSONL_NONE;
}

enum jsonl_kind jsonl_kind(const struct jsonl *jsonl, jsonl_value value)
{
    const jsmntok_t *token = &jsonl->tokens[value];
    const char first = jsonl->line[token->start];
    switch (token->type) {
    case JSMN_OBJECT:
        return JSONL_OBJECT;
    case JSMN_ARRAY:
        return JSONL_ARRAY;
    case JSMN_STRING:
        return JSONL_STRING;
    case JSMN_PRIMITIVE:
    case JSMN_UNDEFINED:
        break;
    }
    return first == '-' || (first >= '0' && first <= '9') ? JSONL_NUMBER
                                                          : JSONL_LITERAL;
}

size_t jsonl_count(const struct jsonl *jsonl, jsonl_value value)
{
    const jsmntok_t *token = &jsonl->tokens[value];
    return token->type == JSMN_OBJECT || token->type == JSMN_ARRAY ? (size_t)token->size
                                                                   : 0;
}

jsonl_value jsonl_first(const struct jsonl *jsonl, jsonl_value parent)
{
    return jsonl_count(jsonl, parent) > 0 ? parent + 1 : JSONL_NONE;
}

jsonl_value jsonl_next(const struct jsonl *jsonl, jsonl_value child)
{
    return jsonl->links[child].next;
}

jsonl_value jsonl_of_key(const struct jsonl *jsonl, jsonl_value key)
{
    return jsonl->tokens[key].size == 1 ? key + 1 : JSONL_NONE;
}

jsonl_value jsonl_get(const struct jsonl *jsonl, jsonl_value object, const char *key)
{
    if (object == JSONL_NONE || jsonl->tokens[object].type != JSMN_OBJECT) {
        return JSONL_NONE;
    }
    const size_t length = strlen(key);
    for (jsonl_value at = jsonl_first(jsonl, object); at != JSONL_NONE;
         at = jsonl_next(jsonl, at)) {
        const jsmntok_t *token = &jsonl->tokens[at];
        if ((size_t)(token->end - token->start) == length &&
            memcmp(jsonl->line + token->start, key, length) == 0) {
            return at + 1;
        }
    }
    return JSONL_NONE;
}

void jsonl_bytes(const struct jsonl *jsonl, jsonl_value value, const char **bytes,
                 size_t *byte_count)
{
    const jsmntok_t *token = &jsonl->tokens[value];
    *bytes = jsonl->line + token->start;
    *byte_count = (size_t)(token->end - token->start);
}

size_t jsonl_column(const struct jsonl *jsonl, jsonl_value value)
{
    return token_begin(&jsonl->tokens[value]) + 1;
}

/* A number's digits up to its exponent: value = +-mantissa / 10^fraction. */
struct digits {
    bool negative;
    bool exact; /* mantissa did not overflow */
    bool exponent;
    uint64_t mantissa;
    unsigned fraction;
};

static struct digits read_digits(const char *at, const char *end)
{
    struct digits digits = {.negative = *at == '-', .exact = true};
    bool after_point = false;
    for (at += digits.negative ? 1 : 0; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            after_point = true;
            continue;
        }
        digits.fraction += after_point ? 1 : 0;
        digits.exact =
            digits.exact &&
            !__builtin_mul_overflow(digits.mantissa, UINT64_C(10), &digits.mantissa) &&
            !__builtin_add_overflow(digits.mantissa, (uint64_t)(*at - '0'),
                                    &digits.mantissa);
    }
    digits.exponent = at < end;
    return digits;
}

/* Bytes of a number, or of a string that holds one; false for anything else. */
static bool number_bytes(const struct jsonl *jsonl, jsonl_value value,
                         const char **from, const char **to)
{
    if (value == JSONL_NONE) {
        return false;
    }
    const jsmntok_t *token = &jsonl->tokens[value];
    *from = jsonl->line + token->start;
    *to = jsonl->line + token->end;
    if (token->type == JSMN_PRIMITIVE) {
        return jsonl_kind(jsonl, value) == JSONL_NUMBER;
    }
    return token->type == JSMN_STRING && is_number(*from, *to);
}

/* 10^0 .. 10^22 are exact doubles. */
static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool jsonl_f64(const struct jsonl *jsonl, jsonl_value value, double *out)
{
    const char *from = NULL;
    const char *to = NULL;
    if (!number_bytes(jsonl, value, &from, &to)) {
        return false;
    }
    const struct digits digits = read_digits(from, to);
    /* Both operands exact, so one division rounds once (Clinger 1990). */
    if (digits.exact && !digits.exponent && digits.mantissa <= UINT64_C(1) << 53 &&
        digits.fraction < sizeof powers_of_ten / sizeof powers_of_ten[0]) {
        const double size = (double)digits.mantissa / powers_of_ten[digits.fraction];
        *out = digits.negative ? -size : size;
        return true;
    }
    /* A bracket, comma or quote ends the number: strtod stops there. */
    const double parsed = strtod(from, NULL);
    if (parsed - parsed != 0) {
        return false;
    }
    *out = parsed;
    return true;
}

/* 12.000 -> 12; false when a digit after the point is not zero. */
static bool drop_fraction(struct digits *digits)
{
    for (; digits->fraction > 0; digits->fraction--) {
        if (digits->mantissa % 10 != 0) {
            return false;
        }
        digits->mantissa /= 10;
    }
    return true;
}

bool jsonl_i64(const struct jsonl *jsonl, jsonl_value value, int64_t *out)
{
    const char *from = NULL;
    const char *to = NULL;
    if (!number_bytes(jsonl, value, &from, &to)) {
        return false;
    }
    struct digits digits = read_digits(from, to);
    if (digits.exponent) {
        const double parsed = strtod(from, NULL);
        const double most = 9007199254740992.0; /* 2^53: above, digits are missing */
        if (!(parsed >= -most && parsed <= most) || (double)(int64_t)parsed != parsed) {
            return false;
        }
        *out = (int64_t)parsed;
        return true;
    }
    const uint64_t most = (uint64_t)INT64_MAX + (digits.negative ? 1 : 0);
    if (!digits.exact || !drop_fraction(&digits) || digits.mantissa > most) {
        return false;
    }
    *out = digits.negative && digits.mantissa > 0 ? -(int64_t)(digits.mantissa - 1) - 1
                                                  : (int64_t)digits.mantissa;
    return true;
}
