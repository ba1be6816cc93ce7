/* SPDX-License-Identifier: Apache-2.0
 *
 * conf_yaml.c: libyaml's events into the tree, and the tree into events.
 *
 * Events and not libyaml's own documents, because those resolve aliases (bombs) and
 * drop what we want to refuse.
 */
#include "base/check.h"
#include "base/conf_alias.h"
#include "base/hash.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { WHAT_BYTES = 256 };

/* One run over the events of one text. */
struct builder {
    struct conf *conf;
    yaml_parser_t parser;
    struct map *keys; /* (map node, key) -> index of the child's node */
    const char *origin;
    bool from_file;               /* nodes get their lines */
    struct conf_anchors *anchors; /* NULL: our own YAML, which has none */
    uint32_t document;            /* number of the one being read */
    struct conf_node *root;
    struct conf_node *open; /* innermost map or list still open */
    uint32_t depth_offset;  /* depth of the place where the root will be put */
    const char *key;        /* read, waiting for its value */
    uint32_t key_line;
    struct err *err;
};

static bool build_fail(const struct builder *builder, size_t line, const char *what)
{
    if (!builder->from_file) {
        return err_set(builder->err, ERR_INPUT, "%s: %s", builder->origin, what);
    }
    return err_set(builder->err, ERR_INPUT, "%s:%zu: %s", builder->origin, line, what);
}

static size_t event_line(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

/* False when the open map has the key already; err says where. */
static bool key_is_new(struct builder *builder, size_t line, const char *key)
{
    const uint64_t hash = hash_xxh64(key, strlen(key), (uintptr_t)builder->open);
    uint32_t other = 0;
    if (map_get(builder->keys, hash, &other) &&
        strcmp(builder->conf->nodes[other]->key, key) == 0) {
        char what[WHAT_BYTES];
        (void)snprintf(
            what, sizeof what,
            "key '%s' stands here for the second time (first on line %" PRIu32
            "); drop one of them",
            key, builder->conf->nodes[other]->line);
        return build_fail(builder, line, what);
    }
    map_put(builder->keys, hash, (uint32_t)builder->conf->node_count);
    return true;
}

/* Puts a node, a copy of an aliased one included, where the file is. */
static void place_node(struct builder *builder, struct conf_node *node)
{
    if (builder->open == NULL) {
        builder->root = node;
        node->depth = builder->depth_offset;
        return;
    }
    if (builder->open->kind == CONF_MAP) {
        node->key = builder->key;
        node->line = builder->from_file ? builder->key_line : 0;
        builder->key = NULL;
    }
    node->document = builder->anchors != NULL && builder->open == builder->root;
    conf_node_adopt(builder->open, node);
}

/* A node where the file has it; NULL when there are too many (err is set). */
static struct conf_node *build_node(struct builder *builder, const yaml_event_t *event,
                                    enum conf_kind kind)
{
    struct conf_node *node = conf_node_new(builder->conf, kind);
    if (node == NULL) {
        (void)build_fail(builder, event_line(event),
                         "more than 200000 values in one file; split it");
        return NULL;
    }
    node->origin = builder->origin;
    node->line = builder->from_file ? (uint32_t)event_line(event) : 0;
    place_node(builder, node);
    return node;
}

/* Remembers the node that was just begun under its anchor, if it has one. */
static void build_anchor(const struct builder *builder, const yaml_char_t *anchor,
                         struct conf_node *node)
{
    if (anchor != NULL && builder->anchors != NULL) {
        conf_anchors_put(builder->anchors, builder->document, (const char *)anchor,
                         node);
    }
}

static bool build_open(struct builder *builder, const yaml_event_t *event,
                       enum conf_kind kind, const yaml_char_t *anchor)
{
    if (builder->open != NULL && builder->open->kind == CONF_MAP &&
        builder->key == NULL) {
        return build_fail(builder, event_line(event),
                          "a key must be a plain word, not a map or list");
    }
    struct conf_node *node = build_node(builder, event, kind);
    if (node == NULL) {
        return false;
    }
    if (node->depth >= CONF_DEPTH_MAX) {
        return build_fail(builder, event_line(event),
                          "nested deeper than 32 levels; flatten it");
    }
    build_anchor(builder, anchor, node);
    builder->open = node;
    return true;
}

static bool build_key(struct builder *builder, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        return build_fail(builder, event_line(event), "a key holds a NUL character");
    }
    if (builder->anchors == NULL && strcmp(text, "<<") == 0) {
        return build_fail(builder, event_line(event),
                          "merge keys (<<) are not supported; write the keys out");
    }
    if (!key_is_new(builder, event_line(event), text)) {
        return false;
    }
    builder->key = arena_strdup(builder->conf->arena, text);
    builder->key_line = (uint32_t)event_line(event);
    return true;
}

