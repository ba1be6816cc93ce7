/* SPDX-License-Identifier: Apache-2.0
 *
 * arm.c: names without their seeds, and the seeds that all arms share.
 */
#include "reports/arm.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Cuts "seed 7" out of "chwbl, seed 7, rate 2", where it stands between commas. */
static void cut_part(char *name, const char *part)
{
    const size_t length = strlen(part);
    char *at = strstr(name, part);
    while (at != NULL && ((at > name && at[-1] != ' ') ||
                          (at[length] != '\0' && at[length] != ','))) {
        at = strstr(at + 1, part);
    }
    if (at == NULL) {
        return;
    }
    char *rest = at + length;
    if (*rest == ',') {
        rest += strspn(rest, ", ");
    } else if (at > name) {
        at -= at > name + 1 ? 2 : 1;
    }
    memmove(at, rest, strlen(rest) + 1);
}

void arm_name(const struct run_info *info, char out[static ARM_NAME_MAX])
{
    char suffix[32];
    snprintf(out, ARM_NAME_MAX, "%s", info->name);
    const int length = snprintf(suffix, sizeof suffix, "@%" PRIu64, info->seed);
    const size_t whole = strlen(out);
    if (whole > (size_t)length && strcmp(out + whole - (size_t)length, suffix) == 0) {
        out[whole - (size_t)length] = '\0';
        return;
    }
    snprintf(suffix, sizeof suffix, "seed %" PRIu64, info->seed);
    cut_part(out, suffix);
    if (out[0] == '\0') {
        snprintf(out, ARM_NAME_MAX, "all");
    }
}

/* ---- the grid -------------------------------------------------------------------- */

/* One run as the grid sees it. */
struct member {
    size_t arm;
    uint64_t seed;
};

static size_t find_arm(struct arm_grid *grid, const char *name)
{
    for (size_t i = grid->arms; i > 0; i--) {
        if (strcmp(grid->names[i - 1], name) == 0) {
            return i - 1;
        }
    }
    grid->names = mem_resize(grid->names, grid->arms + 1, sizeof(char *));
    grid->names[grid->arms] = mem_strdup(name);
    return grid->arms++;
}

/* The last run of an arm and seed; count when there is none. */
static size_t find_run(const struct member *members, size_t count, size_t arm,
                       uint64_t seed)
{
    for (size_t i = count; i > 0; i--) {
        if (members[i - 1].arm == arm && members[i - 1].seed == seed) {
            return i - 1;
        }
    }
    return count;
}

static bool all_have(const struct arm_grid *grid, const struct member *members,
                     size_t count, uint64_t seed)
{
    for (size_t arm = 0; arm < grid->arms; arm++) {
        if (find_run(members, count, arm, seed) == count) {
            return false;
        }
    }
    return true;
}

/* Seeds of the first arm, each once, that every arm has. */
static size_t shared_seeds(const struct arm_grid *grid, const struct member *members,
                           size_t count, uint64_t *seeds)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t seed = members[i].seed;
        bool known = members[i].arm != 0;
        for (size_t k = 0; !known && k < found; k++) {
            known = seeds[k] == seed;
        }
        if (!known && all_have(grid, members, count, seed)) {
            seeds[found++] = seed;
        }
    }
    return found;
}

bool arm_grid_make(struct arm_grid *grid, const struct run_record *const *runs,
                   size_t count)
{
    struct member *members = mem_alloc(count + 1, sizeof *members);
    uint64_t *seeds = mem_alloc(count + 1, sizeof *seeds);
    bool same = count > 1;
    *grid = (struct arm_grid){0};
    for (size_t i = 0; same && i < count; i++) {
        char name[ARM_NAME_MAX];
        const struct run_info *info = &runs[i]->info;
        arm_name(info, name);
        members[i] = (struct member){find_arm(grid, name), info->seed};
        same = strcmp(info->scenario_name, runs[0]->info.scenario_name) == 0;
    }
    grid->seeds = same ? shared_seeds(grid, members, count, seeds) : 0;
    const bool ok = grid->seeds > 1;
    if (ok) {
        grid->at = mem_alloc(grid->arms * grid->seeds, sizeof *grid->at);
        grid->left_out = count - grid->arms * grid->seeds;
        for (size_t i = 0; i < grid->arms * grid->seeds; i++) {
            grid->at[i] =
                find_run(members, count, i / grid->seeds, seeds[i % grid->seeds]);
        }
    }
    mem_free(members);
    mem_free(seeds);
    if (!ok) {
        arm_grid_fini(grid);
    }
    return ok;
}

void arm_grid_fini(struct arm_grid *grid)
{
    for (size_t i = 0; i < grid->arms; i++) {
        mem_free(grid->names[i]);
    }
    mem_free(grid->names);
    mem_free(grid->at);
    *grid = (struct arm_grid){0};
}
