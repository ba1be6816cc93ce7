/* SPDX-License-Identifier: Apache-2.0
 *
 * adapters.c: a list, or a row of adapters that differ in rank alone.
 *
 * Loading times are those that spec/vllm-engine.md 3.5 recommends, guesses by its own
 * words, so every figure is a key. A rank-16 adapter of an 8B model comes out at 6 ms
 * from host memory and 76 ms from a local disk.
 */
#include "sim/adapters.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "sim/lora.h"
#include "traces/segment.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { RANK_MAX = 512, REPLICAS_MAX = 4096, RANKS_MAX = 64 };
enum { KERNELS_PER_LAYER = 8 }; /* shrink and expand of qkv, o, gate_up, down */
static const double second_ns = 1e9;

/* bytes per second, and what does not depend on the size */
struct loading {
    uint64_t disk_per_s;
    uint64_t remote_per_s;
    int64_t remote_ns;
    uint64_t pin_per_s;
    uint64_t copy_per_s;
    int64_t cold_ns;
    int64_t warm_ns;
};

struct adapter_list {
    uint32_t count;
    size_t capacity;
    struct adapter *adapters;
    struct map *index_of_id;
    enum placement placement;
    bool preload;
    double step_scale;
    struct loading loading;
    /* Defaults of the adapters. */
    uint32_t replicas;
    uint32_t source;
};

static const char *const sources[] = {"disk", "remote", NULL};

static bool list_add(struct adapter_list *list, const struct conf_node *where,
                     const struct adapter *adapter, struct err *err)
{
    void *array = list->adapters;
    if (!mem_grow(&array, &list->capacity, (size_t)list->count + 1,
                  sizeof *list->adapters, ADAPTERS_MAX)) {
        return conf_fail(where, err, "adapters: at most %d", ADAPTERS_MAX);
    }
    list->adapters = array;
    uint32_t other = 0;
    const uint64_t id = adapter_id(adapter->name);
    if (map_get(list->index_of_id, id, &other)) {
        return conf_fail(where, err, "name: there is an adapter %s already",
                         list->adapters[other].name);
    }
    map_put(list->index_of_id, id, list->count);
    struct adapter *here = &list->adapters[list->count++];
    *here = *adapter;
    here->id = id;
    here->name = mem_strdup(adapter->name);
    here->model = adapter->model != NULL ? mem_strdup(adapter->model) : NULL;
    return true;
}

/* What an item of `list` and `generate` have in common. */
static bool adapter_keys(const struct adapter_list *list, const struct conf_node *map,
                         struct adapter *adapter, struct err *err)
{
    uint32_t source = list->source;
    *adapter = (struct adapter){.rank = 16, .replicas = list->replicas};
    if (!conf_bytes(map, "size", &adapter->bytes, err) ||
        !conf_enum(map, "source", sources, &source, err) ||
        !conf_u32(map, "replicas", &adapter->replicas, 0, REPLICAS_MAX, err) ||
        !conf_duration_ns(map, "loaded", &adapter->loaded_ns, err) ||
        !conf_str(map, "model", &adapter->model, err)) {
        return false;
    }
    adapter->remote = source == 1;
    return true;
}

static bool item_read(struct adapter_list *list, const struct conf_node *map,
                      struct err *err)
{
    struct adapter adapter;
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "list: each adapter is a map, {name: NAME, ...}");
    }
    if (!adapter_keys(list, map, &adapter, err) || !conf_require(map, "name", err) ||
        !conf_str(map, "name", &adapter.name, err) ||
        !conf_u32(map, "rank", &adapter.rank, 1, RANK_MAX, err)) {
        return false;
    }
    if (adapter.name[0] == '\0') {
        return conf_fail(conf_get(map, "name"), err, "name: is empty");
    }
    return list_add(list, map, &adapter, err);
}

static bool ranks_read(const struct conf_node *map, uint32_t out[RANKS_MAX],
                       size_t *count, struct err *err)
{
    const struct conf_node *ranks = NULL;
    if (!conf_list(map, "ranks", &ranks, err)) {
        return false;
    }
    out[0] = 16;
    *count = 1;
    if (ranks == NULL) {
        return true;
    }
    *count = conf_count(ranks);
    if (*count == 0 || *count > RANKS_MAX) {
        return conf_fail(ranks, err, "ranks: 1 to %d of them", RANKS_MAX);
    }
    for (size_t i = 0; i < *count; i++) {
        const char *text = conf_scalar(conf_at(ranks, i));
        char *end = NULL;
        const unsigned long rank = text != NULL ? strtoul(text, &end, 10) : 0;
        if (text == NULL || *end != '\0' || rank < 1 || rank > RANK_MAX) {
            return conf_fail(conf_at(ranks, i), err, "ranks: each is from 1 to %d",
                             RANK_MAX);
        }
        out[i] = (uint32_t)rank;
    }
    return true;
}

