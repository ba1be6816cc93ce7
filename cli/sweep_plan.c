/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep_plan.c: axes of choices, and their product.
 *
 * `grid` has one axis per key, `list` is one axis whose choices set several keys. A
 * choice is resolved once (short names to paths, policies to their parameters); a run
 * is then nothing but one choice of each axis, one after the other.
 */
#include "cli/sweep_plan.h"

#include "base/arena.h"
#include "base/conf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/unit.h"
#include "cli/policy_list.h"
#include "reports/stored_sweep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { AXES_MAX = 16, OVERRIDES_MAX = 256, KEYS_MAX = 64, VALUE_BYTES_MAX = 200 };
#define ARENA_BYTES_MAX ((size_t)1 << 32)

struct key {
    const char *key;
    const char *value;
};

/* One value of an axis, or one entry of the list. */
struct choice {
    const char *policy;
    const char **overrides;
    size_t override_count;
    size_t override_capacity;
    struct key *keys; /* what it is called by */
    size_t key_count;
    size_t key_capacity;
};

struct axis {
    struct choice *choices;
    size_t count;
    size_t capacity;
};

struct sweep_plan {
    struct arena *arena; /* strings and jobs */
    struct conf *conf;   /* more strings */
    char *scenario;
    struct sweep_job *jobs;
    size_t count;
    struct stored_sweep *stored;
};

struct reading {
    struct sweep_plan *plan;
    const struct policy_set *policies;
    const struct conf_node *names; /* of `keys`; NULL = none */
    struct policy_list *scratch;
    struct choice base; /* of all runs */
    struct axis axes[AXES_MAX];
    size_t axis_count;
    struct err *err;
};

/* ---- choices --------------------------------------------------------------------- */

static bool value_of(const struct conf_node *node, const char **out, struct err *err)
{
    const char *text = conf_scalar(node);
    if (text == NULL) {
        return conf_fail(node, err,
                         "a value must be one word or number; quote a list or map: "
                         "'[1, 2]'");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ') {
            return conf_fail(node, err, "a value must stand on one line");
        }
    }
    if (text[0] == '\0' || strlen(text) > VALUE_BYTES_MAX) {
        return conf_fail(node, err, "a value has 1 to %d bytes", VALUE_BYTES_MAX);
    }
    *out = text;
    return true;
}

static bool add_override(struct reading *reading, struct choice *choice,
                         const struct conf_node *node, const char *assignment)
{
    if (!mem_grow((void **)&choice->overrides, &choice->override_capacity,
                  choice->override_count + 1, sizeof(char *), OVERRIDES_MAX)) {
        return conf_fail(node, reading->err, "at most %d changes to the scenario",
                         OVERRIDES_MAX);
    }
    choice->overrides[choice->override_count++] =
        arena_strdup(reading->plan->arena, assignment);
    return true;
}

static bool set_path(struct reading *reading, struct choice *choice,
                     const struct conf_node *node, const struct key *key)
{
    struct text assignment = {0};
    text_printf(&assignment, "%s=%s", key->key, key->value);
    const bool ok = add_override(reading, choice, node, text_str(&assignment));
    text_fini(&assignment);
    return ok;
}

/* Changes *value to how the policy calls itself. */
static bool set_policy(struct reading *reading, struct choice *choice,
                       const struct conf_node *node, const char **value)
{
    struct policy_list *list = reading->scratch;
    struct err why = {0};
    if (strcmp(*value, "all") == 0 ||
        !policy_list_parse(list, reading->policies, *value, &why) || list->count != 1) {
        return conf_fail(node, reading->err, "%s",
                         why.text[0] == '\0' ? "one policy per value" : why.text);
    }
    const struct policy_choice *policy = &list->choices[0];
    choice->policy = policy->policy;
    *value = arena_strdup(reading->plan->arena, policy->name);
    bool ok = true;
    for (size_t i = 0; ok && i < policy->override_count; i++) {
        ok = add_override(reading, choice, node, policy->overrides[i]);
    }
    return ok;
}

