/* SPDX-License-Identifier: Apache-2.0
 *
 * Where --out puts things.
 */
#include "cli/pages.h"
#include "tests/harness.h"

static void check_paths(const char *out, const char *store, const char *stem)
{
    struct text store_path = {0};
    struct text page_stem = {0};
    harness_note("--out %s", out);
    pages_paths(out, "demo", &store_path, &page_stem);
    EXPECT_STR(text_str(&store_path), store);
    EXPECT_STR(text_str(&page_stem), stem);
    text_fini(&store_path);
    text_fini(&page_stem);
}

static void a_folder_holds_files_called_after_the_scenario(void)
{
    check_paths("out", "out/demo.db", "out/demo");
    check_paths("out/", "out/demo.db", "out/demo");
    check_paths("a/b//", "a/b/demo.db", "a/b/demo");
    check_paths("/", "//demo.db", "//demo");
    check_paths(".db", ".db/demo.db", ".db/demo");
}

static void a_store_has_its_pages_beside_it(void)
{
    check_paths("x.db", "x.db", "x");
    check_paths("a/tuesday.db", "a/tuesday.db", "a/tuesday");
}

static void check_folder(const char *path, const char *expected)
{
    struct text folder = {0};
    harness_note("%s", path);
    pages_folder(path, &folder);
    EXPECT_STR(text_str(&folder), expected);
    text_fini(&folder);
}

static void the_folder_of_a_path_is_what_stands_before_its_name(void)
{
    check_folder("x.db", ".");
    check_folder("out/x.db", "out");
    check_folder("/x.db", "/");
    check_folder("a/b/x.db", "a/b");
}

HARNESS_MAIN("pages", TEST(a_folder_holds_files_called_after_the_scenario),
             TEST(a_store_has_its_pages_beside_it),
             TEST(the_folder_of_a_path_is_what_stands_before_its_name))