/* `ranks` are dealt out in turn. */
static bool generate(struct adapter_list *list, const struct conf_node *map,
                     struct err *err)
{
    const char *prefix = "adapter-";
    uint32_t count = 0;
    uint32_t ranks[RANKS_MAX];
    size_t rank_count = 0;
    struct adapter adapter;
    if (!adapter_keys(list, map, &adapter, err) || !conf_require(map, "count", err) ||
        !conf_u32(map, "count", &count, 1, ADAPTERS_MAX, err) ||
        !conf_str(map, "prefix", &prefix, err) ||
        !ranks_read(map, ranks, &rank_count, err)) {
        return false;
    }
    struct text name = {0};
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        name.length = 0;
        text_printf(&name, "%s%" PRIu32, prefix, i);
        adapter.name = text_str(&name);
        adapter.rank = ranks[i % rank_count];
        ok = list_add(list, map, &adapter, err);
    }
    text_fini(&name);
    return ok;
}

static bool per_s_read(const struct conf_node *map, const char *key, uint64_t *out,
                       struct err *err)
{
    return conf_bytes(map, key, out, err) &&
           (*out > 0 || conf_fail(conf_get(map, key), err,
                                  "%s: bytes per second, above 0: 3GB", key));
}

static bool loading_read(struct loading *loading, const struct conf_node *map,
                         struct err *err)
{
    const struct conf_node *node = NULL;
    const struct conf_node *remote = NULL;
    *loading = (struct loading){
        .disk_per_s = UINT64_C(3000000000),
        .remote_per_s = UINT64_C(1000000000),
        .remote_ns = INT64_C(50000000),
        .pin_per_s = UINT64_C(2000000000),
        .copy_per_s = UINT64_C(20000000000),
        .cold_ns = 2000000,
        .warm_ns = 1500000,
    };
    return conf_map(map, "loading", &node, err) &&
           per_s_read(node, "disk", &loading->disk_per_s, err) &&
           per_s_read(node, "pin", &loading->pin_per_s, err) &&
           per_s_read(node, "h2d", &loading->copy_per_s, err) &&
           conf_duration_ns(node, "cold", &loading->cold_ns, err) &&
           conf_duration_ns(node, "warm", &loading->warm_ns, err) &&
           conf_map(node, "remote", &remote, err) &&
           per_s_read(remote, "bandwidth", &loading->remote_per_s, err) &&
           conf_duration_ns(remote, "latency", &loading->remote_ns, err);
}

static bool list_read(struct adapter_list *list, const struct conf_node *map,
                      struct err *err)
{
    static const char *const placements[] = {"default", "balanced", NULL};
    const struct conf_node *items = NULL;
    const struct conf_node *rule = NULL;
    uint32_t placement = PLACEMENT_DEFAULT;
    list->replicas = UINT32_MAX;
    list->preload = true;
    list->step_scale = 1.0;
    if (!conf_enum(map, "placement", placements, &placement, err) ||
        !conf_u32(map, "replicas", &list->replicas, 0, REPLICAS_MAX, err) ||
        !conf_enum(map, "source", sources, &list->source, err) ||
        !conf_bool(map, "preload", &list->preload, err) ||
        !conf_f64(map, "step_scale", &list->step_scale, 0, 100, err) ||
        !loading_read(&list->loading, map, err) ||
        !conf_list(map, "list", &items, err) ||
        !conf_map(map, "generate", &rule, err)) {
        return false;
    }
    list->placement = (enum placement)placement;
    for (size_t i = 0; items != NULL && i < conf_count(items); i++) {
        if (!item_read(list, conf_at(items, i), err)) {
            return false;
        }
    }
    if (rule != NULL && !generate(list, rule, err)) {
        return false;
    }
    return list->count > 0 ||
           conf_fail(map, err, "adapters: none; give list: or generate:");
}

