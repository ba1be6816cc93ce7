/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: typed values, messages with file, line and what to do, unknown
 * keys, and everything of YAML that we refuse.
 */
#include "base/conf.h"
#include "tests/harness.h"

#include <string.h>

static const char sample[] = "# a comment\n"
                             "cluster:\n"
                             "  replicas: 4\n"
                             "  gpu: h100_sxm\n"
                             "  pools:\n"
                             "    - {name: big, memory: 80GiB}\n"
                             "    - name: 'small'\n"
                             "      memory: 24GiB\n"
                             "rate: 1.5k\n"
                             "window: 90s\n"
                             "chunked: true\n"
                             "nothing:\n";

static struct conf *parse(const char *text)
{
    struct conf *conf = NULL;
    struct err err;
    REQUIRE_OK(conf_parse(&conf, "a.yaml", text, strlen(text), &err), &err);
    return conf;
}

static void getters_read_what_is_there(void)
{
    struct conf *conf = parse(sample);
    const struct conf_node *root = conf_root(conf);
    struct err err;
    const struct conf_node *cluster = NULL;
    const struct conf_node *pools = NULL;
    uint32_t replicas = 1;
    const char *gpu = NULL;
    double rate = 0;
    int64_t window_ns = 0;
    bool chunked = false;
    uint64_t bytes = 0;
    uint32_t which = 9;
    const char *const gpus[] = {"a100", "h100_sxm", NULL};
    EXPECT_OK(conf_map(root, "cluster", &cluster, &err), &err);
    EXPECT_OK(conf_u32(cluster, "replicas", &replicas, 1, 64, &err), &err);
    EXPECT_U64(replicas, 4);
    EXPECT_OK(conf_str(cluster, "gpu", &gpu, &err), &err);
    EXPECT_STR(gpu, "h100_sxm");
    EXPECT_OK(conf_enum(cluster, "gpu", gpus, &which, &err), &err);
    EXPECT_U64(which, 1);
    EXPECT_OK(conf_f64(root, "rate", &rate, 0, 1e6, &err), &err);
    EXPECT_NEAR(rate, 1500, 0);
    EXPECT_OK(conf_duration_ns(root, "window", &window_ns, &err), &err);
    EXPECT_I64(window_ns, INT64_C(90000000000));
    EXPECT_OK(conf_bool(root, "chunked", &chunked, &err), &err);
    EXPECT(chunked);
    EXPECT_OK(conf_list(cluster, "pools", &pools, &err), &err);
    EXPECT_U64(conf_count(pools), 2);
    EXPECT_OK(conf_bytes(conf_at(pools, 1), "memory", &bytes, &err), &err);
    EXPECT_U64(bytes, UINT64_C(24) << 30);
    EXPECT_U64(conf_line(conf_at(pools, 1)), 7);
    EXPECT_U64(conf_line(cluster), 2);
    EXPECT_STR(conf_path(cluster), "a.yaml");
    EXPECT(conf_at(pools, 2) == NULL);
    conf_delete(conf);
}

static void absent_keys_leave_defaults(void)
{
    struct conf *conf = parse(sample);
    struct err err;
    uint32_t value = 7;
    const struct conf_node *map = conf_root(conf);
    EXPECT_OK(conf_u32(map, "absent", &value, 0, 1, &err), &err);
    EXPECT_OK(conf_u32(NULL, "replicas", &value, 0, 1, &err), &err);
    EXPECT_U64(value, 7);
    EXPECT_OK(conf_map(conf_root(conf), "nothing", &map, &err), &err);
    EXPECT(map == NULL);
    EXPECT_OK(conf_list(conf_root(conf), "nothing", &map, &err), &err);
    EXPECT(map == NULL);
    conf_delete(conf);
}

