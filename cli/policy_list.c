/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_list.c: names between commas, looked up in the registry.
 */
#include "cli/policy_list.h"

#include "base/nearest.h"
#include "policies/policy.h"

#include <stdio.h>
#include <string.h>

enum { POLICY_NAME_BYTES = 128 };

static bool all_policies(struct policy_list *list)
{
    const struct route_policy *policy = NULL;
    while (list->count < ARMS_MAX && (policy = route_policy_at(list->count)) != NULL) {
        list->names[list->count++] = policy->name;
    }
    return true;
}

static bool unknown(const char *name, struct err *err)
{
    const char *names[ARMS_MAX];
    size_t count = 0;
    const struct route_policy *policy = NULL;
    while (count < ARMS_MAX && (policy = route_policy_at(count)) != NULL) {
        names[count++] = policy->name;
    }
    const char *nearest = nearest_word(name, names, count);
    if (nearest != NULL) {
        return err_set(err, ERR_USAGE, "unknown policy '%s'; did you mean '%s'?", name,
                       nearest);
    }
    return err_set(err, ERR_USAGE,
                   "unknown policy '%s'; 'stacksim policies' lists them", name);
}

static bool add(struct policy_list *list, const char *name, struct err *err)
{
    const struct route_policy *policy = route_policy_find(name);
    if (policy == NULL) {
        return unknown(name, err);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->names[i] == policy->name) {
            return err_set(err, ERR_USAGE,
                           "--policies: '%s' is named twice; name each policy once",
                           name);
        }
    }
    if (list->count == ARMS_MAX) {
        return err_set(err, ERR_USAGE, "--policies: at most %d at once; compare fewer",
                       ARMS_MAX);
    }
    list->names[list->count++] = policy->name;
    return true;
}

bool policy_list_parse(struct policy_list *list, const char *text, struct err *err)
{
    *list = (struct policy_list){0};
    if (text == NULL) {
        return all_policies(list);
    }
    while (true) {
        const size_t length = strcspn(text, ",");
        char name[POLICY_NAME_BYTES];
        if (length >= sizeof name) {
            return err_set(err, ERR_USAGE, "--policies: a name of %zu bytes is no name",
                           length);
        }
        snprintf(name, sizeof name, "%.*s", (int)length, text);
        if (!add(list, name, err)) {
            return false;
        }
        if (text[length] == '\0') {
            return true;
        }
        text += length + 1;
    }
}
