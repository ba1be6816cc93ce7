/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON built and read whole: numbers keep their value, errors their place.
 */
#include "base/json.h"
#include "base/mem.h"
#include "tests/harness.h"
#include "tests/json_fixture.h"

#include <math.h>
#include <string.h>

static struct json *parse(const char *text)
{
    struct json *value = NULL;
    struct err err;
    REQUIRE_OK(json_parse(&value, "a.json", text, strlen(text), &err), &err);
    return value;
}

static void printed_object_keeps_order_and_values(void)
{
    struct json *object = json_object();
    struct json *array = json_array();
    json_put_str(object, "name", "a \"b\"\n");
    json_put_i64(object, "n", -5);
    json_put_f64(object, "x", 0.1);
    json_put_f64(object, "nan", (double)NAN);
    json_put_f64(object, "inf", (double)INFINITY);
    json_put_bool(object, "yes", true);
    json_push_f64(array, 1);
    json_push_f64(array, (double)NAN);
    json_push_str(array, "s");
    json_push(array, json_object());
    json_put(object, "list", array);
    char *printed = json_print(object, false);
    EXPECT_STR(printed, "{\"name\":\"a \\\"b\\\"\\n\",\"n\":-5,\"x\":0.1,\"nan\":null,"
                        "\"inf\":null,\"yes\":true,\"list\":[1,null,\"s\",{}]}");
    mem_free(printed);
    printed = json_print(object, true);
    EXPECT_HAS(printed, "\n");
    mem_free(printed);
    json_delete(object);
}

static void integers_survive_the_round_trip(void)
{
    const int64_t values[] = {0,
                              1,
                              -1,
                              INT64_C(9007199254740991),
                              INT64_C(9007199254740992),
                              INT64_C(-9007199254740993),
                              INT64_MAX,
                              INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct json *object = json_object();
        json_put_i64(object, "n", values[i]);
        char *printed = json_print(object, false);
        const bool large = values[i] > INT64_C(9007199254740991) ||
                           values[i] < INT64_C(-9007199254740991);
        harness_note("%s", printed);
        EXPECT_I64(strchr(printed, ':')[1] == '"', large);
        struct json *again = parse(printed);
        int64_t value = 0;
        EXPECT(json_i64(json_get(again, "n"), &value));
        EXPECT_I64(value, values[i]);
        json_delete(again);
        mem_free(printed);
        json_delete(object);
    }
    struct json *object = json_object();
    json_put_u64(object, "n", UINT64_MAX);
    EXPECT_STR(json_str(json_get(object, "n")), "18446744073709551615");
    json_delete(object);
}

static void reals_survive_the_round_trip(void)
{
    const double values[] = {0.1 + 0.2, 1.0 / 3,   9007199254740991.0,
                             1e300,     -4.9e-324, 123456789.123456789};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct json *array = json_array();
        json_push_f64(array, values[i]);
        double value = 0;
        EXPECT(json_f64(json_at(array, 0), &value));
        EXPECT_NEAR(value, values[i], 0);
        char *printed = json_print(array, false);
        struct json *again = parse(printed);
        EXPECT(json_f64(json_at(again, 0), &value));
        EXPECT_NEAR(value, values[i], 0);
        json_delete(again);
        mem_free(printed);
        json_delete(array);
    }
}

static void lists_are_walked_in_order(void)
{
    struct json *object = parse("{\"b\":[3,1,2],\"a\":{},\"c\":[]}");
    char names[4] = "";
    int64_t number = 0;
    int64_t digits = 0;
    size_t count = 0;
    for (const struct json *each = json_first(json_get(object, "b")); each != NULL;
         each = json_next(each)) {
        EXPECT(json_i64(each, &number));
        digits = 10 * digits + number;
    }
    EXPECT_I64(digits, 312);
    for (const struct json *each = json_first_member(object); each != NULL;
         each = json_next(each)) {
        names[count++] = json_name(each)[0];
    }
    EXPECT_STR(names, "bac");
    EXPECT(json_first_member(json_get(object, "a")) == NULL);
    EXPECT(json_first(json_get(object, "c")) == NULL);
    json_delete(object);
}

static void reading_refuses_other_types(void)
{
    struct json *object =
        parse("{\"s\":\"x\",\"n\":1.5,\"b\":false,\"a\":[1,2],\"N\":null,"
              "\"big\":9007199254740993,\"t\":\"12 \"}");
    int64_t i = 7;
    double f = 7;
    bool b = true;
    EXPECT(!json_i64(json_get(object, "n"), &i));
    EXPECT(!json_i64(json_get(object, "s"), &i));
    EXPECT(!json_i64(json_get(object, "t"), &i));
    EXPECT(!json_i64(json_get(object, "big"), &i));
    EXPECT(!json_i64(json_get(object, "absent"), &i));
    EXPECT(!json_f64(json_get(object, "s"), &f));
    EXPECT(!json_f64(NULL, &f));
    EXPECT(!json_bool(json_get(object, "n"), &b));
    EXPECT(json_str(json_get(object, "n")) == NULL);
    EXPECT_I64(i, 7);
    EXPECT(json_bool(json_get(object, "b"), &b));
    EXPECT(!b);
    EXPECT(json_f64(json_at(json_get(object, "a"), 1), &f));
    EXPECT_NEAR(f, 2, 0);
    EXPECT_U64(json_count(json_get(object, "a")), 2);
    EXPECT_U64(json_count(NULL), 0);
    EXPECT(json_at(json_get(object, "a"), 2) == NULL);
    EXPECT(json_first(object) == NULL);
    EXPECT(json_first_member(json_get(object, "a")) == NULL);
    EXPECT(json_first(NULL) == NULL);
    EXPECT(json_at(object, 0) == NULL);
    EXPECT(json_get(object, "S") == NULL);
    json_delete(object);
    json_delete(NULL);
}

static void errors_tell_line_and_column(void)
{
    const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "a.json:1: column 1: not JSON"},
        {"{\"a\": 1,\n \"b\": }", "a.json:2: column 7: not JSON"},
        {"{} x", "a.json:1: column 4: more text"},
        {"[1, 2", "not JSON"},
        {"\"\\\"", "not JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json *value = NULL;
        struct err err;
        harness_note("%s", cases[i].text);
        EXPECT_FAILS(
            json_parse(&value, "a.json", cases[i].text, strlen(cases[i].text), &err),
            &err, cases[i].why);
    }
    struct json *value = NULL;
    struct err err;
    EXPECT_FAILS(json_parse(&value, "a.json", "{}\0x", 4, &err), &err, "more text");
}

static void depth_has_an_exact_ceiling(void)
{
    char text[256];
    struct json *value = NULL;
    struct err err;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    EXPECT_OK(json_parse(&value, "a.json", text, 128, &err), &err);
    json_delete(value);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    EXPECT_FAILS(json_parse(&value, "a.json", text, 130, &err), &err,
                 "a.json:1: column 65: nested deeper than 64 levels");
    (void)memset(text, '[', 100);
    text[0] = '"';
    text[1] = '\\';
    text[2] = '"';
    text[100] = '"';
    EXPECT_OK(json_parse(&value, "a.json", text, 101, &err), &err);
    json_delete(value);
}

HARNESS_MAIN("json", TEST(printed_object_keeps_order_and_values),
             TEST(integers_survive_the_round_trip), TEST(reals_survive_the_round_trip),
             TEST(lists_are_walked_in_order), TEST(reading_refuses_other_types),
             TEST(errors_tell_line_and_column), TEST(depth_has_an_exact_ceiling))
