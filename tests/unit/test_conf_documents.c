/* SPDX-License-Identifier: Apache-2.0
 *
 * Other people's YAML: documents, anchors, aliases, merge keys, and the bombs that can
 * be made of them.
 */
#include "base/conf.h"
#include "tests/harness.h"

#include <string.h>

static struct conf *parse(const char *text)
{
    struct conf *conf = NULL;
    struct err err;
    REQUIRE_OK(conf_parse_documents(&conf, "a.yaml", text, strlen(text), &err), &err);
    return conf;
}

static bool refused(const char *text, const char *part)
{
    struct conf *conf = NULL;
    struct err err = {ERR_NONE, ""};
    return EXPECT_FAILS(conf_parse_documents(&conf, "a.yaml", text, strlen(text), &err),
                        &err, part);
}

static const char *value(const struct conf_node *map, const char *key)
{
    const char *text = conf_scalar(conf_get(map, key));
    return text != NULL ? text : "(none)";
}

static void documents_stand_in_a_list_and_paths_start_in_each(void)
{
    struct conf *conf = parse("kind: A\n---\nkind: B\nspec:\n  port: x\n---\n---\n");
    const struct conf_node *root = conf_root(conf);
    struct err err;
    uint32_t port = 0;
    EXPECT_U64(conf_count(root), 4);
    EXPECT_STR(value(conf_at(root, 0), "kind"), "A");
    const struct conf_node *second = conf_at(root, 1);
    EXPECT_STR(value(second, "kind"), "B");
    EXPECT_U64(conf_line(conf_get(second, "spec")), 4);
    EXPECT_FAILS(conf_u32(conf_get(second, "spec"), "port", &port, 0, 9, &err), &err,
                 "a.yaml:5: spec.port: \"x\" is not a whole number");
    EXPECT_FAILS(conf_require(second, "metadata", &err), &err,
                 "a.yaml:3: key 'metadata' is missing");
    EXPECT_STR(conf_scalar(conf_at(root, 2)), "");
    conf_delete(conf);
    conf = parse("");
    EXPECT_U64(conf_count(conf_root(conf)), 0);
    conf_delete(conf);
}

static void aliases_are_copies_with_their_lines(void)
{
    struct conf *conf = parse("a: &x {n: 1, l: [2, 3]}\n"
                              "b: *x\n"
                              "c: [*x, &y word, *y]\n");
    const struct conf_node *map = conf_at(conf_root(conf), 0);
    const struct conf_node *list = conf_get(map, "c");
    EXPECT_STR(value(conf_get(map, "b"), "n"), "1");
    EXPECT_U64(conf_line(conf_get(map, "b")), 2);
    EXPECT_STR(conf_scalar(conf_at(conf_get(conf_at(list, 0), "l"), 1)), "3");
    EXPECT_STR(conf_scalar(conf_at(list, 2)), "word");
    /* What was asked of the copy was not asked of the original. */
    struct err err;
    EXPECT_FAILS(conf_done(map, &err), &err, "a.yaml:1: a: unknown key");
    conf_delete(conf);
}

static void merge_keys_add_what_is_missing(void)
{
    struct conf *conf = parse("- &pd\n"
                              "  name: prefill\n"
                              "  gpu: 1\n"
                              "  config: {a: 1}\n"
                              "- name: decode\n"
                              "  <<: *pd\n"
                              "  gpu: 2\n"
                              "- {<<: [{x: 1}, {x: 2, y: 3}], z: 4}\n");
    const struct conf_node *list = conf_at(conf_root(conf), 0);
    const struct conf_node *decode = conf_at(list, 1);
    EXPECT_U64(conf_count(decode), 3);
    EXPECT_STR(value(decode, "name"), "decode");
    EXPECT_STR(value(decode, "gpu"), "2");
    EXPECT_STR(value(conf_get(decode, "config"), "a"), "1");
    const struct conf_node *third = conf_at(list, 2);
    EXPECT_STR(value(third, "x"), "1");
    EXPECT_STR(value(third, "y"), "3");
    EXPECT_STR(value(third, "z"), "4");
    EXPECT(conf_get(third, "<<") == NULL);
    /* A copy of what was merged has its depths right. */
    struct conf *deep = parse("a: &a {k: {l: {m: 1}}}\nb: &b {<<: *a}\nc: *b\n");
    EXPECT_STR(
        value(conf_get(conf_get(conf_get(conf_at(conf_root(deep), 0), "c"), "k"), "l"),
              "m"),
        "1");
    conf_delete(deep);
    conf_delete(conf);
}

