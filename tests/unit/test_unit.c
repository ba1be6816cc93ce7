/* SPDX-License-Identifier: Apache-2.0
 *
 * Values with units are exact, and what lacks a unit is refused with an example.
 */
#include "base/unit.h"
#include "tests/harness.h"

static void durations_are_exact(void)
{
    const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"250us", 250000},
        {"1.5s", 1500000000},
        {"0.1s", 100000000},
        {".5ms", 500000},
        {"90s", INT64_C(90000000000)},
        {"90 s", INT64_C(90000000000)},
        {"15m", INT64_C(900000000000)},
        {"15min", INT64_C(900000000000)},
        {"2h", INT64_C(7200000000000)},
        {"7d", INT64_C(604800000000000)},
        {"0.4ns", 0},
        {"0.5ns", 1},
        {"9223372036.85477580s", INT64_C(9223372036854775800)},
        {"0.00000000000000001d", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        int64_t ns = -1;
        harness_note("%s", cases[i].text);
        EXPECT_OK(unit_duration_ns(cases[i].text, &ns, &err), &err);
        EXPECT_I64(ns, cases[i].ns);
    }
}

static void durations_refuse_what_is_unclear(void)
{
    const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"90", "has no unit; write it like 250us"},
        {"", "is not a duration"},
        {"s", "is not a duration"},
        {"-1s", "is not a duration"},
        {"1.2.3s", "unknown unit \".3s\""},
        {"1S", "unknown unit \"S\""},
        {"1 hour", "unknown unit \"hour\""},
        {"1s ", "unknown unit"},
        {"300000d", "too large for a duration"},
        {"9223372036.854775808s", "is not a duration"},
        {"9223372036.8547759s", "too large"},
        {"nan", "is not a duration"},
        {"1e3s", "unknown unit \"e3s\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        int64_t ns = -7;
        harness_note("%s", cases[i].text);
        EXPECT_FAILS(unit_duration_ns(cases[i].text, &ns, &err), &err, cases[i].why);
        EXPECT_I64(ns, -7);
    }
}

static void bytes_know_both_families(void)
{
    const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"100B", 100},
        {"16KiB", 16384},
        {"512MB", UINT64_C(512000000)},
        {"80GiB", UINT64_C(85899345920)},
        {"3.35TB", UINT64_C(3350000000000)},
        {"0.5KiB", 512},
        {"1PiB", UINT64_C(1) << 50},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        uint64_t bytes = 1;
        harness_note("%s", cases[i].text);
        EXPECT_OK(unit_bytes(cases[i].text, &bytes, &err), &err);
        EXPECT_U64(bytes, cases[i].bytes);
    }
    struct err err;
    uint64_t bytes = 5;
    EXPECT_FAILS(unit_bytes("80", &bytes, &err), &err, "has no unit");
    EXPECT_FAILS(unit_bytes("80G", &bytes, &err), &err, "unknown unit \"G\"");
    EXPECT_FAILS(unit_bytes("99999PiB", &bytes, &err), &err, "too large");
    EXPECT_U64(bytes, 5);
}

static void numbers_take_si_letters_without_losing_a_bit(void)
{
    struct err err;
    double value = 0;
    EXPECT_OK(unit_number("3.35T", &value, &err), &err);
    EXPECT(value == 3.35e12);
    EXPECT_OK(unit_number("989T", &value, &err), &err);
    EXPECT(value == 989e12);
    EXPECT_OK(unit_number("-1.2k", &value, &err), &err);
    EXPECT(value == -1200);
    EXPECT_OK(unit_number("1e-3", &value, &err), &err);
    EXPECT(value == 1e-3);
    EXPECT_OK(unit_number("0.1", &value, &err), &err);
    EXPECT(value == 0.1);
    EXPECT_OK(unit_number("1e-999", &value, &err), &err);
    EXPECT(value == 0);
}

static void numbers_refuse_what_strtod_would_swallow(void)
{
    const char *const cases[] = {"",   "nan", "inf",   "0x10", "1e", "1e+", "1kk",
                                 "1 ", " 1",  "1e999", "--1",  ".",  "1,5"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err;
        double value = 3;
        harness_note("\"%s\"", cases[i]);
        EXPECT_FAILS(unit_number(cases[i], &value, &err), &err, "number");
        EXPECT(value == 3);
    }
}

static void whole_numbers_reach_their_limits(void)
{
    struct err err;
    uint64_t u = 0;
    int64_t i = 0;
    EXPECT_OK(unit_u64("18446744073709551615", &u, &err), &err);
    EXPECT_U64(u, UINT64_MAX);
    EXPECT_OK(unit_u64("1_000_000", &u, &err), &err);
    EXPECT_U64(u, 1000000);
    EXPECT_OK(unit_i64("-9223372036854775808", &i, &err), &err);
    EXPECT_I64(i, INT64_MIN);
    EXPECT_OK(unit_i64("9223372036854775807", &i, &err), &err);
    EXPECT_I64(i, INT64_MAX);
    EXPECT_OK(unit_i64("-0", &i, &err), &err);
    EXPECT_I64(i, 0);
    const char *const bad[] = {
        "18446744073709551616", "", "-1", "1__0", "_1", "1_", "1.0", " 1"};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        harness_note("\"%s\"", bad[k]);
        u = 5;
        EXPECT_FAILS(unit_u64(bad[k], &u, &err), &err, "is not a whole number");
        EXPECT_U64(u, 5);
    }
    EXPECT_FAILS(unit_i64("9223372036854775808", &i, &err), &err, "whole number");
    EXPECT_FAILS(unit_i64("-9223372036854775809", &i, &err), &err, "whole number");
}

static void durations_read_well(void)
{
    const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0 ns"},
        {950, "950 ns"},
        {999, "999 ns"},
        {1000, "1.00 us"},
        {1230000, "1.23 ms"},
        {9996, "10.0 us"},
        {999499, "999 us"},
        {999500, "1.00 ms"},
        {4560000000, "4.56 s"},
        {59960000000, "1 m 00 s"},
        {INT64_C(3599600000000), "1 h 00 m"},
        {INT64_C(7500000000000), "2 h 05 m"},
        {INT64_C(604800000000000), "7 d 00 h"},
        {-1500000, "-1.50 ms"},
        {INT64_MAX, "106751 d 23 h"},
        {INT64_MIN, "-106751 d 23 h"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[24];
        unit_format_ns(text, sizeof text, cases[i].ns);
        EXPECT_STR(text, cases[i].text);
    }
}

static void bytes_read_well(void)
{
    const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.00 KiB"},
        {1536, "1.50 KiB"},
        {UINT64_C(85899345920), "80.0 GiB"},
        {UINT64_C(1048575), "1.00 MiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[24];
        unit_format_bytes(text, sizeof text, cases[i].bytes);
        EXPECT_STR(text, cases[i].text);
    }
}

HARNESS_MAIN("unit", TEST(durations_are_exact), TEST(durations_refuse_what_is_unclear),
             TEST(bytes_know_both_families),
             TEST(numbers_take_si_letters_without_losing_a_bit),
             TEST(numbers_refuse_what_strtod_would_swallow),
             TEST(whole_numbers_reach_their_limits), TEST(durations_read_well),
             TEST(bytes_read_well))
