/* SPDX-License-Identifier: Apache-2.0
 *
 * env.c: what of a container's environment changes the engine: VLLM_USE_V1, LMCACHE_*,
 * where downloads go.
 */
#include "stack/parts.h"

#include <string.h>

static bool is_true(const char *value)
{
    return value != NULL && (strcmp(value, "True") == 0 || strcmp(value, "true") == 0 ||
                             strcmp(value, "1") == 0);
}

/* One variable, whose value stands under `key` of `map`. */
struct variable {
    const char *name;
    const struct conf_node *map;
    const char *key;
    const char *value; /* NULL = not told here, as with valueFrom */
};

static bool number_take(struct stack_engine *engine, const struct variable *variable,
                        struct err *err)
{
    struct stack_env *env = &engine->env;
    const struct {
        const char *name;
        double *out;
    } numbers[] = {{"LMCACHE_MAX_LOCAL_CPU_SIZE", &env->cpu_gb},
                   {"LMCACHE_MAX_LOCAL_DISK_SIZE", &env->disk_gb}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(variable->name, numbers[i].name) == 0) {
            return read_number(variable->map, variable->key, numbers[i].out, 0, 1e6,
                               err);
        }
    }
    return strcmp(variable->name, "LMCACHE_CHUNK_SIZE") != 0 ||
           read_count(variable->map, variable->key, &env->chunk_tokens, 1, 1 << 20,
                      err);
}

static bool variable_take(struct stack_engine *engine, const struct variable *variable,
                          int *v1, struct err *err)
{
    struct stack_env *env = &engine->env;
    const char *name = variable->name;
    if (strcmp(name, "VLLM_USE_V1") == 0) {
        *v1 = is_true(variable->value) ? 1 : 0;
    } else if (strcmp(name, "VLLM_ALLOW_RUNTIME_LORA_UPDATING") == 0) {
        engine->allows_lora_updates = is_true(variable->value);
    } else if (strcmp(name, "LMCACHE_REMOTE_URL") == 0) {
        env->remote_url = variable->value;
    } else if (strcmp(name, "HF_HOME") == 0 || strcmp(name, "HF_HUB_CACHE") == 0) {
        env->hf_home = variable->value;
    } else if (strcmp(name, "HF_TOKEN") == 0 ||
               strcmp(name, "HUGGING_FACE_HUB_TOKEN") == 0) {
        env->has_token = true;
    }
    return number_take(engine, variable, err);
}

bool env_read(struct stack_engine *engine, const struct conf_node *map, int *v1,
              struct err *err)
{
    const struct conf_node *list = NULL;
    if (!read_list_of(map, "env", CONF_MAP, &list, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(list); i++) {
        const struct conf_node *item = conf_at(list, i);
        struct variable variable = {.map = item, .key = "value"};
        conf_leave(item);
        if (!conf_require(item, "name", err) ||
            !read_text(item, "name", &variable.name, err) ||
            !read_text(item, "value", &variable.value, err)) {
            return false;
        }
        if (variable.name != NULL && !variable_take(engine, &variable, v1, err)) {
            return false;
        }
    }
    return true;
}

bool env_configs_read(struct stack_engine *engine, const struct conf_node *spec,
                      int *v1, struct err *err)
{
    const struct conf_node *map = NULL;
    if (!read_map(spec, "configs", &map, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(map); i++) {
        struct variable variable = {.name = conf_key_at(map, i), .map = map};
        variable.key = variable.name;
        if (!read_text(map, variable.key, &variable.value, err) ||
            !variable_take(engine, &variable, v1, err)) {
            return false;
        }
    }
    return true;
}

void env_apply(struct stack_engine *engine)
{
    static const char connector[] = "LMCacheConnector";
    struct stack_lmcache *lmcache = &engine->lmcache;
    const struct stack_env *env = &engine->env;
    const char *given = engine->flags.kv_connector;
    if (!lmcache->enabled && given != NULL &&
        strncmp(given, connector, sizeof connector - 1) == 0) {
        lmcache->enabled = true; /* by --kv-transfer-config in extraArgs */
        lmcache->where = engine->where;
        lmcache->kv_role =
            engine->flags.kv_role != NULL ? engine->flags.kv_role : "kv_both";
    }
    if (!lmcache->enabled) {
        return;
    }
    lmcache->chunk_tokens = env->chunk_tokens;
    lmcache->cpu_gb = env->cpu_gb > 0 && !lmcache->pd ? env->cpu_gb : lmcache->cpu_gb;
    lmcache->disk_gb = env->disk_gb > 0 ? env->disk_gb : lmcache->disk_gb;
    lmcache->remote_url =
        env->remote_url != NULL ? env->remote_url : lmcache->remote_url;
}
