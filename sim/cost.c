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
    void *state;
    bool overlaps; /* host and GPU */
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

bool cost_new(struct cost **out, const struct cost_setup *setup, struct err *err)
{
    const struct cost_model *model = NULL;
    if (!model_find(setup->map, &model, err) || !fit_is_read(setup, model, err) ||
        !drafts_are_known(setup, model, err) || !format_is_known(setup, model, err)) {
        return false;
    }
    struct cost *cost = mem_alloc(1, sizeof(*cost));
    cost->model = model;
    cost->state = mem_alloc(1, model->state_bytes);
    cost->overlaps = setup->engine->async_scheduling;
    cost->host_step_fx = setup->engine->cpu_step_ns * COST_FX_PER_NS;
    cost->host_sequence_fx = setup->engine->cpu_sequence_ns * COST_FX_PER_NS;
    if (!model->init(cost->state, setup, err)) {
        mem_free(cost->state);
        mem_free(cost);
        return false;
    }
    text_printf(&cost->description, "%s, %s x %s, TP %u, ", model->name,
                setup->gpu->name, setup->model->name, setup->engine->tensor_parallel);
    if (setup->model->format[0] != '\0') {
        text_printf(&cost->description, "%s, ", setup->model->format);
    }
    model->describe(cost->state, &cost->description);
    *out = cost;
    return true;
}

void cost_delete(struct cost *cost)
{
    if (cost == NULL) {
        return;
    }
    if (cost->model->fini != NULL) {
        cost->model->fini(cost->state);
    }
    mem_free(cost->state);
    text_fini(&cost->description);
    mem_free(cost);
}

static int64_t host_fx(const struct cost *cost, uint32_t sequences)
{
    return cost->host_step_fx + cost->host_sequence_fx * (int64_t)sequences;
}

int64_t cost_step_fx(const struct cost *cost, const struct batch_shape *shape)
{
    if (shape->chunks == 0 && shape->drafts == 0) {
        return cost_decode_beside(cost, shape->extra_fx, shape->decodes,
                                  shape->decode_context, shape->decode_context_max)
            .first_fx;
    }
    const int64_t gpu_fx = cost->model->step_fx(cost->state, shape) + shape->extra_fx;
    const int64_t cpu_fx = host_fx(cost, shape->decodes + shape->chunks);
    if (!cost->overlaps) {
        return gpu_fx + cpu_fx;
    }
    return gpu_fx > cpu_fx ? gpu_fx : cpu_fx;
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
        int64_t fx = 0;
        if (shape->chunks > 0) {
            fx = cost->model->step_fx(cost->state, shape);
        } else if (shape->decodes > 0) {
            fx = cost->model
                     ->decode(cost->state, shape->decodes, shape->decode_context,
                              shape->decode_context_max)
                     .first_fx;
        }
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
    const int64_t cpu_fx = host_fx(cost, sequences);
    if (!cost->overlaps) {
        return gpu_fx + cpu_fx;
    }
    return gpu_fx > cpu_fx ? gpu_fx : cpu_fx;
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
