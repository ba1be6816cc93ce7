/* SPDX-License-Identifier: Apache-2.0
 *
 * step_fit.c: the fit file, written and read from the same tables of keys.
 */
#include "sim/calibrate/step_fit.h"

#include "base/mem.h"
#include "base/unit.h"

#include <math.h>
#include <stdio.h>

enum { CURVE_POINTS_MAX = 100000 };
static const char format_name[] = "stacksim-fit-1";

static const char *const regime_names[] = {"split", "unsplit", "mixed", NULL};
static const char *const form_names[] = {"affine", "semi_physical", NULL};
static const char *const term_names[STEP_REGIMES][STEP_TERMS_MAX + 1] = {
    [STEP_SPLIT] = {"constant", "per_decode", "per_context_token"},
    [STEP_UNSPLIT] = {"constant", "per_decode", "per_context_token",
                      "per_longest_token"},
    [STEP_MIXED] = {"constant", "per_decode", "per_context_token", "per_chunk_token",
                    "per_token_pair", "per_block", "per_excess_token"},
};

const char *step_term_name(enum step_regime regime, size_t term)
{
    return term < STEP_TERMS_MAX ? term_names[regime][term] : NULL;
}

size_t step_term_count(enum step_regime regime)
{
    size_t count = 0;
    while (step_term_name(regime, count) != NULL) {
        count++;
    }
    return count;
}

const char *step_regime_name(enum step_regime regime)
{
    return regime_names[regime];
}

const char *step_form_name(enum step_form form)
{
    return form_names[form];
}

void step_fit_fini(struct step_fit *fit)
{
    profile_curve_fini(&fit->dense_us);
    profile_curve_fini(&fit->rows_us);
    profile_curve_fini(&fit->allreduce_us);
    mem_free(fit->moe);
    *fit = (struct step_fit){0};
}

double step_fit_longest_us(const struct step_fit *fit, double rows, double tokens,
                           double length)
{
    const double x[STEP_TERMS_MAX] = {1.0,
                                      rows,
                                      rows * length,
                                      fmax(tokens, length),
                                      tokens * length,
                                      (rows + 1.0) * tokens,
                                      length};
    double ns = 0.0;
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        for (size_t i = 0; i < step_term_count(regime); i++) {
            ns += x[i] * fit->regimes[regime].coefficients[i].value;
        }
    }
    double us = ns * fmax(1.0, fit->cliff_factor) / 1e3;
    const struct semi_physical *semi = &fit->semi;
    if (fit->form == STEP_SEMI_PHYSICAL && semi->known) {
        us += semi->constant_us + semi->per_decode_us * rows +
              rows * length * fit->kv_token_bytes / fit->memory_bytes_per_s * 1e6 *
                  (1.0 + 1.0 / semi->efficiency) +
              length / semi->sm_tokens_per_us;
    }
    return fit->layers * us;
}

/* ---- writing */

static void write_string(struct text *out, const char *key, const char *value)
{
    text_printf(out, "%s: \"", key);
    for (; *value != '\0'; value++) {
        const char one[2] = {*value, '\0'};
        text_add(out, *value == '"' || *value == '\\' || *value < ' ' ? "_" : one);
    }
    text_add(out, "\"\n");
}

static void write_curve(struct text *out, const char *key,
                        const struct profile_curve *curve)
{
    text_printf(out, "%s:\n", key);
    for (size_t i = 0; i < curve->count; i++) {
        text_printf(out, "  %.0f: %.9g\n", curve->x[i], curve->us[i]);
    }
}

static void write_regime(struct text *out, const struct step_fit *fit,
                         enum step_regime regime)
{
    const struct fit_result *result = &fit->regimes[regime];
    text_printf(out,
                "%s:\n  rows: %zu\n  mean_abs_error: %.4g\n  worst_abs_error: %.4g\n"
                "  condition: %.4g\n  terms_ns:\n",
                regime_names[regime], result->rows, result->mean_abs_error,
                result->worst_abs_error, result->condition);
    for (size_t i = 0; i < step_term_count(regime); i++) {
        const struct fit_coefficient *at = &result->coefficients[i];
        text_printf(out, "    %s: {value: %.9g, low: %.6g, high: %.6g, status: %s}\n",
                    term_names[regime][i], at->value, at->low, at->high,
                    fit_status_name(at->status));
    }
}

static void write_semi(struct text *out, const struct semi_physical *semi)
{
    text_printf(out,
                "semi_physical:\n  constant_us: %.9g\n  per_decode_us: %.9g\n"
                "  efficiency: %.9g\n  sm_tokens_per_us: %.9g\n  exponent: %.9g\n"
                "  mean_abs_error: %.4g\n",
                semi->constant_us, semi->per_decode_us, semi->efficiency,
                semi->sm_tokens_per_us, semi->exponent, semi->mean_abs_error);
}