/* What a short name stands for: one path or several; NULL when it is none. */
static const struct conf_node *named(const struct reading *reading, const char *key)
{
    for (size_t i = 0; i < conf_count(reading->names); i++) {
        if (strcmp(conf_key_at(reading->names, i), key) == 0) {
            return conf_at(reading->names, i);
        }
    }
    return NULL;
}

static bool no_path(const struct conf_node *node, struct err *err)
{
    return conf_fail(node, err, "keys: a name stands for one path or a list of paths");
}

/* Resolves one key and gives back, in *value, how it is to be called. */
static bool set_key(struct reading *reading, struct choice *choice,
                    const struct conf_node *node, const char *key, const char **value)
{
    if (strcmp(key, "policy") == 0) {
        return set_policy(reading, choice, node, value);
    }
    const struct conf_node *paths = named(reading, key);
    if (paths == NULL || conf_kind(paths) == CONF_SCALAR) {
        const struct key plain = {paths == NULL ? key : conf_scalar(paths), *value};
        return set_path(reading, choice, node, &plain);
    }
    bool ok = conf_kind(paths) == CONF_LIST || no_path(paths, reading->err);
    for (size_t i = 0; ok && i < conf_count(paths); i++) {
        const struct key plain = {conf_scalar(conf_at(paths, i)), *value};
        ok = plain.key == NULL ? no_path(paths, reading->err)
                               : set_path(reading, choice, node, &plain);
    }
    return ok;
}

static bool call_by(struct reading *reading, struct choice *choice,
                    const struct conf_node *node, const struct key *key)
{
    if (!mem_grow((void **)&choice->keys, &choice->key_capacity, choice->key_count + 1,
                  sizeof *choice->keys, KEYS_MAX)) {
        return conf_fail(node, reading->err, "at most %d keys", KEYS_MAX);
    }
    choice->keys[choice->key_count++] = *key;
    return true;
}

/* All keys of a map; `calls` adds them to what the choice is called by. */
static bool set_map(struct reading *reading, struct choice *choice,
                    const struct conf_node *map, bool calls)
{
    bool ok = conf_kind(map) == CONF_MAP ||
              conf_fail(map, reading->err, "write it as a map: {rate: 2, seed: 3}");
    for (size_t i = 0; ok && i < conf_count(map); i++) {
        struct key key = {.key = conf_key_at(map, i)};
        const struct conf_node *node = conf_at(map, i);
        ok = value_of(node, &key.value, reading->err) &&
             set_key(reading, choice, node, key.key, &key.value) &&
             (!calls || call_by(reading, choice, node, &key));
    }
    return ok;
}

/* ---- axes ------------------------------------------------------------------------ */

static void choice_fini(struct choice *choice)
{
    mem_free(choice->overrides);
    mem_free(choice->keys);
}

/* NULL with an error when there are too many. */
static struct choice *add_choice(struct reading *reading, struct axis *axis,
                                 const struct conf_node *node)
{
    if (!mem_grow((void **)&axis->choices, &axis->capacity, axis->count + 1,
                  sizeof *axis->choices, SWEEP_RUNS_MAX)) {
        conf_fail(node, reading->err, "at most %d values", SWEEP_RUNS_MAX);
        return NULL;
    }
    struct choice *choice = &axis->choices[axis->count++];
    *choice = (struct choice){0};
    return choice;
}

static bool add_value(struct reading *reading, struct axis *axis,
                      const struct conf_node *node, struct key key)
{
    struct choice *choice = add_choice(reading, axis, node);
    return choice != NULL && set_key(reading, choice, node, key.key, &key.value) &&
           call_by(reading, choice, node, &key);
}

/* "3..7"; false when it is not of that form. */
static bool range_of(const char *text, uint64_t *first, uint64_t *last)
{
    const char *dots = strstr(text, "..");
    char low[24];
    if (dots == NULL || dots == text || (size_t)(dots - text) >= sizeof low) {
        return false;
    }
    memcpy(low, text, (size_t)(dots - text));
    low[dots - text] = '\0';
    return unit_u64(low, first, NULL) && unit_u64(dots + 2, last, NULL);
}