static void wrong_values_name_file_line_and_path(void)
{
    struct conf *conf = parse(sample);
    const struct conf_node *root = conf_root(conf);
    const struct conf_node *cluster = conf_get(root, "cluster");
    struct err err;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    double f64 = 0;
    int64_t ns = 0;
    bool flag = false;
    const char *text = NULL;
    const char *const gpus[] = {"a100", "l40s", NULL};
    EXPECT_FAILS(conf_u32(cluster, "replicas", &u32, 1, 2, &err), &err,
                 "a.yaml:3: cluster.replicas: \"4\" is not a whole number from 1 to 2");
    EXPECT_FAILS(conf_u32(cluster, "gpu", &u32, 0, 9, &err), &err,
                 "a.yaml:4: cluster.gpu: \"h100_sxm\" is not a whole number");
    EXPECT_FAILS(conf_u64(cluster, "gpu", &u64, &err), &err, "is not a whole number");
    EXPECT_FAILS(conf_enum(cluster, "gpu", gpus, &u32, &err), &err,
                 "\"h100_sxm\" is not one of a100, l40s");
    EXPECT_FAILS(conf_f64(root, "rate", &f64, 0, 10, &err), &err,
                 "a.yaml:9: rate: 1.5k is outside 0 to 10");
    EXPECT_FAILS(conf_duration_ns(cluster, "replicas", &ns, &err), &err,
                 "\"4\" has no unit");
    EXPECT_FAILS(conf_bytes(cluster, "replicas", &u64, &err), &err, "has no unit");
    EXPECT_FAILS(conf_bool(cluster, "replicas", &flag, &err), &err,
                 "neither true nor false");
    EXPECT_FAILS(conf_str(root, "nothing", &text, &err), &err,
                 "a.yaml:12: nothing: has no value");
    EXPECT_FAILS(conf_str(root, "cluster", &text, &err), &err,
                 "cluster: is a map; it must be a single value");
    EXPECT_FAILS(conf_list(root, "cluster", &root, &err), &err, "it must be a list");
    EXPECT_I64(err.kind, ERR_INPUT);
    conf_delete(conf);
}

static void required_key_is_missed_where_it_should_stand(void)
{
    struct conf *conf = parse(sample);
    struct err err;
    EXPECT_FAILS(conf_require(conf_root(conf), "model", &err), &err,
                 "a.yaml:2: key 'model' is missing");
    const struct conf_node *cluster = conf_get(conf_root(conf), "cluster");
    EXPECT_FAILS(conf_require(cluster, "model", &err), &err,
                 "a.yaml:2: cluster: key 'model' is missing");
    EXPECT_OK(conf_require(cluster, "gpu", &err), &err);
    conf_delete(conf);
}

static void unknown_keys_fail_with_the_nearest_known(void)
{
    struct conf *conf = parse("cluster:\n  replcas: 4\nseed: 1\n");
    const struct conf_node *root = conf_root(conf);
    struct err err;
    EXPECT_FAILS(conf_done(root, &err), &err, "a.yaml:1: cluster: unknown key");
    const struct conf_node *cluster = conf_get(root, "cluster");
    EXPECT_FAILS(conf_done(root, &err), &err,
                 "a.yaml:2: cluster.replcas: unknown key; known here: none");
    (void)conf_get(cluster, "replicas");
    EXPECT_FAILS(conf_done(root, &err), &err,
                 "a.yaml:2: cluster.replcas: unknown key; did you mean 'replicas'?");
    EXPECT_STR(conf_key_at(cluster, 0), "replcas");
    EXPECT_OK(conf_done(cluster, &err), &err);
    EXPECT_FAILS(conf_done(root, &err), &err, "a.yaml:3: seed: unknown key");
    (void)conf_get(root, "seed");
    EXPECT_OK(conf_done(root, &err), &err);
    conf_delete(conf);
}

static void unknown_keys_in_lists_are_found_too(void)
{
    struct conf *conf = parse("pools:\n- name: a\n- name: b\n  size: 3\n");
    struct err err;
    const struct conf_node *pools = conf_get(conf_root(conf), "pools");
    (void)conf_get(conf_at(pools, 0), "name");
    (void)conf_get(conf_at(pools, 1), "name");
    EXPECT_FAILS(conf_done(conf_root(conf), &err), &err,
                 "a.yaml:4: pools.1.size: unknown key; known here: name");
    conf_delete(conf);
}

