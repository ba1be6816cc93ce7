/* SPDX-License-Identifier: Apache-2.0
 *
 * affine.c: step times from a fit (step_fit.h), in closed form (spec/step-time.md 4).
 *
 *     t = s [ D(pad(T)) + S'(S) + L A ] + L (experts + collectives)
 *
 * s is scale_decode or scale_mixed. Everything that depends on the number of sequences
 * or tokens alone is a table of integers, made once. What is left of a decode step's A
 * is a maximum of planes
 *
 *     max over j of  per_context[n][j] K + per_longest[n][j] kmax
 *
 * with integer coefficients (2^-16 ns): one plane in the affine form. In the
 * semi-physical form the norm (x^p + y^p)^(1/p) is the maximum of u x + v y over all
 * (u, v) of dual length 1; we keep those that touch it at 27 ratios y/x, equally spaced
 * where the norm bends, and are at most 0.5 % below it. A decode run changes its plane
 * at an edge that integers find exactly, so the law of cost.h holds bit for bit. (To
 * evaluate the norm itself, with one valid step, would make each step an event.)
 */
#include "base/check.h"
#include "base/mem.h"
#include "sim/calibrate/step_fit.h"
#include "sim/cost/fx.h"
#include "sim/cost/model.h"
#include "sim/times/experts.h"

#include <math.h>

enum { PLANES_MAX = 27, GRAPH_TOKENS_MAX = 512, BLOCK_TOKENS = 64, GRAPH_STEP = 8 };
enum { ACTIVATION_BYTES = 2 };
static const double bend_step = 0.5;      /* between touching points, in ln((y/x)^p) */
static const double step_s_max = 36000.0; /* where the integers still hold a batch */
/* Where no table was measured: spec/step-time.md 2. */
static const double ring_latency_s = 20e-6;
static const double ring_bytes_per_s = 16.0 * 1073741824.0;

struct plane {
    int64_t per_context_fx;
    int64_t per_longest_fx;
};

struct affine {
    struct step_fit fit;
    double scale_decode;
    double scale_mixed;
    bool ring;
    uint32_t expert_ranks;
    uint32_t graph_tokens_max;
    uint32_t rows_max;
    uint32_t tokens_max;
    struct experts *experts;
    int64_t *decode_fx;              /* by n: everything but the planes */
    struct plane *planes;            /* PLANES_MAX for each n */
    uint8_t *plane_counts;           /* by n */
    int64_t *tokens_fx;              /* mixed, by tokens in the step */
    int64_t *rows_fx;                /* mixed, by sequences */
    double mixed_ns[STEP_TERMS_MAX]; /* of all layers, scaled */
};

/* ---- what depends on tokens alone */

/* To the next size that the engine has captured a graph of. */
static uint32_t graph_tokens(const struct affine *affine, uint32_t tokens)
{
    const uint32_t most = affine->graph_tokens_max;
    if (tokens > most || tokens <= 2) {
        return tokens;
    }
    const uint32_t size =
        tokens <= 4 ? 4 : (tokens + GRAPH_STEP - 1) / GRAPH_STEP * GRAPH_STEP;
    return size < most ? size : most;
}

/* Ring all-reduce of one message: 2 (N - 1) parts sent, 3 (N - 1) parts through memory
 * (two read, one written). */
static double ring_us(const struct step_fit *fit, double bytes)
{
    const double ranks = fit->tensor_parallel;
    const double part = bytes / ranks;
    double seconds = 2.0 * (ranks - 1.0) * (ring_latency_s + part / ring_bytes_per_s);
    if (fit->memory_bytes_per_s > 0.0) {
        seconds += 3.0 * (ranks - 1.0) * part / fit->memory_bytes_per_s;
    }
    return seconds * 1e6;
}

/* After o_proj and after down_proj. */
static double allreduces_us(const struct affine *affine, double tokens)
{
    const struct step_fit *fit = &affine->fit;
    if (fit->tensor_parallel == 1) {
        return 0.0;
    }
    const double bytes = ACTIVATION_BYTES * tokens * fit->hidden;
    return 2.0 * (affine->ring || fit->allreduce_us.count == 0
                      ? ring_us(fit, bytes)
                      : profile_curve_at(&fit->allreduce_us, bytes));
}

