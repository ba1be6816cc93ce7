/* SPDX-License-Identifier: Apache-2.0
 *
 * args.c: words in a row.
 */
#include "stack/args.h"

#include "base/mem.h"

#include <string.h>

void args_init(struct args *args, struct arena *arena)
{
    *args = (struct args){.arena = arena};
}

void args_fini(struct args *args)
{
    mem_free(args->items);
    mem_free(args->where);
    *args = (struct args){0};
}

void args_add(struct args *args, const struct conf_node *where, const char *word)
{
    void *items = args->items;
    void *places = args->where;
    if (!mem_grow(&items, &args->item_capacity, args->count + 1, sizeof(char *),
                  ARGS_MAX) ||
        !mem_grow(&places, &args->where_capacity, args->count + 1, sizeof(void *),
                  ARGS_MAX)) {
        return;
    }
    args->items = items;
    args->where = places;
    args->items[args->count] = word;
    args->where[args->count++] = where;
}

void args_addf(struct args *args, const struct conf_node *where, const char *format,
               ...)
{
    struct err text = {ERR_NONE, ""};
    va_list list;
    va_start(list, format);
    (void)err_set_va(&text, ERR_INPUT, format, list);
    va_end(list);
    args_add(args, where, arena_strdup(args->arena, text.text));
}

void args_pair(struct args *args, const struct conf_node *where, const char *name,
               const char *value)
{
    if (value != NULL) {
        args_add(args, where, name);
        args_add(args, where, value);
    }
}

void args_list(struct args *args, const struct conf_node *list)
{
    for (size_t i = 0; i < conf_count(list); i++) {
        const struct conf_node *item = conf_at(list, i);
        if (conf_scalar(item) != NULL) {
            args_add(args, item, conf_scalar(item));
        }
    }
}

void args_append(struct args *args, const struct args *other)
{
    for (size_t i = 0; i < other->count; i++) {
        args_add(args, other->where[i], other->items[i]);
    }
}

const char *args_value(const struct args *args, const char *name,
                       const struct conf_node **where)
{
    const size_t length = strlen(name);
    const char *value = NULL;
    for (size_t i = 0; i < args->count; i++) {
        const char *word = args->items[i];
        if (strncmp(word, name, length) != 0 ||
            (word[length] != '=' && word[length] != '\0')) {
            continue;
        }
        const char *next = i + 1 < args->count ? args->items[i + 1] : "";
        value = word[length] == '='           ? word + length + 1
                : strncmp(next, "--", 2) == 0 ? ""
                                              : next;
        if (where != NULL && args->where[i] != NULL) {
            *where = args->where[i];
        }
    }
    return value;
}

static bool is_plain(const char *word)
{
    const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "-_./:=,@%+";
    return word[0] != '\0' && strspn(word, plain) == strlen(word);
}

void args_print(const struct args *args, struct text *out)
{
    for (size_t i = 0; i < args->count; i++) {
        const char *word = args->items[i];
        text_add(out, i == 0 ? "" : " ");
        if (is_plain(word)) {
            text_add(out, word);
            continue;
        }
        text_add(out, "'");
        for (const char *at = word; *at != '\0'; at++) {
            if (*at == '\'') {
                text_add(out, "'\\''");
            } else {
                text_add_bytes(out, at, 1);
            }
        }
        text_add(out, "'");
    }
}
