/* SPDX-License-Identifier: Apache-2.0
 *
 * read.c: lenient getters on top of conf's.
 */
#include "stack/read.h"

#include "base/unit.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 1000, NUMBER_BYTES = 40 };

static bool is_null(const struct conf_node *node)
{
    const char *text = conf_scalar(node);
    return text != NULL && !conf_is_quoted(node) &&
           (text[0] == '\0' || strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0);
}

const struct conf_node *read_child(const struct conf_node *map, const char *key)
{
    const struct conf_node *node = conf_get(map, key);
    return node == NULL || is_null(node) ? NULL : node;
}

bool read_has(const struct conf_node *map, const char *key)
{
    for (size_t i = 0; map != NULL && conf_kind(map) == CONF_MAP && i < conf_count(map);
         i++) {
        if (strcmp(conf_name(conf_at(map, i)), key) == 0) {
            return true;
        }
    }
    return false;
}

bool read_text(const struct conf_node *map, const char *key, const char **out,
               struct err *err)
{
    const struct conf_node *node = read_child(map, key);
    if (node == NULL) {
        return true;
    }
    if (conf_kind(node) != CONF_SCALAR) {
        return conf_str(map, key, out, err); /* says what it is */
    }
    *out = conf_scalar(node);
    return true;
}

/* NOLINTNEXTLINE(readability-function-size): as conf_u32 */
bool read_count(const struct conf_node *map, const char *key, uint32_t *out,
                uint32_t min, uint32_t max, struct err *err)
{
    return read_child(map, key) == NULL || conf_count_u32(map, key, out, min, max, err);
}

/* NOLINTNEXTLINE(readability-function-size): as conf_f64 */
bool read_number(const struct conf_node *map, const char *key, double *out, double min,
                 double max, struct err *err)
{
    return read_child(map, key) == NULL || conf_f64(map, key, out, min, max, err);
}

static bool word_in(const char *word, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool read_truth(const struct conf_node *map, const char *key, bool *out,
                struct findings *findings, struct err *err)
{
    /* YAML 1.1, which Helm's reader follows. */
    static const char *const no[] = {"false", "False", "FALSE", "no",  "No",
                                     "NO",    "off",   "Off",   "OFF", "n",
                                     "N",     "0",     "0.0",   NULL};
    const struct conf_node *node = conf_get(map, key);
    const char *text = conf_scalar(node);
    if (node == NULL) {
        return true;
    }
    if (text == NULL) {
        return conf_str(map, key, &text, err);
    }
    if (is_null(node) || text[0] == '\0') {
        *out = false;
        return true;
    }
    if (conf_is_quoted(node) && word_in(text, no)) {
        findings_add(findings, FINDING_TRAP, "quoted_false", node,
                     "%s: \"%s\" in quotes is a text, and a text that is not empty is "
                     "true to the chart; write it without quotes",
                     key, text);
    }
    *out = conf_is_quoted(node) || !word_in(text, no);
    return true;
}

static double quantity_scale(const char *suffix)
{
    static const struct {
        const char *suffix;
        double scale;
    } scales[] = {{"", 1e3},
                  {"m", 1},
                  {"u", 1e-3},
                  {"n", 1e-6},
                  {"k", 1e6},
                  {"M", 1e9},
                  {"G", 1e12},
                  {"T", 1e15},
                  {"P", 1e18},
                  {"Ki", 1024e3},
                  {"Mi", 1048576e3},
                  {"Gi", 1073741824e3},
                  {"Ti", 1099511627776e3},
                  {"Pi", 1125899906842624e3}};
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        if (strcmp(suffix, scales[i].suffix) == 0) {
            return scales[i].scale;
        }
    }
    return 0;
}

bool read_quantity(const struct conf_node *map, const char *key, uint64_t *milli,
                   struct err *err)
{
    const struct conf_node *node = read_child(map, key);
    const char *text = NULL;
    if (node == NULL) {
        return true;
    }
    if (!read_text(map, key, &text, err) || text == NULL) {
        return false;
    }
    char *rest = NULL;
    const bool digits = isdigit((unsigned char)text[0]) || text[0] == '.';
    const double value = digits ? strtod(text, &rest) : -1;
    const double scale = digits ? quantity_scale(rest) : 0;
    const double result = ceil(value * scale);
    if (!digits || scale <= 0 || !(result >= 0 && result < 0x1p63)) {
        return conf_fail(node, err,
                         "%s: \"%.60s\" is no quantity; write 8, 500m, 48Gi or 120G",
                         key, text);
    }
    *milli = (uint64_t)result;
    return true;
}

bool read_map(const struct conf_node *map, const char *key,
              const struct conf_node **out, struct err *err)
{
    return conf_map(map, key, out, err);
}

bool read_list(const struct conf_node *map, const char *key,
               const struct conf_node **out, struct err *err)
{
    return conf_list(map, key, out, err);
}

bool read_list_of(const struct conf_node *map, const char *key, enum conf_kind wanted,
                  const struct conf_node **out, struct err *err)
{
    if (!conf_list(map, key, out, err)) {
        return false;
    }
    if (conf_count(*out) > LIST_MAX) {
        return conf_fail(*out, err, "%s: %zu items; %d at most", key, conf_count(*out),
                         LIST_MAX);
    }
    for (size_t i = 0; i < conf_count(*out); i++) {
        const struct conf_node *item = conf_at(*out, i);
        if (conf_kind(item) != wanted) {
            return conf_fail(item, err, "%s: each item is %s", key,
                             wanted == CONF_MAP ? "a map" : "a text or a number");
        }
    }
    return true;
}

void read_pass(const struct conf_node *map, const char *const *keys)
{
    for (size_t i = 0; keys[i] != NULL; i++) {
        conf_leave(conf_get(map, keys[i]));
    }
}

void read_warn_unknown(const struct conf_node *top, struct findings *findings)
{
    struct err what = {ERR_NONE, ""};
    const struct conf_node *at = conf_next_unknown(top, NULL, &what);
    while (at != NULL) {
        findings_add_unknown(findings, at, &what);
        at = conf_next_unknown(top, at, &what);
    }
}