static bool build_scalar(struct builder *builder, const yaml_event_t *event,
                         const yaml_char_t *anchor)
{
    if (builder->open != NULL && builder->open->kind == CONF_MAP &&
        builder->key == NULL) {
        return build_key(builder, event);
    }
    struct conf_node *node = build_node(builder, event, CONF_SCALAR);
    if (node == NULL) {
        return false;
    }
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length) {
        return build_fail(builder, event_line(event), "a value holds a NUL character");
    }
    const char *tag = (const char *)event->data.scalar.tag;
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                   (tag != NULL && strcmp(tag, YAML_STR_TAG) == 0);
    const bool null =
        !node->quoted && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
    node->scalar = arena_strdup(builder->conf->arena, null ? "" : text);
    build_anchor(builder, anchor, node);
    return true;
}

/* In our own files anchors and tags are refused wherever they stand; in those of others
 * anchors and YAML's own tags are taken. */
static bool build_plain(const struct builder *builder, const yaml_event_t *event,
                        const yaml_char_t *anchor, const yaml_char_t *tag)
{
    const char *own = "tag:yaml.org,2002:";
    if (builder->anchors != NULL &&
        (tag == NULL || strncmp((const char *)tag, own, strlen(own)) == 0)) {
        return true;
    }
    if (anchor != NULL && builder->anchors == NULL) {
        return build_fail(builder, event_line(event),
                          "anchors (&name) are not supported; write the value out");
    }
    if (tag != NULL) {
        return build_fail(builder, event_line(event),
                          "tags (!name) are not supported; drop the tag");
    }
    return true;
}

static bool build_alias(struct builder *builder, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const struct conf_node *open = builder->open;
    char what[WHAT_BYTES];
    if (builder->anchors == NULL) {
        return build_fail(builder, event_line(event),
                          "aliases (*name) are not supported; write the value out");
    }
    const struct conf_node *source =
        conf_anchors_find(builder->anchors, builder->document, name);
    if (source == NULL) {
        (void)snprintf(what, sizeof what,
                       "alias *%.60s: no anchor &%.60s stands above in this document",
                       name, name);
        return build_fail(builder, event_line(event), what);
    }
    for (const struct conf_node *at = open; at != NULL; at = at->parent) {
        if (at == source) {
            (void)snprintf(what, sizeof what,
                           "alias *%.60s stands inside of what it names (&%.60s on "
                           "line %" PRIu32 "): a cycle without end; write it out",
                           name, name, source->line);
            return build_fail(builder, event_line(event), what);
        }
    }
    CHECK(open != NULL, "alias *%s stands in no document", name);
    if (open->kind == CONF_MAP && builder->key == NULL) {
        return build_fail(builder, event_line(event),
                          "a key must be a plain word, not an alias (*name)");
    }
    const char *why = NULL;
    struct conf_node *copy = conf_node_copy(source, open->depth + 1, &why);
    if (copy == NULL) {
        return build_fail(builder, event_line(event), why);
    }
    copy->key = NULL;
    place_node(builder, copy);
    return true;
}

static bool build_close(struct builder *builder, const yaml_event_t *event)
{
    struct conf_node *closed = builder->open;
    const char *what = NULL;
    builder->open = closed->parent;
    return builder->anchors == NULL || closed->kind != CONF_MAP ||
           conf_node_merge(closed, &what) ||
           build_fail(builder, event_line(event), what);
}

/* The list that holds the documents of a foreign file. */
static void build_documents(struct builder *builder)
{
    builder->root = conf_node_new(builder->conf, CONF_LIST);
    builder->root->origin = builder->origin;
    builder->root->line = 1;
    builder->open = builder->root;
    builder->anchors = conf_anchors_new();
}

/* false with *done: the text ended; without: an error. */
static bool build_event(struct builder *builder, const yaml_event_t *event, bool *done)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return build_plain(builder, event, event->data.scalar.anchor,
                           event->data.scalar.tag) &&
               build_scalar(builder, event, event->data.scalar.anchor);
    case YAML_MAPPING_START_EVENT:
        return build_plain(builder, event, event->data.mapping_start.anchor,
                           event->data.mapping_start.tag) &&
               build_open(builder, event, CONF_MAP, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_START_EVENT:
        return build_plain(builder, event, event->data.sequence_start.anchor,
                           event->data.sequence_start.tag) &&
               build_open(builder, event, CONF_LIST, event->data.sequence_start.anchor);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return build_close(builder, event);
    case YAML_ALIAS_EVENT:
        return build_alias(builder, event);
    case YAML_DOCUMENT_START_EVENT:
        builder->document++;
        if (builder->root != NULL && builder->anchors == NULL) {
            return build_fail(builder, event_line(event),
                              "a second document (---) in one file; split it");
        }
        return true;
    case YAML_STREAM_END_EVENT:
        *done = true;
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return true;
}

