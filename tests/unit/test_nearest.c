/* SPDX-License-Identifier: Apache-2.0
 *
 * Suggestions are what was meant, or none.
 */
#include "base/nearest.h"
#include "tests/harness.h"

static const char *const names[] = {"replicas", "router", "policy",
                                    "seed",     "gpu",    "cpu"};

static const char *nearest(const char *word)
{
    return nearest_word(word, names, sizeof names / sizeof names[0]);
}

static void typing_errors_find_their_word(void)
{
    EXPECT_STR(nearest("replica"), "replicas");
    EXPECT_STR(nearest("relpicas"), "replicas");
    EXPECT_STR(nearest("ruoter"), "router");
    EXPECT_STR(nearest("pollicy"), "policy");
    EXPECT_STR(nearest("sed"), "seed");
    EXPECT_STR(nearest("policy"), "policy");
}

static void the_first_of_equals_wins(void)
{
    EXPECT_STR(nearest("xpu"), "gpu");
}

static void strange_words_get_no_suggestion(void)
{
    EXPECT_STR(nearest("blocks"), NULL);
    EXPECT_STR(nearest(""), NULL);
    EXPECT_STR(nearest("x"), NULL);
    EXPECT_STR(
        nearest("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww"
                "wwwwwwww"),
        NULL);
    EXPECT_STR(nearest_word("seed", NULL, 0), NULL);
}

HARNESS_MAIN("nearest", TEST(typing_errors_find_their_word),
             TEST(the_first_of_equals_wins), TEST(strange_words_get_no_suggestion))
