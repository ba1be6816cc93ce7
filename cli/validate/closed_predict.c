/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_predict.c: rows name GPU, model and parallel size but not the engine's flags,
 * so all else is vLLM's own default (v0.19), whatever backend a row is of; how the host
 * works and whose scheduler it is, is a file of configs/hosts; what the load was like,
 * closed_load.h. Prefix caching is off: the prompts of such tests are random.
 */
#include "cli/validate/closed_predict.h"

#include "base/mem.h"
#include "base/text.h"
#include "sim/closed_loop.h"
#include "sim/config_path.h"
#include "sim/facts.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ENGINES_MAX = 1 << 16, FOUR_BITS = 4, EIGHT_BITS = 8 };
/* As the benchmark that most public dumps come from does it (InferenceMAX): every user
 * sends ten requests, and all begin at once. */
enum { REQUESTS_PER_USER = 10, SLOTS_MAX = 1024 };

struct closed_engine {
    struct closed_host host;
    struct closed_row key; /* system, model, bits, group, and whether it holds */
    enum closed_reason reason;
    struct gpu_spec gpu;
    struct model_spec model;
    struct engine_config config;
    uint32_t kv_blocks;
    struct cost *cost;
};

struct closed_engines {
    struct closed_setup setup;
    struct closed_engine **engines;
    size_t count;
    size_t capacity;
};

struct closed_engines *closed_engines_new(const struct closed_setup *setup)
{
    struct closed_engines *engines = mem_alloc(1, sizeof *engines);
    engines->setup = *setup;
    return engines;
}

void closed_engines_delete(struct closed_engines *engines)
{
    if (engines == NULL) {
        return;
    }
    for (size_t i = 0; i < engines->count; i++) {
        cost_delete(engines->engines[i]->cost);
        mem_free(engines->engines[i]);
    }
    mem_free(engines->engines);
    mem_free(engines);
}

/* A letter or digit as our file names have it; anything else is an underscore. */
static char name_character(char character)
{
    const int lower = tolower((unsigned char)character);
    return isalnum(lower) ? (char)lower : '_';
}

void closed_model_name(char out[CLOSED_WORD_BYTES], const char *model_path)
{
    static const char *const endings[] = {"_fp8", "_nvfp4", "_fp4", "_instruct",
                                          "_dynamic"};
    const char *slash = strrchr(model_path, '/');
    (void)snprintf(out, CLOSED_WORD_BYTES, "%s",
                   slash == NULL ? model_path : slash + 1);
    for (char *at = out; *at != '\0'; at++) {
        *at = name_character(*at);
    }
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t length = strlen(out);
        const size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(out + length - ending, endings[i]) == 0) {
            out[length - ending] = '\0';
        }
    }
}

/* A cell of the table is no path. */
static bool is_name(const char *cell)
{
    return *cell != '\0' && strchr(cell, '/') == NULL;
}

static bool fit_find(const struct closed_engine *engine, const char *config_dir,
                     char path[PATH_MAX])
{
    char model[CLOSED_WORD_BYTES];
    char name[3 * CLOSED_WORD_BYTES];
    closed_model_name(model, engine->key.model_path);
    if (engine->model.weight_bits != 16) {
        return false; /* shipped fits are of 16-bit weights */
    }
    if (engine->config.tensor_parallel > 1) {
        (void)snprintf(name, sizeof name, "%s.%s.tp%u", engine->key.system, model,
                       engine->config.tensor_parallel);
    } else {
        (void)snprintf(name, sizeof name, "%s.%s", engine->key.system, model);
    }
    return config_path_find(config_dir, "fits", name, path);
}

/* What was fitted to the op tables of that GPU and backend; of backends without tables
 * vLLM's, whose kernels they share. */