/* One layer's experts; with more than one rank also the all-gather before and the
 * reduce-scatter after (spec/step-time.md 5a). tokens: of one rank, padded ones
 * included, in the mean; real_tokens: of all ranks, which alone choose experts. */
static double experts_layer_us(const struct affine *affine, double tokens,
                               double real_tokens)
{
    const struct step_fit *fit = &affine->fit;
    if (affine->experts == NULL) {
        return 0.0;
    }
    const double ranks = affine->expert_ranks;
    const double activated =
        experts_activated(real_tokens, fit->experts_per_token, fit->experts) / ranks;
    const double us = experts_us(affine->experts, tokens, activated);
    if (affine->expert_ranks == 1) {
        return us;
    }
    const double sent =
        tokens / ranks * ACTIVATION_BYTES * ((double)fit->hidden + fit->experts) +
        ACTIVATION_BYTES * tokens * fit->hidden;
    return us + (2.0 * ring_latency_s + sent / ring_bytes_per_s) * 1e6;
}

static double tokens_us(const struct affine *affine, uint32_t tokens, double scale)
{
    const double padded = graph_tokens(affine, tokens);
    return scale * profile_curve_at(&affine->fit.dense_us, padded) +
           affine->fit.layers *
               (experts_layer_us(affine, padded, padded * affine->expert_ranks) +
                allreduces_us(affine, padded));
}

/* ---- decode: the planes */

static struct plane *plane_add(struct affine *affine, uint32_t n)
{
    CHECK(affine->plane_counts[n] < PLANES_MAX, "too many planes");
    return &affine->planes[(size_t)n * PLANES_MAX + affine->plane_counts[n]++];
}

static int64_t scaled_fx(const struct affine *affine, double ns)
{
    return cost_fx_of_s(affine->scale_decode * affine->fit.layers * ns * 1e-9);
}

static void semi_plane(struct affine *affine, uint32_t n, double u, double v)
{
    const struct step_fit *fit = &affine->fit;
    const struct semi_physical *semi = &fit->semi;
    const double token_ns = fit->kv_token_bytes / fit->memory_bytes_per_s * 1e9;
    const double heads = fit->kv_heads;
    const double waves = fmax(0.0, 1.0 - 1.0 / heads - fit->sm_count / (n * heads));
    *plane_add(affine, n) = (struct plane){
        .per_context_fx =
            scaled_fx(affine, (u / semi->efficiency + v * waves) * token_ns),
        .per_longest_fx = scaled_fx(affine, v * 1e3 / semi->sm_tokens_per_us),
    };
}

/* Returns the part that does not grow, ns per layer. */
static double semi_planes(struct affine *affine, uint32_t n)
{
    const struct semi_physical *semi = &affine->fit.semi;
    const double p = semi->exponent;
    semi_plane(affine, n, 1.0, 0.0);
    semi_plane(affine, n, 0.0, 1.0);
    const int side = (PLANES_MAX - 3) / 2;
    for (int j = -side; j <= side; j++) {
        const double ratio = exp(bend_step * j / p); /* y / x */
        const double norm = pow(1.0 + pow(ratio, p), 1.0 / p);
        semi_plane(affine, n, pow(1.0 / norm, p - 1.0), pow(ratio / norm, p - 1.0));
    }
    return (semi->constant_us + semi->per_decode_us * n) * 1e3;
}

static double affine_plane(struct affine *affine, enum step_regime regime, uint32_t n)
{
    const struct fit_coefficient *terms = affine->fit.regimes[regime].coefficients;
    *plane_add(affine, n) = (struct plane){
        .per_context_fx = scaled_fx(affine, terms[2].value),
        .per_longest_fx =
            scaled_fx(affine, regime == STEP_UNSPLIT ? terms[3].value : 0.0),
    };
    return terms[0].value + terms[1].value * n;
}

