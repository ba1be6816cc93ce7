/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of the decision log, byte for byte.
 */
#include "policies/decision_log.h"
#include "tests/policy_fixture.h"

static void add_row(void *context, const struct decision_row *row)
{
    decision_log_row(row, context);
}

static void a_line_says_who_was_chosen_and_why(void)
{
    struct gateway *gateway = fixture_gateway(
        "least_request", COMPAT_HEAD, 1, (struct fixture_param){"first_on_tie", 1});
    struct text log = {0};
    const struct decision_sink sink = {.context = &log, .on_decision = add_row};
    gateway_log_to(gateway, &sink);
    decision_log_header(&log);
    (void)fixture_open(gateway, 5, &(struct request_view){.request_id = 1});
    fixture_join(gateway, 2);
    (void)fixture_open(gateway, 7, &(struct request_view){.request_id = 2});
    EXPECT_STR(text_str(&log),
               "time_ns,request_id,policy,endpoint_id,url,reason,candidates,"
               "matched_length,score,scores\n"
               "5,1,least_request,,,none,0,0,0,\n"
               "7,2,least_request,0,http://10.0.0.1:8000,least_loaded,2,0,0,\n");
    text_fini(&log);
    gateway_delete(gateway);
}

/* Two in flight at one of three: 2, 0 and 0. Who is not asked for scores pays nothing.
 */
static void scores_of_every_candidate_are_there_when_wanted(void)
{
    struct gateway *gateway = fixture_gateway(
        "least_request", COMPAT_HEAD, 1, (struct fixture_param){"first_on_tie", 1});
    struct text log = {0};
    const struct decision_sink sink = {
        .context = &log, .on_decision = add_row, .wants_scores = true};
    fixture_join(gateway, 3);
    (void)fixture_open(gateway, 1, &(struct request_view){.request_id = 1});
    gateway_log_to(gateway, &sink);
    (void)fixture_open(gateway, 2, &(struct request_view){.request_id = 2});
    EXPECT_STR(text_str(&log),
               "2,2,least_request,1,http://10.0.0.2:8000,least_loaded,3,"
               "0,0,0:1 1:0 2:0\n");
    text_fini(&log);
    gateway_delete(gateway);
}

static void a_url_that_would_break_the_line_is_quoted(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
    struct text log = {0};
    const struct decision_sink sink = {.context = &log, .on_decision = add_row};
    gateway_log_to(gateway, &sink);
    (void)gateway_join(gateway, "a,\"b\"", NULL, 1);
    (void)fixture_open(gateway, 1, &(struct request_view){.request_id = 1});
    EXPECT_STR(text_str(&log),
               "1,1,round_robin,0,\"a,\"\"b\"\"\",round_robin,1,0,0,\n");
    text_fini(&log);
    gateway_delete(gateway);
}

HARNESS_MAIN("unit.decision_log", TEST(a_line_says_who_was_chosen_and_why),
             TEST(scores_of_every_candidate_are_there_when_wanted),
             TEST(a_url_that_would_break_the_line_is_quoted))
