/* SPDX-License-Identifier: Apache-2.0
 *
 * dynamic.c: the JSON of spec/production-stack.md 5.2, turned into the strings that the
 * command line would have.
 */
#include "router/dynamic.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES_MAX = 16 * 1024 * 1024, PODS_BYTES_MAX = 64 * 1024 * 1024 };

struct dynamic {
    const char *path;
    struct config_text flags;
    struct config_world world;
    struct text seen; /* the content in force */
    bool seen_at_start;
    bool has_seen;
    struct arena *pods; /* what world.pods points to; NULL before discovery */
};

/* Strings of a file live in its JSON tree. */
struct file {
    struct json *tree;
    struct config_text text;
};

struct dynamic *dynamic_new(const char *path, const struct config_text *flags,
                            const struct config_world *world)
{
    struct dynamic *dynamic = mem_alloc(1, sizeof *dynamic);
    dynamic->path = path;
    dynamic->flags = *flags;
    dynamic->world = *world;
    return dynamic;
}

void dynamic_delete(struct dynamic *dynamic)
{
    text_fini(&dynamic->seen);
    arena_delete(dynamic->pods);
    mem_free(dynamic);
}

static bool read_bytes(const char *path, struct text *out, struct err *err)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    char piece[16384];
    size_t count = 0;
    while ((count = fread(piece, 1, sizeof piece, stream)) > 0 &&
           out->length < FILE_BYTES_MAX) {
        text_add_bytes(out, piece, count);
    }
    const bool broken = ferror(stream) != 0;
    (void)fclose(stream);
    if (broken || out->length >= FILE_BYTES_MAX) {
        return err_set(err, ERR_INPUT, "%s: cannot be read, or above 16 MiB", path);
    }
    return true;
}

/* --- fields ----------------------------------------------------------------------- */

enum field_kind { FIELD_STRING, FIELD_NUMBER, FIELD_BOOL, FIELD_IGNORED };
static const struct {
    const char *name;
    enum field_kind kind;
    size_t offset;
} FIELDS[] = {
#define AT(field) offsetof(struct config_text, field)
    {"service_discovery", FIELD_STRING, AT(service_discovery)},
    {"routing_logic", FIELD_STRING, AT(routing_logic)},
    {"static_backends", FIELD_STRING, AT(static_backends)},
    {"static_models", FIELD_STRING, AT(static_models)},
    {"static_aliases", FIELD_STRING, AT(static_aliases)},
    {"static_model_labels", FIELD_STRING, AT(static_model_labels)},
    {"static_model_types", FIELD_STRING, AT(static_model_types)},
    {"session_key", FIELD_STRING, AT(session_key)},
    {"prefill_model_labels", FIELD_STRING, AT(prefill_model_labels)},
    {"decode_model_labels", FIELD_STRING, AT(decode_model_labels)},
    {"routing_params", FIELD_STRING, AT(routing_params)},
    {"static_backend_health_checks", FIELD_BOOL, AT(health_checks)},
    {"static_backend_health_check_interval", FIELD_NUMBER, AT(health_interval_s)},
    {"static_backend_health_check_timeout_seconds", FIELD_NUMBER, AT(health_timeout_s)},
    {"prefix_min_match_length", FIELD_NUMBER, AT(prefix_min_match_length)},
    {"k8s_port", FIELD_IGNORED, 0},
    {"k8s_namespace", FIELD_IGNORED, 0},
    {"k8s_label_selector", FIELD_IGNORED, 0},
    {"callbacks", FIELD_IGNORED, 0},
#undef AT
};

static bool read_field(const char *path, const struct json *value, size_t field,
                       struct config_text *text, struct err *err)
{
    void *const place = (char *)text + FIELDS[field].offset;
    int64_t number = 0;
    switch (FIELDS[field].kind) {
    case FIELD_IGNORED:
        return true;
    case FIELD_STRING:
        if (json_str(value) == NULL) {
            return err_set(err, ERR_INPUT, "%s: %s is not a string", path,
                           FIELDS[field].name);
        }
        *(const char **)place = json_str(value);
        return true;
    case FIELD_NUMBER:
        if (!json_i64(value, &number) || number <= 0 || number > 1000000000) {
            return err_set(err, ERR_INPUT, "%s: %s is not a positive whole number",
                           path, FIELDS[field].name);
        }
        *(uint64_t *)place = (uint64_t)number;
        return true;
    case FIELD_BOOL:
        if (!json_bool(value, place)) {
            return err_set(err, ERR_INPUT, "%s: %s is not true or false", path,
                           FIELDS[field].name);
        }
        text->health_checks_given = true;
        return true;
    }
    return true;
}

/* Unknown keys make the whole file void, as in the stack. */
static bool read_fields(const char *path, const struct json *tree,
                        struct config_text *text, struct err *err)
{
    for (const struct json *value = json_first_member(tree); value != NULL;
         value = json_next(value)) {
        const char *key = json_name(value);
        size_t field = 0;
        while (field < sizeof FIELDS / sizeof FIELDS[0] &&
               strcmp(FIELDS[field].name, key) != 0) {
            field++;
        }
        if (field == sizeof FIELDS / sizeof FIELDS[0]) {
            return err_set(err, ERR_INPUT, "%s: unknown key '%s'", path, key);
        }
        if (!json_is_null(value) && !read_field(path, value, field, text, err)) {
            return false;
        }
    }
    return true;
}

static bool parse(const char *path, const struct text *bytes, struct file *file,
                  struct err *err)
{
    if (!json_parse(&file->tree, path, text_str(bytes), bytes->length, err)) {
        return false;
    }
    if (!read_fields(path, file->tree, &file->text, err)) {
        json_delete(file->tree);
        file->tree = NULL;
        return false;
    }
    return true;
}

