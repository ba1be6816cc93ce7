/* SPDX-License-Identifier: Apache-2.0
 *
 * cost.c: hosts a cost model and adds what the CPU does for each step.
 *
 * Synchronous engines wait for their host: step = GPU + host. Under asynchronous
 * scheduling the host works one step ahead: step = max(GPU, host). Host work is affine
 * in the number of sequences, so the law of cost.h survives both; the maximum only adds
 * an edge where the growing GPU time overtakes the host's.
 */
#include "sim/cost.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"

#include <math.h>
#include <string.h>

static const struct cost_model *const models[] = {
#define COST(name) &cost_model_##name,
#include "sim/cost/registry.def"
#undef COST
};
enum { MODELS = sizeof(models) / sizeof(models[0]) };

struct cost {
    const struct cost_model *model;
    void *state; /* of the first stage, and of all where whole steps are shared out */
    uint32_t stages;
    void *stage_state[PARALLEL_STAGES_MAX]; /* by_stage: one each */
    uint32_t stage_layers[PARALLEL_STAGES_MAX];
    uint32_t layers;                          /* sum; >= 1 */
    double send_s[PARALLEL_STAGES_MAX];       /* to the next stage, of no bytes */
    double send_token_s[PARALLEL_STAGES_MAX]; /* and for each token */
    bool overlaps;                            /* host and GPU */
    int64_t host_step_fx;
    int64_t host_sequence_fx;
    struct text description;
};

int64_t cost_fx_of_s(double seconds)
{
    const double fx = seconds * 1e9 * COST_FX_PER_NS;
    CHECK(fx >= 0.0 && fx < 9.0e18, "a step of %g s", seconds);
    return (int64_t)llround(fx);
}

static bool model_find(const struct conf_node *map, const struct cost_model **model,
                       struct err *err)
{
    const char *names[MODELS + 1] = {0};
    for (size_t i = 0; i < MODELS; i++) {
        names[i] = models[i]->name;
    }
    uint32_t index = 0;
    if (!conf_enum(map, "model", names, &index, err)) {
        return false;
    }
    *model = models[index];
    return true;
}

/* Whoever looked the file up made its key a known one: left alone, times that look
 * fitted would be the data sheet's. */
static bool fit_is_read(const struct cost_setup *setup, const struct cost_model *model,
                        struct err *err)
{
    if (setup->fit_path == NULL || model->reads_fit) {
        return true;
    }
    return conf_fail(conf_get(setup->map, "fit"), err,
                     "fit: model %s reads none; use model: affine or leave fit out",
                     model->name);
}

static bool drafts_are_known(const struct cost_setup *setup,
                             const struct cost_model *model, struct err *err)
{
    return setup->engine->speculation.tokens == 0 || model->drafts != DRAFTS_UNKNOWN ||
           conf_fail(setup->map, err,
                     "cost: model %s looks up steps in which nobody verified drafts; "
                     "with engine: {speculative: ...} use roofline, affine or ops",
                     model->name);
}

static bool format_is_known(const struct cost_setup *setup,
                            const struct cost_model *model, struct err *err)
{
    const struct model_spec *spec = setup->model;
    if (spec->format[0] == '\0' || model->formats == FORMATS_ALL) {
        return true;
    }
    if (model->formats == FORMATS_MEASURED) {
        return conf_fail(setup->map, err,
                         "cost: model %s has times of the engine that was measured and "
                         "cannot know those with %s; leave quantization and "
                         "kv_cache_dtype out, or use roofline",
                         model->name, spec->format);
    }
    return (!spec->weight_only && !spec->int8 && spec->weight_bits != 4) ||
           conf_fail(setup->map, err,
                     "cost: model %s has kernels of 16 bits and of 8-bit floats, not "
                     "%s; use roofline",
                     model->name, spec->format);
}

static struct rank_group group_of_stage(const struct cost_setup *setup, uint32_t index)
{
    const uint32_t tp = setup->engine->tensor_parallel;
    return (struct rank_group){setup->placement, index * tp, tp};
}