static void refusals_say_where_and_what_to_do(void)
{
    const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n",
         "a.yaml:3: key 'a' stands here for the second time (first "
         "on line 1)"},
        {"a: &x 1\n", "a.yaml:1: anchors"},
        {"a: *x\n", "a.yaml:1: aliases"},
        {"a: !!str 1\n", "a.yaml:1: tags"},
        {"a: !thing {b: 1}\n", "tags"},
        {"a:\n  <<: 1\n", "a.yaml:2: merge keys"},
        {"a: 1\n---\nb: 1\n", "a.yaml:2: a second document"},
        {"? [a, b]\n: 1\n", "a key must be a plain word"},
        {"? {a: b}\n: 1\n", "a key must be a plain word"},
        {"just text\n", "a.yaml:1: one bare value"},
        {"a: [1, 2\n", "not YAML"},
        {"a:\n\t- b\n", "a.yaml:2: not YAML"},
        {"a: \"\\0\"\n", "NUL character"},
        {"\"a\\0\": 1\n", "NUL character"},
        {"a: \xff\n", "not YAML"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf *conf = NULL;
        struct err err;
        harness_note("%s", cases[i].text);
        EXPECT_FAILS(
            conf_parse(&conf, "a.yaml", cases[i].text, strlen(cases[i].text), &err),
            &err, cases[i].why);
        EXPECT(conf == NULL);
    }
}

static void depth_and_size_have_ceilings(void)
{
    struct conf *conf = NULL;
    struct err err;
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    EXPECT_FAILS(conf_parse(&conf, "a.yaml", deep, sizeof deep, &err), &err,
                 "nested deeper than 32 levels");
    struct text many = {NULL, 0, 0};
    for (int i = 0; i < 200001; i++) {
        text_add(&many, "- 1\n");
    }
    EXPECT_FAILS(conf_parse(&conf, "a.yaml", many.bytes, many.length, &err), &err,
                 "more than 200000 values");
    for (int i = 0; i < 1 << 20; i++) {
        text_add(&many, "# a long comment\n");
    }
    EXPECT_FAILS(conf_parse(&conf, "a.yaml", many.bytes, many.length, &err), &err,
                 "larger than 16 MiB");
    text_fini(&many);
}

static void empty_files_are_empty_maps(void)
{
    const char *const texts[] = {"", "# nothing\n", "---\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct conf *conf = parse(texts[i]);
        struct err err;
        EXPECT_I64(conf_kind(conf_root(conf)), CONF_MAP);
        EXPECT_FAILS(conf_require(conf_root(conf), "model", &err), &err,
                     "a.yaml:1: key 'model' is missing");
        conf_delete(conf);
    }
}

static void load_reads_files_and_names_them(void)
{
    struct conf *conf = NULL;
    struct err err;
    const char *path = harness_temp_file("b.yaml", sample, sizeof sample - 1);
    REQUIRE_OK(conf_load(&conf, path, &err), &err);
    EXPECT_U64(conf_count(conf_root(conf)), 5);
    EXPECT_STR(conf_path(conf_root(conf)), path);
    conf_delete(conf);
    EXPECT_FAILS(conf_load(&conf, harness_temp("absent.yaml"), &err), &err,
                 "absent.yaml: No such file or directory");
    EXPECT_I64(err.kind, ERR_INPUT);
    EXPECT_FAILS(conf_load(&conf, "/", &err), &err, "/: Is a directory");
}

static uint32_t replicas_of(const struct conf_node *map)
{
    uint32_t value = 0;
    struct err err;
    REQUIRE_OK(conf_u32(map, "replicas", &value, 0, 100, &err), &err);
    return value;
}