static void decode_fill(struct affine *affine, uint32_t n)
{
    const struct step_fit *fit = &affine->fit;
    double fixed_ns = 0.0;
    if (graph_tokens(affine, n) < fit->unsplit_from) {
        fixed_ns = affine_plane(affine, STEP_SPLIT, n);
    } else if (fit->form == STEP_SEMI_PHYSICAL) {
        fixed_ns = semi_planes(affine, n);
    } else {
        fixed_ns = affine_plane(affine, STEP_UNSPLIT, n);
    }
    const double rows_us = profile_curve_at(&fit->rows_us, n);
    const double us = tokens_us(affine, n, affine->scale_decode) +
                      affine->scale_decode * (rows_us + fit->layers * fixed_ns / 1e3);
    affine->decode_fx[n] = cost_fx_of_s(us * 1e-6);
    /* A step takes time, whatever was fitted. */
    affine->decode_fx[n] += affine->decode_fx[n] == 0;
}

static struct decode_cost affine_decode(const void *state, uint32_t decodes,
                                        uint64_t context, uint32_t context_max)
{
    const struct affine *affine = state;
    const struct plane *planes = affine->planes + (size_t)decodes * PLANES_MAX;
    const uint32_t count = affine->plane_counts[decodes];
    int64_t best_fx = -1;
    int64_t best_grow_fx = 0;
    /* Of equal planes the steeper one: it is the one to stay. */
    for (uint32_t j = 0; j < count; j++) {
        const int64_t fx = planes[j].per_context_fx * (int64_t)context +
                           planes[j].per_longest_fx * (int64_t)context_max;
        const int64_t grow_fx =
            planes[j].per_context_fx * (int64_t)decodes + planes[j].per_longest_fx;
        if (fx > best_fx || (fx == best_fx && grow_fx > best_grow_fx)) {
            best_fx = fx;
            best_grow_fx = grow_fx;
        }
    }
    int64_t steps = COST_STEPS_MAX;
    for (uint32_t j = 0; j < count; j++) {
        const int64_t fx = planes[j].per_context_fx * (int64_t)context +
                           planes[j].per_longest_fx * (int64_t)context_max;
        const int64_t gain_fx = planes[j].per_context_fx * (int64_t)decodes +
                                planes[j].per_longest_fx - best_grow_fx;
        /* Steeper: overtakes after so many steps. */
        if (gain_fx > 0) {
            const int64_t until = (best_fx - fx) / gain_fx + 1;
            steps = until < steps ? until : steps;
        }
    }
    return (struct decode_cost){
        .first_fx = affine->decode_fx[decodes] + best_fx,
        .grow_fx = best_grow_fx,
        .valid_steps = (uint32_t)steps,
    };
}

/* ---- mixed */

static int64_t affine_step_fx(const void *state, const struct batch_shape *shape)
{
    const struct affine *affine = state;
    const struct step_fit *fit = &affine->fit;
    const double *m = affine->mixed_ns;
    const double n = shape->decodes;
    const double context = (double)shape->decode_context;
    const double sequences = n + shape->chunks;
    const double blocks =
        ceil((double)shape->chunk_tokens_max / BLOCK_TOKENS) * sequences;
    const double head_bytes = context * fit->kv_token_bytes / fit->kv_heads;
    const bool beyond_l2 = fit->l2_bytes > 0 && head_bytes > (double)fit->l2_bytes;
    double ns = m[0] + m[1] * n +
                m[2] * (beyond_l2 ? fit->cliff_factor : 1.0) * context +
                m[3] * (double)shape->chunk_tokens +
                m[4] * (double)shape->chunk_pairs_twice / 2.0 + m[5] * blocks;
    if (shape->decodes > 0) {
        ns += m[6] * fmax(0.0, shape->decode_context_max - context / n);
    }
    return affine->tokens_fx[shape->decodes + shape->chunk_tokens] +
           affine->rows_fx[shape->decodes + shape->chunks] + cost_fx_of_s(ns * 1e-9);
}

/* ---- groups */

static int64_t own_fx(const struct affine *affine, const struct batch_shape *shape)
{
    return shape->chunks > 0
               ? affine_step_fx(affine, shape)
               : affine_decode(affine, shape->decodes, shape->decode_context,
                               shape->decode_context_max)
                     .first_fx;
}

static uint32_t tokens_of(const struct batch_shape *shape)
{
    const uint32_t tokens = shape->decodes + (uint32_t)shape->chunk_tokens;
    return tokens > 0 ? tokens : 1; /* a rank without work runs a dummy */
}

