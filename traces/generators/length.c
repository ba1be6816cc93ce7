/* SPDX-License-Identifier: Apache-2.0
 *
 * length.c: distributions from configuration, and fitted tables.
 *
 * No textbook family fits a recorded length (spec/traces.md 4.2), so presets are tables
 * of quantiles, drawn by log-linear interpolation. Each figure stands for tokens at the
 * ranks below; source: spec/traces.md 4.2, measured on the traces named there.
 */
#include "traces/generators/length.h"

#include "base/mem.h"
#include "base/unit.h"

#include <math.h>
#include <string.h>

enum { RANKS = 27 };

static const double ranks[RANKS] = {
    0,   .005, .01, .02, .05, .1, .15, .2, .25, .3,  .35, .4,   .45, .5,
    .55, .6,   .65, .7,  .75, .8, .85, .9, .95, .98, .99, .995, 1,
};

static const struct table {
    const char *name;
    uint32_t tokens[RANKS];
} tables[] = {
    {"moon-conv-input",
     {891,   893,   894,   896,   901,   964,   1261,  1662,   2306,
      3263,  4251,  4993,  5870,  6909,  8186,  9570,  11237,  13196,
      15367, 17869, 21464, 27367, 39550, 66448, 85400, 100810, 126195}},
    {"moon-conv-first",
     {891,   893,   894,   895,   897,   904,   933,   1053,   1250,
      1556,  2327,  3538,  4298,  4900,  5630,  6743,  7999,   9802,
      12082, 14722, 18590, 24699, 36180, 60154, 84512, 109911, 126195}},
    {"moon-conv-output",
     {1,   1,   3,   3,   10,  24,  46,  100, 156, 213, 256,  291,  322, 350,
      375, 399, 423, 447, 472, 504, 543, 597, 698, 891, 1118, 1567, 2000}},
    {"azure-chat-input", {2,    16,   29,   91,   181,  207,  372,  387,  396,
                          403,  414,  703,  984,  1020, 1045, 1071, 1097, 1130,
                          1189, 1315, 1876, 2734, 4083, 4098, 4142, 4831, 14050}},
    {"azure-chat-output",
     {7,   14,  16,  24,  41,  54,  67,  77,  85,  91,  96,  103, 113, 129,
      151, 177, 217, 384, 395, 400, 411, 424, 451, 540, 601, 643, 1000}},
};
enum { TABLE_COUNT = sizeof(tables) / sizeof(tables[0]) };

struct kind_row {
    const char *name;
    const char *first;
    const char *second;
};
static const struct kind_row kinds[] = {
#define X(name, text, first, second, help) {text, first, second},
    DIST_KINDS(X)
#undef X
};
static const char *const kind_names[] = {
#define X(name, text, first, second, help) text,
    DIST_KINDS(X)
#undef X
        NULL,
};

bool length_preset(struct dist **out, const char *name, struct err *err)
{
    struct dist_knot knots[RANKS];
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (strcmp(tables[i].name, name) != 0) {
            continue;
        }
        for (size_t k = 0; k < RANKS; k++) {
            knots[k] = (struct dist_knot){ranks[k], tables[i].tokens[k]};
        }
        const struct dist_spec spec = {
            .kind = DIST_QUANTILES, .knots = knots, .count = RANKS};
        return dist_new(out, &spec, err);
    }
    (void)err_set(err, ERR_INPUT, "no table '%s'; there are: %s, %s, %s, %s, %s", name,
                  tables[0].name, tables[1].name, tables[2].name, tables[3].name,
                  tables[4].name);
    return false;
}

/* Adds the place to a message of stats/, which knows no files. */
static bool place_error(const struct conf_node *node, struct err *err)
{
    const struct err plain = *err;
    return conf_fail(node, err, "%s", plain.text);
}

static bool list_number(const struct conf_node *list, size_t index, double *out,
                        struct err *err)
{
    const struct conf_node *const item = conf_at(list, index);
    const char *const scalar = conf_scalar(item);
    if (scalar == NULL) {
        return conf_fail(item, err, "a number is expected");
    }
    return unit_number(scalar, out, err) || place_error(item, err);
}

static bool open_knots(struct dist **out, const struct conf_node *map, struct err *err)
{
    const struct conf_node *p = NULL;
    const struct conf_node *values = NULL;
    const char *preset = NULL;
    if (!conf_str(map, "preset", &preset, err)) {
        return false;
    }
    if (preset != NULL) {
        return length_preset(out, preset, err) || place_error(map, err);
    }
    if (!conf_require(map, "p", err) || !conf_require(map, "values", err) ||
        !conf_list(map, "p", &p, err) || !conf_list(map, "values", &values, err)) {
        return false;
    }
    const size_t count = conf_count(p);
    if (count != conf_count(values) || count > DIST_TABLE_MAX) {
        return conf_fail(map, err,
                         "%zu values of p and %zu values; equally many are needed, "
                         "at most %d",
                         count, conf_count(values), DIST_TABLE_MAX);
    }
    struct dist_knot *const knots = mem_alloc(count, sizeof(*knots));
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = list_number(p, i, &knots[i].p, err) &&
             list_number(values, i, &knots[i].x, err);
    }
    const struct dist_spec spec = {
        .kind = DIST_QUANTILES, .knots = knots, .count = count};
    ok = ok && (dist_new(out, &spec, err) || place_error(map, err));
    mem_free(knots);
    return ok;
}

