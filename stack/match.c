/* SPDX-License-Identifier: Apache-2.0
 *
 * match.c: node selector terms, as Kubernetes evaluates them: terms ORed, expressions
 * of a term ANDed; a missing key satisfies NotIn and DoesNotExist.
 */
#include "stack/match.h"

#include <stdlib.h>
#include <string.h>

static const char *label_of(const struct stack_node *node, const char *key)
{
    for (size_t i = 0; i < node->label_count; i++) {
        if (strcmp(node->labels[i].key, key) == 0) {
            return node->labels[i].value;
        }
    }
    return NULL;
}

static bool is_among(const struct conf_node *values, const char *value)
{
    for (size_t i = 0; i < conf_count(values); i++) {
        if (strcmp(conf_scalar(conf_at(values, i)), value) == 0) {
            return true;
        }
    }
    return false;
}

static bool holds(const struct stack_expression *expression,
                  const struct stack_node *node)
{
    const char *value = label_of(node, expression->key);
    const char *op = expression->op;
    if (strcmp(op, "In") == 0) {
        return value != NULL && is_among(expression->values, value);
    }
    if (strcmp(op, "NotIn") == 0) {
        return value == NULL || !is_among(expression->values, value);
    }
    if (strcmp(op, "Exists") == 0) {
        return value != NULL;
    }
    if (strcmp(op, "DoesNotExist") == 0) {
        return value == NULL;
    }
    const char *bound = conf_scalar(conf_at(expression->values, 0));
    const long long have = value != NULL ? strtoll(value, NULL, 10) : 0;
    const long long than = strtoll(bound, NULL, 10);
    return value != NULL && (strcmp(op, "Gt") == 0 ? have > than : have < than);
}

bool stack_node_matches(const struct stack_node *node,
                        const struct stack_engine *engine)
{
    if (engine->node_name != NULL) {
        return strcmp(node->name, engine->node_name) == 0;
    }
    bool term_holds = true;
    for (size_t i = 0; i < engine->expression_count; i++) {
        const struct stack_expression *expression = &engine->expressions[i];
        const bool begins = i == 0 || expression->term != expression[-1].term;
        if (begins && i > 0 && term_holds) {
            return true;
        }
        term_holds = (begins || term_holds) && holds(expression, node);
    }
    return term_holds;
}

bool stack_match_check(const struct stack_nodes *nodes,
                       const struct stack_engine *engine, struct err *err)
{
    for (size_t i = 0; i < nodes->count; i++) {
        if (stack_node_matches(&nodes->items[i], engine)) {
            return true;
        }
    }
    if (engine->node_name != NULL) {
        const struct conf_node *where = conf_get(engine->where, "nodeName");
        return conf_fail(
            where, err,
            "nodeName: there is no node %.80s among the %zu given; its pods "
            "never start; name one of them",
            engine->node_name, nodes->count);
    }
    return conf_fail(
        engine->expressions[0].where, err,
        "nodeSelectorTerms: none of the %zu nodes has such labels; its pods "
        "stay Pending; change the terms or label a node",
        nodes->count);
}
