/* SPDX-License-Identifier: Apache-2.0
 *
 * No text crashes a parser of values, a failure leaves the value alone, and what is
 * read prints.
 */
#include "base/check.h"
#include "base/unit.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

static void check_whole(const char *text)
{
    struct err err = {ERR_NONE, ""};
    uint64_t u64 = 7;
    int64_t i64 = 7;
    const bool is_u64 = unit_u64(text, &u64, &err);
    const bool is_i64 = unit_i64(text, &i64, &err);
    CHECK(is_u64 || u64 == 7, "a failure wrote %llu", (unsigned long long)u64);
    CHECK(is_i64 || i64 == 7, "a failure wrote %lld", (long long)i64);
    CHECK(!is_u64 || u64 > INT64_MAX || (is_i64 && (uint64_t)i64 == u64),
          "\"%s\" differs by sign", text);
}

static void check_dimension(const char *text)
{
    struct err err = {ERR_NONE, ""};
    char printed[24];
    int64_t ns = 7;
    uint64_t bytes = 7;
    double value = 7;
    if (unit_duration_ns(text, &ns, &err)) {
        CHECK(ns >= 0, "\"%s\" is %lld ns", text, (long long)ns);
        unit_format_ns(printed, sizeof printed, ns);
        CHECK(strlen(printed) + 1 < sizeof printed, "\"%s\" may be cut", printed);
    }
    if (unit_bytes(text, &bytes, &err)) {
        unit_format_bytes(printed, sizeof printed, bytes);
        CHECK(strlen(printed) + 1 < sizeof printed, "\"%s\" may be cut", printed);
    }
    CHECK(!unit_number(text, &value, &err) || isfinite(value), "\"%s\" is infinite",
          text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    if (size >= sizeof text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    check_whole(text);
    check_dimension(text);
    return 0;
}
