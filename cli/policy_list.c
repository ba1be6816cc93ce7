/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_list.c: names between commas, looked up in the registry.
 */
#include "cli/policy_list.h"

#include "base/mem.h"
#include "base/nearest.h"
#include "base/text.h"
#include "policies/admit.h"
#include "policies/pair.h"
#include "policies/policy_set.h"

#include <stdio.h>
#include <string.h>

static bool all_policies(struct policy_list *list, const struct policy_set *set)
{
    const struct route_policy *policy = NULL;
    while (list->count < ARMS_MAX &&
           (policy = policy_set_at(set, list->count)) != NULL) {
        struct policy_choice *choice = &list->choices[list->count++];
        choice->policy = policy->name;
        snprintf(choice->name, sizeof choice->name, "%s", policy->name);
    }
    return true;
}

static bool unknown(const struct policy_set *set, const char *name, struct err *err)
{
    const char *names[ARMS_MAX];
    size_t count = 0;
    const struct route_policy *policy = NULL;
    while (count < ARMS_MAX && (policy = policy_set_at(set, count)) != NULL) {
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

/* A policy that may stand in the list, and where a scenario has its parameters. */
struct listed {
    const char *name;
    const struct policy_param *params;
    const char *key;
    const char *option; /* that named it, for messages */
};

static bool find(const struct policy_set *set, const char *name, struct listed *found)
{
    const struct route_policy *route = policy_set_find(set, name);
    const struct pair_policy *pair = pair_policy_find(name);
    if (route != NULL) {
        *found = (struct listed){route->name, route->params, "routing.params.",
                                 "--policies"};
    } else if (pair != NULL) {
        *found = (struct listed){pair->name, pair->params,
                                 "routing.disaggregation.params.", "--policies"};
    }
    return route != NULL || pair != NULL;
}

/* A scenario may hold parameters of other policies and so leaves unknown ones alone;
 * here a typing error would go unseen. */
static bool knows_param(const struct listed *policy, const char *key, size_t length)
{
    for (const struct policy_param *param = policy->params;
         param != NULL && param->name != NULL; param++) {
        if (strlen(param->name) == length && strncmp(param->name, key, length) == 0) {
            return true;
        }
    }
    return false;
}

/* ":key=value:key=value" behind the name. */
static bool read_params(struct policy_choice *choice, const struct listed *policy,
                        const char *text, struct err *err)
{
    while (*text == ':') {
        text++;
        const size_t length = strcspn(text, ":");
        const size_t key_length = strcspn(text, "=:");
        if (!knows_param(policy, text, key_length)) {
            return err_set(err, ERR_USAGE,
                           "%s: %s has no parameter '%.*s'; 'stacksim policies %s' "
                           "lists them",
                           policy->option, policy->name, (int)key_length, text,
                           policy->name);
        }
        if (key_length == length) {
            return err_set(err, ERR_USAGE,
                           "%s: '%.*s' is no parameter; write NAME:KEY=VALUE",
                           policy->option, (int)length, text);
        }
        if (choice->override_count == ARM_PARAMS_MAX ||
            length + strlen(policy->key) + 1 > ARM_PARAM_BYTES) {
            return err_set(err, ERR_USAGE,
                           "%s: at most %d parameters of at most %d bytes each",
                           policy->option, ARM_PARAMS_MAX, ARM_PARAM_BYTES);
        }
        snprintf(choice->overrides[choice->override_count++], ARM_PARAM_BYTES, "%s%.*s",
                 policy->key, (int)length, text);
        text += length;
    }
    return true;
}

/* entry: "name:key=value"; changed in place. */
static bool add(struct policy_list *list, const struct policy_set *set, char *entry,
                struct err *err)
{
    char *colon = entry + strcspn(entry, ":");
    const char end = *colon;
    *colon = '\0';
    struct listed policy;
    if (!find(set, entry, &policy)) {
        return unknown(set, entry, err);
    }
    *colon = end;
    struct policy_choice choice = {.policy = policy.name};
    snprintf(choice.name, sizeof choice.name, "%.60s%.60s", policy.name, colon);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->choices[i].name, choice.name) == 0) {
            return err_set(err, ERR_USAGE,
                           "--policies: '%s' is named twice; name each policy once",
                           choice.name);
        }
    }
    if (list->count == ARMS_MAX) {
        return err_set(err, ERR_USAGE, "--policies: at most %d at once; compare fewer",
                       ARMS_MAX);
    }
    if (!read_params(&choice, &policy, colon, err)) {
        return false;
    }
    list->choices[list->count++] = choice;
    return true;
}

