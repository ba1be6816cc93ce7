/* SPDX-License-Identifier: Apache-2.0
 *
 * stack.c: documents to their readers, then the traps.
 */
#include "stack/stack.h"

#include "base/mem.h"
#include "stack/parts.h"

#include <stdio.h>
#include <string.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)

static const char *const release_names[] = {"tag", "head", NULL};

bool stack_release_parse(const char *name, enum stack_release *release, struct err *err)
{
    for (int i = 0; release_names[i] != NULL; i++) {
        if (strcmp(name, release_names[i]) == 0) {
            *release = (enum stack_release)i;
            return true;
        }
    }
    return err_set(err, ERR_USAGE,
                   "--compat: '%s' is neither tag (release 0.1.3) nor head", name);
}

const char *stack_release_name(enum stack_release release)
{
    return release_names[release];
}

const char *stack_served_name(const struct stack_engine *engine)
{
    return engine->flags.served_name != NULL ? engine->flags.served_name
                                             : engine->model_url;
}

const char *stack_text(const struct stack *stack, const char *format, ...)
{
    struct err text = {ERR_NONE, ""};
    va_list args;
    va_start(args, format);
    (void)err_set_va(&text, ERR_INPUT, format, args);
    va_end(args);
    return arena_strdup(stack->arena, text.text);
}

bool stack_add_engine(struct stack *stack, const struct conf_node *where,
                      struct stack_engine **engine, struct err *err)
{
    if (stack->engine_count == STACK_ENGINES_MAX) {
        return conf_fail(where, err, "more than %d engines; split the file",
                         STACK_ENGINES_MAX);
    }
    *engine = &stack->engines[stack->engine_count++];
    (*engine)->where = where;
    args_init(&(*engine)->args, stack->arena);
    return true;
}

bool stack_add_adapter(struct stack *stack, const struct conf_node *where,
                       struct stack_adapter **adapter, struct err *err)
{
    if (stack->adapter_count == STACK_ADAPTERS_MAX) {
        return conf_fail(where, err, "more than %d adapters; split the file",
                         STACK_ADAPTERS_MAX);
    }
    *adapter = &stack->adapters[stack->adapter_count++];
    (*adapter)->where = where;
    return true;
}

void only_at(struct stack *stack, enum stack_release release,
             const struct conf_node *map, const char *const *keys)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        if (release == stack->release || !read_has(map, keys[i])) {
            continue;
        }
        const struct conf_node *node = conf_get(map, keys[i]);
        conf_leave(node);
        findings_add(&stack->findings, FINDING_WARNING,
                     release == STACK_HEAD ? "head_only_key" : "tag_only_key", node,
                     release == STACK_HEAD
                         ? "%s: release 0.1.3 does not know it and passes it over; "
                           "drop it, or ask for --compat head"
                         : "%s: only release 0.1.3 knows it, later ones pass it over; "
                           "drop it, or ask for --compat tag",
                     keys[i]);
    }
}

/* ---- documents ---------------------------------------------------------------------
 */

static bool document_read(struct stack *stack, const struct conf_node *root,
                          struct err *err)
{
    if (conf_kind(root) == CONF_SCALAR && conf_scalar(root)[0] == '\0') {
        return true; /* nothing between two lines of --- */
    }
    if (conf_kind(root) != CONF_MAP) {
        return conf_fail(root, err,
                         "neither chart values nor a custom resource: a map of keys is "
                         "needed");
    }
    if (read_has(root, "kind") || read_has(root, "apiVersion")) {
        return resource_read(stack, root, err);
    }
    if (stack->has_values) {
        return conf_fail(root, err,
                         "a second document of chart values; merge them, or "
                         "give a kind");
    }
    stack->has_values = true;
    return values_read(stack, root, err);
}

static bool names_distinct(const struct stack *stack, struct err *err)
{
    for (size_t i = 0; i < stack->engine_count; i++) {
        for (size_t j = 0; j < i; j++) {
            const struct stack_engine *a = &stack->engines[j];
            const struct stack_engine *b = &stack->engines[i];
            if (strcmp(a->object, b->object) == 0) {
                return conf_fail(b->where, err,
                                 "name: %s is there already (line %u), and its objects "
                                 "would be called the same; rename one",
                                 b->name, conf_line(a->where));
            }
        }
    }
    return true;
}

