/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of CSV: quotes, blanks and comments, and errors that stay on their line.
 */
#include "base/csv.h"
#include "base/text.h"
#include "tests/harness.h"

#include <string.h>

static struct lines *open_text(const char *text, size_t byte_count)
{
    struct lines *lines = NULL;
    struct err err;
    REQUIRE_OK(
        lines_open(&lines, harness_temp_file("t.csv", text, byte_count), 1 << 20, &err),
        &err);
    return lines;
}

/* Fields joined by '|', for comparing rows at a glance. */
static void expect_row(struct csv *csv, const char *expected)
{
    const char *const *fields = NULL;
    size_t count = 0;
    struct err err = {ERR_NONE, ""};
    if (!EXPECT_I64(csv_next(csv, &fields, &count, &err), LINES_LINE)) {
        return;
    }
    struct text joined = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        text_printf(&joined, "%s%s", i > 0 ? "|" : "", fields[i]);
    }
    EXPECT_STR(text_str(&joined), expected);
    text_fini(&joined);
}

static void expect_error(struct csv *csv, const char *part)
{
    const char *const *fields = NULL;
    size_t count = 0;
    struct err err = {ERR_NONE, ""};
    EXPECT_I64(csv_next(csv, &fields, &count, &err), LINES_ERROR);
    EXPECT_HAS(err.text, part);
}

static void rows_split_at_commas_and_trim_blanks(void)
{
    static const char text[] = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
                               "# remark, with a comma\n"
                               "\n"
                               "  \t\n"
                               "2023-11-16 18:15:46.6805900, 374 ,44\r\n"
                               "a,,\n"
                               "\"x, \"\"y\"\"\",\" z \",\"\"\n"
                               "la\rst,1,2";
    struct lines *lines = open_text(text, sizeof text - 1);
    struct csv *csv = csv_new(lines);
    expect_row(csv, "TIMESTAMP|ContextTokens|GeneratedTokens");
    expect_row(csv, "2023-11-16 18:15:46.6805900|374|44");
    EXPECT_U64(lines_number(lines), 5);
    expect_row(csv, "a||");
    expect_row(csv, "x, \"y\"| z |");
    expect_row(csv, "la\rst|1|2");
    const char *const *fields = NULL;
    size_t count = 0;
    struct err err;
    EXPECT_I64(csv_next(csv, &fields, &count, &err), LINES_END);
    csv_delete(csv);
    csv_delete(NULL);
    lines_close(lines);
}

static void errors_stay_on_their_line(void)
{
    static const char text[] = "a,\"open\nb,c\nd\"e,f\ng,\"h\"i\nj,k\nl\0m\nn\n";
    struct lines *lines = open_text(text, sizeof text - 1);
    struct csv *csv = csv_new(lines);
    expect_error(csv, "t.csv:1: a quoted field does not end on its line");
    expect_row(csv, "b|c");
    expect_error(csv, "t.csv:3: a quote inside a field");
    expect_error(csv, "t.csv:4: a quote inside a field");
    expect_row(csv, "j|k");
    expect_error(csv, "t.csv:6: NUL character");
    expect_row(csv, "n");
    csv_delete(csv);
    lines_close(lines);
}

static void fields_have_a_ceiling(void)
{
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < 16383; i++) {
        text_add(&text, "1,");
    }
    text_add(&text, "1\n");
    const size_t row = text.length;
    for (int i = 0; i < 16384; i++) {
        text_add(&text, "1,");
    }
    text_add(&text, "1\n");
    struct lines *lines = open_text(text.bytes, text.length);
    struct csv *csv = csv_new(lines);
    const char *const *fields = NULL;
    size_t count = 0;
    struct err err;
    EXPECT_I64(csv_next(csv, &fields, &count, &err), LINES_LINE);
    EXPECT_U64(count, 16384);
    EXPECT_U64(row, 32768);
    expect_error(csv, "t.csv:2: more than 16384 fields in a row");
    csv_delete(csv);
    lines_close(lines);
    text_fini(&text);
}

HARNESS_MAIN("csv", TEST(rows_split_at_commas_and_trim_blanks),
             TEST(errors_stay_on_their_line), TEST(fields_have_a_ceiling))
