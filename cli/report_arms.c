/* SPDX-License-Identifier: Apache-2.0
 *
 * report_arms.c: a run of a sweep belongs to the arm of its keys without the seed, any
 * other one to what stands before the "@SEED" of its name.
 */
#include "cli/report_arms.h"

#include "base/mem.h"
#include "base/text.h"
#include "reports/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool report_arms_open(struct report_arms *arms, const char *store_path, struct err *err)
{
    *arms = (struct report_arms){0};
    const size_t length = strlen(store_path);
    struct store_reader *store = NULL;
    if (length > 4 && strcmp(store_path + length - 4, ".csv") == 0) {
        return true;
    }
    if (!store_open(&store, store_path, err)) {
        return false;
    }
    const bool ok = store_read_sweep(store, &arms->sweep, err);
    store_close(store);
    return ok;
}

bool report_arms_have_load(const struct report_arms *arms)
{
    if (arms->sweep == NULL) {
        return false;
    }
    const struct run_record **const none =
        mem_alloc(arms->sweep->run_count, sizeof(struct run_record *));
    struct load_curves *const load = load_curves_new(arms->sweep, none);
    const bool has_load = load != NULL;
    load_curves_delete(load);
    mem_free(none);
    return has_load;
}

static const struct stored_sweep_run *planned_as(const struct stored_sweep *sweep,
                                                 const char *name)
{
    for (size_t i = 0; sweep != NULL && i < sweep->run_count; i++) {
        if (strcmp(sweep->runs[i].name, name) == 0) {
            return &sweep->runs[i];
        }
    }
    return NULL;
}

static void name_arm(const struct report_arms *arms, const struct run_record *run,
                     struct text *name)
{
    const struct stored_sweep_run *const planned =
        planned_as(arms->sweep, run->info.name);
    char ending[24];
    if (planned != NULL) {
        stored_sweep_name(planned->keys, planned->key_count, "seed", name);
        text_add(name, name->length == 0 ? "all" : "");
        return;
    }
    (void)snprintf(ending, sizeof ending, "@%" PRIu64, run->info.seed);
    const size_t length = strlen(run->info.name);
    const size_t cut = strlen(ending);
    const bool ends =
        length > cut && strcmp(run->info.name + length - cut, ending) == 0;
    text_add_bytes(name, run->info.name, ends ? length - cut : length);
}

struct group {
    char *name;
    const struct run_record **runs;
    size_t count;
};

static size_t group_runs(const struct report_arms *arms,
                         const struct run_record *const *runs, size_t count,
                         struct group *groups)
{
    size_t group_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct text name = {0};
        name_arm(arms, runs[i], &name);
        size_t at = 0;
        while (at < group_count && strcmp(groups[at].name, text_str(&name)) != 0) {
            at++;
        }
        if (at == group_count) {
            groups[group_count++] = (struct group){
                .name = mem_strdup(text_str(&name)),
                .runs = mem_alloc(count, sizeof(struct run_record *)),
            };
        }
        groups[at].runs[groups[at].count++] = runs[i];
        text_fini(&name);
    }
    return group_count;
}

/* All arms under the same seeds in the same order, none of them twice. */
static bool is_rectangle(const struct group *groups, size_t count)
{
    const size_t seeds = groups[0].count;
    bool same = seeds > 1;
    for (size_t i = 0; same && i < count; i++) {
        same = groups[i].count == seeds;
        for (size_t at = 0; same && at < seeds; at++) {
            const uint64_t seed = groups[i].runs[at]->info.seed;
            same = seed == groups[0].runs[at]->info.seed &&
                   (at == 0 || seed != groups[i].runs[at - 1]->info.seed);
        }
    }
    return same;
}

static void fill_set(struct report_arms *arms, struct group *groups, size_t count)
{
    const size_t seeds = groups[0].count;
    arms->runs = mem_alloc(count * seeds, sizeof(struct run_record *));
    arms->names = mem_alloc(count, sizeof(char *));
    arms->first = mem_alloc(count, sizeof(struct run_record *));
    for (size_t i = 0; i < count; i++) {
        memcpy(&arms->runs[i * seeds], groups[i].runs,
               seeds * sizeof(struct run_record *));
        arms->first[i] = groups[i].runs[0];
        arms->names[i] = groups[i].name;
        groups[i].name = NULL;
    }
    arms->set =
        (struct replicated){arms->runs, (const char *const *)arms->names, count, seeds};
}

static void find_load(struct report_arms *arms, const struct run_record *const *runs,
                      size_t count)
{
    const struct stored_sweep *const sweep = arms->sweep;
    const struct run_record **const done =
        mem_alloc(sweep->run_count, sizeof(struct run_record *));
    for (size_t i = 0; i < sweep->run_count; i++) {
        for (size_t at = 0; at < count; at++) {
            if (strcmp(runs[at]->info.name, sweep->runs[i].name) == 0) {
                done[i] = runs[at];
            }
        }
    }
    arms->load = load_curves_new(sweep, done);
    mem_free(done);
}

void report_arms_sort(struct report_arms *arms, const struct run_record *const *runs,
                      size_t count)
{
    struct group *const groups = mem_alloc(count, sizeof *groups);
    const size_t group_count = group_runs(arms, runs, count, groups);
    if (is_rectangle(groups, group_count)) {
        fill_set(arms, groups, group_count);
    }
    if (arms->sweep != NULL) {
        find_load(arms, runs, count);
    }
    for (size_t i = 0; i < group_count; i++) {
        mem_free(groups[i].name);
        mem_free(groups[i].runs);
    }
    mem_free(groups);
}

void report_arms_fini(struct report_arms *arms)
{
    for (size_t i = 0; i < arms->set.arms; i++) {
        mem_free(arms->names[i]);
    }
    mem_free(arms->names);
    mem_free(arms->runs);
    mem_free(arms->first);
    load_curves_delete(arms->load);
    stored_sweep_delete(arms->sweep);
    *arms = (struct report_arms){0};
}