static bool state_new(void **out, const struct cost *cost,
                      const struct cost_setup *setup, struct err *err)
{
    void *state = mem_alloc(1, cost->model->state_bytes);
    if (!cost->model->init(state, setup, err)) {
        mem_free(state);
        return false;
    }
    *out = state;
    return true;
}

static void states_delete(struct cost *cost)
{
    for (uint32_t i = 0; i < PARALLEL_STAGES_MAX; i++) {
        if (cost->stage_state[i] != NULL && cost->model->fini != NULL) {
            cost->model->fini(cost->stage_state[i]);
        }
        mem_free(cost->stage_state[i]);
    }
}

/* Hidden states and residuals, 16 bits each (spec/vllm-engine.md 4.1). */
static void sends_fill(struct cost *cost, const struct cost_setup *setup)
{
    const double token_bytes = 2.0 * 2.0 * setup->model->hidden;
    for (uint32_t i = 0; i + 1 < cost->stages; i++) {
        const struct rank_group from = group_of_stage(setup, i);
        const struct rank_group to = group_of_stage(setup, i + 1);
        const double none_s = topology_send_s(setup->gpu, &from, &to, 0.0);
        const double many_s =
            topology_send_s(setup->gpu, &from, &to, 1e6 * token_bytes);
        cost->send_s[i] = none_s;
        cost->send_token_s[i] = (many_s - none_s) / 1e6;
    }
}

/* A model made for each stage, with the stage's layers alone, or one for whole steps.
 */
static bool stages_new(struct cost *cost, const struct cost_setup *setup,
                       struct err *err)
{
    const struct cost_model *model = cost->model;
    cost->stages = plan_stages(&setup->engine->parallel);
    for (uint32_t i = 0; i < cost->stages; i++) {
        const struct rank_group group = group_of_stage(setup, i);
        struct cost_setup one = *setup;
        one.stage = plan_stage(&setup->engine->parallel, setup->model, i);
        one.group = group;
        cost->stage_layers[i] = one.stage.layers;
        cost->layers += one.stage.layers;
        if (!model->by_stage && rank_group_nodes(&group) > 1) {
            return conf_fail(setup->map, err,
                             "cost: model %s knows all-reduces of one node only, and "
                             "the tensor-parallel group spans %u; use model: roofline "
                             "or ops, or more GPUs of each node",
                             model->name, rank_group_nodes(&group));
        }
        if (!model->by_stage && i > 0) {
            continue;
        }
        const struct model_spec part = stage_model(&one.stage, setup->model);
        one.model = model->by_stage ? &part : setup->model;
        if (!state_new(&cost->stage_state[i], cost, &one, err)) {
            return false;
        }
    }
    cost->state = cost->stage_state[0];
    sends_fill(cost, setup);
    return true;
}

static void description_fill(struct cost *cost, const struct cost_setup *setup)
{
    struct text *out = &cost->description;
    text_printf(out, "%s, %s x %s, TP %u, ", cost->model->name, setup->gpu->name,
                setup->model->name, setup->engine->tensor_parallel);
    if (cost->stages > 1) {
        text_printf(out, "PP %u (", cost->stages);
        for (uint32_t i = 0; i < cost->stages; i++) {
            text_printf(out, "%s%u", i == 0 ? "" : "+", cost->stage_layers[i]);
        }
        text_printf(out, " layers%s), ",
                    cost->model->by_stage ? "" : ", whole steps shared out by them");
    }
    if (setup->model->format[0] != '\0') {
        text_printf(out, "%s, ", setup->model->format);
    }
    cost->model->describe(cost->state, out);
}