/* What the ranks of one step have in common. */
struct group {
    uint32_t most_tokens;
    bool captured;     /* runs as a graph: all ranks are padded alike */
    double tokens;     /* of one rank, padded, in the mean */
    double experts_us; /* of one layer */
};

static uint32_t group_padded(const struct affine *affine, const struct group *group,
                             const struct batch_shape *shape)
{
    return group->captured ? graph_tokens(affine, group->most_tokens)
                           : tokens_of(shape);
}

static struct group group_of(const struct affine *affine,
                             const struct batch_shape *shapes, uint32_t ranks)
{
    struct group group = {0};
    double real_tokens = 0.0;
    for (uint32_t i = 0; i < ranks; i++) {
        const uint32_t tokens = tokens_of(&shapes[i]);
        group.most_tokens = tokens > group.most_tokens ? tokens : group.most_tokens;
        real_tokens += shapes[i].decodes + (double)shapes[i].chunk_tokens;
    }
    group.captured = group.most_tokens <= affine->graph_tokens_max;
    for (uint32_t i = 0; i < ranks; i++) {
        group.tokens += group_padded(affine, &group, &shapes[i]) / (double)ranks;
    }
    group.experts_us = experts_layer_us(affine, group.tokens, real_tokens);
    return group;
}

/* Each rank's own step, but for what depends on tokens: padded to the largest rank, and
 * the experts of all ranks instead of its own. */
static int64_t affine_group_fx(const void *state, const struct batch_shape *shapes,
                               uint32_t ranks)
{
    const struct affine *affine = state;
    const struct group group = group_of(affine, shapes, ranks);
    int64_t most_fx = 1;
    for (uint32_t i = 0; i < ranks; i++) {
        const struct batch_shape *shape = &shapes[i];
        const bool works = shape->decodes + shape->chunks > 0;
        const double scale =
            shape->chunks > 0 ? affine->scale_mixed : affine->scale_decode;
        const uint32_t padded = group_padded(affine, &group, shape);
        const double us =
            scale * profile_curve_at(&affine->fit.dense_us, padded) +
            affine->fit.layers * (group.experts_us + allreduces_us(affine, padded));
        int64_t fx = cost_fx_of_s(us * 1e-6);
        if (works) {
            fx += own_fx(affine, shape) -
                  cost_fx_of_s(tokens_us(affine, tokens_of(shape), scale) * 1e-6);
        }
        most_fx = fx > most_fx ? fx : most_fx;
    }
    return most_fx;
}

/* ---- life */

/* Integers may only be made of what cannot overflow. */
static bool limits_check(const struct affine *affine, const struct cost_setup *setup,
                         struct err *err)
{
    double fixed_us = 0.0;
    for (uint32_t at = 1; at <= affine->tokens_max || at <= affine->rows_max; at++) {
        fixed_us = fmax(fixed_us, tokens_us(affine, at, 1.0) +
                                      profile_curve_at(&affine->fit.rows_us, at));
    }
    const double scale = fmax(1.0, fmax(affine->scale_decode, affine->scale_mixed));
    const double attention_us =
        step_fit_longest_us(&affine->fit, affine->rows_max, affine->tokens_max,
                            setup->engine->max_model_len);
    const double worst_s = scale * (fixed_us + attention_us) * 1e-6;
    if (worst_s <= step_s_max) {
        return true;
    }
    return conf_fail(
        setup->map, err,
        "cost: the fit makes a full step as long as %g s; is a unit wrong?", worst_s);
}

static void tables_fill(struct affine *affine)
{
    const struct step_fit *fit = &affine->fit;
    for (uint32_t n = 1; n <= affine->rows_max; n++) {
        decode_fill(affine, n);
        affine->rows_fx[n] = cost_fx_of_s(affine->scale_mixed *
                                          profile_curve_at(&fit->rows_us, n) * 1e-6);
    }
    for (uint32_t tokens = 1; tokens <= affine->tokens_max; tokens++) {
        affine->tokens_fx[tokens] =
            cost_fx_of_s(tokens_us(affine, tokens, affine->scale_mixed) * 1e-6);
        affine->tokens_fx[tokens] += affine->tokens_fx[tokens] == 0;
    }
    for (size_t i = 0; i < STEP_TERMS_MAX; i++) {
        affine->mixed_ns[i] = affine->scale_mixed * fit->layers *
                              fit->regimes[STEP_MIXED].coefficients[i].value;
    }
}

