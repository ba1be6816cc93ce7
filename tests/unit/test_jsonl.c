/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of JSON: what is valid is read exactly, what jsmn alone would let pass is
 * refused with its column.
 */
#include "base/jsonl.h"
#include "base/text.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

static struct jsonl *scan(const char *line)
{
    struct jsonl *jsonl = jsonl_new(100000);
    struct err err;
    REQUIRE_OK(jsonl_scan(jsonl, line, strlen(line), &err), &err);
    return jsonl;
}

static void values_are_found_by_key(void)
{
    struct jsonl *jsonl = scan(" { \"a\" : 1 , \"b\":{\"c\":[1,[2,3],{\"d\":4}], "
                               "\"a\":9},\"e\":\"x\\\"y\" } ");
    const jsonl_value root = jsonl_root(jsonl);
    int64_t value = 0;
    EXPECT_U64(jsonl_count(jsonl, root), 3);
    EXPECT(jsonl_i64(jsonl, jsonl_get(jsonl, root, "a"), &value));
    EXPECT_I64(value, 1);
    const jsonl_value b = jsonl_get(jsonl, root, "b");
    EXPECT(jsonl_i64(jsonl, jsonl_get(jsonl, b, "a"), &value));
    EXPECT_I64(value, 9);
    const jsonl_value c = jsonl_get(jsonl, b, "c");
    EXPECT_I64(jsonl_kind(jsonl, c), JSONL_ARRAY);
    EXPECT_U64(jsonl_count(jsonl, c), 3);
    const char *bytes = NULL;
    size_t byte_count = 0;
    const jsonl_value e = jsonl_get(jsonl, root, "e");
    jsonl_bytes(jsonl, e, &bytes, &byte_count);
    EXPECT_U64(byte_count, 4);
    EXPECT_BYTES(bytes, "x\\\"y", 4);
    EXPECT_U64(jsonl_column(jsonl, e), strlen(" { \"a\" : 1 , \"b\":{\"c\":[1,[2,3],"
                                              "{\"d\":4}], \"a\":9},\"e\":") +
                                           1);
    EXPECT_U64(jsonl_get(jsonl, root, "absent"), JSONL_NONE);
    EXPECT_U64(jsonl_get(jsonl, c, "a"), JSONL_NONE);
    EXPECT_U64(jsonl_get(jsonl, JSONL_NONE, "a"), JSONL_NONE);
    EXPECT(!jsonl_i64(jsonl, JSONL_NONE, &value));
    jsonl_delete(jsonl);
    jsonl_delete(NULL);
}

static void children_come_in_order(void)
{
    struct jsonl *jsonl = scan("{\"a\":[[1,2],{\"k\":[3]},\"s\",null,-5],\"b\":true}");
    const jsonl_value root = jsonl_root(jsonl);
    const enum jsonl_kind kinds[] = {JSONL_ARRAY, JSONL_OBJECT, JSONL_STRING,
                                     JSONL_LITERAL, JSONL_NUMBER};
    const jsonl_value key = jsonl_first(jsonl, root);
    const jsonl_value array = jsonl_of_key(jsonl, key);
    size_t count = 0;
    for (jsonl_value at = jsonl_first(jsonl, array); at != JSONL_NONE;
         at = jsonl_next(jsonl, at)) {
        REQUIRE(count < 5);
        EXPECT_I64(jsonl_kind(jsonl, at), kinds[count]);
        count++;
    }
    EXPECT_U64(count, 5);
    const jsonl_value second = jsonl_next(jsonl, key);
    EXPECT_U64(jsonl_of_key(jsonl, second), jsonl_get(jsonl, root, "b"));
    EXPECT_U64(jsonl_next(jsonl, second), JSONL_NONE);
    EXPECT_U64(jsonl_first(jsonl, jsonl_get(jsonl, root, "b")), JSONL_NONE);
    jsonl_delete(jsonl);
}

static void integers_are_exact_in_every_spelling(void)
{
    const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"12", 12},
        {"12.0", 12},
        {"12.000", 12},
        {"\"12\"", 12},
        {"\"-12.0\"", -12},
        {"1e3", 1000},
        {"1.5e1", 15},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9007199254740993", INT64_C(9007199254740993)},
    };
    char line[80];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(line, sizeof line, "{\"n\":%s}", good[i].text);
        struct jsonl *jsonl = scan(line);
        int64_t value = 77;
        harness_note("%s", line);
        EXPECT(jsonl_i64(jsonl, jsonl_get(jsonl, 0, "n"), &value));
        EXPECT_I64(value, good[i].value);
        jsonl_delete(jsonl);
    }
    const char *const bad[] = {"9223372036854775808",
                               "-9223372036854775809",
                               "99999999999999999999999",
                               "12.5",
                               "1e-1",
                               "1e300",
                               "1e999",
                               "\"\"",
                               "\"12x\"",
                               "\" 12\"",
                               "\"nan\"",
                               "true",
                               "null",
                               "[]",
                               "{}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)snprintf(line, sizeof line, "{\"n\":%s}", bad[i]);
        struct jsonl *jsonl = scan(line);
        int64_t value = 77;
        harness_note("%s", line);
        EXPECT(!jsonl_i64(jsonl, jsonl_get(jsonl, 0, "n"), &value));
        EXPECT_I64(value, 77);
        jsonl_delete(jsonl);
    }
}