bool cost_new(struct cost **out, const struct cost_setup *setup, struct err *err)
{
    const struct cost_model *model = NULL;
    if (!model_find(setup->map, &model, err) || !fit_is_read(setup, model, err) ||
        !drafts_are_known(setup, model, err) || !format_is_known(setup, model, err)) {
        return false;
    }
    struct cost *cost = mem_alloc(1, sizeof(*cost));
    cost->model = model;
    cost->overlaps = setup->engine->async_scheduling;
    cost->host_step_fx = setup->engine->cpu_step_ns * COST_FX_PER_NS;
    cost->host_sequence_fx = setup->engine->cpu_sequence_ns * COST_FX_PER_NS;
    if (!stages_new(cost, setup, err)) {
        states_delete(cost);
        mem_free(cost);
        return false;
    }
    description_fill(cost, setup);
    *out = cost;
    return true;
}

void cost_delete(struct cost *cost)
{
    if (cost == NULL) {
        return;
    }
    states_delete(cost);
    text_fini(&cost->description);
    mem_free(cost);
}

static int64_t host_fx(const struct cost *cost, uint32_t sequences)
{
    return cost->host_step_fx + cost->host_sequence_fx * (int64_t)sequences;
}

static int64_t with_host_fx(const struct cost *cost, int64_t gpu_fx, uint32_t sequences)
{
    const int64_t cpu_fx = host_fx(cost, sequences);
    if (!cost->overlaps) {
        return gpu_fx + cpu_fx;
    }
    return gpu_fx > cpu_fx ? gpu_fx : cpu_fx;
}

/* ---- pipeline stages */

/* The stage's part of a whole step; what does not divide is the last one's. */
static int64_t share_fx(const struct cost *cost, int64_t whole_fx, uint32_t stage)
{
    int64_t before_fx = 0;
    const int64_t layers = cost->layers;
    for (uint32_t i = 0; i + 1 < cost->stages; i++) {
        const int64_t own = cost->stage_layers[i];
        const int64_t part_fx =
            whole_fx / layers * own + whole_fx % layers * own / layers;
        if (i == stage) {
            return part_fx;
        }
        before_fx += part_fx;
    }
    return whole_fx - before_fx;
}

static int64_t model_fx(const struct cost *cost, const void *state,
                        const struct batch_shape *shape)
{
    return shape->chunks > 0
               ? cost->model->step_fx(state, shape)
               : cost->model
                     ->decode(state, shape->decodes, shape->decode_context,
                              shape->decode_context_max)
                     .first_fx;
}

static int64_t send_fx_of(const struct cost *cost, uint32_t stage, double tokens)
{
    return stage + 1 == cost->stages
               ? 0
               : cost_fx_of_s(cost->send_s[stage] + tokens * cost->send_token_s[stage]);
}

uint32_t cost_stages(const struct cost *cost)
{
    return cost->stages;
}

void cost_stage_times(const struct cost *cost, const struct batch_shape *shape,
                      int64_t *work_fx, int64_t *send_fx)
{
    const double tokens = shape->decodes + (double)shape->chunk_tokens;
    const int64_t whole_fx =
        cost->model->by_stage ? 0 : model_fx(cost, cost->state, shape);
    for (uint32_t i = 0; i < cost->stages; i++) {
        const int64_t own_fx = cost->model->by_stage
                                   ? model_fx(cost, cost->stage_state[i], shape)
                                   : share_fx(cost, whole_fx, i);
        const int64_t gpu_fx = own_fx + share_fx(cost, shape->extra_fx, i);
        work_fx[i] = i == 0 ? with_host_fx(cost, gpu_fx, shape->decodes + shape->chunks)
                            : gpu_fx;
        send_fx[i] = send_fx_of(cost, i, tokens);
    }
}

static int64_t pipeline_step_fx(const struct cost *cost,
                                const struct batch_shape *shape)
{
    int64_t work_fx[PARALLEL_STAGES_MAX];
    int64_t send_fx[PARALLEL_STAGES_MAX];
    int64_t sum_fx = 0;
    cost_stage_times(cost, shape, work_fx, send_fx);
    for (uint32_t i = 0; i < cost->stages; i++) {
        sum_fx += work_fx[i] + send_fx[i];
    }
    return sum_fx;
}