static bool file_read(struct stack *stack, const struct conf_node *documents,
                      struct err *err)
{
    bool holds_some = false;
    for (size_t i = 0; i < conf_count(documents); i++) {
        const struct conf_node *root = conf_at(documents, i);
        if (!document_read(stack, root, err)) {
            return false;
        }
        holds_some = holds_some || conf_kind(root) == CONF_MAP;
    }
    return holds_some || conf_fail(documents, err,
                                   "holds nothing; chart values or custom "
                                   "resources are needed");
}

static bool documents_read(struct stack *stack, struct err *err)
{
    for (size_t i = 0; i < stack->conf_count; i++) {
        if (!file_read(stack, conf_root(stack->confs[i]), err)) {
            return false;
        }
    }
    if (!names_distinct(stack, err)) {
        return false;
    }
    for (size_t i = 0; i < stack->conf_count; i++) {
        read_warn_unknown(conf_root(stack->confs[i]), &stack->findings);
    }
    for (size_t i = 0; i < stack->engine_count; i++) {
        struct stack_engine *engine = &stack->engines[i];
        if (!engine_flags_read(&engine->flags, &engine->args, stack->arena,
                               &stack->findings, err)) {
            return false;
        }
        env_apply(engine);
        storage_find(engine);
    }
    return true;
}

static struct stack *stack_new(const struct stack_options *options)
{
    struct stack *stack = mem_alloc(1, sizeof *stack);
    stack->arena = arena_new(ARENA_BYTES_MAX);
    stack->release = options->release;
    stack->name =
        arena_strdup(stack->arena, options->name != NULL ? options->name : "stack");
    stack->kube_namespace = arena_strdup(stack->arena, options->kube_namespace != NULL
                                                           ? options->kube_namespace
                                                           : "default");
    stack->engines =
        arena_alloc(stack->arena, STACK_ENGINES_MAX, sizeof *stack->engines);
    stack->adapters =
        arena_alloc(stack->arena, STACK_ADAPTERS_MAX, sizeof *stack->adapters);
    args_init(&stack->router.args, stack->arena);
    return stack;
}

static bool stack_finish(struct stack **out, struct stack *stack, struct err *err)
{
    if (!documents_read(stack, err)) {
        stack_delete(stack);
        return false;
    }
    if (!aliases_check(stack, err)) {
        stack_delete(stack);
        return false;
    }
    traps_find(stack);
    router_traps_find(stack);
    findings_sort(&stack->findings);
    *out = stack;
    return true;
}

bool stack_load(struct stack **out, const char *path,
                const struct stack_options *options, struct err *err)
{
    struct stack *stack = stack_new(options);
    if (options->more_count >= STACK_FILES_MAX) {
        stack_delete(stack);
        return err_set(err, ERR_USAGE, "%zu files; %d at most", options->more_count + 1,
                       STACK_FILES_MAX);
    }
    for (size_t i = 0; i <= options->more_count; i++) {
        if (!conf_load_documents(&stack->confs[i], i == 0 ? path : options->more[i - 1],
                                 err)) {
            stack_delete(stack);
            return false;
        }
        stack->conf_count++;
    }
    return stack_finish(out, stack, err);
}

/* NOLINTNEXTLINE(readability-function-size): as conf_parse */
bool stack_parse(struct stack **out, const char *name, const char *text,
                 size_t byte_count, const struct stack_options *options,
                 struct err *err)
{
    struct stack *stack = stack_new(options);
    if (!conf_parse_documents(&stack->confs[0], name, text, byte_count, err)) {
        stack_delete(stack);
        return false;
    }
    stack->conf_count = 1;
    return stack_finish(out, stack, err);
}

void stack_delete(struct stack *stack)
{
    if (stack == NULL) {
        return;
    }
    for (size_t i = 0; i < stack->engine_count; i++) {
        args_fini(&stack->engines[i].args);
    }
    args_fini(&stack->router.args);
    findings_fini(&stack->findings);
    for (size_t i = 0; i < stack->conf_count; i++) {
        conf_delete(stack->confs[i]);
    }
    arena_delete(stack->arena);
    mem_free(stack);
}
