/* SPDX-License-Identifier: Apache-2.0
 *
 * storage.c: claims, extraVolumes and extraVolumeMounts: whether the model is there
 * when a pod starts, or is downloaded again.
 */
#include "stack/parts.h"

#include <string.h>

static const uint64_t default_shm_bytes = UINT64_C(20) << 30;

/* ---- read --------------------------------------------------------------------------
 */

bool storage_read(struct stack *stack, struct stack_engine *engine, struct err *err)
{
    const struct conf_node *model = engine->where;
    const struct conf_node *modes = NULL;
    uint64_t bytes_milli = 0;
    uint64_t shm_milli = default_shm_bytes * 1000;
    static const char *const pass[] = {"storageClass", "pvcMatchLabels",
                                       "pvcAnnotations", "pvcExistingClaimName", NULL};
    const char *existing = NULL;
    if (!read_quantity(model, "pvcStorage", &bytes_milli, err) ||
        !read_list_of(model, "pvcAccessMode", CONF_SCALAR, &modes, err) ||
        !read_text(model, "pvcExistingClaimName", &existing, err) ||
        !read_quantity(model, "shmSize", &shm_milli, err)) {
        return false;
    }
    read_pass(model, pass);
    engine->has_storage =
        bytes_milli > 0 || (existing != NULL && stack->release == STACK_HEAD);
    engine->storage_bytes = bytes_milli / 1000;
    engine->storage_rwo = engine->has_storage;
    for (size_t i = 0; i < conf_count(modes); i++) {
        const char *mode = conf_scalar(conf_at(modes, i));
        if (strcmp(mode, "ReadWriteMany") == 0 || strcmp(mode, "ReadOnlyMany") == 0) {
            engine->storage_rwo = false;
        }
    }
    const bool parallel = read_has(conf_get(model, "vllmConfig"), "tensorParallelSize");
    engine->shm_bytes = parallel || engine->kind == STACK_RAY ? shm_milli / 1000 : 0;
    if (!parallel && read_has(model, "shmSize") && engine->kind != STACK_RAY) {
        findings_add(
            &stack->findings, FINDING_WARNING, "shm_not_mounted",
            conf_get(model, "shmSize"),
            "shmSize: the chart mounts shared memory only where vllmConfig has "
            "the key tensorParallelSize; add it (1 will do) or drop shmSize");
    }
    return volumes_check(model, err);
}

/* The volume of a mount, or NULL. */
static const struct conf_node *volume_of(const struct conf_node *map, const char *name)
{
    const struct conf_node *volumes = conf_get(map, "extraVolumes");
    for (size_t i = 0; i < conf_count(volumes); i++) {
        const struct conf_node *volume = conf_at(volumes, i);
        const char *own = conf_scalar(conf_get(volume, "name"));
        if (own != NULL && strcmp(own, name) == 0) {
            return volume;
        }
    }
    return NULL;
}

static bool volume_check(const struct conf_node *volume, struct err *err)
{
    const struct conf_node *empty = NULL;
    const char *name = NULL;
    uint64_t milli = 0;
    conf_leave(volume);
    if (!read_text(volume, "name", &name, err) ||
        !read_map(volume, "emptyDir", &empty, err) ||
        !read_quantity(empty, "sizeLimit", &milli, err)) {
        return false;
    }
    return name != NULL ||
           conf_fail(volume, err, "extraVolumes: key 'name' is missing; add it");
}

static bool mount_check(const struct conf_node *map, const struct conf_node *mount,
                        struct err *err)
{
    const char *name = NULL;
    const char *path = NULL;
    conf_leave(mount);
    if (!read_text(mount, "name", &name, err) ||
        !read_text(mount, "mountPath", &path, err)) {
        return false;
    }
    if (name == NULL || path == NULL) {
        return conf_fail(mount, err, "extraVolumeMounts: key '%s' is missing; add it",
                         name == NULL ? "name" : "mountPath");
    }
    return volume_of(map, name) != NULL ||
           conf_fail(mount, err,
                     "extraVolumeMounts: no volume \"%.80s\" stands in extraVolumes, "
                     "and Kubernetes refuses the pod; add the volume or drop the mount",
                     name);
}