/* --- merging ---------------------------------------------------------------------- */

static size_t item_count(const char *list)
{
    size_t count = list != NULL ? 1 : 0;
    for (; list != NULL && *list != '\0'; list++) {
        count += *list == ',';
    }
    return count;
}

/* A list of the command line belongs to its backends: with others it may not fit. */
static void fill_list(const char **list, const char *given, const char *backends)
{
    if (*list == NULL && item_count(given) == item_count(backends)) {
        *list = given;
    }
}

static void fill_lists(struct config_text *text, const struct config_text *from)
{
    if (text->static_backends == NULL && text->static_models == NULL) {
        text->static_backends = from->static_backends;
        text->static_models = from->static_models;
    }
    fill_list(&text->static_model_labels, from->static_model_labels,
              text->static_backends);
    fill_list(&text->static_model_types, from->static_model_types,
              text->static_backends);
    fill_list(&text->static_kv_events, from->static_kv_events, text->static_backends);
    if (!text->health_checks_given && text->static_model_types != NULL) {
        text->health_checks = from->health_checks;
    }
}

static bool is_list(size_t field)
{
    static const char *const LISTS[] = {"static_backends", "static_models",
                                        "static_model_labels", "static_model_types"};
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
        if (strcmp(FIELDS[field].name, LISTS[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What `text` leaves out and `from` has. */
static void fill(struct config_text *text, const struct config_text *from)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        const void *given = (const char *)from + FIELDS[i].offset;
        void *place = (char *)text + FIELDS[i].offset;
        if (FIELDS[i].kind == FIELD_STRING && !is_list(i)) {
            const char **string = place;
            *string = *string != NULL ? *string : *(const char *const *)given;
        } else if (FIELDS[i].kind == FIELD_NUMBER) {
            uint64_t *number = place;
            *number = *number != 0 ? *number : *(const uint64_t *)given;
        }
    }
    fill_lists(text, from);
}

static bool load(struct dynamic *dynamic, bool at_start, const struct text *bytes,
                 struct config **out, struct err *err)
{
    struct file file = {0};
    if (!parse(dynamic->path, bytes, &file, err)) {
        return false;
    }
    /* At start the command line wins and the file fills in, later the other way. */
    struct config_text text = at_start ? dynamic->flags : file.text;
    fill(&text, at_start ? &file.text : &dynamic->flags);
    struct err why = {0};
    const bool good = config_new(out, &text, &dynamic->world, &why);
    json_delete(file.tree);
    if (!good) {
        return err_set(err, why.kind, "%s: %s", dynamic->path, why.text);
    }
    return true;
}

/* Takes the bytes. */
static void keep(struct dynamic *dynamic, bool at_start, struct text *bytes)
{
    text_fini(&dynamic->seen);
    dynamic->seen = *bytes;
    dynamic->seen_at_start = at_start;
    dynamic->has_seen = true;
    *bytes = (struct text){0};
}

bool dynamic_first(struct dynamic *dynamic, struct config **out, struct err *err)
{
    if (dynamic->path == NULL) {
        return config_new(out, &dynamic->flags, &dynamic->world, err);
    }
    struct text bytes = {0};
    const bool good =
        read_bytes(dynamic->path, &bytes, err) && load(dynamic, true, &bytes, out, err);
    if (good) {
        keep(dynamic, true, &bytes);
    }
    text_fini(&bytes);
    return good;
}

static bool is_seen(const struct dynamic *dynamic, const struct text *bytes)
{
    return dynamic->has_seen && dynamic->seen.length == bytes->length &&
           memcmp(text_str(&dynamic->seen), text_str(bytes), bytes->length) == 0;
}

struct config *dynamic_poll(void *context, bool *failed, struct err *err)
{
    struct dynamic *dynamic = context;
    struct config *config = NULL;
    struct text bytes = {0};
    *failed = !read_bytes(dynamic->path, &bytes, err);
    if (!*failed && !is_seen(dynamic, &bytes)) {
        *failed = !load(dynamic, false, &bytes, &config, err);
        if (!*failed) {
            keep(dynamic, false, &bytes);
        }
    }
    text_fini(&bytes);
    return config;
}

static void keep_pods(struct dynamic *dynamic, const struct config_backend *pods,
                      size_t count)
{
    arena_delete(dynamic->pods);
    dynamic->pods = arena_new(PODS_BYTES_MAX);
    struct config_backend *copies = arena_alloc(dynamic->pods, count, sizeof *copies);
    for (size_t i = 0; i < count; i++) {
        copies[i] = pods[i];
        copies[i].url = arena_strdup(dynamic->pods, pods[i].url);
        copies[i].model = arena_strdup(dynamic->pods, pods[i].model);
        copies[i].label = arena_strdup(dynamic->pods, pods[i].label);
        copies[i].pod = arena_strdup(dynamic->pods, pods[i].pod);
    }
    dynamic->world.pods = copies;
    dynamic->world.pod_count = count;
}

struct config *dynamic_with_pods(void *context, const struct config_backend *pods,
                                 size_t count, struct err *err)
{
    struct dynamic *dynamic = context;
    struct config *config = NULL;
    keep_pods(dynamic, pods, count);
    const bool good =
        dynamic->has_seen
            ? load(dynamic, dynamic->seen_at_start, &dynamic->seen, &config, err)
            : config_new(&config, &dynamic->flags, &dynamic->world, err);
    return good ? config : NULL;
}
