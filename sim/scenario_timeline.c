/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_timeline.c: `- {at: 120s, engine_crash: pool0/3}`: one key says what, its
 * value says to whom.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/unit.h"
#include "sim/scenario_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum target { TARGET_POD, TARGET_NODE, TARGET_POOL, TARGET_WORD };

static const struct {
    const char *name;
    enum target target;
} kinds[] = {
#define X(id, name, target, help) {name, TARGET_##target},
    TIMELINE_KINDS(X)
#undef X
};

const char *timeline_kind_name(enum timeline_kind kind)
{
    CHECK((unsigned)kind < TIMELINE_COUNT, "kind %d", (int)kind);
    return kinds[kind].name;
}

/* ---- whom ------------------------------------------------------------------------ */

static bool pool_find(const struct scenario *scenario, const char *word, size_t length,
                      uint32_t *pool)
{
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const char *name = scenario->pools[i].name;
        if (strlen(name) == length && strncmp(name, word, length) == 0) {
            *pool = i;
            return true;
        }
    }
    return false;
}

static bool pod_find(const struct scenario *scenario, const struct conf_node *node,
                     const char *word, struct timeline_action *action, struct err *err)
{
    const char *slash = strrchr(word, '/');
    uint64_t number = 0;
    struct err why = {0};
    if (slash == NULL ||
        !pool_find(scenario, word, (size_t)(slash - word), &action->pool) ||
        !unit_u64(slash + 1, &number, &why) || number >= SCENARIO_REPLICAS_MAX) {
        return conf_fail(node, err,
                         "'%s' is no engine; write POOL/NUMBER, as in pool0/3", word);
    }
    action->number = (uint32_t)number;
    return true;
}

static bool word_find(const struct conf_node *node, const char *word,
                      struct timeline_action *action, struct err *err)
{
    const char *name = kinds[action->kind].name;
    if (action->kind == TIMELINE_API_DOWN || action->kind == TIMELINE_SERVICE_LOST) {
        const char *only = action->kind == TIMELINE_API_DOWN ? "configmaps" : "router";
        return strcmp(word, only) == 0 || conf_fail(node, err, "%s: %s", name, only);
    }
    action->good = strcmp(word, "good") == 0;
    return action->good || strcmp(word, "broken") == 0 ||
           conf_fail(node, err, "%s: good or broken", name);
}

static bool target_find(const struct scenario_control *control,
                        const struct scenario *scenario, const struct conf_node *node,
                        struct timeline_action *action, struct err *err)
{
    const char *word = conf_scalar(node);
    if (word == NULL) {
        return conf_fail(node, err, "%s: a name", kinds[action->kind].name);
    }
    if (kinds[action->kind].target == TARGET_POD) {
        return pod_find(scenario, node, word, action, err);
    }
    if (kinds[action->kind].target == TARGET_WORD) {
        return word_find(node, word, action, err);
    }
    if (kinds[action->kind].target == TARGET_POOL) {
        return pool_find(scenario, word, strlen(word), &action->pool) ||
               conf_fail(node, err, "there is no pool %s", word);
    }
    for (uint32_t i = 0; i < control->node_count; i++) {
        if (strcmp(control->nodes[i].name, word) == 0) {
            action->node = i;
            return true;
        }
    }
    return conf_fail(node, err, "there is no node %s; give it under `nodes`", word);
}

/* ---- what ------------------------------------------------------------------------ */

static bool kind_find(const struct conf_node *map, enum timeline_kind *kind,
                      const struct conf_node **node, struct err *err)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < TIMELINE_COUNT; i++) {
        const struct conf_node *child = conf_get(map, kinds[i].name);
        if (child != NULL) {
            *kind = (enum timeline_kind)i;
            *node = child;
            found++;
        }
    }
    if (found == 1) {
        return true;
    }
    struct text known = {0};
    for (uint32_t i = 0; i < TIMELINE_COUNT; i++) {
        text_printf(&known, "%s%s", i == 0 ? "" : ", ", kinds[i].name);
    }
    conf_fail(map, err, "timeline: each entry has one of %s", text_str(&known));
    text_fini(&known);
    return false;
}

/* What ends by an entry of its own. */
static bool ends(enum timeline_kind kind)
{
    return kind == TIMELINE_SLOW_GPU || kind == TIMELINE_SLOW_NIC ||
           kind == TIMELINE_LINK_LOST || kind == TIMELINE_API_DOWN ||
           kind == TIMELINE_SERVICE_LOST;
}

static bool on_route(enum timeline_kind kind)
{
    return kind == TIMELINE_ROUTE || kind == TIMELINE_API_DOWN ||
           kind == TIMELINE_SERVICE_LOST;
}

