/* SPDX-License-Identifier: Apache-2.0
 *
 * pods.c: one array of pods. It is in the order in which they became backends, which is
 * what the stack's dictionary gives: a replaced pod keeps its place, one that left and
 * came back is the last.
 */
#include "router/pods.h"

#include "base/json.h"
#include "base/mem.h"
#include "router/origin.h"

#include <string.h>

enum { PODS_MAX = CONFIG_BACKENDS_MAX, MODELS_MAX = 256 };

struct pod {
    char *name;
    char *url;   /* "" without an address */
    char *label; /* of the key `model` */
    char **models;
    size_t model_count; /* 0: no backend */
    uint64_t serial;    /* counts its states */
    bool ready;
    bool modified; /* its last event: when it names nothing now, it leaves */
    bool ask;
    bool unanswered;
    bool listed; /* on a page of the list under way */
};

struct pods {
    struct pods_setup setup;
    struct pod *pods;
    size_t count;
    size_t capacity;
    uint64_t serial;
    char *version;
    bool changed;
};

struct pods *pods_new(const struct pods_setup *setup)
{
    struct pods *pods = mem_alloc(1, sizeof *pods);
    pods->setup = *setup;
    pods->version = mem_strdup("");
    return pods;
}

static void forget_models(struct pod *pod)
{
    for (size_t i = 0; i < pod->model_count; i++) {
        mem_free(pod->models[i]);
    }
    mem_free(pod->models);
    pod->models = NULL;
    pod->model_count = 0;
}

static void pod_fini(struct pod *pod)
{
    forget_models(pod);
    mem_free(pod->name);
    mem_free(pod->url);
    mem_free(pod->label);
}

void pods_delete(struct pods *pods)
{
    if (pods != NULL) {
        for (size_t i = 0; i < pods->count; i++) {
            pod_fini(&pods->pods[i]);
        }
        mem_free(pods->pods);
        mem_free(pods->version);
        mem_free(pods);
    }
}

static struct pod *find(const struct pods *pods, const char *name)
{
    for (size_t i = 0; i < pods->count; i++) {
        if (strcmp(pods->pods[i].name, name) == 0) {
            return &pods->pods[i];
        }
    }
    return NULL;
}

static void drop(struct pods *pods, struct pod *pod)
{
    pods->changed |= pod->model_count > 0;
    pod_fini(pod);
    const size_t at = (size_t)(pod - pods->pods);
    memmove(pod, pod + 1, (pods->count - at - 1) * sizeof *pod);
    pods->count--;
}

static void leave(struct pods *pods, struct pod *pod)
{
    pods->changed |= pod->model_count > 0;
    forget_models(pod);
}

/* --- reading ---------------------------------------------------------------------- */

static const char *text_at(const struct json *object, const char *outer,
                           const char *inner)
{
    return json_str(json_get(json_get(object, outer), inner));
}

static bool all_ready(const struct json *object)
{
    const struct json *states =
        json_get(json_get(object, "status"), "containerStatuses");
    for (const struct json *state = json_first(states); state != NULL;
         state = json_next(state)) {
        bool ready = false;
        if (!json_bool(json_get(state, "ready"), &ready) || !ready) {
            return false;
        }
    }
    return json_first(states) != NULL;
}

static bool is_ready(const struct pods *pods, const struct json *object)
{
    /* The release sends requests to a pod until its containers are gone. */
    const bool terminating = text_at(object, "metadata", "deletionTimestamp") != NULL;
    return all_ready(object) && (!terminating || pods->setup.compat != COMPAT_HEAD);
}

/* Workers of a Ray cluster compute for their head and serve nothing. */
static bool is_worker(const struct json *object)
{
    const struct json *labels = json_get(json_get(object, "metadata"), "labels");
    const char *type = json_str(json_get(labels, "ray.io/node-type"));
    return type != NULL && strcmp(type, "worker") == 0;
}

