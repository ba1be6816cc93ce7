/* SPDX-License-Identifier: Apache-2.0
 *
 * read.h: typed values out of files that are written for Helm and Kubernetes.
 *
 * As the getters of base/conf.h, but as lenient as those programs are: null is as good
 * as absent, numbers may stand in quotes, truth is that of Go's templates.
 */
#ifndef STACKSIM_STACK_READ_H
#define STACKSIM_STACK_READ_H

#include "base/conf.h"
#include "stack/findings.h"

/* A child that is there and is not null, else NULL; marks the key as known. */
const struct conf_node *read_child(const struct conf_node *map, const char *key);
/* Any scalar as its text. */
NODISCARD bool read_text(const struct conf_node *map, const char *key, const char **out,
                         struct err *err);
/* A whole number from min to max, in quotes or not. */
NODISCARD bool read_count(const struct conf_node *map, const char *key, uint32_t *out,
                          uint32_t min, uint32_t max, struct err *err);
NODISCARD bool read_number(const struct conf_node *map, const char *key, double *out,
                           double min, double max, struct err *err);
/* Truth as `if` of a template has it: false, 0, "" and null are false, all else is
 * true: "false" in quotes, too, which gets a warning. */
NODISCARD bool read_truth(const struct conf_node *map, const char *key, bool *out,
                          struct findings *findings, struct err *err);
/* A quantity of Kubernetes: "48Gi", "120G", "500m", 8. In thousandths ("milli"), at
 * most 2^63. */
NODISCARD bool read_quantity(const struct conf_node *map, const char *key,
                             uint64_t *milli, struct err *err);
/* As conf_map and conf_list. */
NODISCARD bool read_map(const struct conf_node *map, const char *key,
                        const struct conf_node **out, struct err *err);
NODISCARD bool read_list(const struct conf_node *map, const char *key,
                         const struct conf_node **out, struct err *err);
/* As read_list, each item a scalar (wanted CONF_SCALAR) or a map; at most 1000. */
NODISCARD bool read_list_of(const struct conf_node *map, const char *key,
                            enum conf_kind wanted, const struct conf_node **out,
                            struct err *err);

/* These keys are known, with all below them, and change nothing here. `keys` ends with
 * NULL. */
void read_pass(const struct conf_node *map, const char *const *keys);
/* Warns of every key below that nobody asked for. */
void read_warn_unknown(const struct conf_node *top, struct findings *findings);
/* Whether a map has one of these keys; marks nothing. */
bool read_has(const struct conf_node *map, const char *key);

#endif
