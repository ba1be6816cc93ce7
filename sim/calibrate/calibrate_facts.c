/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate_facts.c: what a fit must know, from a run's facts.json; and the fit, read
 * back for people. JSON is YAML here: conf.h reads both and names lines.
 */
#include "base/conf.h"
#include "sim/calibrate/calibrate.h"
#include "sim/calibrate/step_fit.h"

#include <stdio.h>

static const double bytes_per_gb = 1e9;
static const double bytes_per_mib = 1048576.0;

/* Null is as good as absent: the file is not ours. */
static bool figure(const struct conf_node *map, const char *key, double *out,
                   double max, struct err *err)
{
    const char *text = conf_scalar(conf_get(map, key));
    return (text != NULL && text[0] == '\0') || conf_f64(map, key, out, 0.0, max, err);
}

static bool name_read(const struct conf_node *map, const char *key, const char **out,
                      struct err *err)
{
    const char *text = conf_scalar(conf_get(map, key));
    return (text != NULL && text[0] == '\0') || conf_str(map, key, out, err);
}

/* A required figure that is null would be taken as 0. */
static bool required(const struct conf_node *map, const char *key, struct err *err)
{
    const char *text = conf_scalar(conf_get(map, key));
    return conf_require(map, key, err) &&
           ((text != NULL && text[0] != '\0') ||
            conf_fail(conf_get(map, key), err,
                      "%s: is null, and there is no default for it", key));
}

static bool read_gpu(const struct conf_node *root, struct calibrate_gpu *gpu,
                     struct err *err)
{
    const struct conf_node *map = NULL;
    const struct conf_node *engine = NULL;
    const char *name = "unknown GPU";
    double bandwidth_gb = 0.0;
    double l2_mib = 0.0;
    gpu->tensor_parallel = 1;
    if (!conf_require(root, "gpu", err) || !conf_map(root, "gpu", &map, err) ||
        !conf_map(root, "engine", &engine, err) ||
        !name_read(map, "name", &name, err) || !required(map, "sm_count", err) ||
        !conf_count_u32(map, "sm_count", &gpu->sm_count, 1, 100000, err) ||
        !figure(map, "peak_mem_bw_GBps", &bandwidth_gb, 1e6, err) ||
        !figure(map, "l2_MiB", &l2_mib, 1e5, err) ||
        !conf_count_u32(engine, "tensor_parallel", &gpu->tensor_parallel, 1, 1024,
                        err)) {
        return false;
    }
    snprintf(gpu->name, sizeof gpu->name, "%s", name);
    gpu->memory_bytes_per_s = bandwidth_gb * bytes_per_gb;
    gpu->l2_bytes = (uint64_t)(l2_mib * bytes_per_mib);
    return true;
}

static bool read_shape(const struct conf_node *root, struct model_spec *model,
                       struct calibrate_gpu *gpu, struct err *err)
{
    const struct conf_node *map = NULL;
    const char *name = "unknown model";
    if (!name_read(root, "model", &name, err) ||
        !conf_require(root, "model_shape", err) ||
        !conf_map(root, "model_shape", &map, err)) {
        return false;
    }
    snprintf(model->name, sizeof model->name, "%s", name);
    const struct {
        const char *key;
        uint32_t *out;
        bool required;
    } fields[] = {
        {"layers", &model->layers, true},
        {"hidden", &model->hidden, true},
        {"q_heads", &model->query_heads, true},
        {"kv_heads", &model->kv_heads, true},
        {"head_dim", &model->head_dim, true},
        {"intermediate", &model->mlp_width, false},
        {"vocab", &model->vocabulary, false},
        {"experts", &gpu->experts, false},
        {"experts_per_token", &gpu->experts_per_token, false},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if ((fields[i].required && !required(map, fields[i].key, err)) ||
            !conf_count_u32(map, fields[i].key, fields[i].out,
                            fields[i].required ? 1 : 0, 1U << 24, err)) {
            return false;
        }
    }
    return true;
}

bool calibrate_facts_load(const char *path, struct model_spec *model,
                          struct calibrate_gpu *gpu, struct err *err)
{
    struct conf *conf = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    *model = (struct model_spec){.mlp_gated = true, .weight_bits = 16, .kv_bits = 16};
    *gpu = (struct calibrate_gpu){0};
    const bool held = read_gpu(conf_root(conf), gpu, err) &&
                      read_shape(conf_root(conf), model, gpu, err);
    conf_delete(conf);
    return held;
}

/* ---- the report */