bool policy_list_parse(struct policy_list *list, const struct policy_set *set,
                       const char *text, struct err *err)
{
    *list = (struct policy_list){0};
    if (text != NULL && strcmp(text, "all") == 0) {
        return all_policies(list, set);
    }
    char *copy = mem_strdup(text == NULL ? POLICY_LIST_DEFAULT : text);
    char *entry = copy;
    bool ok = true;
    while (ok && entry != NULL) {
        char *comma = strchr(entry, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        ok = add(list, set, entry, err);
        entry = comma == NULL ? NULL : comma + 1;
    }
    mem_free(copy);
    return ok;
}

/* ---- admission ------------------------------------------------------------------- */

static bool unknown_admission(const char *name, struct err *err)
{
    struct text known = {0};
    for (size_t i = 0; admit_policy_at(i) != NULL; i++) {
        text_printf(&known, ", %s", admit_policy_at(i)->name);
    }
    err_set(err, ERR_USAGE, "--admission: no admission policy '%s'; there are none%s",
            name, text_str(&known));
    text_fini(&known);
    return false;
}

/* A choice with the admission policy `entry`, "name:key=value", which is changed in
 * place and restored. */
static bool admit(struct policy_choice *out, const struct policy_choice *choice,
                  char *entry, struct err *err)
{
    char *colon = entry + strcspn(entry, ":");
    const char end = *colon;
    struct listed listed = {"none", NULL, "admission.params.", "--admission"};
    *colon = '\0';
    if (strcmp(entry, "none") != 0) {
        const struct admit_policy *policy = admit_policy_find(entry);
        if (policy == NULL) {
            return unknown_admission(entry, err);
        }
        listed.name = policy->name;
        listed.params = policy->params;
    }
    *colon = end;
    *out = *choice;
    snprintf(out->name, sizeof out->name, "%.70s + %.40s%.30s", choice->name,
             listed.name, colon);
    if (out->override_count == ARM_PARAMS_MAX) {
        return err_set(err, ERR_USAGE, "--admission: at most %d parameters of an arm",
                       ARM_PARAMS_MAX - 1);
    }
    snprintf(out->overrides[out->override_count++], ARM_PARAM_BYTES,
             "admission.policy=%s", listed.name);
    return read_params(out, &listed, colon, err);
}

static bool add_admitted(struct policy_list *list, const struct policy_choice *choice,
                         char *entry, struct err *err)
{
    if (list->count == ARMS_MAX) {
        return err_set(err, ERR_USAGE, "--admission: at most %d arms; compare fewer",
                       ARMS_MAX);
    }
    struct policy_choice *out = &list->choices[list->count];
    if (!admit(out, choice, entry, err)) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->choices[i].name, out->name) == 0) {
            return err_set(err, ERR_USAGE,
                           "--admission: '%s' is named twice; name each once", entry);
        }
    }
    list->count++;
    return true;
}

bool policy_list_cross(struct policy_list *list, const char *text, struct err *err)
{
    struct policy_list *crossed = mem_alloc(1, sizeof *crossed);
    bool ok = true;
    for (size_t i = 0; ok && i < list->count; i++) {
        char *copy = mem_strdup(text);
        char *entry = copy;
        while (ok && entry != NULL) {
            char *comma = strchr(entry, ',');
            if (comma != NULL) {
                *comma = '\0';
            }
            ok = add_admitted(crossed, &list->choices[i], entry, err);
            entry = comma == NULL ? NULL : comma + 1;
        }
        mem_free(copy);
    }
    *list = *crossed;
    mem_free(crossed);
    return ok;
}