static void overrides_replace_and_make_paths(void)
{
    struct conf *conf = parse(sample);
    const struct conf_node *root = conf_root(conf);
    struct err err;
    REQUIRE_OK(conf_override(conf, "cluster.replicas=16", &err), &err);
    EXPECT_U64(replicas_of(conf_get(root, "cluster")), 16);
    REQUIRE_OK(conf_override(conf, "cluster.pools.0.replicas=3", &err), &err);
    const struct conf_node *pools = conf_get(conf_get(root, "cluster"), "pools");
    EXPECT_U64(replicas_of(conf_at(pools, 0)), 3);
    REQUIRE_OK(conf_override(conf, "cluster.pools.2.replicas=5", &err), &err);
    EXPECT_U64(conf_count(pools), 3);
    EXPECT_U64(replicas_of(conf_at(pools, 2)), 5);
    REQUIRE_OK(conf_override(conf, "new.deep.replicas=7", &err), &err);
    EXPECT_U64(replicas_of(conf_get(conf_get(root, "new"), "deep")), 7);
    REQUIRE_OK(conf_override(conf, "rate=a file: with #1.csv", &err), &err);
    EXPECT_STR(conf_scalar(conf_get(root, "rate")), "a file: with #1.csv");
    REQUIRE_OK(conf_override(conf, "rate={replicas: 9, list: [1, 2]}", &err), &err);
    EXPECT_U64(replicas_of(conf_get(root, "rate")), 9);
    EXPECT_U64(conf_count(conf_get(conf_get(root, "rate"), "list")), 2);
    conf_delete(conf);
}

static void overrides_do_not_make_keys_known(void)
{
    struct conf *conf = parse("cluster:\n  replicas: 4\n");
    const struct conf_node *root = conf_root(conf);
    struct err err;
    REQUIRE_OK(conf_override(conf, "cluster.replcas=16", &err), &err);
    EXPECT_U64(replicas_of(conf_get(root, "cluster")), 4);
    EXPECT_FAILS(conf_done(root, &err), &err,
                 "--set cluster.replcas=16: cluster.replcas: unknown key; did you mean "
                 "'replicas'?");
    conf_delete(conf);
}

static void bad_overrides_are_usage_errors(void)
{
    const struct {
        const char *assignment;
        const char *why;
    } cases[] = {
        {"replicas", "write it like cluster.replicas=16"},
        {"=16", "write it like"},
        {".a=1", "a key is empty"},
        {"a..b=1", "a key is empty"},
        {"a.=1", "a key is empty"},
        {"cluster.pools.big=1", "named by its index from 0"},
        {"cluster.pools.9=1", "named by its index from 0"},
        {"rate=[1, 2", "--set rate=[1, 2: not YAML"},
        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.1.2.3.4.5.6.7=1",
         "levels"},
    };
    struct conf *conf = parse(sample);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        harness_note("%s", cases[i].assignment);
        EXPECT_FAILS(conf_override(conf, cases[i].assignment, &err), &err,
                     cases[i].why);
    }
    conf_delete(conf);
}

static void printed_document_reads_back_the_same(void)
{
    const char text[] = "a: \"12\"\nb: \"two\\nlines\"\nc: {}\nd: []\ne:\n- 1\n- - 2\n"
                        "  - x: 'it''s'\n    y: \"\"\nf:\ng: \"null\"\nh: a # b\n";
    struct conf *conf = parse(text);
    struct err err;
    REQUIRE_OK(conf_override(conf, "a#b=\"1: 2\"", &err), &err);
    REQUIRE_OK(conf_override(conf, "i= #", &err), &err);
    struct text once = {NULL, 0, 0};
    conf_print(conf, &once);
    conf_delete(conf);
    conf = parse(text_str(&once));
    EXPECT_STR(conf_scalar(conf_get(conf_root(conf), "i")), " #");
    REQUIRE_OK(conf_override(conf, "i= #", &err), &err);
    struct text twice = {NULL, 0, 0};
    conf_print(conf, &twice);
    EXPECT_STR(text_str(&twice), text_str(&once));
    EXPECT_HAS(text_str(&once), "a: \"12\"\n");
    EXPECT_HAS(text_str(&once), "c: {}\nd: []\n");
    EXPECT_STR(conf_scalar(conf_get(conf_root(conf), "b")), "two\nlines");
    EXPECT_STR(conf_scalar(conf_get(conf_root(conf), "a#b")), "1: 2");
    EXPECT_STR(conf_scalar(conf_get(conf_root(conf), "f")), "");
    EXPECT_STR(conf_scalar(conf_get(conf_root(conf), "g")), "null");
    conf_delete(conf);
    text_fini(&once);
    text_fini(&twice);
}

