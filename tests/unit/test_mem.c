/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory is zeroed, growth doubles and stops at its ceiling, overflow is a bug.
 */
#include "base/mem.h"
#include "tests/harness.h"

#include <string.h>

static void memory_comes_zeroed_even_for_nothing(void)
{
    unsigned char *some = mem_alloc(100, 3);
    size_t set = 0;
    for (size_t i = 0; i < 300; i++) {
        set += some[i];
    }
    EXPECT_U64(set, 0);
    void *none = mem_alloc(0, 8);
    EXPECT(none != NULL);
    mem_free(none);
    mem_free(some);
    mem_free(NULL);
}

static void resize_keeps_content(void)
{
    char *text = mem_strdup("block");
    text = mem_resize(text, 1000, 1);
    EXPECT_STR(text, "block");
    mem_free(text);
}

static void growth_doubles_up_to_the_ceiling(void)
{
    void *array = NULL;
    size_t capacity = 0;
    EXPECT(mem_grow(&array, &capacity, 1, 8, 100));
    EXPECT_U64(capacity, 16);
    EXPECT(mem_grow(&array, &capacity, 17, 8, 100));
    EXPECT_U64(capacity, 32);
    EXPECT(mem_grow(&array, &capacity, 65, 8, 100));
    EXPECT_U64(capacity, 100);
    mem_free(array);
}

static void growth_above_the_ceiling_changes_nothing(void)
{
    void *array = NULL;
    size_t capacity = 0;
    EXPECT(mem_grow(&array, &capacity, 4, 8, 4));
    EXPECT_U64(capacity, 4);
    const void *before = array;
    EXPECT(!mem_grow(&array, &capacity, 5, 8, 4));
    EXPECT_U64(capacity, 4);
    EXPECT(array == before);
    mem_free(array);
}

static void ask_for_too_much(void *context)
{
    (void)context;
    mem_free(mem_alloc(SIZE_MAX / 2, 3));
}

static void overflowing_size_aborts(void)
{
    EXPECT_ABORTS(ask_for_too_much, NULL, "exceed the address space");
}

HARNESS_MAIN("mem", TEST(memory_comes_zeroed_even_for_nothing),
             TEST(resize_keeps_content), TEST(growth_doubles_up_to_the_ceiling),
             TEST(growth_above_the_ceiling_changes_nothing),
             TEST(overflowing_size_aborts))