bool adapter_list_read(struct adapter_list **out, const struct conf_node *root,
                       struct err *err)
{
    const struct conf_node *map = NULL;
    *out = NULL;
    if (!conf_map(root, "adapters", &map, err)) {
        return false;
    }
    if (map == NULL) {
        return true;
    }
    struct adapter_list *list = mem_alloc(1, sizeof(*list));
    list->index_of_id = map_new(64, ADAPTERS_MAX);
    if (!list_read(list, map, err)) {
        adapter_list_delete(list);
        return false;
    }
    *out = list;
    return true;
}

static void name_free(const char *name)
{
    char *bytes = NULL;
    memcpy(&bytes, &name, sizeof bytes);
    mem_free(bytes);
}

void adapter_list_delete(struct adapter_list *list)
{
    if (list != NULL) {
        for (uint32_t i = 0; i < list->count; i++) {
            name_free(list->adapters[i].name);
            name_free(list->adapters[i].model);
        }
        mem_free(list->adapters);
        map_delete(list->index_of_id);
        mem_free(list);
    }
}

uint32_t adapter_list_count(const struct adapter_list *list)
{
    return list == NULL ? 0 : list->count;
}

const struct adapter *adapter_list_at(const struct adapter_list *list, uint32_t index)
{
    CHECK(index < list->count, "adapter %u of %u", index, list->count);
    return &list->adapters[index];
}

uint32_t adapter_list_find(const struct adapter_list *list, const char *name)
{
    uint32_t index = 0;
    const bool known = list != NULL &&
                       map_get(list->index_of_id, adapter_id(name), &index) &&
                       strcmp(list->adapters[index].name, name) == 0;
    return known ? index : ADAPTER_NONE;
}

enum placement adapter_list_placement(const struct adapter_list *list)
{
    return list->placement;
}

bool adapter_list_preloads(const struct adapter_list *list)
{
    return list->preload;
}

uint64_t adapter_id(const char *name)
{
    return name == NULL ? 0 : hash_xxh64(name, strlen(name), 0);
}

uint64_t adapter_stream(const char *name, uint64_t stream)
{
    return segment_stream(segment_kind_of(stream), hash_pair(adapter_id(name), stream));
}

/* ---- costs ----------------------------------------------------------------------- */

static int64_t move_ns(double bytes, uint64_t per_s)
{
    return llround(bytes / (double)per_s * second_ns);
}

struct adapter_costs *adapter_costs_new(const struct adapter_list *list,
                                        const struct engine_config *engine,
                                        const struct gpu_spec *gpu,
                                        const struct model_spec *model)
{
    const struct loading *loading = &list->loading;
    const double share = lora_gpu_share(&engine->lora, engine->tensor_parallel);
    struct adapter_costs *costs = mem_alloc(1, sizeof(*costs));
    costs->count = list->count;
    costs->adapter = mem_alloc(list->count, sizeof *costs->adapter);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct adapter *adapter = &list->adapters[i];
        const double bytes = adapter->bytes > 0 ? (double)adapter->bytes
                                                : lora_bytes(model, adapter->rank);
        const int64_t copy_ns = move_ns(bytes * share, loading->copy_per_s);
        costs->adapter[i] = (struct adapter_cost){
            .fetch_ns = adapter->remote
                            ? loading->remote_ns + move_ns(bytes, loading->remote_per_s)
                            : 0,
            .read_ns = loading->cold_ns + move_ns(bytes, loading->disk_per_s) +
                       move_ns(bytes, loading->pin_per_s),
            .copy_ns = copy_ns,
            .warm_ns = copy_ns + loading->warm_ns,
            .gpu_bytes = (uint64_t)llround(bytes * share),
            .rank = adapter->rank,
        };
    }
    const double flops = 2.0 * lora_values_per_rank(model) * share;
    costs->launch_s =
        list->step_scale * model->layers * KERNELS_PER_LAYER * gpu->small_kernel_s;
    costs->byte_s =
        list->step_scale / (gpu->memory_bytes_per_s * gpu->gemm_memory_efficiency);
    costs->rank_token_s =
        list->step_scale * flops / (gpu->bf16_flops_per_s * gpu->gemm_mfu.y[0]);
    return costs;
}

void adapter_costs_delete(struct adapter_costs *costs)
{
    if (costs != NULL) {
        mem_free(costs->adapter);
        mem_free(costs);
    }
}