static void write_moe(struct text *out, const struct step_fit *fit)
{
    text_printf(out, "experts_per_layer: %u\nexperts_per_token: %u\n", fit->experts,
                fit->experts_per_token);
    text_add(out, "experts: # of one layer: tokens, activated experts, us\n");
    for (size_t i = 0; i < fit->moe_count; i++) {
        text_printf(out, "  - [%u, %u, %.9g]\n", fit->moe[i].tokens,
                    fit->moe[i].activated_experts, fit->moe[i].us);
    }
}

/* As far as it is written; 0 stands for 1 in a fit that was never read. */
static bool is_one(double scale)
{
    return scale <= 0.0 || fabs(scale - 1.0) < 5e-9;
}

void step_fit_write(const struct step_fit *fit, struct text *out)
{
    text_add(out, "# Step times of one engine, fitted by stacksim calibrate; see\n"
                  "# docs/calibration.md. Intervals are 95 % intervals of the fit.\n");
    write_string(out, "format", format_name);
    write_string(out, "gpu", fit->gpu);
    write_string(out, "model", fit->model);
    write_string(out, "source", fit->source);
    if (fit->calibrated[0] != '\0') {
        write_string(out, "calibrated", fit->calibrated);
    }
    if (!is_one(fit->scale_decode) || !is_one(fit->scale_mixed)) {
        text_printf(out, "scale_decode: %.9g\nscale_mixed: %.9g\n",
                    fit->scale_decode > 0.0 ? fit->scale_decode : 1.0,
                    fit->scale_mixed > 0.0 ? fit->scale_mixed : 1.0);
    }
    text_printf(out,
                "tensor_parallel: %u\nlayers: %u\nhidden: %u\nkv_heads_per_gpu: %u\n"
                "kv_token_bytes: %uB # of one layer on one GPU\n",
                fit->tensor_parallel, fit->layers, fit->hidden, fit->kv_heads,
                fit->kv_token_bytes);
    if (fit->sm_count > 0) {
        text_printf(out, "sm_count: %u\n", fit->sm_count);
    }
    text_printf(out, "memory_bytes_per_s: %.0fB\nl2_bytes: %lluB\n",
                fit->memory_bytes_per_s, (unsigned long long)fit->l2_bytes);
    text_printf(out, "unsplit_from: %.9g # decodes\n", fit->unsplit_from);
    text_printf(out,
                "decode_form: %s # of unsplit batches: the smaller mean error\n"
                "cliff_factor: %.6g # of per_context_token in mixed batches beyond L2\n"
                "cliff_measured: %s\n",
                form_names[fit->form], fit->cliff_factor,
                fit->cliff_measured ? "true" : "false");
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        write_regime(out, fit, regime);
    }
    if (fit->semi.known) {
        write_semi(out, &fit->semi);
    }
    write_curve(out, "dense_us", &fit->dense_us);
    write_curve(out, "rows_us", &fit->rows_us);
    if (fit->allreduce_us.count > 0) {
        write_curve(out, "allreduce_us", &fit->allreduce_us);
    }
    if (fit->moe_count > 0) {
        write_moe(out, fit);
    }
}

/* ---- reading */

static bool required_u32(const struct conf_node *root, const char *key, uint32_t *out,
                         struct err *err)
{
    return conf_require(root, key, err) && conf_u32(root, key, out, 1, 1U << 24, err);
}

static bool read_name(const struct conf_node *root, const char *key, char *out,
                      size_t out_bytes, struct err *err)
{
    const char *text = "";
    if (!conf_str(root, key, &text, err)) {
        return false;
    }
    snprintf(out, out_bytes, "%s", text);
    return true;
}

static bool read_curve(const struct conf_node *root, const char *key,
                       struct profile_curve *curve, struct err *err)
{
    const struct conf_node *map = NULL;
    if (!conf_map(root, key, &map, err)) {
        return false;
    }
    if (map == NULL) {
        return conf_get(root, key) == NULL ||
               conf_fail(conf_get(root, key), err, "%s: has no points", key);
    }
    const size_t count = conf_count(map);
    if (count == 0 || count > CURVE_POINTS_MAX) {
        return conf_fail(map, err, "%s: 1 to %d points", key, CURVE_POINTS_MAX);
    }
    curve->x = mem_alloc(count, sizeof(double));
    curve->us = mem_alloc(count, sizeof(double));
    for (size_t i = 0; i < count; i++) {
        const char *x_text = conf_key_at(map, i);
        struct err why;
        if (!unit_number(x_text, &curve->x[i], &why) ||
            (i > 0 && curve->x[i] <= curve->x[i - 1])) {
            return conf_fail(conf_at(map, i), err,
                             "%s: %s: numbers that ascend are due", key, x_text);
        }
        if (!conf_f64(map, x_text, &curve->us[i], 0.0, 1e10, err)) {
            return false;
        }
        curve->count++;
    }
    return true;
}

