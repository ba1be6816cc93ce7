/* SPDX-License-Identifier: Apache-2.0
 *
 * op_fit.c: the file, and curves out of its lines.
 */
#include "sim/calibrate/op_fit.h"

#include "base/mem.h"
#include "base/unit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char format_name[] = "stacksim-ops-1";
static const double million = 1e6;
static const double thousand = 1e3;
enum { BITS_16 = 16, BITS_8 = 8 };
/* A line in the context is two points of it. */
static const double contexts[] = {1.0, 4096.0};

struct family_info {
    const char *key;
    const char *axis;
    const char *help;
};
static const struct family_info infos[OP_FAMILY_COUNT] = {
#define X(id, key, axis, help) {key, axis, help},
    OP_FAMILIES(X)
#undef X
};

enum op_kind { KIND_GEMM, KIND_DECODE, KIND_PROMPT, KIND_COUNT };
static const char *const terms[KIND_COUNT][OP_TERMS_MAX] = {
    [KIND_GEMM] = {"constant", "per_weight", "per_column", "per_inner"},
    [KIND_DECODE] = {"constant", "per_head", "per_kv_head", "per_kv_token"},
    [KIND_PROMPT] = {"constant", "per_prompt_head", "per_prompt_kv_head"},
};

static enum op_kind kind_of(enum op_family family)
{
    return family >= OP_PROMPT_16   ? KIND_PROMPT
           : family >= OP_DECODE_16 ? KIND_DECODE
                                    : KIND_GEMM;
}

const char *op_family_key(enum op_family family)
{
    return infos[family].key;
}

const char *op_family_axis(enum op_family family)
{
    return infos[family].axis;
}

const char *op_family_help(enum op_family family)
{
    return infos[family].help;
}

const char *op_term_name(enum op_family family, size_t term)
{
    return term < OP_TERMS_MAX ? terms[kind_of(family)][term] : NULL;
}

size_t op_term_count(enum op_family family)
{
    return kind_of(family) == KIND_PROMPT ? OP_TERMS_MAX - 1 : OP_TERMS_MAX;
}

void op_terms(enum op_family family, double a, double b, double context,
              double out[OP_TERMS_MAX])
{
    out[0] = 1.0;
    switch (kind_of(family)) {
    case KIND_GEMM:
        out[1] = a * b / million;
        out[2] = a / thousand;
        out[3] = b / thousand;
        break;
    case KIND_DECODE:
        out[1] = a;
        out[2] = b;
        out[3] = b * context / thousand;
        break;
    case KIND_PROMPT:
    case KIND_COUNT:
        out[1] = a;
        out[2] = b;
        out[3] = 0.0;
        break;
    }
}

/* ---- writing */

static void write_list(struct text *out, const char *key,
                       const struct fit_result *result, size_t count,
                       double (*of)(const struct fit_coefficient *coefficient))
{
    text_printf(out, "%s: [", key);
    for (size_t i = 0; i < count; i++) {
        text_printf(out, "%s%.6g", i == 0 ? "" : ", ", of(&result->coefficients[i]));
    }
    text_add(out, "]");
}

static double value_of(const struct fit_coefficient *coefficient)
{
    return coefficient->value;
}

static double low_of(const struct fit_coefficient *coefficient)
{
    return coefficient->low;
}

static double high_of(const struct fit_coefficient *coefficient)
{
    return coefficient->high;
}

static void write_knot(struct text *out, const struct op_knot *knot, size_t count)
{
    const struct fit_result *result = &knot->fit;
    text_printf(out,
                "    %.0f:\n      rows: %zu\n      mean_abs_error: %.4g\n"
                "      worst_abs_error: %.4g\n      ",
                knot->at, result->rows, result->mean_abs_error,
                result->worst_abs_error);
    write_list(out, "value", result, count, value_of);
    text_add(out, "\n      ");
    write_list(out, "low", result, count, low_of);
    text_add(out, "\n      ");
    write_list(out, "high", result, count, high_of);
    text_add(out, "\n      status: [");
    for (size_t i = 0; i < count; i++) {
        text_printf(out, "%s%s", i == 0 ? "" : ", ",
                    fit_status_name(result->coefficients[i].status));
    }
    text_add(out, "]\n");
}

