/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors are complete sentences that can be quoted in other errors, and each kind has
 * the exit code of ARCHITECTURE 7.
 */
#include "base/err.h"
#include "tests/harness.h"

#include <string.h>

static void set_fills_kind_and_text_and_returns_false(void)
{
    struct err err = {ERR_NONE, ""};
    EXPECT(!err_set(&err, ERR_INPUT, "%s:%d: no number", "a.yaml", 7));
    EXPECT_I64(err.kind, ERR_INPUT);
    EXPECT_STR(err.text, "a.yaml:7: no number");
}

static void null_err_is_legal(void)
{
    EXPECT(!err_set(NULL, ERR_IO, "nobody listens"));
}

static void an_error_can_quote_itself(void)
{
    struct err err = {ERR_NONE, ""};
    (void)err_set(&err, ERR_IO, "disk full");
    (void)err_set(&err, err.kind, "out.db: %s", err.text);
    EXPECT_STR(err.text, "out.db: disk full");
}

static void long_text_is_cut_and_terminated(void)
{
    char long_text[2 * ERR_TEXT_BYTES];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    struct err err = {ERR_NONE, ""};
    (void)err_set(&err, ERR_RUN, "%s", long_text);
    EXPECT_U64(strlen(err.text), ERR_TEXT_BYTES - 1);
}

static void each_kind_has_its_exit_code(void)
{
    EXPECT_I64(err_exit_code(ERR_NONE), 0);
    EXPECT_I64(err_exit_code(ERR_IO), 1);
    EXPECT_I64(err_exit_code(ERR_RUN), 1);
    EXPECT_I64(err_exit_code(ERR_USAGE), 2);
    EXPECT_I64(err_exit_code(ERR_INPUT), 2);
    EXPECT_I64(err_exit_code(ERR_BOUND), 3);
}

HARNESS_MAIN("err", TEST(set_fills_kind_and_text_and_returns_false),
             TEST(null_err_is_legal), TEST(an_error_can_quote_itself),
             TEST(long_text_is_cut_and_terminated), TEST(each_kind_has_its_exit_code))
