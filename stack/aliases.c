/* SPDX-License-Identifier: Apache-2.0
 *
 * aliases.c: `--static-aliases alias:model,...`, of which the router resolves one
 * level.
 */
#include "stack/parts.h"

#include <string.h>

enum { ALIASES_MAX = 1000 };

/* One item of the flag; texts are borrowed from it and do not end with a NUL. */
struct alias {
    const char *name;
    const char *model;
    size_t name_length;
    size_t model_length;
};

struct aliases {
    const struct conf_node *where;
    struct alias *items;
    size_t count;
};

static int shown(size_t length)
{
    return length < 80 ? (int)length : 80;
}

static bool same(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length == b_length && memcmp(a, b, a_length) == 0;
}

/* The router splits at every colon, and wants two parts. */
static bool alias_split(const char *item, size_t length, struct alias *alias)
{
    const char *colon = memchr(item, ':', length);
    if (colon == NULL) {
        return false;
    }
    *alias = (struct alias){.name = item,
                            .name_length = (size_t)(colon - item),
                            .model = colon + 1,
                            .model_length = length - (size_t)(colon - item) - 1};
    return alias->name_length > 0 && alias->model_length > 0 &&
           memchr(alias->model, ':', alias->model_length) == NULL;
}

static bool aliases_split(struct stack *stack, struct aliases *aliases,
                          const char *text, struct err *err)
{
    aliases->items = arena_alloc(stack->arena, ALIASES_MAX, sizeof *aliases->items);
    while (text[0] != '\0') {
        const size_t length = strcspn(text, ",");
        if (aliases->count == ALIASES_MAX) {
            return conf_fail(aliases->where, err, "--static-aliases: more than %d",
                             ALIASES_MAX);
        }
        if (!alias_split(text, length, &aliases->items[aliases->count++])) {
            return conf_fail(aliases->where, err,
                             "--static-aliases: \"%.*s\" is not alias:model, and the "
                             "router does not start; write one colon, with a name on "
                             "either side",
                             shown(length), text);
        }
        text += length + (text[length] == ',' ? 1 : 0);
    }
    return true;
}

/* The alias that an alias means, or NULL: its model is one of a backend. */
static const struct alias *next_of(const struct aliases *aliases,
                                   const struct alias *alias)
{
    const struct alias *found = NULL;
    for (size_t i = 0; i < aliases->count; i++) {
        const struct alias *other = &aliases->items[i];
        if (same(other->name, other->name_length, alias->model, alias->model_length)) {
            found = other; /* the last one of a name counts */
        }
    }
    return found;
}

/* Whether the way from here comes back to a name that it went through. */
static bool cycle_check(const struct aliases *aliases, const struct alias *first,
                        struct err *err)
{
    const struct alias *at = next_of(aliases, first);
    for (size_t steps = 0; at != NULL && steps < aliases->count; steps++) {
        if (same(at->name, at->name_length, first->name, first->name_length)) {
            return conf_fail(aliases->where, err,
                             "--static-aliases: \"%.*s\" means itself in the end: a "
                             "cycle that reaches no model; let one of them name the "
                             "model of a backend",
                             shown(first->name_length), first->name);
        }
        at = next_of(aliases, at);
    }
    return true;
}

static bool is_served(const struct stack *stack, const char *models,
                      const struct alias *alias)
{
    while (models != NULL && *models != '\0') {
        const size_t length = strcspn(models, ",");
        if (same(models, length, alias->model, alias->model_length)) {
            return true;
        }
        models += length + (models[length] == ',' ? 1 : 0);
    }
    for (size_t i = 0; i < stack->engine_count; i++) {
        const char *served = stack_served_name(&stack->engines[i]);
        if (same(served, strlen(served), alias->model, alias->model_length)) {
            return true;
        }
    }
    return false;
}

static void alias_traps(struct stack *stack, const struct aliases *aliases)
{
    const char *models = args_value(&stack->router.args, "--static-models", NULL);
    for (size_t i = 0; i < aliases->count; i++) {
        const struct alias *alias = &aliases->items[i];
        if (next_of(aliases, alias) != NULL) {
            findings_add(&stack->findings, FINDING_TRAP, "alias_of_alias",
                         aliases->where,
                         "--static-aliases: \"%.*s\" means \"%.*s\", an alias itself: "
                         "the router resolves one level, and then knows no such model; "
                         "name the model",
                         shown(alias->name_length), alias->name,
                         shown(alias->model_length), alias->model);
        } else if (!is_served(stack, models, alias)) {
            findings_add(&stack->findings, FINDING_TRAP, "alias_matches_nothing",
                         aliases->where,
                         "--static-aliases: \"%.*s\" means \"%.*s\", which no backend "
                         "serves: its requests fail; name one of staticModels",
                         shown(alias->name_length), alias->name,
                         shown(alias->model_length), alias->model);
        }
    }
    if (strcmp(stack->router.discovery, "k8s") == 0) {
        findings_add(&stack->findings, FINDING_WARNING, "aliases_ignored",
                     aliases->where,
                     "--static-aliases: only static discovery has aliases; drop them, "
                     "or give the engine a second --served-model-name");
    }
}

bool aliases_check(struct stack *stack, struct err *err)
{
    struct aliases aliases = {.where = stack->router.where};
    const char *text =
        args_value(&stack->router.args, "--static-aliases", &aliases.where);
    if (stack->router.where == NULL || text == NULL) {
        return true;
    }
    if (!aliases_split(stack, &aliases, text, err)) {
        return false;
    }
    for (size_t i = 0; i < aliases.count; i++) {
        if (!cycle_check(&aliases, &aliases.items[i], err)) {
            return false;
        }
    }
    alias_traps(stack, &aliases);
    return true;
}