/* "" when there is no address yet, or none that can be one. */
static char *url_of(const struct pods *pods, const struct json *object)
{
    const char *address = text_at(object, "status", "podIP");
    struct origin *origin = NULL;
    struct err err = {0};
    struct text url = {0};
    if (address != NULL && address[0] != '\0') {
        const bool v6 = strchr(address, ':') != NULL;
        text_printf(&url, "http://%s%s%s:%u", v6 ? "[" : "", address, v6 ? "]" : "",
                    (unsigned)pods->setup.port);
    }
    if (url.length == 0 || !origin_new(&origin, url.bytes, &err)) {
        url.length = 0;
        text_add(&url, "");
    }
    origin_give(origin);
    return url.bytes != NULL ? url.bytes : mem_strdup("");
}

static struct pod *add(struct pods *pods, const char *name)
{
    void *place = pods->pods;
    if (!mem_grow(&place, &pods->capacity, pods->count + 1, sizeof *pods->pods,
                  PODS_MAX)) {
        return NULL;
    }
    pods->pods = place;
    struct pod *pod = &pods->pods[pods->count++];
    *pod = (struct pod){.name = mem_strdup(name),
                        .url = mem_strdup(""),
                        .label = mem_strdup("default")};
    return pod;
}

static void set_text(char **place, char *value)
{
    mem_free(*place);
    *place = value;
}

/* What the event says of the pod; its models are asked for afterwards. */
static bool take(struct pods *pods, const struct json *object, bool modified,
                 struct err *err)
{
    const char *name = text_at(object, "metadata", "name");
    if (name == NULL) {
        return err_set(err, ERR_INPUT, "a pod without a name");
    }
    if (is_worker(object)) {
        return true;
    }
    struct pod *pod = find(pods, name);
    if (pod == NULL && (pod = add(pods, name)) == NULL) {
        return err_set(err, ERR_INPUT, "more than %d pods; narrow --k8s-label-selector",
                       PODS_MAX);
    }
    char *url = url_of(pods, object);
    if (strcmp(url, pod->url) != 0) {
        leave(pods, pod); /* the same name at another address is another engine */
    }
    set_text(&pod->url, url);
    const struct json *labels = json_get(json_get(object, "metadata"), "labels");
    const char *label = json_str(json_get(labels, "model"));
    if (strcmp(label != NULL ? label : "default", pod->label) != 0) {
        pods->changed |= pod->model_count > 0;
        set_text(&pod->label, mem_strdup(label != NULL ? label : "default"));
    }
    pod->serial = ++pods->serial;
    pod->ready = pod->url[0] != '\0' && is_ready(pods, object);
    pod->modified = modified;
    pod->ask = pod->ready;
    pod->unanswered = false;
    pod->listed = true;
    /* The release removes only what an event of type MODIFIED shows as not ready. */
    if (!pod->ready && (modified || pods->setup.compat == COMPAT_HEAD)) {
        leave(pods, pod);
    }
    return true;
}

static void set_version(struct pods *pods, const struct json *object)
{
    const char *version = text_at(object, "metadata", "resourceVersion");
    if (version != NULL) {
        set_text(&pods->version, mem_strdup(version));
    }
}

const char *pods_version(const struct pods *pods)
{
    return pods->version;
}

void pods_list_begin(struct pods *pods)
{
    for (size_t i = 0; i < pods->count; i++) {
        pods->pods[i].listed = false;
    }
}

bool pods_list_page(struct pods *pods, const char *json, size_t byte_count,
                    struct text *next, struct err *err)
{
    struct json *tree = NULL;
    if (!json_parse(&tree, "list of pods", json, byte_count, err)) {
        return false;
    }
    const char *kind = json_str(json_get(tree, "kind"));
    if (kind == NULL || strcmp(kind, "PodList") != 0) {
        json_delete(tree);
        return err_set(err, ERR_INPUT, "the answer is no list of pods");
    }
    bool good = true;
    for (const struct json *item = json_first(json_get(tree, "items"));
         good && item != NULL; item = json_next(item)) {
        good = take(pods, item, false, err);
    }
    const char *token = text_at(tree, "metadata", "continue");
    next->length = 0;
    text_add(next, token != NULL ? token : "");
    set_version(pods, tree);
    json_delete(tree);
    return good;
}

void pods_list_end(struct pods *pods)
{
    for (size_t i = pods->count; i-- > 0;) {
        /* #1091: the release keeps what was deleted while it did not watch. */
        if (!pods->pods[i].listed && pods->setup.compat == COMPAT_HEAD) {
            drop(pods, &pods->pods[i]);
        }
    }
}

