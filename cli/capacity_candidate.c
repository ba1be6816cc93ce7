/* SPDX-License-Identifier: Apache-2.0
 *
 * capacity_candidate.c: a candidate is the scenario and some overrides.
 */
#include "cli/capacity_candidate.h"

#include "base/check.h"
#include "base/conf.h"
#include "base/mem.h"
#include "cli/policy_list.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <string.h>

enum { OVERRIDES_MAX = 96, OWN_MAX = 16 };

struct candidate {
    struct runner_setup setup;
    const char *overrides[OVERRIDES_MAX];
    size_t count;
    struct text own[OWN_MAX];
    size_t own_count;
};

static void add(struct candidate *candidate, const char *override)
{
    CHECK(candidate->count < OVERRIDES_MAX, "%zu overrides", candidate->count);
    candidate->overrides[candidate->count++] = override;
}

static struct text *own_text(struct candidate *candidate)
{
    CHECK(candidate->own_count < OWN_MAX, "%zu overrides", candidate->own_count);
    return &candidate->own[candidate->own_count++];
}

static void add_value(struct candidate *candidate, const char *key, const char *value)
{
    struct text *own = own_text(candidate);
    text_printf(own, "%s=", key);
    text_add(own, value);
    add(candidate, text_str(own));
}

static void add_number(struct candidate *candidate, const char *key, uint32_t value)
{
    struct text *own = own_text(candidate);
    text_printf(own, "%s=%" PRIu32, key, value);
    add(candidate, text_str(own));
}

static void add_first_pool(struct candidate *candidate,
                           const struct capacity_group *group, uint32_t engines)
{
    add_value(candidate, "cluster.pools.0.gpu", group->gpu);
    add_number(candidate, "cluster.pools.0.engine.tensor_parallel",
               group->tensor_parallel);
    add_number(candidate, "cluster.pools.0.replicas", engines);
    if (group->is_parallel) {
        add_number(candidate, "cluster.pools.0.parallel.tp", group->tensor_parallel);
        add_number(candidate, "cluster.pools.0.parallel.pp", group->stages);
    }
}

static void add_second_pool(struct candidate *candidate,
                            const struct capacity_group *group, uint32_t engines)
{
    add_value(candidate, "cluster.pools.1.gpu", group->gpu);
    add_number(candidate, "cluster.pools.1.engine.tensor_parallel",
               group->tensor_parallel);
    add_number(candidate, "cluster.pools.1.replicas", engines);
    if (group->is_parallel) {
        add_number(candidate, "cluster.pools.1.parallel.tp", group->tensor_parallel);
        add_number(candidate, "cluster.pools.1.parallel.pp", group->stages);
    }
}

static void add_split(struct candidate *candidate, const struct capacity_setup *setup,
                      const struct capacity_group *group, uint32_t engines)
{
    const struct capacity_split split = group->split;
    const uint32_t units = engines / (split.prefill + split.decode);
    CHECK(units * (split.prefill + split.decode) == engines,
          "%" PRIu32 " engines in %" PRIu32 ":%" PRIu32, engines, split.prefill,
          split.decode);
    add_value(candidate, "cluster.pools.1", group->decode_pool);
    add(candidate, "cluster.pools.0.name=prefill");
    add(candidate, "cluster.pools.0.role=prefill");
    add(candidate, "cluster.pools.1.name=decode");
    add(candidate, "cluster.pools.1.role=decode");
    add_value(candidate, "routing.disaggregation.policy", setup->pair);
    add_first_pool(candidate, group, units * split.prefill);
    add_second_pool(candidate, group, units * split.decode);
}

struct candidate *candidate_new(const struct capacity_setup *setup,
                                const struct capacity_group *group, uint32_t engines)
{
    struct candidate *candidate = mem_alloc(1, sizeof *candidate);
    const struct runner_setup *base = setup->base;
    for (size_t i = 0; i < base->override_count; i++) {
        add(candidate, base->overrides[i]);
    }
    for (size_t i = 0; i < group->policy->override_count; i++) {
        add(candidate, group->policy->overrides[i]);
    }
    if (capacity_is_split(group->split)) {
        add_split(candidate, setup, group, engines);
    } else {
        add_first_pool(candidate, group, engines);
    }
    candidate->setup = *base;
    candidate->setup.policy = group->policy->policy;
    candidate->setup.overrides = candidate->overrides;
    candidate->setup.override_count = candidate->count;
    return candidate;
}

