/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.c: files in, typed values and messages out. The tree is conf_tree.c's business,
 * the format conf_yaml.c's.
 */
#include "base/conf.h"

#include "base/conf_tree.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ASKED_MAX = 4096, PATH_BYTES = 256 };

bool conf_parse(struct conf **out, const char *name, const char *text,
                size_t byte_count, struct err *err)
{
    struct conf *conf = conf_new();
    const struct conf_source source = {
        .origin = name, .text = text, .byte_count = byte_count, .from_file = true};
    struct conf_node *root = NULL;
    if (!conf_build(conf, &source, &root, err)) {
        goto fail;
    }
    if (root == NULL || (root->kind == CONF_SCALAR && root->scalar[0] == '\0')) {
        /* An empty file is an empty map: what it lacks is told by conf_require. */
        root = conf_node_new(conf, CONF_MAP);
        root->origin = arena_strdup(conf->arena, name);
        root->line = 1;
    }
    if (root->kind == CONF_SCALAR) {
        (void)conf_fail(root, err, "one bare value; write 'key: value' lines");
        goto fail;
    }
    conf->root = root;
    *out = conf;
    return true;
fail:
    conf_delete(conf);
    return false;
}

bool conf_parse_documents(struct conf **out, const char *name, const char *text,
                          size_t byte_count, struct err *err)
{
    struct conf *conf = conf_new();
    const struct conf_source source = {.origin = name,
                                       .text = text,
                                       .byte_count = byte_count,
                                       .from_file = true,
                                       .foreign = true};
    if (!conf_build(conf, &source, &conf->root, err)) {
        conf_delete(conf);
        return false;
    }
    *out = conf;
    return true;
}

typedef bool parse_fn(struct conf **, const char *, const char *, size_t, struct err *);

static bool load(struct conf **out, const char *path, parse_fn *parse, struct err *err)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    char *text = NULL;
    size_t capacity = 0;
    size_t length = 0;
    bool held = true;
    for (;;) {
        void *bytes = text;
        (void)mem_grow(&bytes, &capacity, length + 1, 1, CONF_FILE_BYTES_MAX + 1);
        text = bytes;
        const size_t count = fread(text + length, 1, capacity - length, file);
        length += count;
        if (count == 0 || length > CONF_FILE_BYTES_MAX) {
            break;
        }
    }
    if (ferror(file)) {
        held = err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    (void)fclose(file);
    held = held && parse(out, path, text, length, err);
    mem_free(text);
    return held;
}

bool conf_load(struct conf **out, const char *path, struct err *err)
{
    return load(out, path, conf_parse, err);
}

bool conf_load_documents(struct conf **out, const char *path, struct err *err)
{
    return load(out, path, conf_parse_documents, err);
}

const struct conf_node *conf_root(const struct conf *conf)
{
    return conf->root;
}

enum conf_kind conf_kind(const struct conf_node *node)
{
    return node->kind;
}

const char *conf_path(const struct conf_node *node)
{
    return node->origin;
}

uint32_t conf_line(const struct conf_node *node)
{
    return node->line;
}

static void remember_asked(struct conf_marks *marks, const struct conf_node *map,
                           const char *key)
{
    for (size_t i = 0; i < marks->asked_count; i++) {
        if (strcmp(marks->asked[i], key) == 0) {
            return;
        }
    }
    void *asked = marks->asked;
    if (!mem_grow(&asked, &marks->asked_capacity, marks->asked_count + 1,
                  sizeof(char *), ASKED_MAX)) {
        return; /* suggestions get poorer, nothing else */
    }
    marks->asked = asked;
    marks->asked[marks->asked_count++] = arena_strdup(map->conf->arena, key);
}

const struct conf_node *conf_get(const struct conf_node *map, const char *key)
{
    if (map == NULL || map->kind != CONF_MAP) {
        return NULL;
    }
    remember_asked(map->marks, map, key);
    const struct conf_node *child = conf_node_find(map, key);
    if (child != NULL) {
        child->marks->known = true;
    }
    return child;
}

size_t conf_count(const struct conf_node *node)
{
    return node != NULL ? node->count : 0;
}

const struct conf_node *conf_at(const struct conf_node *node, size_t index)
{
    return index < conf_count(node) ? node->children[index] : NULL;
}

const char *conf_key_at(const struct conf_node *map, size_t index)
{
    const struct conf_node *child = conf_at(map, index);
    if (child == NULL) {
        return NULL;
    }
    child->marks->known = true;
    return child->key;
}

const char *conf_name(const struct conf_node *node)
{
    return node != NULL ? node->key : NULL;
}

const char *conf_scalar(const struct conf_node *node)
{
    return node != NULL && node->kind == CONF_SCALAR ? node->scalar : NULL;
}

bool conf_is_quoted(const struct conf_node *node)
{
    return node != NULL && node->quoted;
}