static bool read_term(const struct conf_node *terms, const char *name,
                      struct fit_coefficient *out, struct err *err)
{
    static const char *const statuses[] = {"sure", "unsure", "held_at_zero",
                                           "undetermined", NULL};
    const struct conf_node *term = NULL;
    uint32_t status = FIT_SURE;
    if (!conf_require(terms, name, err) || !conf_map(terms, name, &term, err) ||
        !conf_require(term, "value", err) ||
        !conf_f64(term, "value", &out->value, 0.0, 1e10, err)) {
        return false;
    }
    out->low = out->value;
    out->high = out->value;
    if (!conf_f64(term, "low", &out->low, -1e12, 1e12, err) ||
        !conf_f64(term, "high", &out->high, -1e12, 1e12, err) ||
        !conf_enum(term, "status", statuses, &status, err)) {
        return false;
    }
    out->status = (enum fit_status)status;
    return true;
}

static bool read_regime(const struct conf_node *root, enum step_regime regime,
                        struct fit_result *result, struct err *err)
{
    const char *name = regime_names[regime];
    const struct conf_node *map = NULL;
    const struct conf_node *terms = NULL;
    uint64_t rows = 0;
    if (!conf_require(root, name, err) || !conf_map(root, name, &map, err) ||
        !conf_require(map, "terms_ns", err) ||
        !conf_map(map, "terms_ns", &terms, err) || !conf_u64(map, "rows", &rows, err) ||
        !conf_f64(map, "mean_abs_error", &result->mean_abs_error, 0.0, 1e9, err) ||
        !conf_f64(map, "worst_abs_error", &result->worst_abs_error, 0.0, 1e9, err) ||
        !conf_f64(map, "condition", &result->condition, 0.0, 1e300, err)) {
        return false;
    }
    result->rows = rows;
    for (size_t i = 0; i < step_term_count(regime); i++) {
        if (!read_term(terms, term_names[regime][i], &result->coefficients[i], err)) {
            return false;
        }
    }
    return true;
}

static bool read_semi(const struct conf_node *root, struct semi_physical *semi,
                      struct err *err)
{
    const struct conf_node *map = NULL;
    if (!conf_map(root, "semi_physical", &map, err)) {
        return false;
    }
    if (map == NULL) {
        return true;
    }
    semi->known = true;
    const struct {
        const char *key;
        double *out;
        double min;
        double max;
    } fields[] = {
        {"constant_us", &semi->constant_us, 0.0, 1e6},
        {"per_decode_us", &semi->per_decode_us, 0.0, 1e6},
        {"efficiency", &semi->efficiency, 0.01, 10.0},
        {"sm_tokens_per_us", &semi->sm_tokens_per_us, 1e-3, 1e6},
        {"exponent", &semi->exponent, 2.0, 100.0},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!conf_require(map, fields[i].key, err) ||
            !conf_f64(map, fields[i].key, fields[i].out, fields[i].min, fields[i].max,
                      err)) {
            return false;
        }
    }
    return conf_f64(map, "mean_abs_error", &semi->mean_abs_error, 0.0, 1e9, err);
}

static bool read_number(const struct conf_node *node, double *out, struct err *err)
{
    struct err why;
    const char *text = conf_scalar(node);
    if (text == NULL || !unit_number(text, out, &why) || *out < 0.0 || *out > 1e9) {
        return conf_fail(node, err, "a number from 0 to 1e9 is due here");
    }
    return true;
}

static bool read_moe(const struct conf_node *root, struct step_fit *fit,
                     struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_list(root, "experts", &list, err) ||
        !conf_u32(root, "experts_per_layer", &fit->experts, 1, 1U << 16, err) ||
        !conf_u32(root, "experts_per_token", &fit->experts_per_token, 1, 1U << 16,
                  err)) {
        return false;
    }
    if (conf_count(list) > 0 &&
        (fit->experts_per_token == 0 || fit->experts_per_token > fit->experts)) {
        return conf_fail(list, err,
                         "experts: experts_per_layer and experts_per_token "
                         "(not more) are due, too");
    }
    fit->moe = mem_alloc(conf_count(list), sizeof *fit->moe);
    for (size_t i = 0; i < conf_count(list); i++) {
        const struct conf_node *row = conf_at(list, i);
        double values[3] = {0.0};
        if (conf_kind(row) != CONF_LIST || conf_count(row) != 3) {
            return conf_fail(row, err, "experts: [tokens, experts, us] is due");
        }
        for (size_t k = 0; k < 3; k++) {
            if (!read_number(conf_at(row, k), &values[k], err)) {
                return false;
            }
        }
        fit->moe[i] =
            (struct moe_row){(uint32_t)values[0], (uint32_t)values[1], values[2]};
        fit->moe_count++;
    }
    return true;
}