static bool take_event(struct pods *pods, const char *type, const struct json *object,
                       enum pods_watch *watch, struct err *err)
{
    if (strcmp(type, "ERROR") == 0) {
        *watch = PODS_WATCH_IS_OVER;
        return true;
    }
    set_version(pods, object);
    if (strcmp(type, "BOOKMARK") == 0) {
        return true;
    }
    if (strcmp(type, "DELETED") == 0) {
        const char *name = text_at(object, "metadata", "name");
        struct pod *pod = name != NULL ? find(pods, name) : NULL;
        if (pod != NULL) {
            drop(pods, pod);
        }
        return true;
    }
    const bool modified = strcmp(type, "MODIFIED") == 0;
    if (!modified && strcmp(type, "ADDED") != 0) {
        return true; /* a type of a later API */
    }
    return take(pods, object, modified, err);
}

bool pods_event(struct pods *pods, const char *line, size_t byte_count,
                enum pods_watch *watch, struct err *err)
{
    struct json *tree = NULL;
    *watch = PODS_WATCH_GOES_ON;
    if (!json_parse(&tree, "event of a pod", line, byte_count, err)) {
        return false;
    }
    const char *type = json_str(json_get(tree, "type"));
    const struct json *object = json_get(tree, "object");
    const bool good = type != NULL && object != NULL
                          ? take_event(pods, type, object, watch, err)
                          : err_set(err, ERR_INPUT, "an event without type or object");
    json_delete(tree);
    return good;
}

/* --- models ----------------------------------------------------------------------- */

bool pods_ask(struct pods *pods, struct pods_question *question)
{
    for (size_t i = 0; i < pods->count; i++) {
        struct pod *pod = &pods->pods[i];
        if (pod->ask) {
            pod->ask = false;
            *question = (struct pods_question){pod->name, pod->url, pod->serial};
            return true;
        }
    }
    return false;
}

static bool same_models(const struct pod *pod, const char *const *models, size_t count)
{
    if (pod->model_count != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(pod->models[i], models[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* A backend from now on: behind all others. */
static struct pod *to_the_end(struct pods *pods, struct pod *pod)
{
    const struct pod copy = *pod;
    const size_t at = (size_t)(pod - pods->pods);
    memmove(pod, pod + 1, (pods->count - at - 1) * sizeof *pod);
    pods->pods[pods->count - 1] = copy;
    return &pods->pods[pods->count - 1];
}

void pods_told(struct pods *pods, const char *pod, uint64_t serial,
               const char *const *models, size_t count)
{
    struct pod *place = find(pods, pod);
    if (place == NULL || place->serial != serial) {
        return;
    }
    place->unanswered = count == 0;
    if (count == 0) {
        if (place->modified) {
            leave(pods, place);
        }
        return;
    }
    if (same_models(place, models, count)) {
        return;
    }
    if (place->model_count == 0) {
        place = to_the_end(pods, place);
    }
    forget_models(place);
    count = count < MODELS_MAX ? count : MODELS_MAX;
    place->models = mem_alloc(count, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        place->models[place->model_count++] = mem_strdup(models[i]);
    }
    pods->changed = true;
}

void pods_ask_again(struct pods *pods)
{
    for (size_t i = 0; i < pods->count; i++) {
        struct pod *pod = &pods->pods[i];
        pod->ask |= pod->ready && pod->unanswered && pods->setup.compat == COMPAT_HEAD;
    }
}

bool pods_changed(struct pods *pods)
{
    const bool changed = pods->changed;
    pods->changed = false;
    return changed;
}

size_t pods_backends(const struct pods *pods, struct config_backend *out, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < pods->count; i++) {
        const struct pod *pod = &pods->pods[i];
        for (size_t j = 0; j < pod->model_count && count < max; j++) {
            out[count++] = (struct config_backend){
                .url = pod->url,
                .model = pod->models[j],
                .label = pod->label,
                .pod = pod->name,
            };
        }
    }
    return count;
}

size_t pods_count(const struct pods *pods)
{
    return pods->count;
}
