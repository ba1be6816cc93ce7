/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_adapters.c: see mock_adapters.h.
 */
#include "cli/live/mock_adapters.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

void mock_adapters_fini(struct mock_adapters *adapters)
{
    for (size_t i = 0; i < MOCK_ADAPTERS_MAX; i++) {
        mem_free(adapters->places[i].name);
        mem_free(adapters->places[i].path);
    }
    *adapters = (struct mock_adapters){0};
}

struct mock_adapter *mock_adapters_find(struct mock_adapters *adapters,
                                        const char *name)
{
    for (size_t i = 0; i < MOCK_ADAPTERS_MAX; i++) {
        struct mock_adapter *adapter = &adapters->places[i];
        if (adapter->name != NULL && strcmp(adapter->name, name) == 0) {
            return adapter;
        }
    }
    return NULL;
}

static struct mock_adapter *free_place(struct mock_adapters *adapters)
{
    for (size_t i = 0; i < MOCK_ADAPTERS_MAX; i++) {
        struct mock_adapter *adapter = &adapters->places[i];
        if (adapter->name == NULL && adapter->in_flight == 0) {
            return adapter;
        }
    }
    return NULL;
}

static unsigned say(struct text *said, unsigned status, const char *what)
{
    text_add(said, what);
    return status;
}

static unsigned say_done(struct text *said, const char *name, const char *done)
{
    text_printf(said, "Success: LoRA adapter '%s' %s successfully.", name, done);
    return 200;
}

static unsigned load(struct mock_adapters *adapters, const struct json *body,
                     struct text *said)
{
    const char *name = json_str(json_get(body, "lora_name"));
    const char *path = json_str(json_get(body, "lora_path"));
    if (name == NULL || path == NULL) {
        return say(said, 400, "Both 'lora_name' and 'lora_path' must be provided.");
    }
    if (mock_adapters_find(adapters, name) != NULL || strpbrk(name, "\"\\,") != NULL) {
        return say(said, 400,
                   "The lora adapter has already been loaded, or its name holds a "
                   "quote, backslash or comma.");
    }
    struct mock_adapter *adapter = free_place(adapters);
    if (adapter == NULL) {
        return say(said, 400, "No room for another adapter.");
    }
    adapter->name = mem_strdup(name);
    adapter->path = mem_strdup(path);
    return say_done(said, name, "added");
}

static unsigned unload(struct mock_adapters *adapters, const struct json *body,
                       struct text *said)
{
    const char *name = json_str(json_get(body, "lora_name"));
    if (name == NULL) {
        return say(said, 400, "'lora_name' needs to be provided.");
    }
    struct mock_adapter *adapter = mock_adapters_find(adapters, name);
    if (adapter == NULL) {
        return say(said, 404, "The lora adapter cannot be found.");
    }
    mem_free(adapter->name);
    mem_free(adapter->path);
    adapter->name = NULL;
    adapter->path = NULL;
    return say_done(said, name, "removed");
}

unsigned mock_adapters_load(struct mock_adapters *adapters, const char *body,
                            size_t byte_count, struct text *said)
{
    struct json *root = NULL;
    struct err err = {0};
    const unsigned status = json_parse(&root, "body", body, byte_count, &err)
                                ? load(adapters, root, said)
                                : say(said, 400, err.text);
    json_delete(root);
    return status;
}

unsigned mock_adapters_unload(struct mock_adapters *adapters, const char *body,
                              size_t byte_count, struct text *said)
{
    struct json *root = NULL;
    struct err err = {0};
    const unsigned status = json_parse(&root, "body", body, byte_count, &err)
                                ? unload(adapters, root, said)
                                : say(said, 400, err.text);
    json_delete(root);
    return status;
}

void mock_adapters_running(const struct mock_adapters *adapters, struct text *out)
{
    for (size_t i = 0; i < MOCK_ADAPTERS_MAX; i++) {
        const struct mock_adapter *adapter = &adapters->places[i];
        if (adapter->name != NULL && adapter->in_flight > 0) {
            text_printf(out, "%s%s", out->length > 0 ? "," : "", adapter->name);
        }
    }
}