static void write_family(struct text *out, const struct op_fit *fit,
                         enum op_family family)
{
    const struct op_fit_family *at = &fit->families[family];
    const size_t count = op_term_count(family);
    text_printf(out,
                "%s: # %s\n  rows: %zu\n  mean_abs_error: %.4g\n"
                "  worst_abs_error: %.4g\n  terms: [",
                infos[family].key, infos[family].help, at->rows, at->mean_abs_error,
                at->worst_abs_error);
    for (size_t i = 0; i < count; i++) {
        text_printf(out, "%s%s", i == 0 ? "" : ", ", op_term_name(family, i));
    }
    text_printf(out, "]\n  knots_us: # by %s\n", infos[family].axis);
    for (size_t i = 0; i < at->count; i++) {
        write_knot(out, &at->knots[i], count);
    }
}

static void write_string(struct text *out, const char *key, const char *value)
{
    text_printf(out, "%s: \"", key);
    for (; *value != '\0'; value++) {
        text_printf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
    }
    text_add(out, "\"\n");
}

void op_fit_write(const struct op_fit *fit, struct text *out)
{
    text_add(out,
             "# Kernel times of one GPU and backend, fitted by stacksim calibrate; "
             "see\n# docs/calibration.md. low and high: 95 % intervals.\n");
    write_string(out, "format", format_name);
    write_string(out, "system", fit->system);
    write_string(out, "backend", fit->backend);
    write_string(out, "source", fit->source);
    for (int family = 0; family < OP_FAMILY_COUNT; family++) {
        if (fit->families[family].count > 0) {
            write_family(out, fit, (enum op_family)family);
        }
    }
    if (fit->group_count > 0) {
        text_add(out, "allreduce_us: # group size, message bytes: us\n");
    }
    for (uint32_t i = 0; i < fit->group_count; i++) {
        text_printf(out, "  %" PRIu32 ":\n", fit->groups[i]);
        for (size_t j = 0; j < fit->message_count[i]; j++) {
            text_printf(out, "    %.0f: %.4g\n", fit->message_bytes[i][j],
                        fit->message_us[i][j]);
        }
    }
}

/* ---- reading */

static const double us_max = 1e9;

static bool read_name(const struct conf_node *root, const char *key, char *out,
                      size_t out_bytes, struct err *err)
{
    const char *text = "";
    if (!conf_require(root, key, err) || !conf_str(root, key, &text, err)) {
        return false;
    }
    return snprintf(out, out_bytes, "%s", text) < (int)out_bytes ||
           conf_fail(conf_get(root, key), err, "%s: at most %zu characters", key,
                     out_bytes - 1);
}

static bool read_number(const struct conf_node *item, double min, double *out,
                        struct err *err)
{
    const char *text = conf_scalar(item);
    struct err why;
    if (text == NULL || !unit_number(text, out, &why) || !(*out >= min) ||
        *out > us_max) {
        return conf_fail(item, err, "'%s' is no number from %g to %g",
                         text == NULL ? "" : text, min, us_max);
    }
    return true;
}

/* A list of numbers, one member of each coefficient. */
struct member {
    const char *key;
    double min;
    size_t offset;
};
static const struct member members[] = {
    {"value", 0.0, offsetof(struct fit_coefficient, value)},
    {"low", -1e9, offsetof(struct fit_coefficient, low)},
    {"high", -1e9, offsetof(struct fit_coefficient, high)},
};

static bool read_list(const struct conf_node *map, const struct member *member,
                      struct fit_result *result, struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_require(map, member->key, err) ||
        !conf_list(map, member->key, &list, err)) {
        return false;
    }
    if (conf_count(list) != result->rank) {
        return conf_fail(conf_get(map, member->key), err, "%s: a list of %zu numbers",
                         member->key, result->rank);
    }
    for (size_t i = 0; i < result->rank; i++) {
        char *at = (char *)&result->coefficients[i] + member->offset;
        if (!read_number(conf_at(list, i), member->min, (double *)(void *)at, err)) {
            return false;
        }
    }
    return true;
}

