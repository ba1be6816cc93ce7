/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of attempts against a plain array: many seeds, few keys (so that the same
 * request is on several endpoints and comes back), growth, and every order of closing.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "policies/attempts.h"
#include "tests/harness.h"

#include <string.h>

enum { REQUESTS = 40, ENDPOINTS = 4, STEPS = 800, SEEDS = 200 };

static void *resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        mem_free(memory);
        return NULL;
    }
    return mem_resize(memory, bytes, 1);
}

struct model {
    bool open[REQUESTS][ENDPOINTS];
    uint64_t tokens[REQUESTS][ENDPOINTS];
};

/* Equal low bits, so that chains form. */
static uint64_t id_of(uint64_t request)
{
    return request << 40;
}

static bool agrees(const struct attempts *attempts, const struct model *model)
{
    bool same = true;
    for (uint64_t i = 0; same && i < REQUESTS; i++) {
        for (uint32_t j = 0; same && j < ENDPOINTS; j++) {
            const struct attempt_note *note = attempts_find(attempts, id_of(i), j);
            same =
                EXPECT((note != NULL) == model->open[i][j]) &&
                (note == NULL || EXPECT_U64(note->prefill_tokens, model->tokens[i][j]));
        }
    }
    return same;
}

static void step(struct attempts *attempts, struct model *model, struct rng *rng,
                 uint64_t number)
{
    const uint64_t i = rng_below(rng, REQUESTS);
    const uint32_t j = (uint32_t)rng_below(rng, ENDPOINTS);
    if (model->open[i][j] || rng_below(rng, 4) == 0) {
        const struct attempt_note note = attempts_close(attempts, id_of(i), j);
        EXPECT_U64(note.prefill_tokens, model->open[i][j] ? model->tokens[i][j] : 0);
        model->open[i][j] = false;
    } else {
        attempts_open(attempts, id_of(i), j,
                      (struct attempt_note){.prefill_tokens = number});
        model->open[i][j] = true;
        model->tokens[i][j] = number;
    }
}

static void table_remembers_what_an_array_would(void)
{
    const struct policy_memory memory = {.resize = resize};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct model model;
        struct attempts attempts;
        struct rng rng;
        memset(&model, 0, sizeof model);
        rng_init(&rng, seed, "attempts", 0);
        attempts_init(&attempts, &memory);
        harness_note("seed %d", (int)seed);
        bool same = agrees(&attempts, &model);
        for (uint64_t i = 1; same && i <= STEPS; i++) {
            step(&attempts, &model, &rng, i);
            same = i % 8 != 0 || agrees(&attempts, &model);
        }
        EXPECT(attempts_bytes(&attempts) > 0);
        attempts_fini(&attempts);
    }
}

HARNESS_MAIN("prop.attempts", TEST(table_remembers_what_an_array_would))
