/* SPDX-License-Identifier: Apache-2.0
 *
 * stages.c: the recurrence of a pipeline without buffers that could fill up:
 * end(s, b) = max(end(s - 1, b) + send, end(s, b - 1)) + work. Sends are not the
 * stages' work: they overlap the next batch.
 */
#include "sim/stages.h"

#include "base/check.h"
#include "sim/cost.h"

#include <string.h>

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void stages_wake(struct stages *stages)
{
    CHECK(stages->under_way == 0, "%u batches of an idle engine", stages->under_way);
    memset(stages->free_fx, 0, sizeof stages->free_fx);
}

static int64_t last_end_fx(const struct stages *stages)
{
    return stages->under_way == 0 ? 0 : stages->end_fx[stages->under_way - 1];
}

int64_t stages_add(struct stages *stages, const int64_t *work_fx,
                   const int64_t *send_fx)
{
    const uint32_t slot = stages->under_way;
    CHECK(slot < STAGES_UNDER_WAY_MAX, "%u batches under way", slot);
    const int64_t before_fx = last_end_fx(stages);
    int64_t at_fx = slot < stages->count ? 0 : stages->end_fx[slot - stages->count];
    for (uint32_t i = 0; i < stages->count; i++) {
        stages->free_fx[i] = later(at_fx, stages->free_fx[i]) + work_fx[i];
        stages->work_fx[slot][i] = work_fx[i];
        at_fx = stages->free_fx[i] + (i + 1 < stages->count ? send_fx[i] : 0);
    }
    stages->end_fx[slot] = at_fx;
    stages->under_way++;
    return at_fx - before_fx;
}

void stages_add_empty(struct stages *stages)
{
    const uint32_t slot = stages->under_way;
    CHECK(slot > 0 && slot < STAGES_UNDER_WAY_MAX, "an empty batch behind %u", slot);
    stages->end_fx[slot] = stages->end_fx[slot - 1];
    memset(stages->work_fx[slot], 0, sizeof stages->work_fx[slot]);
    stages->under_way++;
}

static void busy_add(struct stages *stages)
{
    for (uint32_t i = 0; i < stages->count; i++) {
        const int64_t fx = stages->busy_rest[i] + stages->work_fx[0][i];
        stages->busy_ns[i] += fx / COST_FX_PER_NS;
        stages->busy_rest[i] = fx % COST_FX_PER_NS;
    }
}

void stages_end(struct stages *stages)
{
    CHECK(stages->under_way > 0, "no batch is under way");
    const int64_t passed_fx = stages->end_fx[0];
    busy_add(stages);
    stages->under_way--;
    for (uint32_t i = 0; i < stages->under_way; i++) {
        stages->end_fx[i] = stages->end_fx[i + 1] - passed_fx;
    }
    memmove(stages->work_fx[0], stages->work_fx[1],
            stages->under_way * sizeof stages->work_fx[0]);
    for (uint32_t i = 0; i < stages->count; i++) {
        stages->free_fx[i] = later(stages->free_fx[i] - passed_fx, 0);
    }
}