static void reals_round_as_strtod_does(void)
{
    const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},
        {"61.114", 61.114},
        {"-0.1", -0.1},
        {"\"2.5\"", 2.5},
        {"19440110.0", 19440110.0},
        {"9007199254740993", 9007199254740992.0},
        {"0.1234567890123456789", 0.1234567890123456789},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"4.9e-324", 4.9e-324},
    };
    char line[80];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        (void)snprintf(line, sizeof line, "{\"n\":%s}", good[i].text);
        struct jsonl *jsonl = scan(line);
        double value = 77;
        harness_note("%s", line);
        EXPECT(jsonl_f64(jsonl, jsonl_get(jsonl, 0, "n"), &value));
        EXPECT_NEAR(value, good[i].value, 0);
        jsonl_delete(jsonl);
    }
    struct jsonl *jsonl = scan("{\"n\":1e999,\"m\":\"inf\"}");
    double value = 0;
    EXPECT(!jsonl_f64(jsonl, jsonl_get(jsonl, 0, "n"), &value));
    EXPECT(!jsonl_f64(jsonl, jsonl_get(jsonl, 0, "m"), &value));
    jsonl_delete(jsonl);
}

static void what_is_not_one_object_is_refused_with_its_column(void)
{
    const struct {
        const char *line;
        const char *why;
    } cases[] = {
        {"", "column 1: expected a JSON object"},
        {"   ", "column 1: expected a JSON object"},
        {"[1]", "column 1: expected a JSON object"},
        {"12 ", "column 1: expected a JSON object"},
        {"{\"a\":1} x", "column 9"},
        {"{\"a\":1}{}", "column 8: more text"},
        {"{\"a\":1},", "column 8: more text"},
        {",{\"a\":1}", "column 1: expected '{'"},
        {"{\"a\":1", "column 7: the line ends inside"},
        {"{\"a\":\"x", "column 8: the line ends inside"},
        {"{\"a\":1,}", "column 8: unexpected ','"},
        {"{,\"a\":1}", "column 3: unexpected ','"},
        {"{\"a\" 1}", "column"},
        {"{\"a\"}", "column 2: expected \"key\": value"},
        {"{\"a\":}", "column 2: expected \"key\": value"},
        {"{\"a\"::1}", "column 7: expected one ':'"},
        {"{\"a\":1:2}", "column"},
        {"{\"a\":1 2}", "column"},
        {"{\"a\":1 \"b\":2}", "column"},
        {"{\"a\":1,,\"b\":2}", "column 9: expected one ','"},
        {"{\"a\":,1}", "column"},
        {"{1:2}", "column"},
        {"{\"a\":[1 2]}", "column"},
        {"{\"a\":[1,,2]}", "column 10: expected one ','"},
        {"{\"a\":[,1]}", "column 8: unexpected ','"},
        {"{\"a\":[1,]}", "column 9: unexpected ','"},
        {"{\"a\":[\"b\":1]}", "column 11: ':' outside an object"},
        {"{\"a\":[1:2]}", "column"},
        {"{\"a\":[1}", "column"},
        {"{\"a\":[:]}", "column 8: unexpected"},
        {"{\"a\":{:}}", "column 8: unexpected"},
        {"{\"a\":12ab}", "column 6: neither a number"},
        {"{\"a\":01}", "column 6: neither a number"},
        {"{\"a\":1.}", "column 6: neither a number"},
        {"{\"a\":-}", "column 6: neither a number"},
        {"{\"a\":truth}", "column 6: neither a number"},
        {"{\"a\":nan}", "column 6: neither a number"},
        {"{a:1}", "column 2"},
        {"{\"a\":\"\\x\"}", "column 6"},
        {"{'a':1}", "column 2"},
    };
    struct jsonl *jsonl = jsonl_new(100);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        harness_note("%s", cases[i].line);
        EXPECT_FAILS(jsonl_scan(jsonl, cases[i].line, strlen(cases[i].line), &err),
                     &err, cases[i].why);
    }
    struct err err;
    EXPECT_FAILS(jsonl_scan(jsonl, "{\"a\":1}\0{}", 10, &err), &err, "column 8: NUL");
    jsonl_delete(jsonl);
}

static void tokens_grow_up_to_their_ceiling(void)
{
    struct text line = {NULL, 0, 0};
    text_add(&line, "{\"a\":[0");
    for (int i = 1; i < 9997; i++) {
        text_printf(&line, ", %d", i);
    }
    text_add(&line, "]}");
    /* 9,997 numbers, the array, its key, the object. */
    struct jsonl *jsonl = jsonl_new(10000);
    struct err err;
    for (int round = 0; round < 2; round++) {
        REQUIRE_OK(jsonl_scan(jsonl, line.bytes, line.length, &err), &err);
        int64_t sum = 0;
        const jsonl_value array = jsonl_get(jsonl, jsonl_root(jsonl), "a");
        EXPECT_U64(jsonl_count(jsonl, array), 9997);
        for (jsonl_value at = jsonl_first(jsonl, array); at != JSONL_NONE;
             at = jsonl_next(jsonl, at)) {
            int64_t value = 0;
            REQUIRE(jsonl_i64(jsonl, at, &value));
            sum += value;
        }
        EXPECT_I64(sum, 9996 * 9997 / 2);
    }
    jsonl_delete(jsonl);
    jsonl = jsonl_new(9999);
    EXPECT_FAILS(jsonl_scan(jsonl, line.bytes, line.length, &err), &err,
                 "more than 9999 values on one line");
    jsonl_delete(jsonl);
    text_fini(&line);
}

HARNESS_MAIN("jsonl", TEST(values_are_found_by_key), TEST(children_come_in_order),
             TEST(integers_are_exact_in_every_spelling),
             TEST(reals_round_as_strtod_does),
             TEST(what_is_not_one_object_is_refused_with_its_column),
             TEST(tokens_grow_up_to_their_ceiling))