static bool read_statuses(const struct conf_node *map, struct fit_result *result,
                          struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_list(map, "status", &list, err)) {
        return false;
    }
    for (size_t i = 0; i < conf_count(list) && i < result->rank; i++) {
        const char *text = conf_scalar(conf_at(list, i));
        enum fit_status status = FIT_SURE;
        while (status < FIT_UNDETERMINED &&
               (text == NULL || strcmp(fit_status_name(status), text) != 0)) {
            status++;
        }
        result->coefficients[i].status = status;
    }
    return true;
}

static bool read_errors(const struct conf_node *map, size_t *rows, double *mean,
                        double *worst, struct err *err)
{
    uint64_t count = 0;
    if (!conf_u64(map, "rows", &count, err)) {
        return false;
    }
    *rows = (size_t)count;
    return conf_f64(map, "mean_abs_error", mean, 0.0, us_max, err) &&
           conf_f64(map, "worst_abs_error", worst, 0.0, us_max, err);
}

static bool read_knot(const struct conf_node *knots, size_t index,
                      struct op_fit_family *family, size_t term_count, struct err *err)
{
    struct op_knot *knot = &family->knots[index];
    const struct conf_node *map = conf_at(knots, index);
    const char *key = conf_key_at(knots, index);
    struct fit_result *result = &knot->fit;
    struct err why;
    if (!unit_number(key, &knot->at, &why) || knot->at < 1.0 || knot->at > us_max ||
        (index > 0 && knot->at <= knot[-1].at)) {
        return conf_fail(map, err, "knots_us: %s: numbers of 1 or more that ascend",
                         key);
    }
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "knots_us: %s: a map with value, low, high", key);
    }
    result->rank = term_count;
    return read_errors(map, &result->rows, &result->mean_abs_error,
                       &result->worst_abs_error, err) &&
           read_list(map, &members[0], result, err) &&
           read_list(map, &members[1], result, err) &&
           read_list(map, &members[2], result, err) && read_statuses(map, result, err);
}

static bool read_family(const struct conf_node *root, struct op_fit *fit,
                        enum op_family family, struct err *err)
{
    const struct conf_node *map = NULL;
    const struct conf_node *knots = NULL;
    const struct conf_node *names = NULL;
    struct op_fit_family *at = &fit->families[family];
    const char *key = infos[family].key;
    if (conf_get(root, key) == NULL) {
        return true;
    }
    if (!conf_map(root, key, &map, err)) {
        return false;
    }
    if (map == NULL) {
        return conf_fail(conf_get(root, key), err, "%s: is empty; leave it out", key);
    }
    if (!conf_list(map, "terms", &names, err) || !conf_require(map, "knots_us", err) ||
        !conf_map(map, "knots_us", &knots, err) ||
        !read_errors(map, &at->rows, &at->mean_abs_error, &at->worst_abs_error, err)) {
        return false;
    }
    at->count = conf_count(knots);
    if (at->count == 0 || at->count > OP_KNOTS_MAX) {
        return conf_fail(knots, err, "knots_us: 1 to %d knots", OP_KNOTS_MAX);
    }
    for (size_t i = 0; i < at->count; i++) {
        if (!read_knot(knots, i, at, op_term_count(family), err)) {
            return false;
        }
    }
    return true;
}

static bool read_message(const struct conf_node *messages, size_t index,
                         struct op_fit *fit, uint32_t group, struct err *err)
{
    double *bytes = &fit->message_bytes[group][index];
    const char *key = conf_key_at(messages, index);
    struct err why;
    if (!unit_number(key, bytes, &why) || *bytes < 1.0 || *bytes > 1e15 ||
        (index > 0 && *bytes <= bytes[-1])) {
        return conf_fail(conf_at(messages, index), err,
                         "allreduce_us: %s: bytes of messages, ascending", key);
    }
    return conf_f64(messages, key, &fit->message_us[group][index], 0.0, us_max, err);
}

