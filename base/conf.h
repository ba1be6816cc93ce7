/* SPDX-License-Identifier: Apache-2.0
 *
 * conf.h: our YAML files, read with their lines (conf_yaml.c alone uses <yaml.h>).
 *
 * A document is a tree of maps, lists and scalars. Each typed getter marks its key as
 * known; conf_done() then fails on the first key that nobody asked for, with file, line
 * and the nearest known key. Anchors, aliases, tags and merge keys are refused, which
 * also disarms YAML bombs. Limits: file 16 MiB, depth 32, 200,000 nodes.
 *
 * All getters: key absent -> *out unchanged, true. Key present but wrong -> false, err
 * "file:line: key: what; what is allowed". `map` may be NULL (then: key absent).
 */
#ifndef STACKSIM_BASE_CONF_H
#define STACKSIM_BASE_CONF_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>
#include <stdint.h>

struct conf;
struct conf_node; /* borrowed; lives as long as its conf */

enum conf_kind { CONF_SCALAR, CONF_MAP, CONF_LIST };

NODISCARD bool conf_load(struct conf **out, const char *path, struct err *err);
/* name stands for the file in messages. */
NODISCARD bool conf_parse(struct conf **out, const char *name, const char *text,
                          size_t byte_count, struct err *err);
/* YAML of others, as Kubernetes and Helm take it: several documents, anchors, aliases,
 * merge keys and the standard tags (!!str). The root is a list of the documents, empty
 * ones included; what an alias repeats counts against the limits, and an alias inside
 * of what it names is an error. */
NODISCARD bool conf_load_documents(struct conf **out, const char *path,
                                   struct err *err);
NODISCARD bool conf_parse_documents(struct conf **out, const char *name,
                                    const char *text, size_t byte_count,
                                    struct err *err);
void conf_delete(struct conf *conf);

const struct conf_node *conf_root(const struct conf *conf);
enum conf_kind conf_kind(const struct conf_node *node);
const char *conf_path(const struct conf_node *node); /* file name, for messages */
uint32_t conf_line(const struct conf_node *node);

/* Child of a map by key, or NULL. Marks the key as known. */
const struct conf_node *conf_get(const struct conf_node *map, const char *key);
/* Number of children of a map or list (0 for scalars and NULL). */
size_t conf_count(const struct conf_node *node);
/* i-th child in file order; for maps conf_key_at gives its key (marks it as known). */
const struct conf_node *conf_at(const struct conf_node *node, size_t index);
const char *conf_key_at(const struct conf_node *map, size_t index);
/* The key of a map's child, NULL for others; marks nothing. */
const char *conf_name(const struct conf_node *node);
/* Text of a scalar ("" for null), or NULL when node is not a scalar. */
const char *conf_scalar(const struct conf_node *node);
/* Whether a scalar stands in quotes (or in a block, or under the tag !!str): then it is
 * a text, whatever it looks like. */
bool conf_is_quoted(const struct conf_node *node);

NODISCARD bool conf_bool(const struct conf_node *map, const char *key, bool *out,
                         struct err *err);
NODISCARD bool conf_str(const struct conf_node *map, const char *key, const char **out,
                        struct err *err);
NODISCARD bool conf_u32(const struct conf_node *map, const char *key, uint32_t *out,
                        uint32_t min, uint32_t max, struct err *err);
/* As conf_u32, for files that are not ours: null is as good as absent, 12.0 is 12. */
NODISCARD bool conf_count_u32(const struct conf_node *map, const char *key,
                              uint32_t *out, uint32_t min, uint32_t max,
                              struct err *err);
NODISCARD bool conf_u64(const struct conf_node *map, const char *key, uint64_t *out,
                        struct err *err);
NODISCARD bool conf_f64(const struct conf_node *map, const char *key, double *out,
                        double min, double max, struct err *err);
NODISCARD bool conf_duration_ns(const struct conf_node *map, const char *key,
                                int64_t *out, struct err *err);
NODISCARD bool conf_bytes(const struct conf_node *map, const char *key, uint64_t *out,
                          struct err *err);
/* A map or list child; absent gives NULL and true; another kind is an error. */
NODISCARD bool conf_map(const struct conf_node *map, const char *key,
                        const struct conf_node **out, struct err *err);
NODISCARD bool conf_list(const struct conf_node *map, const char *key,
                         const struct conf_node **out, struct err *err);
/* One of `names` (NULL-terminated); *out gets the index. */
NODISCARD bool conf_enum(const struct conf_node *map, const char *key,
                         const char *const *names, uint32_t *out, struct err *err);
/* Fails when the key is absent. */
NODISCARD bool conf_require(const struct conf_node *map, const char *key,
                            struct err *err);

/* Sets err to "file:line: " + text; returns false. node may be NULL. */
bool conf_fail(const struct conf_node *node, struct err *err, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Fails on the first unknown key in this map and the maps and lists below it. */
NODISCARD bool conf_done(const struct conf_node *node, struct err *err);

/* For files whose unknown keys are no errors: the next key below `top` that nobody
 * asked for, after `after` (NULL: the first), or NULL. `what` is filled as conf_done's
 * err. What stands below an unknown key is passed over. */
const struct conf_node *conf_next_unknown(const struct conf_node *top,
                                          const struct conf_node *after,
                                          struct err *what);

/* This subtree has a reader of its own, which calls conf_done on it: conf_done on
 * anything above leaves it out. NULL is legal. */
void conf_leave(const struct conf_node *node);

/* Override from the command line: "cluster.replicas=16" or "requests=1000". Makes the
 * path when missing; list items are addressed by index: "pools.0.replicas=4". */
NODISCARD bool conf_override(struct conf *conf, const char *assignment,
                             struct err *err);

/* The document as YAML again (--print-config, provenance in the store). */
void conf_print(const struct conf *conf, struct text *out);

#endif
