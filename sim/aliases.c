/* SPDX-License-Identifier: Apache-2.0
 *
 * aliases.c: a handful of names, looked through from the front.
 */
#include "sim/aliases.h"

#include <string.h>

static bool alias_read(struct aliases *aliases, const struct conf_node *list,
                       size_t index, struct err *err)
{
    const char *name = conf_key_at(list, index);
    const struct conf_node *node = conf_at(list, index);
    const char *model = conf_scalar(node);
    if (model == NULL || model[0] == '\0') {
        return conf_fail(node, err, "aliases: %s: name a model", name);
    }
    if (strcmp(name, model) == 0) {
        return conf_fail(node, err, "aliases: %s stands for itself", name);
    }
    aliases->names[aliases->count] = name;
    aliases->models[aliases->count] = model;
    aliases->count++;
    return true;
}

bool aliases_read(struct aliases *aliases, const struct conf_node *map, struct err *err)
{
    const struct conf_node *list = NULL;
    *aliases = (struct aliases){0};
    if (!conf_map(map, "aliases", &list, err)) {
        return false;
    }
    if (conf_count(list) > ALIASES_MAX) {
        return conf_fail(list, err, "aliases: at most %d", ALIASES_MAX);
    }
    for (size_t i = 0; i < conf_count(list); i++) {
        if (!alias_read(aliases, list, i, err)) {
            return false;
        }
    }
    return true;
}

const char *aliases_find(const struct aliases *aliases, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < aliases->count; i++) {
        if (strcmp(aliases->names[i], name) == 0) {
            return aliases->models[i];
        }
    }
    return name;
}