static bool add_range(struct reading *reading, struct axis *axis,
                      const struct conf_node *node, const char *key)
{
    const char *text = NULL;
    uint64_t first = 0;
    uint64_t last = 0;
    if (!value_of(node, &text, reading->err)) {
        return false;
    }
    if (!range_of(text, &first, &last)) {
        return add_value(reading, axis, node, (struct key){key, text});
    }
    if (last < first || last - first >= SWEEP_RUNS_MAX) {
        return conf_fail(node, reading->err,
                         "%s: a range goes up, and has at most %d "
                         "values",
                         text, SWEEP_RUNS_MAX);
    }
    bool ok = true;
    for (uint64_t i = 0; ok && i <= last - first; i++) {
        struct text value = {0};
        text_printf(&value, "%" PRIu64, first + i);
        const struct key one = {key,
                                arena_strdup(reading->plan->arena, text_str(&value))};
        text_fini(&value);
        ok = add_value(reading, axis, node, one);
    }
    return ok;
}

/* "small: {engines: 2, ...}": a name for several settings. */
static bool add_cases(struct reading *reading, struct axis *axis,
                      const struct conf_node *map, const char *key)
{
    bool ok = true;
    for (size_t i = 0; ok && i < conf_count(map); i++) {
        struct choice *choice = add_choice(reading, axis, map);
        const struct key name = {key, conf_key_at(map, i)};
        ok = choice != NULL && call_by(reading, choice, map, &name) &&
             set_map(reading, choice, conf_at(map, i), false);
    }
    return ok;
}

/* NULL with an error when there are too many. */
static struct axis *new_axis(struct reading *reading, const struct conf_node *node)
{
    if (reading->axis_count == AXES_MAX) {
        conf_fail(node, reading->err, "at most %d keys in a grid", AXES_MAX - 1);
        return NULL;
    }
    return &reading->axes[reading->axis_count++];
}

static bool read_axis(struct reading *reading, const struct conf_node *node,
                      const char *key)
{
    struct axis *axis = new_axis(reading, node);
    if (axis == NULL) {
        return false;
    }
    bool ok = true;
    if (conf_kind(node) == CONF_MAP) {
        ok = add_cases(reading, axis, node, key);
    } else if (conf_kind(node) == CONF_SCALAR) {
        ok = add_range(reading, axis, node, key);
    }
    for (size_t i = 0; ok && conf_kind(node) == CONF_LIST && i < conf_count(node);
         i++) {
        ok = add_range(reading, axis, conf_at(node, i), key);
    }
    return ok &&
           (axis->count > 0 || conf_fail(node, reading->err, "%s has no values", key));
}

static bool read_list(struct reading *reading, const struct conf_node *list)
{
    if (conf_count(list) == 0) {
        return true;
    }
    struct axis *axis = new_axis(reading, list);
    bool ok = axis != NULL;
    for (size_t i = 0; ok && i < conf_count(list); i++) {
        struct choice *choice = add_choice(reading, axis, list);
        ok = choice != NULL && set_map(reading, choice, conf_at(list, i), true);
    }
    return ok;
}

/* ---- the product ----------------------------------------------------------------- */

static void add_choice_to(struct sweep_job *job, const char **overrides,
                          const struct choice *choice)
{
    job->policy = choice->policy != NULL ? choice->policy : job->policy;
    for (size_t i = 0; i < choice->override_count; i++) {
        overrides[job->override_count++] = choice->overrides[i];
    }
}

static void add_keys(struct stored_sweep_run *run, const struct choice *choice)
{
    for (size_t i = 0; i < choice->key_count; i++) {
        const struct key *key = &choice->keys[i];
        run->keys = mem_resize(run->keys, run->key_count + 1, sizeof *run->keys);
        run->keys[run->key_count++] =
            (struct stored_key){mem_strdup(key->key), mem_strdup(key->value)};
    }
}