static bool details_read(const struct conf_node *map, struct timeline_action *action,
                         struct err *err)
{
    action->factor = action->kind == TIMELINE_LINK_LOST ? (double)INFINITY : 1.0;
    if (action->kind == TIMELINE_SCALE && (!conf_require(map, "replicas", err) ||
                                           !conf_u32(map, "replicas", &action->replicas,
                                                     0, SCENARIO_REPLICAS_MAX, err))) {
        return false;
    }
    if ((action->kind == TIMELINE_SLOW_GPU || action->kind == TIMELINE_SLOW_NIC) &&
        (!conf_require(map, "factor", err) ||
         !conf_f64(map, "factor", &action->factor, 0.01, 10000, err))) {
        return false;
    }
    const bool lasts = ends(action->kind) || action->kind == TIMELINE_NODE_LOST ||
                       action->kind == TIMELINE_ENGINE_CRASH;
    return !lasts || conf_duration_ns(map, "for", &action->for_ns, err);
}

static bool action_read(const struct scenario_control *control,
                        const struct scenario *scenario, const struct conf_node *map,
                        struct timeline_action *action, struct err *err)
{
    const struct conf_node *node = NULL;
    *action = (struct timeline_action){0};
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "timeline: each entry is a map");
    }
    if (!conf_require(map, "at", err) ||
        !conf_duration_ns(map, "at", &action->at_ns, err) ||
        !kind_find(map, &action->kind, &node, err)) {
        return false;
    }
    if (on_route(action->kind) && !control->has_route) {
        return conf_fail(node, err, "%s: there is no `static_route`",
                         kinds[action->kind].name);
    }
    return target_find(control, scenario, node, action, err) &&
           details_read(map, action, err);
}

/* ---- how many pods at a time ----------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Pods that end and pods that take their place are there together. */
static void slots_raise(struct scenario_control *control, uint32_t pool)
{
    struct control_pool *own = &control->pools[pool];
    uint32_t most = own->slots;
    uint32_t beside = 0;
    uint32_t deleted = 0;
    for (uint32_t i = 0; i < control->action_count; i++) {
        const struct timeline_action *action = &control->actions[i];
        const bool here = action->pool == pool;
        if (action->kind == TIMELINE_SCALE && here && action->replicas > most) {
            most = action->replicas;
        }
        deleted += action->kind == TIMELINE_DELETE_POD && here ? 1 : 0;
        if (action->kind == TIMELINE_ROLLOUT && here && own->surge > beside) {
            beside = own->surge;
        }
        if (action->kind == TIMELINE_NODE_DRAIN) {
            beside = own->replicas > beside ? own->replicas : beside;
        }
    }
    deleted = least(deleted, own->replicas);
    own->slots = most + (deleted > beside ? deleted : beside);
}

static bool numbers_check(const struct scenario_control *control,
                          const struct scenario *scenario, const struct conf_node *list,
                          struct err *err)
{
    for (size_t i = 0; i < conf_count(list); i++) {
        struct timeline_action action;
        if (!action_read(control, scenario, conf_at(list, i), &action, err)) {
            return false;
        }
        const uint32_t slots = control->pools[action.pool].slots;
        if (kinds[action.kind].target == TARGET_POD && action.number >= slots) {
            return conf_fail(conf_at(list, i), err, "%s: pool %s has engines 0 to %u",
                             kinds[action.kind].name, scenario->pools[action.pool].name,
                             slots - 1);
        }
    }
    return true;
}

static int by_time(const void *left, const void *right)
{
    const struct timeline_action *a = left;
    const struct timeline_action *b = right;
    return (a->at_ns > b->at_ns) - (a->at_ns < b->at_ns);
}

/* Stable, and short. */
static void actions_sort(struct timeline_action *actions, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct timeline_action action = actions[i];
        uint32_t at = i;
        while (at > 0 && by_time(&actions[at - 1], &action) > 0) {
            actions[at] = actions[at - 1];
            at--;
        }
        actions[at] = action;
    }
}

bool scenario_timeline_read(struct scenario_control *control,
                            const struct scenario *scenario,
                            const struct conf_node *root, struct err *err)
{
    const struct conf_node *list = NULL;
    if (!conf_list(root, "timeline", &list, err)) {
        return false;
    }
    const size_t count = conf_count(list);
    if (count > TIMELINE_MAX / 2) {
        return conf_fail(list, err, "timeline: at most %d entries", TIMELINE_MAX / 2);
    }
    control->actions = mem_alloc(2 * count + 1, sizeof *control->actions);
    for (size_t i = 0; i < count; i++) {
        struct timeline_action *action = &control->actions[control->action_count++];
        if (!action_read(control, scenario, conf_at(list, i), action, err)) {
            return false;
        }
        control->reloads = control->reloads || action->kind == TIMELINE_RELOAD ||
                           action->kind == TIMELINE_ROUTE;
        if (ends(action->kind) && action->for_ns > 0) {
            struct timeline_action *end = &control->actions[control->action_count++];
            *end = *action;
            end->at_ns += action->for_ns;
            end->factor = 1.0;
            end->good = true;
        }
    }
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        slots_raise(control, i);
    }
    actions_sort(control->actions, control->action_count);
    return numbers_check(control, scenario, list, err);
}