static bool open_mixture(struct dist **out, const struct conf_node *map, double shift,
                         struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_require(map, "parts", err) || !conf_list(map, "parts", &list, err)) {
        return false;
    }
    const size_t count = conf_count(list);
    struct dist_part *const parts = mem_alloc(count, sizeof(*parts));
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const struct conf_node *const part = conf_at(list, i);
        ok = conf_require(part, "weight", err) && conf_require(part, "mu", err) &&
             conf_require(part, "sigma", err) &&
             conf_f64(part, "weight", &parts[i].weight, 0, 1e12, err) &&
             conf_f64(part, "mu", &parts[i].mu, -100, 100, err) &&
             conf_f64(part, "sigma", &parts[i].sigma, 0, 100, err);
    }
    const struct dist_spec spec = {
        .kind = DIST_MIXTURE, .shift = shift, .parts = parts, .count = count};
    ok = ok && (dist_new(out, &spec, err) || place_error(map, err));
    mem_free(parts);
    return ok;
}

static bool read_parameter(const struct conf_node *map, const char *name, double *out,
                           struct err *err)
{
    return name == NULL ||
           (conf_require(map, name, err) && conf_f64(map, name, out, -1e15, 1e15, err));
}

/* Whole numbers from min to max, each equally likely. */
static bool read_uniform(const struct conf_node *map, struct dist_spec *spec,
                         struct err *err)
{
    if (conf_get(map, "low") != NULL || conf_get(map, "high") != NULL) {
        return read_parameter(map, "low", &spec->first, err) &&
               read_parameter(map, "high", &spec->second, err);
    }
    if (!read_parameter(map, "min", &spec->first, err) ||
        !read_parameter(map, "max", &spec->second, err)) {
        return false;
    }
    spec->first -= 0.5;
    spec->second += 0.5;
    return true;
}

static bool open_scalar(struct dist **out, const struct conf_node *node,
                        struct err *err)
{
    struct dist_spec spec = {.kind = DIST_CONST};
    return (unit_number(conf_scalar(node), &spec.first, err) &&
            dist_new(out, &spec, err)) ||
           place_error(node, err);
}

bool length_open_dist(struct dist **out, const struct conf_node *node, struct err *err)
{
    if (conf_kind(node) == CONF_SCALAR) {
        return open_scalar(out, node, err);
    }
    if (conf_kind(node) != CONF_MAP) {
        return conf_fail(node, err, "a number or a map with 'kind' is expected");
    }
    uint32_t kind = conf_get(node, "preset") != NULL ? DIST_QUANTILES : DIST_KIND_COUNT;
    if (!conf_enum(node, "kind", kind_names, &kind, err)) {
        return false;
    }
    if (kind == DIST_KIND_COUNT) {
        return conf_require(node, "kind", err);
    }
    struct dist_spec spec = {.kind = (enum dist_kind)kind};
    if (!conf_f64(node, "shift", &spec.shift, -1e15, 1e15, err)) {
        return false;
    }
    if (kind == DIST_QUANTILES) {
        return open_knots(out, node, err);
    }
    if (kind == DIST_MIXTURE) {
        return open_mixture(out, node, spec.shift, err);
    }
    const bool read =
        kind == DIST_UNIFORM
            ? read_uniform(node, &spec, err)
            : read_parameter(node, kinds[kind].first, &spec.first, err) &&
                  read_parameter(node, kinds[kind].second, &spec.second, err);
    return read && (dist_new(out, &spec, err) || place_error(node, err));
}

bool length_open(struct length *out, const struct conf_node *node, struct err *err)
{
    *out = (struct length){.min = 1, .max = LENGTH_MAX};
    const bool is_map = conf_kind(node) == CONF_MAP;
    if (is_map && (!conf_u32(node, "min", &out->min, 1, LENGTH_MAX, err) ||
                   !conf_u32(node, "max", &out->max, 1, LENGTH_MAX, err))) {
        return false;
    }
    if (out->min > out->max) {
        return conf_fail(node, err, "min: %u is above max %u", out->min, out->max);
    }
    double constant = 1;
    if (!is_map && conf_scalar(node) != NULL &&
        unit_number(conf_scalar(node), &constant, NULL) &&
        (constant < 1 || constant != floor(constant))) {
        return conf_fail(node, err, "%s tokens: a whole number from 1 is expected",
                         conf_scalar(node));
    }
    return length_open_dist(&out->dist, node, err);
}

void length_close(struct length *length)
{
    dist_delete(length->dist);
    length->dist = NULL;
}

static uint32_t to_tokens(struct length *length, double value)
{
    const double whole = nearbyint(value);
    length->drawn++;
    if (whole >= length->min && whole <= length->max) {
        return (uint32_t)whole;
    }
    length->clamped++;
    return whole > length->max ? length->max : length->min; /* NaN: min */
}

uint32_t length_draw(struct length *length, struct rng *rng)
{
    return to_tokens(length, dist_draw(length->dist, rng));
}

uint32_t length_at_rank(struct length *length, double p)
{
    return to_tokens(length, dist_quantile(length->dist, p));
}