bool conf_fail(const struct conf_node *node, struct err *err, const char *format, ...)
{
    struct err what = {ERR_INPUT, ""};
    va_list args;
    va_start(args, format);
    (void)err_set_va(&what, ERR_INPUT, format, args);
    va_end(args);
    if (node == NULL) {
        return err_set(err, ERR_INPUT, "%s", what.text);
    }
    if (node->line == 0) {
        return err_set(err, ERR_INPUT, "%s: %s", node->origin, what.text);
    }
    return err_set(err, ERR_INPUT, "%s:%" PRIu32 ": %s", node->origin, node->line,
                   what.text);
}

/* Where paths in messages start. */
static bool is_top(const struct conf_node *node)
{
    return node->parent == NULL || node->document;
}

/* "cluster.pools.0.replicas", cut at the front when too long. */
static void dotted_path(const struct conf_node *node, char path[PATH_BYTES])
{
    size_t start = PATH_BYTES - 1;
    path[start] = '\0';
    for (; !is_top(node); node = node->parent) {
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", node->index);
        const char *part = node->key != NULL ? node->key : number;
        const size_t length = strlen(part);
        if (length + 1 > start) {
            break;
        }
        if (path[start] != '\0') {
            path[--start] = '.';
        }
        start -= length;
        memcpy(path + start, part, length);
    }
    memmove(path, path + start, PATH_BYTES - start);
}

/* "file:line: path: what" */
static bool fail_at(const struct conf_node *node, struct err *err, const char *what)
{
    char path[PATH_BYTES];
    dotted_path(node, path);
    return conf_fail(node, err, "%s: %s", path, what);
}

static const char *const kind_names[] = {
    [CONF_SCALAR] = "a single value", [CONF_MAP] = "a map", [CONF_LIST] = "a list"};

static bool wrong_kind(const struct conf_node *node, enum conf_kind wanted,
                       struct err *err)
{
    char what[PATH_BYTES];
    (void)snprintf(what, sizeof what, "is %s; it must be %s", kind_names[node->kind],
                   kind_names[wanted]);
    return fail_at(node, err, what);
}

/* *node is NULL when the key is absent. */
static bool get_scalar(const struct conf_node *map, const char *key,
                       const struct conf_node **node, struct err *err)
{
    *node = conf_get(map, key);
    if (*node == NULL) {
        return true;
    }
    if ((*node)->kind != CONF_SCALAR) {
        return wrong_kind(*node, CONF_SCALAR, err);
    }
    if ((*node)->scalar[0] == '\0' && !(*node)->quoted) {
        return fail_at(*node, err, "has no value; write one or drop the key");
    }
    return true;
}

bool conf_bool(const struct conf_node *map, const char *key, bool *out, struct err *err)
{
    const struct conf_node *node = NULL;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node == NULL) {
        return true;
    }
    if (strcmp(node->scalar, "true") != 0 && strcmp(node->scalar, "false") != 0) {
        char what[PATH_BYTES];
        (void)snprintf(what, sizeof what, "\"%s\" is neither true nor false",
                       node->scalar);
        return fail_at(node, err, what);
    }
    *out = node->scalar[0] == 't';
    return true;
}

bool conf_str(const struct conf_node *map, const char *key, const char **out,
              struct err *err)
{
    const struct conf_node *node = NULL;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node != NULL) {
        *out = node->scalar;
    }
    return true;
}

bool conf_u64(const struct conf_node *map, const char *key, uint64_t *out,
              struct err *err)
{
    const struct conf_node *node = NULL;
    struct err why;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node != NULL && !unit_u64(node->scalar, out, &why)) {
        return fail_at(node, err, why.text);
    }
    return true;
}

/* Key, target and range are one thought; a struct would lengthen every call. */
/* NOLINTNEXTLINE(readability-function-size) */
bool conf_u32(const struct conf_node *map, const char *key, uint32_t *out, uint32_t min,
              uint32_t max, struct err *err)
{
    const struct conf_node *node = NULL;
    struct err why;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node == NULL) {
        return true;
    }
    uint64_t value = 0;
    if (!unit_u64(node->scalar, &value, &why) || value < min || value > max) {
        char what[PATH_BYTES];
        (void)snprintf(what, sizeof what,
                       "\"%.80s\" is not a whole number from %" PRIu32 " to %" PRIu32,
                       node->scalar, min, max);
        return fail_at(node, err, what);
    }
    *out = (uint32_t)value;
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): as conf_u32 */
bool conf_count_u32(const struct conf_node *map, const char *key, uint32_t *out,
                    uint32_t min, uint32_t max, struct err *err)
{
    const char *text = conf_scalar(conf_get(map, key));
    double value = 0.0;
    struct err why;
    if (text != NULL && text[0] == '\0') {
        return true;
    }
    if (text == NULL || strchr(text, '.') == NULL || !unit_number(text, &value, &why) ||
        value != floor(value) || !(value >= min && value <= max)) {
        return conf_u32(map, key, out, min, max, err);
    }
    *out = (uint32_t)value;
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): as conf_u32 */
bool conf_f64(const struct conf_node *map, const char *key, double *out, double min,
              double max, struct err *err)
{
    const struct conf_node *node = NULL;
    struct err why;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node == NULL) {
        return true;
    }
    double value = 0;
    if (!unit_number(node->scalar, &value, &why)) {
        return fail_at(node, err, why.text);
    }
    if (value < min || value > max) {
        char what[PATH_BYTES];
        (void)snprintf(what, sizeof what, "%.80s is outside %g to %g", node->scalar,
                       min, max);
        return fail_at(node, err, what);
    }
    *out = value;
    return true;
}