/* picked[a]: the choice of axis a. */
static void make_job(struct reading *reading, size_t index, const size_t *picked)
{
    struct sweep_plan *plan = reading->plan;
    struct sweep_job *job = &plan->jobs[index];
    struct stored_sweep_run *run = &plan->stored->runs[index];
    struct text name = {0};
    size_t overrides = reading->base.override_count;
    size_t changed = 0;
    for (size_t a = 0; a < reading->axis_count; a++) {
        overrides += reading->axes[a].choices[picked[a]].override_count;
        changed += picked[a] > 0 ? 1 : 0;
    }
    const char **texts = arena_alloc(plan->arena, overrides + 1, sizeof(char *));
    *job = (struct sweep_job){.overrides = texts, .is_probe = changed <= 1};
    add_choice_to(job, texts, &reading->base);
    for (size_t a = 0; a < reading->axis_count; a++) {
        const struct choice *choice = &reading->axes[a].choices[picked[a]];
        add_choice_to(job, texts, choice);
        add_keys(run, choice);
    }
    stored_sweep_name(run->keys, run->key_count, NULL, &name);
    run->name = mem_strdup(text_str(&name));
    text_fini(&name);
}

static int by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool names_differ(const struct reading *reading)
{
    const struct stored_sweep *stored = reading->plan->stored;
    const char **names = mem_alloc(stored->run_count, sizeof(char *));
    for (size_t i = 0; i < stored->run_count; i++) {
        names[i] = stored->runs[i].name;
    }
    qsort(names, stored->run_count, sizeof(char *), by_name);
    bool ok = true;
    for (size_t i = 1; ok && i < stored->run_count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            ok = conf_fail(conf_root(reading->plan->conf), reading->err,
                           "two runs are called '%s'; give a value once, and paths "
                           "that end alike short names under 'keys'",
                           names[i]);
        }
    }
    mem_free(names);
    return ok;
}

static bool make_jobs(struct reading *reading)
{
    struct sweep_plan *plan = reading->plan;
    size_t picked[AXES_MAX] = {0};
    size_t count = reading->axis_count == 0 ? 0 : 1;
    for (size_t a = 0; a < reading->axis_count; a++) {
        count *= reading->axes[a].count;
        if (count > SWEEP_RUNS_MAX) {
            break;
        }
    }
    if (count == 0 || count > SWEEP_RUNS_MAX) {
        return conf_fail(conf_root(plan->conf), reading->err,
                         "a sweep has 1 to %d runs; give 'grid' or 'list' %s values",
                         SWEEP_RUNS_MAX, count == 0 ? "some" : "fewer");
    }
    plan->jobs = mem_alloc(count, sizeof *plan->jobs);
    plan->count = count;
    plan->stored->runs = mem_alloc(count, sizeof *plan->stored->runs);
    plan->stored->run_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t rest = i;
        for (size_t a = reading->axis_count; a > 0; a--) {
            picked[a - 1] = rest % reading->axes[a - 1].count;
            rest /= reading->axes[a - 1].count;
        }
        make_job(reading, i, picked);
    }
    return names_differ(reading);
}

/* ---- the file -------------------------------------------------------------------- */

/* A path starts at the folder of the sweep's file. */
static void keep_scenario(struct sweep_plan *plan, const char *path,
                          const char *scenario)
{
    const char *slash = strrchr(path, '/');
    struct text joined = {0};
    if (slash != NULL && scenario[0] != '/') {
        text_add_bytes(&joined, path, (size_t)(slash - path) + 1);
    }
    text_add(&joined, scenario);
    const bool is_file = access(text_str(&joined), F_OK) == 0;
    plan->scenario = mem_strdup(is_file ? text_str(&joined) : scenario);
    text_fini(&joined);
}

/* "x/rates.yaml" -> "rates" */
static char *name_of_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = mem_strdup(slash == NULL ? path : slash + 1);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) {
        *dot = '\0';
    }
    return name;
}

static bool read_head(struct reading *reading, const char *path,
                      const struct sweep_given *given)
{
    struct sweep_plan *plan = reading->plan;
    struct err *err = reading->err;
    const struct conf_node *root = conf_root(plan->conf);
    const struct conf_node *set = NULL;
    const char *name = NULL;
    const char *scenario = NULL;
    if (!conf_str(root, "name", &name, err) || !conf_require(root, "scenario", err) ||
        !conf_str(root, "scenario", &scenario, err) ||
        !conf_map(root, "keys", &reading->names, err) ||
        !conf_map(root, "set", &set, err) ||
        (set != NULL && !set_map(reading, &reading->base, set, false))) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < given->override_count; i++) {
        ok = add_override(reading, &reading->base, root, given->overrides[i]);
    }
    keep_scenario(plan, path, scenario);
    plan->stored->name = name == NULL ? name_of_file(path) : mem_strdup(name);
    return ok;
}

