/* SPDX-License-Identifier: Apache-2.0
 *
 * A text holds exactly what was added, at any length.
 */
#include "base/text.h"
#include "tests/harness.h"

#include <string.h>

static void empty_text_is_an_empty_string(void)
{
    const struct text text = {NULL, 0, 0};
    EXPECT_STR(text_str(&text), "");
}

static void pieces_join_in_order(void)
{
    struct text text = {NULL, 0, 0};
    text_add(&text, "a");
    text_add_bytes(&text, "bcd", 2);
    text_add_bytes(&text, NULL, 0);
    text_printf(&text, "-%05d", 42);
    EXPECT_STR(text_str(&text), "abc-00042");
    EXPECT_U64(text.length, 9);
    text_fini(&text);
    EXPECT(text.bytes == NULL);
    EXPECT_U64(text.length, 0);
}

static void print_longer_than_the_buffer_fits(void)
{
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 1000; i++) {
        text_printf(&text, "%*d", i % 50 + 1, i % 10);
    }
    EXPECT_U64(text.length, strlen(text_str(&text)));
    /* 20 rounds of widths 1 to 50. */
    EXPECT_U64(text.length, 25500);
    text_fini(&text);
}

HARNESS_MAIN("text", TEST(empty_text_is_an_empty_string), TEST(pieces_join_in_order),
             TEST(print_longer_than_the_buffer_fits))
