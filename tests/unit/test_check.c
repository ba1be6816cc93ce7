/* SPDX-License-Identifier: Apache-2.0
 *
 * A broken CHECK says where, what and with which values, and ends the process.
 */
#include "base/check.h"
#include "tests/harness.h"

static void break_a_fact(void *context)
{
    const int *used = context;
    CHECK(*used <= 3, "used %d of %d blocks", *used, 3);
}

static void broken_fact_aborts_with_its_values(void)
{
    int used = 4;
    EXPECT_ABORTS(break_a_fact, &used, "CHECK(*used <= 3) failed: used 4 of 3 blocks");
    EXPECT_ABORTS(break_a_fact, &used, "tests/unit/test_check.c:");
}

static void fact_that_holds_does_nothing(void)
{
    int used = 3;
    break_a_fact(&used);
    EXPECT(used == 3);
}

static void dcheck_never_evaluates_when_off(void)
{
    int calls = 0;
    DCHECK(++calls == 1, "side effects are visible here");
#ifdef STACKSIM_DCHECK
    EXPECT_I64(calls, 1);
#else
    EXPECT_I64(calls, 0);
#endif
}

HARNESS_MAIN("check", TEST(broken_fact_aborts_with_its_values),
             TEST(fact_that_holds_does_nothing), TEST(dcheck_never_evaluates_when_off))
