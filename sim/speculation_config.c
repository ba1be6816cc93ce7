/* SPDX-License-Identifier: Apache-2.0
 *
 * speculation_config.c: what a draft costs, if nobody says.
 *
 * EAGLE and MTP drafters are one layer and the LM head, read once for every draft, one
 * draft behind the other; Medusa's heads all look at the same state once. A draft model
 * has a size of its own, which has to be given. N-grams and suffixes are looked up on
 * the host: 5 us a sequence, a guess.
 */
#include "sim/speculation_config.h"

#include "sim/times/gpu_times.h"

#include <math.h>

static const int64_t lookup_ns = 5000;
static const double second_ns = 1e9;
static const double bytes_per_weight = 2.0; /* drafters are not quantised */

struct method {
    const char *name;
    bool overlaps;
    bool lookahead;
    bool drops_block;
    uint32_t since; /* enum engine_compat */
};
static const struct method methods[] = {
#define X(id, name, async, lookahead, drops, since)                                    \
    {name, async, lookahead, drops, since},
    SPECULATION_METHODS(X)
#undef X
};
enum { METHODS = sizeof methods / sizeof methods[0] };

const char *speculation_method_name(enum speculation_method method)
{
    return methods[method].name;
}

static bool method_read(struct speculation_config *config, const struct conf_node *map,
                        const struct speculation_place *place, struct err *err)
{
    static const char *const levels[] = {"v085", "v010", "v019", "head"};
    const char *names[METHODS + 1] = {0};
    uint32_t method = 0;
    for (size_t i = 0; i < METHODS; i++) {
        names[i] = methods[i].name;
    }
    if (!conf_require(map, "method", err) ||
        !conf_enum(map, "method", names, &method, err)) {
        return false;
    }
    config->method = (enum speculation_method)method;
    if (place->compat < methods[method].since) {
        return conf_fail(conf_get(map, "method"), err,
                         "method: %s came after compat %s; use %s, or ngram",
                         names[method], levels[place->compat],
                         levels[methods[method].since]);
    }
    return true;
}

static bool probability_read(const struct conf_node *node, double *out, struct err *err)
{
    const char *text = conf_scalar(node);
    char *end = NULL;
    const double value = text != NULL ? strtod(text, &end) : -1.0;
    if (text == NULL || end == text || *end != '\0' || !(value >= 0 && value <= 1)) {
        return conf_fail(node, err, "acceptance: each is from 0 to 1");
    }
    *out = value;
    return true;
}

/* `rate: 0.8` for all positions, or one acceptance for each. */
static bool acceptance_read(struct speculation_config *config,
                            const struct conf_node *map, struct err *err)
{
    const struct conf_node *list = NULL;
    double rate = -1.0;
    if (!conf_list(map, "acceptance", &list, err) ||
        !conf_f64(map, "rate", &rate, 0, 1, err)) {
        return false;
    }
    if ((list == NULL) == (rate < 0)) {
        return conf_fail(map, err,
                         "speculative: give one of rate: 0.8 (every draft) and "
                         "acceptance: [0.8, 0.7, ...] (one for each)");
    }
    if (list != NULL && conf_count(list) != config->tokens) {
        return conf_fail(list, err, "acceptance: %zu of them for %u tokens",
                         conf_count(list), config->tokens);
    }
    for (uint32_t i = 0; i < config->tokens; i++) {
        config->acceptance[i] = rate;
        if (list != NULL &&
            !probability_read(conf_at(list, i), &config->acceptance[i], err)) {
            return false;
        }
    }
    return true;
}

/* Weights of the drafter, all GPUs together. */
static double weights_bytes(const struct speculation_config *config,
                            const struct model_spec *model)
{
    const double hidden = model->hidden;
    const double head = hidden * model->vocabulary;
    const double query = (double)model->query_heads * model->head_dim;
    const double kv = (double)model->kv_heads * model->head_dim;
    const double layer = hidden * (2.0 * query + 2.0 * kv) +
                         (model->mlp_gated ? 3.0 : 2.0) * hidden * model->mlp_width;
    switch (config->method) {
    case SPECULATION_EAGLE:
    case SPECULATION_EAGLE3:
    case SPECULATION_MTP: /* the head is the model's own; two states become one */
        return bytes_per_weight * (layer + 2.0 * hidden * hidden);
    case SPECULATION_MEDUSA:
        return bytes_per_weight * config->tokens * (hidden * hidden + head);
    case SPECULATION_NGRAM:
    case SPECULATION_SUFFIX:
    case SPECULATION_DRAFT_MODEL:
        break;
    }
    return 0.0;
}

