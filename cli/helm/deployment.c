/* SPDX-License-Identifier: Apache-2.0
 *
 * deployment.c: opens the files and looks the facts up.
 */
#include "cli/helm/deployment.h"

#include "base/mem.h"
#include "base/unit.h"
#include "cli/helm/flags.h"
#include "cli/helm/machines.h"
#include "cli/helm/place.h"
#include "sim/config_path.h"
#include "sim/quantization.h"

#include <stdio.h>
#include <string.h>

#define PRODUCT_LABEL "nvidia.com/gpu.product"

/* ---- GPU ---------------------------------------------------------------------------
 */

/* What the node selector demands, where it names one product. */
static const char *selected_product(const struct stack_engine *engine)
{
    for (size_t i = 0; i < engine->expression_count; i++) {
        const struct stack_expression *expression = &engine->expressions[i];
        if (strcmp(expression->key, PRODUCT_LABEL) == 0 &&
            strcmp(expression->op, "In") == 0 && engine->node_name == NULL) {
            return conf_scalar(conf_at(expression->values, 0));
        }
    }
    return NULL;
}

/* Of the first node with GPUs that the engine may go to; another kind is told. */
static const char *node_product(struct helm *helm, const struct helm_engine *engine)
{
    const char *product = NULL;
    for (uint32_t i = 0; helm->nodes != NULL && i < helm->nodes->count; i++) {
        const struct stack_node *node = &helm->nodes->items[i];
        if (node->gpu == NULL || node->gpus == 0 ||
            !nodes_selects(helm->machines, i, &engine->request)) {
            continue;
        }
        if (product != NULL && strcmp(product, node->gpu) != 0) {
            findings_add(&helm->stack->findings, FINDING_WARNING, "mixed_gpus",
                         engine->from->where,
                         "%s: its pods may land on %.60s and on %.60s; the first is "
                         "taken; select one by the label " PRODUCT_LABEL,
                         engine->from->name, product, node->gpu);
            return product;
        }
        product = node->gpu;
    }
    return product;
}

static bool gpu_find(struct helm *helm, struct helm_engine *engine,
                     const struct helm_args *args, struct err *err)
{
    const char *product = selected_product(engine->from);
    char path[PATH_MAX];
    if (product == NULL) {
        product = node_product(helm, engine);
    }
    if (product == NULL) {
        product = args->gpu;
    }
    if (product == NULL) {
        findings_add(&helm->stack->findings, FINDING_NOTE, "gpu_unknown",
                     engine->from->where,
                     "%s: nothing here says which GPU it gets, so that its KV cache "
                     "cannot be computed; give --gpu h100_sxm, or --nodes",
                     engine->from->name);
        return true;
    }
    if (!helm_gpu_find(helm->config_dir, product, engine->gpu_name)) {
        engine->gpu_name[0] = '\0';
        if (product == args->gpu) {
            return err_set(err, ERR_USAGE,
                           "--gpu: no file for %s in configs/gpus; `ls` it for those "
                           "that are known",
                           product);
        }
        findings_add(&helm->stack->findings, FINDING_WARNING, "gpu_unknown",
                     engine->from->where,
                     "%s: the GPU %.80s is none of configs/gpus; write a file for it",
                     engine->from->name, product);
        return true;
    }
    return config_path_find(helm->config_dir, "gpus", engine->gpu_name, path) &&
           gpu_spec_load(&engine->gpu, path, err);
}

/* ---- model -------------------------------------------------------------------------
 */

/* From --model-file URL=NAME; false when it names no file. */
static bool mapped_model(const struct helm *helm, struct helm_engine *engine,
                         const struct helm_args *args, bool *given, struct err *err)
{
    const char *url = engine->from->model_url;
    const size_t length = strlen(url);
    char path[PATH_MAX];
    for (size_t i = 0; i < args->modelmaps.count; i++) {
        const char *item = args->modelmaps.items[i];
        if (strncmp(item, url, length) != 0 || item[length] != '=') {
            continue;
        }
        *given = true;
        (void)snprintf(engine->model_name, sizeof engine->model_name, "%s",
                       item + length + 1);
        if (!config_path_find(helm->config_dir, "models", engine->model_name, path)) {
            return err_set(err, ERR_USAGE,
                           "--model-file: no configs/models/%s.yaml; `ls` it for those "
                           "that are known",
                           engine->model_name);
        }
    }
    return true;
}

static bool model_find(struct helm *helm, struct helm_engine *engine,
                       const struct helm_args *args, struct err *err)
{
    const struct stack_engine *from = engine->from;
    char path[PATH_MAX];
    bool given = false;
    if (!mapped_model(helm, engine, args, &given, err)) {
        return false;
    }
    if (!given &&
        !helm_model_find(helm->config_dir, from->model_url, engine->model_name)) {
        engine->model_name[0] = '\0';
        findings_add(&helm->stack->findings, FINDING_WARNING, "model_unknown",
                     from->where,
                     "%s: no file of configs/models is the model %.120s; write one, or "
                     "name one that is like it by --model-file URL=NAME",
                     from->name, from->model_url);
        return true;
    }
    char quantised[FACT_FILE_BYTES + 8];
    (void)snprintf(quantised, sizeof quantised, "%s_fp8", engine->model_name);
    if (!given && from->flags.quantization != NULL &&
        strcmp(from->flags.quantization, "fp8") == 0 &&
        config_path_find(helm->config_dir, "models", quantised, path)) {
        (void)snprintf(engine->model_name, sizeof engine->model_name, "%.*s",
                       FACT_FILE_BYTES - 1, quantised);
    }
    return config_path_find(helm->config_dir, "models", engine->model_name, path) &&
           model_spec_load(&engine->model, path, err);
}