bool volumes_check(const struct conf_node *map, struct err *err)
{
    const struct conf_node *volumes = NULL;
    const struct conf_node *mounts = NULL;
    if (!read_list_of(map, "extraVolumes", CONF_MAP, &volumes, err) ||
        !read_list_of(map, "extraVolumeMounts", CONF_MAP, &mounts, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(volumes); i++) {
        if (!volume_check(conf_at(volumes, i), err)) {
            return false;
        }
    }
    for (size_t i = 0; i < conf_count(mounts); i++) {
        if (!mount_check(map, conf_at(mounts, i), err)) {
            return false;
        }
    }
    return true;
}

/* ---- where the model lies ----------------------------------------------------------
 */

/* Whether path lies at or below a mount. */
static bool covers(const char *mount, const char *path)
{
    size_t length = strlen(mount);
    while (length > 0 && mount[length - 1] == '/') {
        length--;
    }
    return strncmp(path, mount, length) == 0 &&
           (path[length] == '\0' || path[length] == '/');
}

/* The chart sets HF_HOME to its claim, or to a folder that ends with the container. */
static const char *download_path(const struct stack_engine *engine)
{
    if (engine->model_url[0] == '/') {
        return engine->model_url;
    }
    if (engine->flags.download_dir != NULL && engine->flags.download_dir[0] != '\0') {
        return engine->flags.download_dir;
    }
    if (engine->env.hf_home != NULL && engine->env.hf_home[0] != '\0') {
        return engine->env.hf_home;
    }
    return engine->has_storage ? STACK_CLAIM_PATH : "/tmp";
}

static void cache_of_volume(const struct conf_node *volume, struct stack_cache *cache)
{
    uint64_t milli = 0;
    struct err unused = {ERR_NONE, ""};
    const struct conf_node *empty = conf_get(volume, "emptyDir");
    cache->kind = STACK_CACHE_NONE;
    cache->limit_bytes = 0;
    if (read_has(volume, "hostPath")) {
        cache->kind = STACK_CACHE_HOST;
    } else if (read_has(volume, "persistentVolumeClaim") || read_has(volume, "nfs") ||
               read_has(volume, "csi")) {
        cache->kind = STACK_CACHE_CLAIM;
    } else if (empty != NULL && conf_kind(empty) == CONF_MAP &&
               read_quantity(empty, "sizeLimit", &milli, &unused)) {
        cache->limit_bytes = milli / 1000;
    }
}

void storage_find(struct stack_engine *engine)
{
    struct stack_cache *cache = &engine->cache;
    const struct conf_node *mounts = engine->kind == STACK_RUNTIME
                                         ? NULL
                                         : conf_get(engine->where, "extraVolumeMounts");
    size_t deepest = 0;
    cache->path = download_path(engine);
    if (engine->has_storage && covers(STACK_CLAIM_PATH, cache->path)) {
        deepest = strlen(STACK_CLAIM_PATH);
        cache->kind = STACK_CACHE_CLAIM;
        cache->one_node = engine->storage_rwo;
        cache->limit_bytes = engine->storage_bytes;
    }
    for (size_t i = 0; i < conf_count(mounts); i++) {
        const struct conf_node *mount = conf_at(mounts, i);
        const char *path = conf_scalar(conf_get(mount, "mountPath"));
        const char *name = conf_scalar(conf_get(mount, "name"));
        if (path != NULL && name != NULL && covers(path, cache->path) &&
            strlen(path) >= deepest) {
            deepest = strlen(path);
            cache->one_node = false;
            cache_of_volume(volume_of(engine->where, name), cache);
        }
    }
}