static bool ops_fit_find(const struct closed_engine *engine, const char *config_dir,
                         char path[PATH_MAX])
{
    char name[3 * CLOSED_WORD_BYTES];
    if (engine->model.experts > 0 || engine->model.kv_lora_rank > 0) {
        return false;
    }
    (void)snprintf(name, sizeof name, "%s.%s.ops", engine->key.system,
                   engine->key.backend);
    if (is_name(engine->key.backend) &&
        config_path_find(config_dir, "fits", name, path)) {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s.vllm.ops", engine->key.system);
    return config_path_find(config_dir, "fits", name, path);
}

static bool cost_make(struct closed_engine *engine, const struct closed_setup *choice,
                      struct err *err)
{
    const char *config_dir = choice->config_dir;
    const bool any = choice->times != CLOSED_TIMES_ROOFLINE;
    char path[PATH_MAX];
    struct text yaml = {0};
    struct conf *map = NULL;
    bool fitted = true;
    if (any && fit_find(engine, config_dir, path)) {
        text_printf(&yaml, "model: affine\nfit: '%s'\n", path);
    } else if (any && ops_fit_find(engine, config_dir, path)) {
        text_printf(&yaml, "model: ops\nfit: '%s'\nquantise: %s\n", path,
                    choice->times == CLOSED_TIMES_MEASURED ? "measured" : "fused");
    } else if (choice->times == CLOSED_TIMES_OPS) {
        engine->reason = CLOSED_PRECISION;
        return true;
    } else {
        fitted = false;
        text_add(&yaml, "model: roofline\n");
    }
    bool ok = conf_parse(&map, "cost model", text_str(&yaml), yaml.length, err);
    if (ok) {
        const struct cost_setup setup = {
            .gpu = &engine->gpu,
            .model = &engine->model,
            .engine = &engine->config,
            .map = conf_root(map),
            .fit_path = fitted ? path : NULL,
        };
        ok = cost_new(&engine->cost, &setup, err);
    }
    conf_delete(map);
    text_fini(&yaml);
    return ok;
}

/* A host file is keys of the engine, and the front end's time. */
static bool scheduler_read(const struct conf_node *map, bool *prefill_first,
                           struct err *err)
{
    static const char *const names[] = {"vllm", "prefill_first", NULL};
    uint32_t index = 0;
    if (!conf_enum(map, "scheduler", names, &index, err)) {
        return false;
    }
    *prefill_first = index == 1;
    return true;
}

static bool host_read(struct closed_host *host, const char *backend,
                      const char *config_dir, struct err *err)
{
    char path[PATH_MAX];
    struct conf *conf = NULL;
    int64_t request_ns = 0;
    const char *name = NULL;
    *host = (struct closed_host){.step_ns = -1, .overlaps = true};
    if ((!is_name(backend) || !config_path_find(config_dir, "hosts", backend, path)) &&
        !config_path_find(config_dir, "hosts", "default", path)) {
        return true;
    }
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    const struct conf_node *map = conf_root(conf);
    const bool ok = conf_str(map, "name", &name, err) &&
                    conf_require(map, "cpu_step", err) &&
                    conf_duration_ns(map, "cpu_step", &host->step_ns, err) &&
                    conf_duration_ns(map, "cpu_sequence", &host->sequence_ns, err) &&
                    conf_bool(map, "async_scheduling", &host->overlaps, err) &&
                    conf_duration_ns(map, "request", &request_ns, err) &&
                    scheduler_read(map, &host->prefill_first, err) &&
                    conf_str(map, "source", &name, err) && conf_done(map, err);
    host->request_s = (double)request_ns / 1e9;
    conf_delete(conf);
    return ok;
}

static struct closed_load load_of(const struct closed_engines *engines,
                                  const struct closed_row *row)
{
    const enum closed_load_kind kind = engines->setup.load;
    struct closed_load load =
        closed_load_of(kind < CLOSED_LOAD_COUNT ? kind : row->load);
    if (!isnan(engines->setup.jitter)) {
        load.jitter = load.jitter;
    }
    return load;
}

/* The budget holds every slot, as vLLM demands. */
static void budget_print(struct text *yaml, const struct closed_engine *engine,
                         uint32_t margin)
{
    const uint32_t budget = engine->key.prompt_tokens + margin;
    const uint32_t slots = budget < SLOTS_MAX ? budget : SLOTS_MAX;
    text_printf(yaml,
                "max_num_batched_tokens: %" PRIu32 "\nmax_num_seqs: %" PRIu32 "\n",
                budget, slots);
}

static void flags_make(const struct closed_engines *engines,
                       struct closed_engine *engine)
{
    const struct closed_host *host = &engine->host;
    const struct closed_load load = load_of(engines, &engine->key);
    struct text yaml = {0};
    struct conf *map = NULL;
    struct err refused = {0};
    text_printf(&yaml,
                "tensor_parallel: %" PRIu32 "\nmax_model_len: %" PRIu32
                "\nprefix_caching: false\nasync_scheduling: %s\n",
                engine->key.tensor_parallel,
                engine->key.prompt_tokens + engine->key.output_tokens,
                host->overlaps ? "true" : "false");
    /* A scheduler that cuts prompts by a flag of its own keeps that flag's default. */
    if (load.budget_margin > 0 && !host->prefill_first) {
        budget_print(&yaml, engine, load.budget_margin);
    }
    if (host->step_ns >= 0) {
        text_printf(&yaml, "cpu_step: %" PRId64 "ns\ncpu_sequence: %" PRId64 "ns\n",
                    host->step_ns, host->sequence_ns);
    }
    const bool fits =
        conf_parse(&map, "engine", text_str(&yaml), yaml.length, &refused) &&
        engine_config_load(&engine->config, conf_root(map), &engine->gpu,
                           &engine->model, &refused) &&
        engine_kv_blocks(&engine->config, &engine->gpu, &engine->model, NULL,
                         &engine->kv_blocks, &refused);
    conf_delete(map);
    text_fini(&yaml);
    engine->reason = fits ? CLOSED_SCORED : CLOSED_NO_ROOM;
}

/* One group of GPUs holds attention and experts; ranks with attention of their own
 * would meet in every layer. */
static enum closed_reason experts_judge(const struct closed_engines *engines,
                                        const struct closed_engine *engine)
{
    if (engine->model.experts == 0) {
        return CLOSED_SCORED;
    }
    if (!engines->setup.experts) {
        return CLOSED_EXPERTS;
    }
    const uint32_t gpus = engine->key.expert_gpus;
    return engine->key.ranks > 1 || (gpus > 0 && gpus != engine->key.tensor_parallel)
               ? CLOSED_SPREAD
               : CLOSED_SCORED;
}

/* What no figure is known for, and what does not fit, is an answer about the row. */
static bool engine_make(const struct closed_engines *engines,
                        struct closed_engine *engine, struct err *err)
{
    const char *config_dir = engines->setup.config_dir;
    char path[PATH_MAX];
    char model[CLOSED_WORD_BYTES];
    if (!is_name(engine->key.system) ||
        !config_path_find(config_dir, "gpus", engine->key.system, path)) {
        engine->reason = CLOSED_NO_GPU;
        return true;
    }
    if (!gpu_spec_load(&engine->gpu, path, err)) {
        return false;
    }
    closed_model_name(model, engine->key.model_path);
    if (!config_path_find(config_dir, "models", model, path)) {
        engine->reason = CLOSED_NO_MODEL;
        return true;
    }
    if (!model_spec_load(&engine->model, path, err)) {
        return false;
    }
    engine->reason = experts_judge(engines, engine);
    if (engine->reason != CLOSED_SCORED) {
        return true;
    }
    if (engine->key.weight_bits != 0) {
        engine->model.weight_bits = engine->key.weight_bits;
        engine->model.expert_bits = engine->key.weight_bits;
        /* Recipes for quantised weights quantise the KV cache, too. */
        engine->model.kv_bits = engine->key.weight_bits < 16 ? 8 : 16;
    }
    const uint32_t bits = engine->model.weight_bits;
    if ((bits == FOUR_BITS && engine->gpu.fp4_gemm_mfu.count == 0) ||
        (bits == EIGHT_BITS && engine->gpu.fp8_gemm_mfu.count == 0)) {
        engine->reason = CLOSED_PRECISION;
        return true;
    }
    if (!host_read(&engine->host, engine->key.backend, config_dir, err)) {
        return false;
    }
    if (engines->setup.host != NULL) {
        const bool prefill_first = engine->host.prefill_first;
        engine->host = *engines->setup.host;
        engine->host.prefill_first = prefill_first;
    }
    flags_make(engines, engine);
    return engine->reason != CLOSED_SCORED || cost_make(engine, &engines->setup, err);
}

static bool same_engine(const struct closed_row *a, const struct closed_row *b)
{
    return strcmp(a->system, b->system) == 0 &&
           strcmp(a->model_path, b->model_path) == 0 &&
           strcmp(a->backend, b->backend) == 0 && a->weight_bits == b->weight_bits &&
           a->tensor_parallel == b->tensor_parallel &&
           a->prompt_tokens == b->prompt_tokens && a->load == b->load &&
           a->output_tokens == b->output_tokens && a->ranks == b->ranks &&
           a->expert_gpus == b->expert_gpus;
}

/* NULL: an error. */
static struct closed_engine *engine_of(struct closed_engines *engines,
                                       const struct closed_row *row, struct err *err)
{
    for (size_t i = engines->count; i-- > 0;) {
        if (same_engine(&engines->engines[i]->key, row)) {
            return engines->engines[i];
        }
    }
    void *array = engines->engines;
    if (!mem_grow(&array, &engines->capacity, engines->count + 1,
                  sizeof(struct closed_engine *), ENGINES_MAX)) {
        (void)err_set(err, ERR_INPUT, "more than %d different engines", ENGINES_MAX);
        return NULL;
    }
    engines->engines = array;
    struct closed_engine *engine = mem_alloc(1, sizeof *engine);
    engines->engines[engines->count++] = engine;
    engine->key = *row;
    return engine_make(engines, engine, err) ? engine : NULL;
}

bool closed_predict(struct closed_engines *engines, const struct closed_row *row,
                    struct closed_prediction *out, enum closed_reason *reason,
                    struct err *err)
{
    struct closed_engine *engine = engine_of(engines, row, err);
    if (engine == NULL) {
        return false;
    }
    *reason = engine->reason;
    if (engine->reason != CLOSED_SCORED) {
        return true;
    }
    const struct closed_load load = load_of(engines, row);
    const struct closed_loop loop = {
        .engine = &engine->config,
        .prefill_first = engine->host.prefill_first,
        .cost = engine->cost,
        .kv_blocks = engine->kv_blocks,
        .users = row->users,
        .requests_per_user = REQUESTS_PER_USER,
        .prompt_tokens = row->prompt_tokens,
        .output_tokens = row->output_tokens,
        .jitter = load.jitter,
        .seed = 1,
    };
    struct closed_loop_result result;
    closed_loop_run(&result, &loop);
    out->ttft_ms = (result.ttft_mean_s + engine->host.request_s) * 1e3;
    out->tpot_ms = result.tpot_mean_s * 1e3;
    out->weight_bits = engine->model.weight_bits;
    out->source = cost_description(engine->cost);
    return true;
}