static bool read_axes(struct reading *reading)
{
    const struct conf_node *root = conf_root(reading->plan->conf);
    const struct conf_node *grid = NULL;
    const struct conf_node *list = NULL;
    if (!conf_map(root, "grid", &grid, reading->err) ||
        !conf_list(root, "list", &list, reading->err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < conf_count(grid); i++) {
        ok = read_axis(reading, conf_at(grid, i), conf_key_at(grid, i));
    }
    return ok && read_list(reading, list) && conf_done(root, reading->err);
}

/* Takes conf in every case. */
static bool plan_of(struct sweep_plan **out, struct conf *conf, const char *path,
                    const struct sweep_given *given, struct err *err)
{
    struct sweep_plan *plan = mem_alloc(1, sizeof *plan);
    struct reading *reading = mem_alloc(1, sizeof *reading);
    struct text yaml = {0};
    plan->arena = arena_new(ARENA_BYTES_MAX);
    plan->conf = conf;
    plan->stored = mem_alloc(1, sizeof *plan->stored);
    reading->plan = plan;
    reading->policies = given->policies;
    reading->scratch = mem_alloc(1, sizeof *reading->scratch);
    reading->err = err;
    conf_print(conf, &yaml);
    plan->stored->plan_yaml = mem_strdup(text_str(&yaml));
    text_fini(&yaml);
    const bool ok =
        read_head(reading, path, given) && read_axes(reading) && make_jobs(reading);
    for (size_t a = 0; a < reading->axis_count; a++) {
        for (size_t i = 0; i < reading->axes[a].count; i++) {
            choice_fini(&reading->axes[a].choices[i]);
        }
        mem_free(reading->axes[a].choices);
    }
    choice_fini(&reading->base);
    mem_free(reading->scratch);
    mem_free(reading);
    if (!ok) {
        sweep_plan_delete(plan);
        return false;
    }
    *out = plan;
    return true;
}

bool sweep_plan_load(struct sweep_plan **out, const char *path,
                     const struct sweep_given *given, struct err *err)
{
    struct conf *conf = NULL;
    return conf_load(&conf, path, err) && plan_of(out, conf, path, given, err);
}

bool sweep_plan_parse(struct sweep_plan **out, const char *name, const char *yaml,
                      const struct sweep_given *given, struct err *err)
{
    struct conf *conf = NULL;
    return conf_parse(&conf, name, yaml, strlen(yaml), err) &&
           plan_of(out, conf, name, given, err);
}

void sweep_plan_delete(struct sweep_plan *plan)
{
    if (plan == NULL) {
        return;
    }
    stored_sweep_delete(plan->stored);
    mem_free(plan->jobs);
    mem_free(plan->scenario);
    conf_delete(plan->conf);
    arena_delete(plan->arena);
    mem_free(plan);
}

const char *sweep_plan_scenario(const struct sweep_plan *plan)
{
    return plan->scenario;
}

size_t sweep_plan_count(const struct sweep_plan *plan)
{
    return plan->count;
}

const struct sweep_job *sweep_plan_job(const struct sweep_plan *plan, size_t index)
{
    return &plan->jobs[index];
}

const struct stored_sweep *sweep_plan_stored(struct sweep_plan *plan,
                                             const char *scenario_yaml)
{
    struct text all = {0};
    text_printf(&all, "%s\n%s\n", plan->stored->name, scenario_yaml);
    for (size_t i = 0; i < plan->count; i++) {
        const struct sweep_job *job = &plan->jobs[i];
        text_printf(&all, "\n%s\n%s\n", plan->stored->runs[i].name,
                    job->policy == NULL ? "" : job->policy);
        for (size_t k = 0; k < job->override_count; k++) {
            text_printf(&all, "%s\n", job->overrides[k]);
        }
    }
    plan->stored->digest = hash_xxh64(all.bytes, all.length, 0);
    text_fini(&all);
    return plan->stored;
}