/* Nobody skips through steps of a pipeline, so this one alone is promised. */
static struct decode_cost pipeline_decode(const struct cost *cost,
                                          const struct batch_shape *shape)
{
    return (struct decode_cost){.first_fx = pipeline_step_fx(cost, shape),
                                .valid_steps = 1};
}

int64_t cost_step_fx(const struct cost *cost, const struct batch_shape *shape)
{
    if (shape->chunks == 0 && shape->drafts == 0) {
        return cost_decode_beside(cost, shape->extra_fx, shape->decodes,
                                  shape->decode_context, shape->decode_context_max)
            .first_fx;
    }
    if (cost->stages > 1) {
        return pipeline_step_fx(cost, shape);
    }
    return with_host_fx(cost,
                        cost->model->step_fx(cost->state, shape) + shape->extra_fx,
                        shape->decodes + shape->chunks);
}

struct decode_cost cost_decode(const struct cost *cost, uint32_t decodes,
                               uint64_t context, uint32_t context_max)
{
    return cost_decode_beside(cost, 0, decodes, context, context_max);
}

struct decode_cost cost_decode_beside(const struct cost *cost, int64_t extra_fx,
                                      uint32_t decodes, uint64_t context,
                                      uint32_t context_max)
{
    CHECK(decodes > 0, "a step without sequences");
    if (cost->stages > 1) {
        const struct batch_shape shape = {.decodes = decodes,
                                          .decode_context = context,
                                          .decode_context_max = context_max,
                                          .extra_fx = extra_fx};
        return pipeline_decode(cost, &shape);
    }
    struct decode_cost step =
        cost->model->decode(cost->state, decodes, context, context_max);
    step.first_fx += extra_fx;
    const int64_t cpu_fx = host_fx(cost, decodes);
    if (!cost->overlaps) {
        step.first_fx += cpu_fx;
        return step;
    }
    if (step.first_fx >= cpu_fx) {
        return step;
    }
    /* The host sets the pace until the GPU's time has grown beyond it. */
    int64_t steps = COST_STEPS_MAX;
    if (step.grow_fx > 0) {
        steps = (cpu_fx - step.first_fx) / step.grow_fx + 1;
    }
    if (steps < step.valid_steps) {
        step.valid_steps = (uint32_t)steps;
    }
    step.first_fx = cpu_fx;
    step.grow_fx = 0;
    return step;
}

static int64_t slowest_fx(const struct cost *cost, const struct batch_shape *shapes,
                          uint32_t ranks)
{
    int64_t most_fx = 0;
    for (uint32_t i = 0; i < ranks; i++) {
        const struct batch_shape *shape = &shapes[i];
        const bool works = shape->chunks + shape->decodes > 0;
        const int64_t fx = works ? model_fx(cost, cost->state, shape) : 0;
        most_fx = fx > most_fx ? fx : most_fx;
    }
    return most_fx;
}

int64_t cost_group_fx(const struct cost *cost, const struct batch_shape *shapes,
                      uint32_t ranks)
{
    uint32_t sequences = 0;
    for (uint32_t i = 0; i < ranks; i++) {
        const uint32_t here = shapes[i].decodes + shapes[i].chunks;
        sequences = here > sequences ? here : sequences;
    }
    CHECK(sequences > 0, "a step without sequences on all %u ranks", ranks);
    const int64_t gpu_fx = cost->model->group_fx == NULL
                               ? slowest_fx(cost, shapes, ranks)
                               : cost->model->group_fx(cost->state, shapes, ranks);
    return with_host_fx(cost, gpu_fx, sequences);
}

bool cost_knows_drafts(const struct cost *cost)
{
    return cost->model->drafts == DRAFTS_KNOWN;
}

bool cost_needs_context_max(const struct cost *cost)
{
    return cost->model->needs_context_max;
}

const char *cost_description(const struct cost *cost)
{
    return text_str(&cost->description);
}