/* From setup->fit, or the file that `fit` names. */
static bool fit_load(struct affine *affine, const struct cost_setup *setup,
                     struct err *err)
{
    const char *path = NULL;
    if (!conf_str(setup->map, "fit", &path, err)) {
        return false;
    }
    if (setup->fit != NULL) {
        return step_fit_read(&affine->fit, setup->fit, err);
    }
    if (path == NULL) {
        return conf_fail(setup->map, err,
                         "cost: model affine needs `fit: FILE.yaml`; make one with "
                         "stacksim calibrate");
    }
    struct conf *conf = NULL;
    if (!conf_load(&conf, setup->fit_path != NULL ? setup->fit_path : path, err)) {
        return false;
    }
    bool held = step_fit_read(&affine->fit, conf_root(conf), err);
    if (held && !conf_done(conf_root(conf), err)) {
        step_fit_fini(&affine->fit);
        held = false;
    }
    conf_delete(conf);
    return held;
}

/* A profile has no collectives: the GPU's own table serves a fit without one. */
static void allreduce_borrow(struct step_fit *fit, const struct gpu_spec *gpu)
{
    for (uint32_t i = 0; i < gpu->allreduce_count && fit->allreduce_us.count == 0;
         i++) {
        const struct fact_curve *curve = &gpu->allreduce_s[i];
        if (gpu->allreduce_tp[i] != fit->tensor_parallel) {
            continue;
        }
        fit->allreduce_us.x = mem_alloc(curve->count, sizeof(double));
        fit->allreduce_us.us = mem_alloc(curve->count, sizeof(double));
        for (; fit->allreduce_us.count < curve->count; fit->allreduce_us.count++) {
            const size_t at = fit->allreduce_us.count;
            fit->allreduce_us.x[at] = curve->x[at];
            fit->allreduce_us.us[at] = curve->y[at] * 1e6;
        }
    }
}

/* A fit speaks of one model on one kind of group. */
static bool fit_check(const struct affine *affine, const struct cost_setup *setup,
                      struct err *err)
{
    const struct step_fit *fit = &affine->fit;
    if (fit->layers != setup->model->layers || fit->hidden != setup->model->hidden ||
        fit->tensor_parallel != setup->engine->tensor_parallel) {
        return conf_fail(
            setup->map, err,
            "cost: the fit is of %s (%u layers, %u wide, TP %u), the engine "
            "runs %s (%u layers, %u wide, TP %u)",
            fit->model, fit->layers, fit->hidden, fit->tensor_parallel,
            setup->model->name, setup->model->layers, setup->model->hidden,
            setup->engine->tensor_parallel);
    }
    if (fit->form == STEP_SEMI_PHYSICAL &&
        (!fit->semi.known || fit->memory_bytes_per_s <= 0.0)) {
        return conf_fail(setup->map, err,
                         "cost: form: the fit has no semi_physical form; use affine");
    }
    return true;
}

static bool keys_read(struct affine *affine, const struct cost_setup *setup,
                      struct err *err)
{
    static const char *const collectives[] = {"measured", "ring", NULL};
    static const char *const forms[] = {"fitted", "affine", "semi_physical", NULL};
    const uint32_t slots = setup->engine->max_num_seqs;
    uint32_t ring = 0;
    uint32_t form = 0;
    affine->scale_decode = 1.0;
    affine->scale_mixed = 1.0;
    affine->expert_ranks = 1;
    affine->graph_tokens_max =
        slots < GRAPH_TOKENS_MAX / 2 ? 2 * slots : GRAPH_TOKENS_MAX;
    const struct conf_node *map = setup->map;
    if (!conf_f64(map, "scale_decode", &affine->scale_decode, 0.01, 100.0, err) ||
        !conf_f64(map, "scale_mixed", &affine->scale_mixed, 0.01, 100.0, err) ||
        !conf_enum(map, "collectives", collectives, &ring, err) ||
        !conf_enum(map, "form", forms, &form, err) ||
        !conf_u32(map, "graph_tokens_max", &affine->graph_tokens_max, 0, 65536, err) ||
        !conf_u32(map, "expert_ranks", &affine->expert_ranks, 1, 1024, err)) {
        return false;
    }
    affine->scale_decode *= affine->fit.scale_decode;
    affine->scale_mixed *= affine->fit.scale_mixed;
    affine->ring = ring == 1;
    if (form > 0) {
        affine->fit.form = form == 1 ? STEP_AFFINE : STEP_SEMI_PHYSICAL;
    }
    return true;
}