static bool read_allreduce(const struct conf_node *root, struct op_fit *fit,
                           struct err *err)
{
    const struct conf_node *groups = NULL;
    if (!conf_map(root, "allreduce_us", &groups, err)) {
        return false;
    }
    if (conf_count(groups) > OP_GROUPS_MAX) {
        return conf_fail(groups, err, "allreduce_us: at most %d group sizes",
                         OP_GROUPS_MAX);
    }
    fit->group_count = (uint32_t)conf_count(groups);
    for (uint32_t i = 0; i < fit->group_count; i++) {
        const struct conf_node *messages = conf_at(groups, i);
        uint64_t size = 0;
        struct err why;
        if (!unit_u64(conf_key_at(groups, i), &size, &why) || size < 2 || size > 1024 ||
            conf_kind(messages) != CONF_MAP || conf_count(messages) == 0 ||
            conf_count(messages) > OP_MESSAGES_MAX) {
            return conf_fail(messages, err,
                             "allreduce_us: a group of 2 to 1024, with 1 to %d "
                             "messages",
                             OP_MESSAGES_MAX);
        }
        fit->groups[i] = (uint32_t)size;
        fit->message_count[i] = conf_count(messages);
        for (size_t j = 0; j < fit->message_count[i]; j++) {
            if (!read_message(messages, j, fit, i, err)) {
                return false;
            }
        }
    }
    return true;
}

bool op_fit_read(struct op_fit *fit, const struct conf_node *root, struct err *err)
{
    const char *format = NULL;
    *fit = (struct op_fit){0};
    if (!conf_str(root, "format", &format, err)) {
        return false;
    }
    if (format == NULL || strcmp(format, format_name) != 0) {
        return conf_fail(root, err,
                         "no fit of op tables (format: \"%s\"); make one with stacksim "
                         "calibrate --from ops",
                         format_name);
    }
    if (!read_name(root, "system", fit->system, sizeof fit->system, err) ||
        !read_name(root, "backend", fit->backend, sizeof fit->backend, err) ||
        !read_name(root, "source", fit->source, sizeof fit->source, err)) {
        return false;
    }
    for (int family = 0; family < OP_FAMILY_COUNT; family++) {
        if (!read_family(root, fit, (enum op_family)family, err)) {
            return false;
        }
    }
    return read_allreduce(root, fit, err);
}

/* ---- curves */

static bool none(const struct op_fit *fit, enum op_family family, struct err *err)
{
    return err_set(err, ERR_INPUT, "fit of op tables of %s, %s: no %s", fit->system,
                   fit->backend, infos[family].help);
}

static double line_at(const struct op_knot *knot, const double x[OP_TERMS_MAX],
                      size_t count)
{
    double us = 0.0;
    for (size_t i = 0; i < count; i++) {
        us += knot->fit.coefficients[i].value * x[i];
    }
    return us;
}

static const struct op_knot *knot_find(const struct op_fit_family *family, double at)
{
    for (size_t i = 0; i < family->count; i++) {
        if (family->knots[i].at == at) {
            return &family->knots[i];
        }
    }
    return NULL;
}

/* What a narrow product takes beyond a 16-bit one for its start and its input. */
static double quantising_us(const struct op_fit *fit, const struct op_knot *knot,
                            const double x[OP_TERMS_MAX])
{
    static const size_t shared[] = {0, 3}; /* constant, per_inner */
    const struct op_knot *wide = knot_find(&fit->families[OP_GEMM_16], knot->at);
    double us = 0.0;
    for (size_t i = 0; wide != NULL && i < sizeof shared / sizeof shared[0]; i++) {
        const size_t term = shared[i];
        const double more =
            knot->fit.coefficients[term].value - wide->fit.coefficients[term].value;
        us += fmax(0.0, more) * x[term];
    }
    return us;
}

