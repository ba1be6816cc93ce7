/* SPDX-License-Identifier: Apache-2.0
 *
 * The id set around the border between its two forms.
 */
#include "policies/id_set.h"
#include "tests/harness.h"

#include <stdlib.h>

static void *plain_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

static const struct policy_memory memory = {.resize = plain_resize};

static void ids_stay_ascending_and_single(void)
{
    const uint32_t added[] = {7, 3, 9, 3, 1, 7, 20, 0};
    const uint32_t expected[] = {0, 1, 3, 7, 9, 20};
    struct id_set set = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++) {
        bytes += id_set_add(&set, added[i], &memory);
    }
    EXPECT_U64(set.count, 6);
    EXPECT_BYTES(id_set_ids(&set), expected, sizeof expected);
    EXPECT_U64(bytes, set.capacity * sizeof(uint32_t));
    EXPECT(id_set_has(&set, 9) && !id_set_has(&set, 8) && !id_set_has(&set, 21));
    id_set_fini(&set, &memory);
    EXPECT_U64(set.count, 0);
}

static void two_ids_need_no_memory(void)
{
    struct id_set set = {0};
    EXPECT_U64(id_set_add(&set, 5, &memory), 0);
    EXPECT_U64(id_set_add(&set, 4, &memory), 0);
    EXPECT_U64(id_set_ids(&set)[0], 4);
    EXPECT(id_set_add(&set, 6, &memory) > 0);
    EXPECT_U64(id_set_ids(&set)[2], 6);
    id_set_fini(&set, &memory);
}

static void copies_are_independent(void)
{
    for (uint32_t size = 0; size < 6; size++) {
        struct id_set set = {0};
        struct id_set copy;
        for (uint32_t id = 0; id < size; id++) {
            (void)id_set_add(&set, id, &memory);
        }
        (void)id_set_copy(&copy, &set, &memory);
        (void)id_set_add(&copy, 100, &memory);
        EXPECT_U64(copy.count, size + 1);
        EXPECT(!id_set_has(&set, 100));
        id_set_remove(&set, 0);
        EXPECT(size == 0 || id_set_has(&copy, 0));
        id_set_fini(&copy, &memory);
        id_set_fini(&set, &memory);
    }
}

static void removing_strangers_changes_nothing(void)
{
    struct id_set set = {0};
    (void)id_set_add(&set, 1, &memory);
    id_set_remove(&set, 0);
    id_set_remove(&set, 2);
    EXPECT_U64(set.count, 1);
    id_set_remove(&set, 1);
    EXPECT_U64(set.count, 0);
    id_set_remove(&set, 1);
    EXPECT_U64(set.count, 0);
}

static void meeting_asks_for_any_candidate(void)
{
    const uint32_t index_of_id[] = {NOT_A_CANDIDATE, 0, NOT_A_CANDIDATE};
    struct id_set set = {0};
    EXPECT(!id_set_meets(&set, index_of_id));
    (void)id_set_add(&set, 0, &memory);
    (void)id_set_add(&set, 2, &memory);
    EXPECT(!id_set_meets(&set, index_of_id));
    (void)id_set_add(&set, 1, &memory);
    EXPECT(id_set_meets(&set, index_of_id));
    id_set_fini(&set, &memory);
}

HARNESS_MAIN("id_set", TEST(ids_stay_ascending_and_single),
             TEST(two_ids_need_no_memory), TEST(copies_are_independent),
             TEST(removing_strangers_changes_nothing),
             TEST(meeting_asks_for_any_candidate))
