/* SPDX-License-Identifier: Apache-2.0
 *
 * harness.h: what CUnit lacks: values in messages, seeds, skipping, paths.
 *
 *     static void full_pool_refuses_and_keeps_its_count(void)
 *     {
 *         EXPECT_U64(kvpool_used(pool), 16);
 *     }
 *     HARNESS_MAIN("kvpool", TEST(full_pool_refuses_and_keeps_its_count))
 *
 * An EXPECT prints got and expected and lets the test go on; a REQUIRE ends it. Run an
 * executable with a word to run only the tests whose name holds it.
 */
#ifndef STACKSIM_TESTS_HARNESS_H
#define STACKSIM_TESTS_HARNESS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct harness_test {
    const char *name;
    void (*run)(void);
};

#define TEST(function)                                                                 \
    {                                                                                  \
#function, function                                                            \
    }

#define HARNESS_MAIN(suite, ...)                                                       \
    int main(int argc, char **argv)                                                    \
    {                                                                                  \
        const struct harness_test tests[] = {__VA_ARGS__};                             \
        return harness_main(suite, tests, sizeof tests / sizeof tests[0], argc, argv); \
    }

/* 0: all passed, 1: one failed, 77: none failed and at least one was skipped. */
int harness_main(const char *suite, const struct harness_test *tests, size_t count,
                 int argc, char **argv);

/* Added to the message of every failure that follows in this test: the seed, the case
 * of a table. */
void harness_note(const char *format, ...) PRINTF_LIKE(1, 2);

/* Marks the running test as skipped and says why; return after it. */
void harness_skip(const char *format, ...) PRINTF_LIKE(1, 2);

/* Paths live until the test executable ends.
 * Of a file in the source tree: harness_source("configs/gpus"). */
const char *harness_source(const char *relative_path);
/* Of recorded data in $STACKSIM_DATA, else ../shared; NULL when it is not there (then
 * the test was marked as skipped). */
const char *harness_data(const char *relative_path);
/* Of a file to be made in the test's own folder, which starts out empty. */
const char *harness_temp(const char *name);
/* Makes such a file with this content and returns its path. */
const char *harness_temp_file(const char *name, const void *bytes, size_t byte_count);

/* All return whether the expectation held, so that a loop can stop early. */
struct harness_at {
    const char *file;
    int line;
    const char *got_text;
    bool fatal;
};
#define HARNESS_AT(text, fatal)                                                        \
    (struct harness_at)                                                                \
    {                                                                                  \
        __FILE__, __LINE__, text, fatal                                                \
    }

bool harness_true(struct harness_at at, bool got);
bool harness_i64(struct harness_at at, int64_t got, int64_t expected);
bool harness_u64(struct harness_at at, uint64_t got, uint64_t expected);
bool harness_near(struct harness_at at, double got, double expected, double tolerance);
bool harness_str(struct harness_at at, const char *got, const char *expected);
bool harness_bytes(struct harness_at at, const void *got, const void *expected,
                   size_t byte_count);
bool harness_has(struct harness_at at, const char *got, const char *part);
bool harness_ok(struct harness_at at, bool got, const struct err *err);
/* Fails and ends the test; err may be NULL. */
_Noreturn bool harness_end(struct harness_at at, const struct err *err);
bool harness_fails(struct harness_at at, bool got, const struct err *err,
                   const char *part);

#define EXPECT(got) harness_true(HARNESS_AT(#got, false), got)
/* Two branches, so that compilers and analysers learn what holds afterwards. */
#define REQUIRE(got)                                                                   \
    ((got) ? harness_true(HARNESS_AT(#got, true), true)                                \
           : harness_end(HARNESS_AT(#got, true), NULL))
#define EXPECT_I64(got, expected) harness_i64(HARNESS_AT(#got, false), got, expected)
#define EXPECT_U64(got, expected) harness_u64(HARNESS_AT(#got, false), got, expected)
/* |got - expected| <= tolerance; NaN never holds. */
#define EXPECT_NEAR(got, expected, tolerance)                                          \
    harness_near(HARNESS_AT(#got, false), got, expected, tolerance)
/* Relative: |got - expected| <= ratio * |expected|. */
#define EXPECT_CLOSE(got, expected, ratio)                                             \
    harness_near(HARNESS_AT(#got, false), got, expected,                               \
                 (ratio) * ((expected) < 0 ? -(expected) : (expected)))
#define EXPECT_STR(got, expected) harness_str(HARNESS_AT(#got, false), got, expected)
#define EXPECT_BYTES(got, expected, count)                                             \
    harness_bytes(HARNESS_AT(#got, false), got, expected, count)
/* The text holds this part. */
#define EXPECT_HAS(got, part) harness_has(HARNESS_AT(#got, false), got, part)
/* Prints the error's text when the call failed; ends the test. */
#define REQUIRE_OK(got, err)                                                           \
    ((got) ? harness_ok(HARNESS_AT(#got, true), true, err)                             \
           : harness_end(HARNESS_AT(#got, true), err))
#define EXPECT_OK(got, err) harness_ok(HARNESS_AT(#got, false), got, err)
/* The call must fail, and its message hold this part. */
#define EXPECT_FAILS(got, err, part)                                                   \
    harness_fails(HARNESS_AT(#got, false), got, err, part)
/* The call must end the process with SIGABRT and print this part (a CHECK failed). */
bool harness_aborts(struct harness_at at, void (*run)(void *), void *context,
                    const char *part);
#define EXPECT_ABORTS(run, context, part)                                              \
    harness_aborts(HARNESS_AT(#run, false), run, context, part)

#endif