static bool read_head(const struct conf_node *root, struct step_fit *fit,
                      struct err *err)
{
    static const char *const formats[] = {format_name, NULL};
    uint32_t format = 0;
    return conf_require(root, "format", err) &&
           conf_enum(root, "format", formats, &format, err) &&
           read_name(root, "gpu", fit->gpu, sizeof fit->gpu, err) &&
           read_name(root, "model", fit->model, sizeof fit->model, err) &&
           read_name(root, "source", fit->source, sizeof fit->source, err) &&
           read_name(root, "calibrated", fit->calibrated, sizeof fit->calibrated,
                     err) &&
           conf_f64(root, "scale_decode", &fit->scale_decode, 0.01, 100.0, err) &&
           conf_f64(root, "scale_mixed", &fit->scale_mixed, 0.01, 100.0, err) &&
           required_u32(root, "tensor_parallel", &fit->tensor_parallel, err) &&
           required_u32(root, "layers", &fit->layers, err) &&
           required_u32(root, "hidden", &fit->hidden, err) &&
           required_u32(root, "kv_heads_per_gpu", &fit->kv_heads, err) &&
           conf_u32(root, "sm_count", &fit->sm_count, 0, 1U << 24, err);
}

static bool read_figures(const struct conf_node *root, struct step_fit *fit,
                         struct err *err)
{
    uint64_t bytes_per_s = 0;
    uint64_t kv_bytes = 0;
    uint32_t form = STEP_AFFINE;
    fit->cliff_factor = 1.0;
    if (!conf_bytes(root, "memory_bytes_per_s", &bytes_per_s, err) ||
        !conf_bytes(root, "l2_bytes", &fit->l2_bytes, err) ||
        !conf_require(root, "kv_token_bytes", err) ||
        !conf_bytes(root, "kv_token_bytes", &kv_bytes, err) ||
        !conf_require(root, "unsplit_from", err) ||
        !conf_f64(root, "unsplit_from", &fit->unsplit_from, 0.0, 1e9, err) ||
        !conf_enum(root, "decode_form", form_names, &form, err) ||
        !conf_f64(root, "cliff_factor", &fit->cliff_factor, 0.01, 100.0, err) ||
        !conf_bool(root, "cliff_measured", &fit->cliff_measured, err)) {
        return false;
    }
    if (kv_bytes == 0 || kv_bytes > 1U << 30) {
        return conf_fail(conf_get(root, "kv_token_bytes"), err,
                         "kv_token_bytes: 1B to 1GiB");
    }
    fit->kv_token_bytes = (uint32_t)kv_bytes;
    fit->memory_bytes_per_s = (double)bytes_per_s;
    fit->form = (enum step_form)form;
    return true;
}

static bool read_all(const struct conf_node *root, struct step_fit *fit,
                     struct err *err)
{
    if (!read_head(root, fit, err) || !read_figures(root, fit, err)) {
        return false;
    }
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        if (!read_regime(root, regime, &fit->regimes[regime], err)) {
            return false;
        }
    }
    if (!read_semi(root, &fit->semi, err) || !conf_require(root, "dense_us", err) ||
        !conf_require(root, "rows_us", err) ||
        !read_curve(root, "dense_us", &fit->dense_us, err) ||
        !read_curve(root, "rows_us", &fit->rows_us, err) ||
        !read_curve(root, "allreduce_us", &fit->allreduce_us, err) ||
        !read_moe(root, fit, err)) {
        return false;
    }
    if (fit->form == STEP_SEMI_PHYSICAL &&
        (!fit->semi.known || fit->memory_bytes_per_s <= 0.0 || fit->sm_count == 0)) {
        return conf_fail(conf_get(root, "decode_form"), err,
                         "decode_form: semi_physical wants the map semi_physical, "
                         "memory_bytes_per_s and sm_count");
    }
    return true;
}

bool step_fit_read(struct step_fit *fit, const struct conf_node *root, struct err *err)
{
    *fit = (struct step_fit){.scale_decode = 1.0, .scale_mixed = 1.0};
    if (read_all(root, fit, err)) {
        return true;
    }
    step_fit_fini(fit);
    return false;
}