static void report_regime(struct text *out, const struct step_fit *fit,
                          enum step_regime regime)
{
    const struct fit_result *result = &fit->regimes[regime];
    text_printf(out, "\n%s: %zu rows, mean error %.1f %%, worst %.0f %%\n",
                step_regime_name(regime), result->rows, 100.0 * result->mean_abs_error,
                100.0 * result->worst_abs_error);
    for (size_t i = 0; i < step_term_count(regime); i++) {
        const struct fit_coefficient *at = &result->coefficients[i];
        text_printf(out, "  %-18s %12.4f ns  [%.4f, %.4f]", step_term_name(regime, i),
                    at->value, at->low, at->high);
        if (at->status != FIT_SURE) {
            text_printf(out, "  %s", fit_status_name(at->status));
        }
        text_add(out, "\n");
    }
}

static void report_forms(struct text *out, const struct step_fit *fit)
{
    const struct semi_physical *semi = &fit->semi;
    if (semi->known) {
        text_printf(out,
                    "\nsemi_physical, for unsplit batches: mean error %.1f %%\n"
                    "  %.2f us + %.4f us per decode, efficiency %.3f, %.2f tokens/us "
                    "of one SM, exponent %.1f\n",
                    100.0 * semi->mean_abs_error, semi->constant_us,
                    semi->per_decode_us, semi->efficiency, semi->sm_tokens_per_us,
                    semi->exponent);
    } else {
        text_add(out, "\nsemi_physical: not fitted: too few unsplit rows, or the "
                      "memory bandwidth is not known\n");
    }
    text_printf(out, "decode form used: %s, the smaller mean error of the two\n",
                step_form_name(fit->form));
    text_printf(
        out, "context beyond L2 in mixed batches: times %.2f (%s)\n", fit->cliff_factor,
        fit->cliff_measured ? "fitted" : "assumed: the profile has no such rows");
}

/* Fitted to whole iterations: nothing unsplit, everything in the terms. */
static bool is_whole(const struct step_fit *fit)
{
    return fit->regimes[STEP_UNSPLIT].rows == 0 && fit->rows_us.count == 1;
}

static void report_whole(struct text *out, const struct step_fit *fit)
{
    const struct profile_curve *curve = &fit->dense_us;
    const size_t last = curve->count - 1;
    report_regime(out, fit, STEP_SPLIT);
    report_regime(out, fit, STEP_MIXED);
    if (last > 0 && curve->us[last] > 0.0) {
        text_printf(out, "\nin every step: %.3f us for each token beyond %.0f\n",
                    (curve->us[last] - curve->us[last - 1]) /
                        (curve->x[last] - curve->x[last - 1]),
                    curve->x[last - 1]);
    }
}

/* What the numbers must not be trusted for. */
static void report_unknown(struct text *out, const struct step_fit *fit)
{
    size_t count = 0;
    for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
        for (size_t i = 0; i < step_term_count(regime); i++) {
            const enum fit_status status = fit->regimes[regime].coefficients[i].status;
            if (status == FIT_UNDETERMINED || status == FIT_UNSURE) {
                text_printf(out, "%s %s.%s", count++ == 0 ? "\nnot determined:" : ",",
                            step_regime_name(regime), step_term_name(regime, i));
            }
        }
    }
    text_add(out, count == 0 ? "\nthe data determine every coefficient\n" : "\n");
    if (fit->tensor_parallel > 1 && fit->allreduce_us.count == 0) {
        text_add(out, "no all-reduce table: the ring formula is used\n");
    }
}

bool calibrate_report(struct text *out, const char *name, const char *yaml,
                      size_t byte_count, struct err *err)
{
    struct conf *conf = NULL;
    struct step_fit fit;
    if (!conf_parse(&conf, name, yaml, byte_count, err)) {
        return false;
    }
    const bool held = step_fit_read(&fit, conf_root(conf), err);
    conf_delete(conf);
    if (!held) {
        return false;
    }
    text_printf(out, "%s x %s, TP %u\n%s\n", fit.gpu, fit.model, fit.tensor_parallel,
                fit.source);
    if (is_whole(&fit)) {
        report_whole(out, &fit);
    } else {
        text_printf(out, "split below %.1f decodes; %zu points of D(T), %zu of S'(S)\n",
                    fit.unsplit_from, fit.dense_us.count, fit.rows_us.count);
        for (enum step_regime regime = STEP_SPLIT; regime < STEP_REGIMES; regime++) {
            report_regime(out, &fit, regime);
        }
        report_forms(out, &fit);
    }
    report_unknown(out, &fit);
    step_fit_fini(&fit);
    return true;
}
