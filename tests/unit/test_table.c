/* SPDX-License-Identifier: Apache-2.0
 *
 * One small table in every format.
 */
#include "base/json.h"
#include "reports/table.h"
#include "tests/harness.h"
#include "tests/json_fixture.h"

#include <math.h>
#include <string.h>

static struct table *two_rows(void)
{
    const struct table_column columns[] = {
        {"run", "run", NULL, "name & more", true},
        {"ttft_ms", "TTFT", "ms", NULL, false},
        {"requests", NULL, NULL, NULL, false},
    };
    struct table *const table = table_new(columns, 3);
    table_put_text(table, "a,\"b\" <i>|");
    table_put_f64(table, 0.1, 1, NULL);
    table_put_u64(table, 12);
    table_put_text(table, "caf\u00e9");
    table_put_f64(table, 1234.5678901234567, 1, NULL);
    table_mark(table);
    table_put_u64(table, UINT64_MAX);
    return table;
}

static void expect_format(enum table_format format, const char *expected)
{
    struct table *const table = two_rows();
    struct text out = {0};
    table_write(table, format, &out);
    EXPECT_STR(text_str(&out), expected);
    text_fini(&out);
    table_delete(table);
}

static void text_is_aligned_by_characters(void)
{
    expect_format(TABLE_TEXT, "run         TTFT (ms)               requests\n"
                              "----------  ---------   --------------------\n"
                              "a,\"b\" <i>|        0.1                     12\n"
                              "caf\u00e9           1234.6*  18446744073709551615\n");
}

static void csv_quotes_and_keeps_every_digit(void)
{
    expect_format(TABLE_CSV, "run,ttft_ms,requests\n"
                             "\"a,\"\"b\"\" <i>|\",0.1,12\n"
                             "caf\u00e9,1234.5678901234567,18446744073709551615\n");
}

static void markdown_escapes_its_own_signs(void)
{
    expect_format(TABLE_MD, "| run | TTFT (ms) | requests |\n"
                            "|---|---:|---:|\n"
                            "| a,\"b\" \\<i>\\| | 0.1 | 12 |\n"
                            "| caf\u00e9 | **1234.6** | 18446744073709551615 |\n");
}

static void html_escapes_text_and_attributes(void)
{
    struct table *const table = two_rows();
    struct text out = {0};
    table_write(table, TABLE_HTML, &out);
    EXPECT_HAS(text_str(&out), "title=\"name &amp; more\"");
    EXPECT_HAS(
        text_str(&out),
        "data-value=\"a,&quot;b&quot; &lt;i&gt;|\">a,&quot;b&quot; &lt;i&gt;|</th>");
    EXPECT_HAS(text_str(&out), "class=\"number best\" "
                               "data-value=\"1234.5678901234567\">1234.6</td>");
    EXPECT(strstr(text_str(&out), "<i>") == NULL);
    text_fini(&out);
    table_delete(table);
}

/* Five digits and more get thin spaces, fractions never; names may break. */
static void html_is_made_for_eyes(void)
{
    const struct table_column columns[] = {{"run", NULL, NULL, NULL, true},
                                           {"x", NULL, "ms", NULL, false}};
    struct table *const table = table_new(columns, 2);
    table_put_text(table, "least_<b>");
    table_put_f64(table, 1234567.5, 1, "1234567.50000 ± 9999.9");
    struct text out = {0};
    table_write(table, TABLE_HTML, &out);
    EXPECT_HAS(text_str(&out), ">least_<wbr>&lt;b&gt;</th>");
    EXPECT_HAS(text_str(&out), ">1\u202f234\u202f567.50000 ± 9999.9</td>");
    text_fini(&out);
    table_delete(table);
}

static void json_reads_back(void)
{
    struct table *const table = two_rows();
    struct text out = {0};
    table_write(table, TABLE_JSON, &out);
    struct json *json;
    struct err err;
    REQUIRE_OK(json_parse(&json, "table", text_str(&out), out.length, &err), &err);
    EXPECT_U64(json_count(json), 2);
    const struct json *const second = json_at(json, 1);
    double number = 0.0;
    EXPECT(json_f64(json_get(second, "ttft_ms"), &number));
    EXPECT_NEAR(number, 1234.5678901234567, 0.0);
    EXPECT_STR(json_str(json_get(second, "requests")), "18446744073709551615");
    EXPECT_STR(json_str(json_get(json_at(json, 0), "run")), "a,\"b\" <i>|");
    json_delete(json);
    text_fini(&out);
    table_delete(table);
}

static void unknown_values_are_empty_in_csv_and_null_in_json(void)
{
    const struct table_column columns[] = {{"x", NULL, NULL, NULL, false}};
    struct table *const table = table_new(columns, 1);
    table_put_f64(table, (double)NAN, 1, NULL);
    struct text out = {0};
    table_write(table, TABLE_CSV, &out);
    EXPECT_STR(text_str(&out), "x\n\n");
    text_fini(&out);
    table_write(table, TABLE_JSON, &out);
    EXPECT_HAS(text_str(&out), "null");
    text_fini(&out);
    table_write(table, TABLE_TEXT, &out);
    EXPECT_STR(text_str(&out), "x\n-\n-\n");
    text_fini(&out);
    table_delete(table);
}

static void only_formats_for_users_are_parsed(void)
{
    enum table_format format = TABLE_HTML;
    struct err err;
    EXPECT_OK(table_format_parse("csv", &format, &err), &err);
    EXPECT_U64(format, TABLE_CSV);
    EXPECT_OK(table_format_parse("table", &format, &err), &err);
    EXPECT_U64(format, TABLE_TEXT);
    EXPECT_FAILS(table_format_parse("html", &format, &err), &err,
                 "use table, csv, json or md");
}

HARNESS_MAIN("table", TEST(text_is_aligned_by_characters),
             TEST(csv_quotes_and_keeps_every_digit),
             TEST(markdown_escapes_its_own_signs),
             TEST(html_escapes_text_and_attributes), TEST(html_is_made_for_eyes),
             TEST(json_reads_back),
             TEST(unknown_values_are_empty_in_csv_and_null_in_json),
             TEST(only_formats_for_users_are_parsed))