static void affine_fini(void *state)
{
    struct affine *affine = state;
    experts_delete(affine->experts);
    mem_free(affine->decode_fx);
    mem_free(affine->planes);
    mem_free(affine->plane_counts);
    mem_free(affine->tokens_fx);
    mem_free(affine->rows_fx);
    step_fit_fini(&affine->fit);
}

static bool affine_init(void *state, const struct cost_setup *setup, struct err *err)
{
    struct affine *affine = state;
    if (!fit_load(affine, setup, err)) {
        return false;
    }
    if (!keys_read(affine, setup, err) || !fit_check(affine, setup, err)) {
        affine_fini(affine);
        return false;
    }
    allreduce_borrow(&affine->fit, setup->gpu);
    if (affine->fit.moe_count > 0) {
        affine->experts = experts_new(affine->fit.moe, affine->fit.moe_count);
    }
    affine->rows_max = setup->engine->max_num_seqs;
    affine->tokens_max = setup->engine->max_num_batched_tokens;
    if (!limits_check(affine, setup, err)) {
        affine_fini(affine);
        return false;
    }
    const size_t rows = (size_t)affine->rows_max + 1;
    affine->decode_fx = mem_alloc(rows, sizeof(int64_t));
    affine->planes = mem_alloc(rows * PLANES_MAX, sizeof(struct plane));
    affine->plane_counts = mem_alloc(rows, 1);
    affine->rows_fx = mem_alloc(rows, sizeof(int64_t));
    affine->tokens_fx = mem_alloc((size_t)affine->tokens_max + 1, sizeof(int64_t));
    tables_fill(affine);
    return true;
}

static void affine_describe(const void *state, struct text *out)
{
    const struct affine *affine = state;
    const struct step_fit *fit = &affine->fit;
    const double unsplit_error = fit->form == STEP_AFFINE
                                     ? fit->regimes[STEP_UNSPLIT].mean_abs_error
                                     : fit->semi.mean_abs_error;
    text_printf(
        out,
        "%s form, fitted to %s; mean errors %.1f %% (split), %.1f %% (unsplit), "
        "%.1f %% (mixed)",
        step_form_name(fit->form), fit->source,
        100.0 * fit->regimes[STEP_SPLIT].mean_abs_error, 100.0 * unsplit_error,
        100.0 * fit->regimes[STEP_MIXED].mean_abs_error);
    if (fit->tensor_parallel > 1) {
        text_add(out, affine->ring || fit->allreduce_us.count == 0
                          ? ", all-reduce by the ring formula"
                          : ", all-reduce as measured");
    }
    if (affine->scale_decode == 1.0 && affine->scale_mixed == 1.0) {
        text_add(out, ", not scaled");
    } else {
        text_printf(out, ", scaled by %g (decode) and %g (mixed)", affine->scale_decode,
                    affine->scale_mixed);
    }
    if (fit->calibrated[0] != '\0') {
        text_printf(out, ", calibrated %s", fit->calibrated);
    }
}

const struct cost_model cost_model_affine = {
    .name = "affine",
    .help = "closed form with coefficients fitted to kernel times (stacksim calibrate)",
    .drafts = DRAFTS_AS_CHUNKS,
    .state_bytes = sizeof(struct affine),
    .needs_context_max = true,
    .reads_fit = true,
    .init = affine_init,
    .fini = affine_fini,
    .step_fx = affine_step_fx,
    .decode = affine_decode,
    .group_fx = affine_group_fx,
    .describe = affine_describe,
};