bool conf_duration_ns(const struct conf_node *map, const char *key, int64_t *out,
                      struct err *err)
{
    const struct conf_node *node = NULL;
    struct err why;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node != NULL && !unit_duration_ns(node->scalar, out, &why)) {
        return fail_at(node, err, why.text);
    }
    return true;
}

bool conf_bytes(const struct conf_node *map, const char *key, uint64_t *out,
                struct err *err)
{
    const struct conf_node *node = NULL;
    struct err why;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node != NULL && !unit_bytes(node->scalar, out, &why)) {
        return fail_at(node, err, why.text);
    }
    return true;
}

static bool get_container(const struct conf_node *map, const char *key,
                          enum conf_kind kind, const struct conf_node **out,
                          struct err *err)
{
    const struct conf_node *node = conf_get(map, key);
    *out = NULL;
    if (node == NULL) {
        return true;
    }
    if (node->kind == kind) {
        *out = node;
        return true;
    }
    /* "faults:" with nothing after it is an empty map or list. */
    if (node->kind == CONF_SCALAR && node->scalar[0] == '\0' && !node->quoted) {
        return true;
    }
    return wrong_kind(node, kind, err);
}

bool conf_map(const struct conf_node *map, const char *key,
              const struct conf_node **out, struct err *err)
{
    return get_container(map, key, CONF_MAP, out, err);
}

bool conf_list(const struct conf_node *map, const char *key,
               const struct conf_node **out, struct err *err)
{
    return get_container(map, key, CONF_LIST, out, err);
}

bool conf_enum(const struct conf_node *map, const char *key, const char *const *names,
               uint32_t *out, struct err *err)
{
    const struct conf_node *node = NULL;
    if (!get_scalar(map, key, &node, err)) {
        return false;
    }
    if (node == NULL) {
        return true;
    }
    struct text allowed = {NULL, 0, 0};
    for (uint32_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], node->scalar) == 0) {
            *out = i;
            text_fini(&allowed);
            return true;
        }
        text_printf(&allowed, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    struct err why;
    (void)err_set(&why, ERR_INPUT, "\"%.80s\" is not one of %s", node->scalar,
                  text_str(&allowed));
    text_fini(&allowed);
    return fail_at(node, err, why.text);
}

bool conf_require(const struct conf_node *map, const char *key, struct err *err)
{
    if (conf_get(map, key) != NULL) {
        return true;
    }
    if (map == NULL || is_top(map)) {
        return conf_fail(map, err, "key '%s' is missing; add it", key);
    }
    char path[PATH_BYTES];
    dotted_path(map, path);
    return conf_fail(map, err, "%s: key '%s' is missing; add it", path, key);
}

static bool unknown_key(const struct conf_node *node, struct err *err)
{
    const struct conf_marks *marks = node->parent->marks;
    const char *meant = nearest_word(node->key, marks->asked, marks->asked_count);
    char path[PATH_BYTES];
    dotted_path(node, path);
    if (meant != NULL) {
        return conf_fail(node, err, "%s: unknown key; did you mean '%s'?", path, meant);
    }
    struct text known = {NULL, 0, 0};
    for (size_t i = 0; i < marks->asked_count && known.length < 300; i++) {
        text_printf(&known, "%s%s", i > 0 ? ", " : "", marks->asked[i]);
    }
    (void)conf_fail(node, err, "%s: unknown key; known here: %s", path,
                    marks->asked_count > 0 ? text_str(&known) : "none");
    text_fini(&known);
    return false;
}

void conf_leave(const struct conf_node *node)
{
    if (node != NULL) {
        node->marks->left = true;
    }
}

/* Whether a node between `at` and `top` was left to another reader. */
static bool is_left(const struct conf_node *at, const struct conf_node *top)
{
    for (at = at->parent; at != NULL && at != top; at = at->parent) {
        if (at->marks->left) {
            return true;
        }
    }
    return false;
}

const struct conf_node *conf_next_unknown(const struct conf_node *top,
                                          const struct conf_node *after,
                                          struct err *what)
{
    const struct conf_node *at = after == NULL ? top : conf_node_walk_past(top, after);
    for (; at != NULL; at = conf_node_walk(top, at)) {
        if (at != top && at->key != NULL && !at->marks->known && !is_left(at, top)) {
            (void)unknown_key(at, what);
            return at;
        }
    }
    return NULL;
}

bool conf_done(const struct conf_node *node, struct err *err)
{
    return node == NULL || conf_next_unknown(node, NULL, err) == NULL;
}
