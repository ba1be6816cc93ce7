#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The test harness itself: what fails is told with got, expected and the note, and exit
# codes are 0, 1 and 77. A harness that cannot fail would make every other test worthless.
set -eu
probe=$STACKSIM_TMP/probe
cat >"$probe.c" <<'END'
#include "tests/harness.h"
#include <stdio.h>
#include <stdlib.h>
static void holds(void) { EXPECT_I64(3, 3); EXPECT_NEAR(1.0, 1.1, 0.2); }
static void wrong_number(void) { harness_note("seed %d", 42); EXPECT_I64(3, 4); }
static void wrong_text(void) { EXPECT_STR("a", "b"); }
static void wrong_nan(void) { EXPECT_NEAR(0.0 / (double)(rand() * 0), 0, 1e9); }
static void wrong_bytes(void) { EXPECT_BYTES("abc", "abd", 3); }
static void wrong_success(void) { struct err e = {ERR_NONE, ""}; EXPECT_FAILS(true, &e, "x"); }
static void wrong_message(void) { struct err e = {ERR_IO, "disk"}; EXPECT_FAILS(false, &e, "x"); }
static void wrong_failure(void) { struct err e = {ERR_IO, "disk"}; EXPECT_OK(false, &e); }
static void quiet(void *unused) { (void)unused; }
static void wrong_life(void) { EXPECT_ABORTS(quiet, NULL, "x"); }
static void required_ends_the_test(void) { REQUIRE(false); puts("UNREACHABLE"); }
static void skips(void) { harness_skip("no %s", "data"); }
HARNESS_MAIN("probe", TEST(holds), TEST(wrong_number), TEST(wrong_text), TEST(wrong_nan),
             TEST(wrong_bytes), TEST(wrong_success), TEST(wrong_message),
             TEST(wrong_failure), TEST(wrong_life), TEST(required_ends_the_test),
             TEST(skips))
END
${CC:-gcc} -std=c17 -D_GNU_SOURCE -I. -g "$probe.c" tests/harness.c base/err.c -o "$probe" \
    -lcunit -lm

expect() { # EXIT_CODE TEST PART
    code=0
    said=$("$probe" "$2" 2>&1) || code=$?
    if [ "$code" -ne "$1" ] || ! echo "$said" | grep -qF -- "$3"; then
        echo "$2: exit $code, expected $1 with '$3':"
        echo "$said"
        exit 1
    fi
}
expect 0 holds 'passed'
expect 1 wrong_number '3 is 3, expected 4 [seed 42]'
expect 1 wrong_text '"a" is "a", expected "b"'
expect 1 wrong_nan 'expected 0 within'
expect 1 wrong_bytes 'differs at byte 2 of 3: got 63, expected 64'
expect 1 wrong_success 'succeeded, expected a failure'
expect 1 wrong_message 'failed with "disk", expected it to say "x"'
expect 1 wrong_failure 'failed: disk'
expect 1 wrong_life 'did not abort'
expect 1 required_ends_the_test 'false is false'
expect 77 skips 'skipped: no data'
expect 1 no_such_test 'no test to run'
if "$probe" required_ends_the_test | grep -q UNREACHABLE; then
    echo "REQUIRE let the test go on"
    exit 1
fi
