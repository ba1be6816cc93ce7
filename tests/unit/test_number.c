/* SPDX-License-Identifier: Apache-2.0
 *
 * test_number.c: numbers, times and dates as trace files write them.
 */
#include "base/hash.h"
#include "tests/harness.h"
#include "traces/number.h"

#include <string.h>

static bool count_of(const char *text, int64_t *out)
{
    return number_count(text, strlen(text), out);
}

static void counts_come_as_integers_or_whole_decimals(void)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"12", 12},   {"12.0", 12}, {"12.", 12},   {"-3", -3},
        {"+4", 4},    {"0", 0},     {"1e3", 1000}, {"9223372036854775807", INT64_MAX},
        {"2.5e1", 25}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = 0;
        harness_note("%s", good[i].text);
        EXPECT(count_of(good[i].text, &value));
        EXPECT_I64(value, good[i].value);
    }
}

static void what_is_no_count_is_refused(void)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "12.5",
                                      "x",
                                      "1x",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "nan",
                                      "inf",
                                      "1e",
                                      ".",
                                      "9223372036854775808",
                                      "1e30",
                                      "--1",
                                      "null",
                                      "true"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = 0;
        harness_note("'%s'", bad[i]);
        EXPECT(!count_of(bad[i], &value));
    }
}

static void times_keep_every_digit(void)
{
    static const struct {
        const char *text;
        int64_t unit_ns;
        int64_t ns;
    } good[] = {{"27482", 1000000, INT64_C(27482000000)},
                {"61.114", 1000000000, INT64_C(61114000000)},
                {"0.000000001", 1000000000, 1},
                {"0.0000000019", 1000000000, 1},
                {"1700000000.123456789", 1000000000, INT64_C(1700000000123456789)},
                {"1.5", 1, 1},
                {"-2", 1000, -2000},
                {"1e-3", 1000000000, 1000000}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ns = 0;
        harness_note("%s", good[i].text);
        EXPECT(
            number_time_ns(good[i].text, strlen(good[i].text), good[i].unit_ns, &ns));
        EXPECT_I64(ns, good[i].ns);
    }
    int64_t ns = 0;
    EXPECT(!number_time_ns("9300000000", 10, 1000000000, &ns)); /* 294 years */
    EXPECT(!number_time_ns("soon", 4, 1, &ns));
}

static void dates_are_read_to_the_nanosecond(void)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1970-01-01 00:00:00", 0},
        {"2023-11-16 18:15:46.6805900", INT64_C(1700158546680590000)},
        {"2024-05-10 00:00:00.009930+00:00", INT64_C(1715299200009930000)},
        {"2024-05-12 00:00:00+00:00", INT64_C(1715472000000000000)},
        {"2024-10-15T12:00:00.269Z", INT64_C(1728993600269000000)},
        {"2024-02-29 23:59:59.123456789", INT64_C(1709251199123456789)},
        {"2024-05-12 02:00:00+02:00", INT64_C(1715472000000000000)},
        {"2024-05-11 18:30:00-05:30", INT64_C(1715472000000000000)},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ns = 0;
        harness_note("%s", good[i].text);
        EXPECT(number_date_ns(good[i].text, strlen(good[i].text), &ns));
        EXPECT_I64(ns, good[i].ns);
    }
}

static void broken_dates_are_refused(void)
{
    static const char *const bad[] = {"",
                                      "2023-11-16",
                                      "2023-13-16 18:15:46",
                                      "2023-11-16 18:15",
                                      "2023-11-16x18:15:46",
                                      "2023-11-16 18:15:46,5",
                                      "2023-11-16 24:15:46",
                                      "2023-11-16 18:15:46 UTC",
                                      "0023-11-16 18:15:46",
                                      "2023-1-16 18:15:46",
                                      "2023-11-16 18:15:46+0000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns = 0;
        harness_note("'%s'", bad[i]);
        EXPECT(!number_date_ns(bad[i], strlen(bad[i]), &ns));
    }
}

static void identities_are_numbers_or_hashes(void)
{
    EXPECT_U64(number_identity("46", 2), 46);
    EXPECT_U64(number_identity("18446744073709551615", 20), UINT64_MAX);
    EXPECT_U64(number_identity("-1", 2), UINT64_MAX);
    EXPECT_U64(number_identity("abc", 3), hash_xxh64("abc", 3, 0));
    EXPECT_U64(number_identity("18446744073709551616", 20),
               hash_xxh64("18446744073709551616", 20, 0));
}

HARNESS_MAIN("number", TEST(counts_come_as_integers_or_whole_decimals),
             TEST(what_is_no_count_is_refused), TEST(times_keep_every_digit),
             TEST(dates_are_read_to_the_nanosecond), TEST(broken_dates_are_refused),
             TEST(identities_are_numbers_or_hashes))