static void quotes_and_tags_make_texts(void)
{
    struct conf *conf = parse("a: 1\nb: \"1\"\nc: !!str 1\nd: |\n  x\ne: !!int 4\n");
    const struct conf_node *map = conf_at(conf_root(conf), 0);
    EXPECT(!conf_is_quoted(conf_get(map, "a")));
    EXPECT(conf_is_quoted(conf_get(map, "b")));
    EXPECT(conf_is_quoted(conf_get(map, "c")));
    EXPECT(conf_is_quoted(conf_get(map, "d")));
    EXPECT(!conf_is_quoted(conf_get(map, "e")));
    EXPECT(!conf_is_quoted(NULL));
    conf_delete(conf);
}

static void unknown_keys_are_listed_one_by_one(void)
{
    struct conf *conf = parse("good: 1\nbda: {x: 1}\nmap: {c: 1, dd: 2}\n");
    const struct conf_node *map = conf_at(conf_root(conf), 0);
    struct err what;
    (void)conf_get(map, "good");
    (void)conf_get(map, "bad");
    (void)conf_get(conf_get(map, "map"), "cc");
    const struct conf_node *at = conf_next_unknown(map, NULL, &what);
    EXPECT_HAS(what.text, "a.yaml:2: bda: unknown key; did you mean 'bad'?");
    at = conf_next_unknown(map, at, &what);
    EXPECT_HAS(what.text, "a.yaml:3: map.c: unknown key");
    at = conf_next_unknown(map, at, &what);
    EXPECT_HAS(what.text, "a.yaml:3: map.dd: unknown key");
    EXPECT(conf_next_unknown(map, at, &what) == NULL);
    conf_delete(conf);
}

static void what_makes_no_sense_is_refused_with_its_line(void)
{
    refused("a: 1\nb: *x\n", "a.yaml:2: alias *x: no anchor &x stands above");
    refused("a: &x\n  b: *x\n", "a.yaml:2: alias *x stands inside of what it names");
    refused("a: &x [1, [2, *x]]\n", "a.yaml:1: alias *x stands inside");
    refused("x: &x 1\n---\ny: *x\n", "a.yaml:3: alias *x: no anchor");
    refused("a: &x 1\n*x : 2\n", "a.yaml:2: a key must be a plain word");
    refused("a: 1\n<<: 5\n", "a merge key (<<) takes a map or a list of maps");
    refused("a: 1\n<<: [{b: 1}, 5]\n", "a merge key (<<)");
    refused("a: !mine 1\n", "a.yaml:1: tags (!name) are not supported");
    refused("a: 1\nb:\n  c: 1\n  c: 2\n",
            "a.yaml:4: key 'c' stands here for the second");
    refused("a: [1\n", "a.yaml:2: not YAML");
}

/* "a: &a [x]", "b: &b [*a,*a,...]"...: ten times more with every line. */
static void bombs_end_at_the_limit(void)
{
    struct text bomb = {0};
    text_add(&bomb, "a0: &a0 [lol]\n");
    for (int i = 1; i < 12; i++) {
        text_printf(&bomb, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++) {
            text_printf(&bomb, "%s*a%d", j == 0 ? "" : ", ", i - 1);
        }
        text_add(&bomb, "]\n");
    }
    refused(text_str(&bomb), "more than 200000 values");
    text_fini(&bomb);
    text_add(&bomb, "a0: &a0 [x]\n");
    for (int i = 1; i < 40; i++) {
        text_printf(&bomb, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    }
    refused(text_str(&bomb), "nested deeper than 32 levels by an alias");
    text_fini(&bomb);
    text_add(&bomb, "a0: &a0 {x: 1}\n");
    for (int i = 1; i < 25; i++) {
        text_printf(&bomb, "a%d: &a%d {<<: [*a%d, *a%d], k%d: {<<: *a%d}}\n", i, i,
                    i - 1, i - 1, i, i - 1);
    }
    refused(text_str(&bomb), "more than 200000 values");
    text_fini(&bomb);
}

HARNESS_MAIN("conf_documents", TEST(documents_stand_in_a_list_and_paths_start_in_each),
             TEST(aliases_are_copies_with_their_lines),
             TEST(merge_keys_add_what_is_missing), TEST(quotes_and_tags_make_texts),
             TEST(unknown_keys_are_listed_one_by_one),
             TEST(what_makes_no_sense_is_refused_with_its_line),
             TEST(bombs_end_at_the_limit))