void candidate_delete(struct candidate *candidate)
{
    for (size_t i = 0; i < candidate->own_count; i++) {
        text_fini(&candidate->own[i]);
    }
    mem_free(candidate);
}

const struct runner_setup *candidate_setup(const struct candidate *candidate)
{
    return &candidate->setup;
}

bool candidate_scenario(struct scenario **out, const struct capacity_setup *setup,
                        const struct capacity_group *group, uint32_t engines,
                        struct err *err)
{
    struct candidate *candidate = candidate_new(setup, group, engines);
    const bool ok = runner_scenario(out, &candidate->setup, err);
    candidate_delete(candidate);
    return ok;
}

bool capacity_scenario(struct scenario **out, const struct capacity_setup *setup,
                       struct err *err)
{
    const struct policy_choice as_written = {0};
    const struct capacity_axis *axis = &setup->axis;
    const size_t sizes = axis->tensor_parallel_count * axis->stages_count;
    bool ok = runner_scenario(out, setup->base, err);
    for (size_t i = 0; !ok && i < axis->gpu_count * sizes; i++) {
        const size_t size = i % sizes;
        const struct capacity_group group = {
            .gpu = axis->gpus[i / sizes],
            .tensor_parallel = axis->tensor_parallel[size / axis->stages_count],
            .stages = axis->stages[size % axis->stages_count],
            .is_parallel = true, /* whatever the scenario's own plan says */
            .policy = &as_written,
        };
        struct err ignored = {0};
        ok = candidate_scenario(out, setup, &group, 1, &ignored);
    }
    return ok;
}

/* ---- the pool once more ------------------------------------------------------------
 */

static void add_quoted(struct text *out, const char *value)
{
    text_add(out, "\"");
    for (const char *at = value; *at != '\0'; at++) {
        text_add(out, *at == '"' || *at == '\\' ? "\\" : "");
        text_add_bytes(out, at, 1);
    }
    text_add(out, "\"");
}

/* Plain where YAML reads it plain: a quoted number would be no number. */
static void add_scalar(struct text *out, const struct conf_node *node)
{
    const char *value = conf_scalar(node);
    if (conf_is_quoted(node) || value[0] == '\0' ||
        strpbrk(value, ",:[]{}#&*!|>'\"%@` \\") != NULL) {
        add_quoted(out, value);
    } else {
        text_add(out, value);
    }
}

enum { DEPTH_MAX = 64 }; /* more than conf allows */

struct level {
    const struct conf_node *node;
    size_t next; /* child */
};

static void add_begin(struct text *out, const struct level *level)
{
    const bool is_map = conf_kind(level->node) == CONF_MAP;
    const struct conf_node *child = conf_at(level->node, level->next);
    text_add(out, level->next > 0 ? ", " : "");
    if (is_map) {
        add_quoted(out, conf_name(child));
        text_add(out, ": ");
    }
}

static void add_map(struct text *out, const struct conf_node *map)
{
    struct level levels[DEPTH_MAX] = {{.node = map}};
    size_t depth = 1;
    text_add(out, "{");
    while (depth > 0) {
        struct level *level = &levels[depth - 1];
        if (level->next == conf_count(level->node)) {
            text_add(out, conf_kind(level->node) == CONF_MAP ? "}" : "]");
            depth--;
            continue;
        }
        add_begin(out, level);
        const struct conf_node *child = conf_at(level->node, level->next++);
        if (conf_kind(child) == CONF_SCALAR) {
            add_scalar(out, child);
            continue;
        }
        CHECK(depth < DEPTH_MAX, "%zu levels of a scenario", depth);
        text_add(out, conf_kind(child) == CONF_MAP ? "{" : "[");
        levels[depth++] = (struct level){.node = child};
    }
}

char *candidate_pool(const struct scenario *scenario, bool *is_parallel)
{
    struct text out = {0};
    const struct conf_node *cluster = conf_get(conf_root(scenario->conf), "cluster");
    const struct conf_node *pool = conf_at(conf_get(cluster, "pools"), 0);
    *is_parallel = conf_get(pool, "parallel") != NULL;
    add_map(&out, pool);
    char *copy = mem_strdup(text_str(&out));
    text_fini(&out);
    return copy;
}
