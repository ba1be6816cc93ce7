/* SPDX-License-Identifier: Apache-2.0
 *
 * policy_set.c: see the header. Loading is the one thing in this folder that touches a
 * file; what it loads is as pure as the rest, or its author's fault.
 */
#include "policies/policy_set.h"

#include "base/mem.h"
#include "base/shared_object.h"
#include "policies/plugin.h"

#include <string.h>

enum { PLUGINS_MAX = 16, LOADED_MAX = 64 };

struct policy_set {
    struct shared_object *objects[PLUGINS_MAX];
    size_t object_count;
    const struct route_policy *loaded[LOADED_MAX];
    size_t loaded_count;
};

struct policy_set *policy_set_new(void)
{
    return mem_alloc(1, sizeof(struct policy_set));
}

void policy_set_delete(struct policy_set *set)
{
    for (size_t i = 0; set != NULL && i < set->object_count; i++) {
        shared_object_close(set->objects[i]);
    }
    mem_free(set);
}

const struct route_policy *policy_set_at(const struct policy_set *set, size_t index)
{
    const struct route_policy *policy = NULL;
    size_t built_in = 0;
    while ((policy = route_policy_at(built_in)) != NULL) {
        if (built_in == index) {
            return policy;
        }
        built_in++;
    }
    index -= built_in;
    return set != NULL && index < set->loaded_count ? set->loaded[index] : NULL;
}

static bool goes_by(const struct route_policy *policy, const char *name)
{
    const char *const *alias = policy->aliases;
    while (alias != NULL && *alias != NULL && strcmp(*alias, name) != 0) {
        alias++;
    }
    return strcmp(policy->name, name) == 0 || (alias != NULL && *alias != NULL);
}

const struct route_policy *policy_set_find(const struct policy_set *set,
                                           const char *name)
{
    const struct route_policy *policy = route_policy_find(name);
    for (size_t i = 0; policy == NULL && set != NULL && i < set->loaded_count; i++) {
        const struct route_policy *loaded = set->loaded[i];
        policy = goes_by(loaded, name) ? loaded : NULL;
    }
    return policy;
}

static bool same_interface(const struct policy_plugin *plugin)
{
    return plugin->abi == STACKSIM_POLICY_ABI &&
           plugin->route_policy_bytes == sizeof(struct route_policy) &&
           plugin->cluster_view_bytes == sizeof(struct cluster_view) &&
           plugin->endpoint_view_bytes == sizeof(struct endpoint_view) &&
           plugin->request_view_bytes == sizeof(struct request_view) &&
           plugin->decision_bytes == sizeof(struct route_decision);
}

static bool add(struct policy_set *set, const char *path,
                const struct route_policy *policy, struct err *err)
{
    if (policy->name == NULL || policy->name[0] == '\0' || policy->pick == NULL ||
        policy->help == NULL) {
        return err_set(err, ERR_INPUT,
                       "%s: a policy needs a name, a help text and a pick function",
                       path);
    }
    if (policy_set_find(set, policy->name) != NULL) {
        return err_set(err, ERR_INPUT,
                       "%s: the name %s is taken; give the policy another one", path,
                       policy->name);
    }
    if (route_policy_param_count(policy) > POLICY_PARAMS_MAX) {
        return err_set(err, ERR_INPUT, "%s: %s has more than %d parameters", path,
                       policy->name, POLICY_PARAMS_MAX);
    }
    if (set->loaded_count == LOADED_MAX) {
        return err_set(err, ERR_INPUT, "%s: more than %d policies are loaded", path,
                       LOADED_MAX);
    }
    set->loaded[set->loaded_count++] = policy;
    return true;
}

static bool add_all(struct policy_set *set, const char *path,
                    const struct policy_plugin *plugin, struct err *err)
{
    if (plugin == NULL) {
        return err_set(err, ERR_INPUT,
                       "%s: defines no policies; end it with "
                       "STACKSIM_POLICY_PLUGIN(list) of policies/plugin.h",
                       path);
    }
    if (!same_interface(plugin)) {
        return err_set(err, ERR_INPUT,
                       "%s: was built for interface %u of another version, this "
                       "program has %u; build it again with the installed headers",
                       path, plugin->abi, STACKSIM_POLICY_ABI);
    }
    for (size_t i = 0; plugin->policies[i] != NULL; i++) {
        if (!add(set, path, plugin->policies[i], err)) {
            return false;
        }
    }
    return true;
}

bool policy_set_load(struct policy_set *set, const char *path, struct err *err)
{
    if (set->object_count == PLUGINS_MAX) {
        return err_set(err, ERR_USAGE, "at most %d plug-ins at once", PLUGINS_MAX);
    }
    struct shared_object *object = NULL;
    if (!shared_object_open(&object, path, err)) {
        return false;
    }
    set->objects[set->object_count++] = object;
    return add_all(set, path, shared_object_find(object, "stacksim_policy_plugin"),
                   err);
}