static bool build_all(struct builder *builder)
{
    bool done = false;
    while (!done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&builder->parser, &event)) {
            char what[WHAT_BYTES];
            const char *context = builder->parser.context;
            (void)snprintf(what, sizeof what, "not YAML: %s%s%s",
                           builder->parser.problem != NULL ? builder->parser.problem
                                                           : "unreadable",
                           context != NULL ? " " : "", context != NULL ? context : "");
            return build_fail(builder, builder->parser.problem_mark.line + 1, what);
        }
        const bool held = build_event(builder, &event, &done);
        yaml_event_delete(&event);
        if (!held) {
            return false;
        }
    }
    return true;
}

bool conf_build(struct conf *conf, const struct conf_source *source,
                struct conf_node **root, struct err *err)
{
    if (source->byte_count > CONF_FILE_BYTES_MAX) {
        return err_set(err, ERR_INPUT, "%s: larger than 16 MiB; split it",
                       source->origin);
    }
    struct builder builder = {.conf = conf,
                              .origin = arena_strdup(conf->arena, source->origin),
                              .from_file = source->from_file,
                              .depth_offset = source->depth_offset,
                              .err = err};
    if (!yaml_parser_initialize(&builder.parser)) {
        return err_set(err, ERR_IO, "%s: out of memory", source->origin);
    }
    /* libyaml counts a byte order mark as a column, and the keys of the first line no
     * longer stand where those of the others do. */
    const size_t mark =
        source->byte_count >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml_parser_set_input_string(
        &builder.parser,
        (const unsigned char *)(source->byte_count > 0 ? source->text + mark : ""),
        source->byte_count - mark);
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    builder.keys = map_new(0, CONF_NODES_MAX);
    if (source->foreign) {
        build_documents(&builder);
    }
    const bool held = build_all(&builder);
    map_delete(builder.keys);
    conf_anchors_delete(builder.anchors);
    yaml_parser_delete(&builder.parser);
    *root = builder.root;
    return held;
}

static int write_text(void *context, unsigned char *bytes, size_t byte_count)
{
    text_add_bytes(context, (const char *)bytes, byte_count);
    return 1;
}

/* libyaml's emitter fails only without memory. */
static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int made)
{
    CHECK(made && yaml_emitter_emit(emitter, event), "YAML cannot be written: %s",
          emitter->problem != NULL ? emitter->problem : "out of memory");
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted)
{
    yaml_event_t event;
    const yaml_scalar_style_t style =
        quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_ANY_SCALAR_STYLE;
    emit(emitter, &event,
         yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                      (int)strlen(text), 1, 1, style));
}

static void emit_start(yaml_emitter_t *emitter, const struct conf_node *node)
{
    yaml_event_t event;
    if (node->key != NULL) {
        emit_scalar(emitter, node->key, false);
    }
    if (node->kind == CONF_SCALAR) {
        emit_scalar(emitter, node->scalar, node->quoted);
    } else if (node->kind == CONF_MAP) {
        emit(emitter, &event,
             yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                                 YAML_BLOCK_MAPPING_STYLE));
    } else {
        emit(emitter, &event,
             yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                  YAML_BLOCK_SEQUENCE_STYLE));
    }
}

static void emit_end(yaml_emitter_t *emitter, const struct conf_node *node)
{
    yaml_event_t event;
    if (node->kind == CONF_MAP) {
        emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
    } else if (node->kind == CONF_LIST) {
        emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
    }
}

static void emit_tree(yaml_emitter_t *emitter, const struct conf_node *root)
{
    const struct conf_node *node = root;
    while (node != NULL) {
        emit_start(emitter, node);
        const struct conf_node *next = conf_node_walk(root, node);
        /* Close all that ends between this node and the next. */
        const struct conf_node *until = next != NULL ? next->parent : NULL;
        for (const struct conf_node *at = node; at != NULL && at != until;
             at = at == root ? NULL : at->parent) {
            emit_end(emitter, at);
        }
        node = next;
    }
}

void conf_print(const struct conf *conf, struct text *out)
{
    yaml_emitter_t emitter;
    yaml_event_t event;
    CHECK(yaml_emitter_initialize(&emitter), "YAML cannot be written: out of memory");
    yaml_emitter_set_output(&emitter, write_text, out);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    emit(&emitter, &event,
         yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(&emitter, &event,
         yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    emit_tree(&emitter, conf->root);
    emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
    emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
}
