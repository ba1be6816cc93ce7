/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena hands out zeroed, aligned, disjoint memory, run after run, up to its limit.
 */
#include "base/arena.h"
#include "tests/harness.h"

#include <string.h>

static size_t nonzero_bytes(const unsigned char *memory, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        count += memory[i] != 0;
    }
    return count;
}

static void memory_is_zeroed_aligned_and_disjoint(void)
{
    struct arena *arena = arena_new(1 << 20);
    unsigned char *last = NULL;
    size_t last_bytes = 0;
    for (size_t bytes = 1; bytes < 600; bytes += 7) {
        unsigned char *memory = arena_alloc(arena, bytes, 1);
        EXPECT_U64((uintptr_t)memory % (bytes >= 64 ? 64 : 16), 0);
        EXPECT_U64(nonzero_bytes(memory, bytes), 0);
        memset(memory, 0xab, bytes);
        EXPECT_U64(last == NULL ? 0 : nonzero_bytes(last, last_bytes), last_bytes);
        last = memory;
        last_bytes = bytes;
    }
    arena_delete(arena);
}

static void reset_forgets_all_and_zeroes_again(void)
{
    struct arena *arena = arena_new(64U << 20);
    for (int run = 0; run < 3; run++) {
        for (size_t i = 0; i < 200; i++) {
            unsigned char *memory = arena_alloc(arena, 3000 + 13 * i, 1);
            EXPECT_U64(nonzero_bytes(memory, 3000 + 13 * i), 0);
            memset(memory, 0xff, 3000 + 13 * i);
        }
        EXPECT_U64(arena_used_bytes(arena), 200 * 3000 + 13 * 199 * 100);
        arena_reset(arena);
        EXPECT_U64(arena_used_bytes(arena), 0);
    }
    arena_delete(arena);
}

static void one_allocation_may_exceed_any_chunk(void)
{
    struct arena *arena = arena_new(32U << 20);
    unsigned char *large = arena_alloc(arena, 16U << 20, 1);
    large[(16U << 20) - 1] = 1;
    EXPECT_STR(arena_strdup(arena, "still usable"), "still usable");
    arena_delete(arena);
}

static void take_one_byte(void *context)
{
    (void)arena_alloc(context, 1, 1);
}

static void limit_is_exact(void)
{
    struct arena *arena = arena_new(1000);
    (void)arena_alloc(arena, 1000, 1);
    EXPECT_ABORTS(take_one_byte, arena, "arena of 1000 bytes is full");
    arena_delete(arena);
}

HARNESS_MAIN("arena", TEST(memory_is_zeroed_aligned_and_disjoint),
             TEST(reset_forgets_all_and_zeroes_again),
             TEST(one_allocation_may_exceed_any_chunk), TEST(limit_is_exact))