bool op_fit_gemm(const struct op_fit *fit, const struct layer_product *product,
                 bool fused, struct profile_curve *out, struct err *err)
{
    const uint32_t bits = product->bits;
    const enum op_family family = bits == BITS_16  ? OP_GEMM_16
                                  : bits == BITS_8 ? OP_GEMM_8
                                                   : OP_GEMM_4;
    const struct op_fit_family *at = &fit->families[family];
    double x[OP_TERMS_MAX];
    *out = (struct profile_curve){0};
    if (at->count == 0) {
        return none(fit, family, err);
    }
    op_terms(family, product->columns, product->inner, 0.0, x);
    out->x = mem_alloc(at->count, sizeof(double));
    out->us = mem_alloc(at->count, sizeof(double));
    for (size_t i = 0; i < at->count; i++) {
        const struct op_knot *knot = &at->knots[i];
        const double more_us = fused ? quantising_us(fit, knot, x) : 0.0;
        out->x[i] = knot->at;
        out->us[i] = line_at(knot, x, OP_TERMS_MAX) - more_us;
    }
    out->count = at->count;
    return true;
}

bool op_fit_decode(const struct op_fit *fit, const struct op_heads *heads,
                   struct op_grid *out, struct err *err)
{
    enum { CONTEXTS = sizeof contexts / sizeof contexts[0] };
    const enum op_family family =
        heads->kv_bits == BITS_16 ? OP_DECODE_16 : OP_DECODE_8;
    const struct op_fit_family *at = &fit->families[family];
    *out = (struct op_grid){0};
    if (at->count == 0) {
        return none(fit, family, err);
    }
    out->batch = mem_alloc(at->count, sizeof(double));
    out->context = mem_alloc(CONTEXTS, sizeof(double));
    out->us = mem_alloc(at->count * CONTEXTS, sizeof(double));
    out->batch_count = at->count;
    out->context_count = CONTEXTS;
    for (size_t j = 0; j < CONTEXTS; j++) {
        double x[OP_TERMS_MAX];
        op_terms(family, heads->query, heads->kv, contexts[j], x);
        out->context[j] = contexts[j];
        for (size_t i = 0; i < at->count; i++) {
            out->batch[i] = at->knots[i].at;
            out->us[i * CONTEXTS + j] = line_at(&at->knots[i], x, OP_TERMS_MAX);
        }
    }
    return true;
}

bool op_fit_prompt(const struct op_fit *fit, const struct op_heads *heads,
                   struct op_lines *out, struct err *err)
{
    const enum op_family family =
        heads->kv_bits == BITS_16 ? OP_PROMPT_16 : OP_PROMPT_8;
    const struct op_fit_family *at = &fit->families[family];
    double x[OP_TERMS_MAX];
    *out = (struct op_lines){0};
    if (at->count == 0) {
        return none(fit, family, err);
    }
    op_terms(family, heads->query, heads->kv, 0.0, x);
    out->tokens = mem_alloc(at->count, sizeof(double));
    out->base_us = mem_alloc(at->count, sizeof(double));
    out->per_prompt_us = mem_alloc(at->count, sizeof(double));
    for (size_t i = 0; i < at->count; i++) {
        const struct op_knot *knot = &at->knots[i];
        out->tokens[i] = knot->at;
        out->base_us[i] = knot->fit.coefficients[0].value;
        out->per_prompt_us[i] =
            line_at(knot, x, op_term_count(family)) - out->base_us[i];
    }
    out->count = at->count;
    return true;
}

void op_fit_allreduce(const struct op_fit *fit, uint32_t gpus,
                      struct profile_curve *out)
{
    *out = (struct profile_curve){0};
    for (uint32_t i = 0; i < fit->group_count; i++) {
        if (fit->groups[i] != gpus) {
            continue;
        }
        out->count = fit->message_count[i];
        out->x = mem_alloc(out->count, sizeof(double));
        out->us = mem_alloc(out->count, sizeof(double));
        memcpy(out->x, fit->message_bytes[i], out->count * sizeof(double));
        memcpy(out->us, fit->message_us[i], out->count * sizeof(double));
        return;
    }
}