/* ---- flags in force ----------------------------------------------------------------
 */

/* A volume that the model does not go on. */
static void volume_check(struct helm *helm, const struct helm_engine *engine)
{
    const struct stack_cache *cache = &engine->from->cache;
    const uint64_t weights = model_weight_bytes(&engine->model, 1);
    if (cache->limit_bytes > 0 && weights > cache->limit_bytes) {
        char size[24];
        char limit[24];
        unit_format_bytes(size, sizeof size, weights);
        unit_format_bytes(limit, sizeof limit, cache->limit_bytes);
        findings_add(
            &helm->stack->findings, FINDING_TRAP, "volume_too_small",
            engine->from->where,
            "%s: its weights are %s, the volume at %.100s takes %s: %s; make it "
            "larger",
            engine->from->name, size, cache->path, limit,
            cache->kind == STACK_CACHE_CLAIM ? "the download fails, and it never starts"
                                             : "its pods are evicted, again and again");
    }
}

/* Without the place in the flags as we wrote them, "chat8b:1: ", which no file has. */
static void reason_strip(struct helm_engine *engine)
{
    char place[80];
    char *text = engine->why.text;
    const int length = snprintf(place, sizeof place, "%.63s:1: ", engine->from->name);
    if (length > 0 && strncmp(text, place, (size_t)length) == 0) {
        memmove(text, text + length, strlen(text + length) + 1);
    }
}

/* Reads the flags as a scenario would, and counts the KV blocks. */
static void engine_resolve(struct helm *helm, struct helm_engine *engine)
{
    struct conf *conf = NULL;
    const char *text = text_str(&engine->flags);
    const bool parsed =
        conf_parse(&conf, engine->from->name, text, strlen(text), &engine->why);
    const uint32_t stages = helm_stages(engine->from);
    engine->fits = parsed &&
                   quantization_apply(&engine->model, &engine->gpu, conf_root(conf),
                                      &engine->why) &&
                   engine_config_load(&engine->config, conf_root(conf), &engine->gpu,
                                      &engine->model, &engine->why);
    if (engine->fits && stages <= PARALLEL_STAGES_MAX &&
        stages <= engine->model.layers) {
        plan_split(&engine->config.parallel, stages, engine->model.layers);
    }
    engine->fits =
        engine->fits && engine_kv_blocks(&engine->config, &engine->gpu, &engine->model,
                                         NULL, &engine->kv_blocks, &engine->why);
    conf_delete(conf);
    if (!engine->fits) {
        reason_strip(engine);
        findings_add(&helm->stack->findings, FINDING_TRAP, "does_not_fit",
                     engine->from->where, "%s: the engine does not start: %s",
                     engine->from->name, engine->why.text);
    }
    volume_check(helm, engine);
}

static bool engine_open(struct helm *helm, size_t index, const struct helm_args *args,
                        struct err *err)
{
    struct helm_engine *engine = &helm->engines[index];
    engine->from = &helm->stack->engines[index];
    if (!helm_request_make(helm, engine, err) || !gpu_find(helm, engine, args, err) ||
        !model_find(helm, engine, args, err)) {
        return false;
    }
    engine->known = engine->gpu_name[0] != '\0' && engine->model_name[0] != '\0';
    helm_flags(helm->stack, engine);
    if (engine->known) {
        engine_resolve(helm, engine);
    }
    return true;
}

bool helm_open(struct helm **out, const struct helm_args *args, const char *config_dir,
               struct err *err)
{
    struct helm *helm = mem_alloc(1, sizeof *helm);
    struct stack_options options = {.release = STACK_HEAD,
                                    .name = args->release,
                                    .more = args->resources.items,
                                    .more_count = args->resources.count};
    helm->config_dir = config_dir;
    if ((args->compat != NULL &&
         !stack_release_parse(args->compat, &options.release, err)) ||
        !stack_load(&helm->stack, args->values, &options, err) ||
        (args->nodes != NULL && !stack_nodes_load(&helm->nodes, args->nodes, err)) ||
        !helm_machines_open(helm, err)) {
        helm_close(helm);
        return false;
    }
    helm->engines = mem_alloc(helm->stack->engine_count, sizeof *helm->engines);
    for (size_t i = 0; i < helm->stack->engine_count; i++) {
        if (!engine_open(helm, i, args, err)) {
            helm_close(helm);
            return false;
        }
    }
    helm_place(helm);
    findings_sort(&helm->stack->findings);
    *out = helm;
    return true;
}

void helm_close(struct helm *helm)
{
    if (helm == NULL) {
        return;
    }
    for (size_t i = 0; helm->engines != NULL && i < helm->stack->engine_count; i++) {
        text_fini(&helm->engines[i].flags);
        text_fini(&helm->engines[i].placed);
    }
    mem_free(helm->engines);
    helm_machines_close(helm);
    stack_nodes_delete(helm->nodes);
    stack_delete(helm->stack);
    mem_free(helm);
}

const char *helm_router_flag(const struct helm *helm, const char *name)
{
    return args_value(&helm->stack->router.args, name, NULL);
}