/* One pass of the drafter. */
static double pass_s(const struct speculation_config *config,
                     const struct speculation_place *place, double bytes)
{
    enum { KERNELS = 12 };
    const struct gpu_spec *gpu = place->gpu;
    const struct model_spec *model = place->model;
    const bool own_head = config->method == SPECULATION_MEDUSA ||
                          config->method == SPECULATION_DRAFT_MODEL;
    const double head =
        own_head ? 0.0 : bytes_per_weight * model->hidden * model->vocabulary;
    return (bytes + head) / place->tensor_parallel /
               (gpu->memory_bytes_per_s * gpu->gemm_memory_efficiency) +
           KERNELS * gpu->small_kernel_s;
}

static bool on_host(const struct speculation_config *config)
{
    return config->method == SPECULATION_NGRAM || config->method == SPECULATION_SUFFIX;
}

static bool drafter_read(struct speculation_config *config, const struct conf_node *map,
                         const struct speculation_place *place, struct err *err)
{
    uint64_t weights = 0;
    int64_t step_ns = -1;
    config->draft_sequence_ns = on_host(config) ? lookup_ns : 0;
    if (!conf_bytes(map, "draft_weights", &weights, err) ||
        !conf_duration_ns(map, "draft_step", &step_ns, err) ||
        !conf_duration_ns(map, "draft_sequence", &config->draft_sequence_ns, err)) {
        return false;
    }
    if (config->method == SPECULATION_DRAFT_MODEL && weights == 0) {
        return conf_fail(map, err,
                         "speculative: draft_weights: a draft model's size is needed, "
                         "such as 2.5GB");
    }
    if (on_host(config) && weights > 0) {
        return conf_fail(conf_get(map, "draft_weights"), err,
                         "draft_weights: %s has none",
                         speculation_method_name(config->method));
    }
    const double bytes =
        weights > 0 ? (double)weights : weights_bytes(config, place->model);
    config->draft_bytes = (uint64_t)llround(bytes / place->tensor_parallel);
    if (step_ns < 0) {
        step_ns =
            on_host(config) ? 0 : llround(pass_s(config, place, bytes) * second_ns);
    }
    const uint32_t passes = config->method == SPECULATION_MEDUSA ? 1 : config->tokens;
    const int64_t longest_ns = INT64_C(60000000000);
    if (step_ns > longest_ns || config->draft_sequence_ns > longest_ns / 6000) {
        return conf_fail(map, err,
                         "speculative: draft_step: at most 60s; draft_sequence: at "
                         "most 10ms");
    }
    config->draft_ns = step_ns * passes;
    return true;
}

bool speculation_config_load(struct speculation_config *config,
                             const struct conf_node *map,
                             const struct speculation_place *place, struct err *err)
{
    const struct conf_node *node = NULL;
    *config = (struct speculation_config){0};
    if (!conf_map(map, "speculative", &node, err)) {
        return false;
    }
    if (node == NULL) {
        return true;
    }
    if (!method_read(config, node, place, err) || !conf_require(node, "tokens", err) ||
        !conf_u32(node, "tokens", &config->tokens, 0, DRAFTS_MAX, err) ||
        !acceptance_read(config, node, err) ||
        !drafter_read(config, node, place, err)) {
        return false;
    }
    if (config->tokens == 0) {
        *config = (struct speculation_config){0}; /* as if it were not there */
        return true;
    }
    const struct method *method = &methods[config->method];
    config->overlaps = method->overlaps;
    config->lookahead = method->lookahead ? config->tokens : 0;
    config->drops_block = method->drops_block;
    return true;
}

double speculation_tokens_mean(const struct speculation_config *config)
{
    double mean = 1.0;
    double all_right = 1.0;
    for (uint32_t i = 0; i < config->tokens; i++) {
        all_right *= config->acceptance[i];
        mean += all_right;
    }
    return mean;
}
