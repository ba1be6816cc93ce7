/* SPDX-License-Identifier: Apache-2.0
 *
 * test_multi_round_qa.c: the Production Stack's benchmark: how many requests it sends,
 * when, and what their prompts share. The counts of spec/production-stack.md 8.1 come
 * from another model of the schedule and may differ by one where a gap is a multiple of
 * a tick.
 */
#include "tests/trace_fixture.h"
#include "traces/workload.h"

#include <stdio.h>

static const int64_t second_ns = INT64_C(1000000000);

struct count {
    size_t requests;
    uint64_t users; /* the largest one */
};

static struct count drain(const char *text)
{
    struct conf *conf = NULL;
    struct workload *workload = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    REQUIRE_OK(workload_open_conf(&workload, conf_root(conf), 1, NULL, &err), &err);
    conf_delete(conf);
    struct count count = {0};
    const struct trace_record *record = NULL;
    while (workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        count.requests++;
        count.users = record->session > count.users ? record->session : count.users;
    }
    workload_close(workload);
    return count;
}

static size_t requests_of(unsigned users, unsigned rounds, const char *qps)
{
    char text[300];
    (void)snprintf(text, sizeof text,
                   "generate:\n  program: multi_round_qa\n  users: %u\n  rounds: %u\n"
                   "  time: 100s\n  runs: [{qps: %s}]\n",
                   users, rounds, qps);
    return drain(text).requests;
}

static void as_many_requests_as_the_benchmark_sends(void)
{
    static const struct {
        unsigned users;
        unsigned rounds;
        const char *qps;
        size_t count;
    } cases[] = {
        {320, 10, "0.1", 11},  {320, 10, "0.5", 55},  {320, 10, "1.3", 145},
        {320, 10, "2.1", 233}, {320, 10, "3.3", 365}, {320, 10, "4.1", 455},
        {260, 20, "2.1", 220}, {15, 20, "0.5", 52},   {15, 20, "1.1", 115},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        harness_note("%u users, %u rounds, %s/s", cases[i].users, cases[i].rounds,
                     cases[i].qps);
        const size_t got = requests_of(cases[i].users, cases[i].rounds, cases[i].qps);
        EXPECT_NEAR((double)got, (double)cases[i].count, 1);
    }
}

/* Two users, three rounds, one request every 2 s and user: a new one joins every
 * 4 s / 2 = 2 s. At 0 s there are user 1, who has finished; user 2, who has asked twice
 * and last at -2 + 2 = 0 s; and user 3, who joins and asks at once. A gap of 2 s ends
 * at 2.1 s. */
static void a_small_run_by_hand(void)
{
    struct fixture *drawn =
        fixture_conf("generate:\n  program: multi_round_qa\n  users: 2\n  rounds: 3\n"
                     "  system_tokens: 100\n  history_tokens: 500\n  answer_tokens: 7\n"
                     "  time: 4500ms\n  runs: [{qps: 1}]\n",
                     1);
    static const struct {
        int64_t tenths;
        uint64_t user;
        uint32_t turn;
        uint32_t prompt;
    } expected[] = {
        {0, 3, 0, 660},  /* 100 + 500 + 60 */
        {21, 2, 2, 660}, /* its third, and first here: no history */
        {21, 3, 1, 687}, /* and 7 of the answer, 20 of a question */
        {21, 4, 0, 660}, {42, 3, 2, 714}, {42, 4, 1, 687}, {42, 5, 0, 660},
    };
    REQUIRE(drawn->count == sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < drawn->count; i++) {
        const struct trace_record *record = &drawn->rows[i].record;
        harness_note("request %zu", i);
        EXPECT_I64(record->arrival_ns, expected[i].tenths * second_ns / 10);
        EXPECT_U64(record->session, expected[i].user);
        EXPECT_U64(record->turn, expected[i].turn);
        EXPECT_U64(record->prompt_tokens, expected[i].prompt);
        EXPECT_U64(record->output_tokens, 7);
        EXPECT_I64(record->arrival_ns + record->cancel_ns, 45 * second_ns / 10);
    }
    const struct trace_record *second = &drawn->rows[2].record;
    EXPECT_U64(second->parent_count, 1);
    EXPECT_U64(second->parents[0], drawn->rows[0].record.id);
    EXPECT_U64(drawn->rows[2].pieces[3].stream,
               segment_stream(SEGMENT_OUTPUT, drawn->rows[0].record.id));
    EXPECT_U64(drawn->rows[0].pieces[0].stream, drawn->rows[1].pieces[0].stream);
    EXPECT(drawn->rows[0].pieces[1].stream != drawn->rows[1].pieces[1].stream);
    fixture_free(drawn);
}

static void users_of_the_next_run_have_the_same_prompts(void)
{
    struct fixture *drawn =
        fixture_conf("generate:\n  program: multi_round_qa\n  users: 2\n  rounds: 3\n"
                     "  time: 1s\n  pause: 10s\n"
                     "  runs: [{qps: 1}, {qps: 1, time: 500ms}]\n",
                     1);
    REQUIRE(drawn->count == 2);
    const struct trace_record *first = &drawn->rows[0].record;
    const struct trace_record *again = &drawn->rows[1].record;
    EXPECT_I64(again->arrival_ns, 11 * second_ns);
    EXPECT_U64(again->session, first->session);
    EXPECT_U64(again->parent_count, 0);
    EXPECT_U64(again->id >> 28, 1);
    EXPECT_U64(drawn->rows[1].pieces[1].stream, drawn->rows[0].pieces[1].stream);
    EXPECT_U64(again->prompt_tokens, 21060);
    fixture_free(drawn);
}

static void the_warm_up_of_the_scripts_meets_every_user(void)
{
    const uint64_t users =
        drain("generate:\n  program: multi_round_qa\n"
              "  runs: [{users: 1, rounds: 2, qps: 2, time: 200s}]\n")
            .users;
    EXPECT(users >= 330 && users <= 400); /* the spec's range */
}

static void wrong_runs_are_refused(void)
{
    fixture_refuses_conf("generate: {program: multi_round_qa}\n", "runs");
    fixture_refuses_conf("generate: {program: multi_round_qa, runs: []}\n",
                         "runs: 1 to");
    fixture_refuses_conf("generate: {program: multi_round_qa, runs: [{qps: 1}]}\n",
                         "users, rounds and time are needed");
    fixture_refuses_conf(
        "generate: {program: multi_round_qa, users: 3, rounds: 1, time: 1s, runs: "
        "[{qps: 1}]}\n",
        "rounds");
    fixture_refuses_conf("generate: {program: multi_round_qa, users: 3, rounds: 2, "
                         "time: 1s, runs: [{qsp: 1}]}\n",
                         "qps");
    fixture_refuses_conf("generate: {program: multi_round_qa, runs: [7]}\n",
                         "each is a map");
}

HARNESS_MAIN("multi_round_qa", TEST(as_many_requests_as_the_benchmark_sends),
             TEST(a_small_run_by_hand),
             TEST(users_of_the_next_run_have_the_same_prompts),
             TEST(the_warm_up_of_the_scripts_meets_every_user),
             TEST(wrong_runs_are_refused))