static void a_subtree_left_to_another_reader_is_checked_by_that_one(void)
{
    struct err err = {ERR_NONE, ""};
    struct conf *conf = parse("seed: 1\nworkload:\n  trace: a\n  rate_facto: 2\n");
    const struct conf_node *root = conf_root(conf);
    (void)conf_get(root, "seed");
    const struct conf_node *workload = conf_get(root, "workload");
    conf_leave(workload);
    conf_leave(NULL);
    EXPECT_OK(conf_done(root, &err), &err);
    (void)conf_get(workload, "trace");
    (void)conf_get(workload, "rate_factor");
    EXPECT_FAILS(conf_done(workload, &err), &err,
                 "a.yaml:4: workload.rate_facto: unknown key; did you mean "
                 "'rate_factor'?");
    conf_delete(conf);
}

static void counts_of_other_peoples_files_may_be_null_or_have_a_point(void)
{
    struct err err;
    struct conf *conf = NULL;
    static const char text[] = "\xef\xbb\xbf"
                               "a: 12.0\nb: null\nc: 7\nd: 1.5\ne: x\n";
    REQUIRE_OK(conf_parse(&conf, "facts", text, sizeof text - 1, &err), &err);
    const struct conf_node *map = conf_root(conf);
    uint32_t value = 3;
    EXPECT_OK(conf_count_u32(map, "b", &value, 1, 99, &err), &err);
    EXPECT_OK(conf_count_u32(map, "absent", &value, 1, 99, &err), &err);
    EXPECT_U64(value, 3);
    EXPECT_OK(conf_count_u32(map, "a", &value, 1, 99, &err), &err);
    EXPECT_U64(value, 12);
    EXPECT_OK(conf_count_u32(map, "c", &value, 1, 99, &err), &err);
    EXPECT_U64(value, 7);
    EXPECT_FAILS(conf_count_u32(map, "a", &value, 1, 11, &err), &err, "facts:1: a");
    EXPECT_FAILS(conf_count_u32(map, "d", &value, 1, 99, &err), &err, "facts:4: d");
    EXPECT_FAILS(conf_count_u32(map, "e", &value, 1, 99, &err), &err, "facts:5: e");
    EXPECT_U64(value, 7);
    conf_delete(conf);
}

HARNESS_MAIN("conf", TEST(getters_read_what_is_there), TEST(absent_keys_leave_defaults),
             TEST(wrong_values_name_file_line_and_path),
             TEST(required_key_is_missed_where_it_should_stand),
             TEST(unknown_keys_fail_with_the_nearest_known),
             TEST(unknown_keys_in_lists_are_found_too),
             TEST(refusals_say_where_and_what_to_do),
             TEST(depth_and_size_have_ceilings), TEST(empty_files_are_empty_maps),
             TEST(load_reads_files_and_names_them),
             TEST(overrides_replace_and_make_paths),
             TEST(overrides_do_not_make_keys_known),
             TEST(bad_overrides_are_usage_errors),
             TEST(printed_document_reads_back_the_same),
             TEST(a_subtree_left_to_another_reader_is_checked_by_that_one),
             TEST(counts_of_other_peoples_files_may_be_null_or_have_a_point))
