/* SPDX-License-Identifier: Apache-2.0
 *
 * test_workload_generate.c: populations: their keys, arrivals, prompts and streams.
 */
#include "base/map.h"
#include "stats/arrivals.h"
#include "tests/trace_fixture.h"
#include "traces/workload.h"

#include <stdio.h>

static const char plain[] =
    "generate:\n"
    "  - arrival: {kind: poisson, rate_per_s: 10}\n"
    "    input: {kind: lognormal, mu: 5.7, sigma: 0.9, min: 1, max: 800}\n"
    "    output: {kind: uniform, min: 3, max: 5}\n"
    "    requests: 20\n";

static struct workload *open_conf(const char *text, uint64_t seed)
{
    struct conf *conf = NULL;
    struct workload *workload = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    REQUIRE_OK(workload_open_conf(&workload, conf_root(conf), seed, NULL, &err), &err);
    conf_delete(conf);
    return workload;
}

static void single_requests_have_content_of_their_own(void)
{
    struct fixture *const drawn = fixture_conf(plain, 1);
    REQUIRE(drawn->count == 20);
    for (size_t i = 0; i < drawn->count; i++) {
        const struct trace_record *const record = &drawn->rows[i].record;
        EXPECT_U64(record->id, i);
        EXPECT_U64(record->session, 0);
        EXPECT(record->prompt_tokens >= 1 && record->prompt_tokens <= 800);
        EXPECT(record->output_tokens >= 3 && record->output_tokens <= 5);
        REQUIRE(record->segment_count == 1);
        EXPECT_U64(drawn->rows[i].pieces[0].stream, segment_stream(SEGMENT_UNIQUE, i));
    }
    EXPECT_HAS(workload_origin(drawn->workload), "generated: single, poisson 10/s");
    fixture_free(drawn);
}

static void seeds_decide_everything(void)
{
    struct fixture *const a = fixture_conf(plain, 1);
    struct fixture *const b = fixture_conf(plain, 1);
    struct fixture *const other = fixture_conf(plain, 2);
    size_t different = 0;
    for (size_t i = 0; i < a->count; i++) {
        EXPECT_I64(b->rows[i].record.arrival_ns, a->rows[i].record.arrival_ns);
        EXPECT_U64(b->rows[i].record.prompt_tokens, a->rows[i].record.prompt_tokens);
        different += other->rows[i].record.arrival_ns != a->rows[i].record.arrival_ns;
    }
    EXPECT_U64(different, 20);
    fixture_free(a);
    fixture_free(b);
    fixture_free(other);
}

/* Another population leaves the first one's records as they were, but for their place.
 */
static void populations_do_not_disturb_one_another(void)
{
    struct text both = {0};
    text_add(&both, plain);
    text_add(&both, "  - {arrival: {kind: fixed, rate_per_s: 5}, input: 7, output: 1, "
                    "requests: 10}\n");
    struct fixture *const alone = fixture_conf(plain, 3);
    struct fixture *const merged = fixture_conf(text_str(&both), 3);
    size_t at = 0;
    size_t others = 0;
    REQUIRE(merged->count == 30);
    for (size_t i = 0; i < merged->count; i++) {
        const struct trace_record *const record = &merged->rows[i].record;
        EXPECT(i == 0 || record->arrival_ns >= merged->rows[i - 1].record.arrival_ns);
        if (record->id >> 48 != 0) {
            EXPECT_I64(record->arrival_ns, (int64_t)others * 200000000);
            EXPECT_U64(record->id, (UINT64_C(1) << 48) + others++);
            continue;
        }
        EXPECT_I64(record->arrival_ns, alone->rows[at].record.arrival_ns);
        EXPECT_U64(record->output_tokens, alone->rows[at++].record.output_tokens);
    }
    fixture_free(alone);
    fixture_free(merged);
    text_fini(&both);
}

static void prefix_groups_share_their_text(void)
{
    struct fixture *const drawn = fixture_conf(
        "generate:\n  arrival: {kind: batch, size: 4, period: 1s}\n  input: 10\n"
        "  output: 1\n  requests: 60\n  prefix: {groups: 3, tokens: 256, zipf: 1}\n",
        4);
    size_t of_group[3] = {0};
    for (size_t i = 0; i < drawn->count; i++) {
        const struct fixture_row *const row = &drawn->rows[i];
        EXPECT_I64(row->record.arrival_ns, (int64_t)(i / 4) * 1000000000);
        EXPECT_U64(row->record.prompt_tokens, 266);
        REQUIRE(row->record.segment_count == 2);
        const uint64_t group = segment_id_of(row->pieces[0].stream);
        REQUIRE(group < 3);
        EXPECT_U64(row->record.session, group + 1);
        EXPECT_U64(row->pieces[0].tokens, 256);
        EXPECT_U64(row->pieces[1].stream, segment_stream(SEGMENT_UNIQUE, i));
        of_group[group]++;
    }
    EXPECT(of_group[0] > of_group[2] && of_group[2] > 0);
    fixture_free(drawn);
}

/* 2 clients with 3 texts each: six whole prompts that come again and again, and nothing
 * else of the population changes. */
static void a_client_with_few_texts_sends_whole_prompts_again(void)
{
    static const char form[] =
        "generate:\n  arrival: {kind: poisson, rate_per_s: 4}\n  input: 100\n"
        "  output: 1\n  requests: 60\n  prefix: {groups: 2, tokens: 64%s}\n";
    char text[256];
    snprintf(text, sizeof text, form, ", prompts: 3");
    struct fixture *const drawn = fixture_conf(text, 4);
    snprintf(text, sizeof text, form, "");
    struct fixture *const plain_drawn = fixture_conf(text, 4);
    size_t of_text[8] = {0};
    for (size_t i = 0; i < drawn->count; i++) {
        const struct fixture_row *const row = &drawn->rows[i];
        REQUIRE(row->record.segment_count == 2);
        const uint64_t group = segment_id_of(row->pieces[0].stream);
        const uint64_t id = segment_id_of(row->pieces[1].stream);
        REQUIRE(id >= 2 && id < 8);
        EXPECT_U64((id - 2) / 3, group);
        EXPECT_I64(row->record.arrival_ns, plain_drawn->rows[i].record.arrival_ns);
        EXPECT_U64(row->record.prompt_tokens, 164);
        of_text[id]++;
    }
    for (size_t id = 2; id < 8; id++) { /* 10 each, standard deviation 3 */
        EXPECT(of_text[id] > 1 && of_text[id] < 24);
    }
    fixture_free(plain_drawn);
    fixture_free(drawn);
}

/* Measured rate, gap CV and dispersion of 60 s counts of a long stream. */
static void measure(const char *arrival, double figures[3])
{
    const int64_t window[] = {INT64_C(60000000000)};
    struct text text = {0};
    struct arrivals *const arrivals = arrivals_new(window, 1);
    const struct trace_record *record = NULL;
    struct err err = {0};
    text_printf(&text,
                "generate:\n  arrival: %s\n  input: 1\n  output: 1\n  duration: 10h\n",
                arrival);
    struct workload *const workload = open_conf(text_str(&text), 5);
    double rows = 0;
    while (workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        arrivals_add(arrivals, record->arrival_ns);
        rows += 1;
    }
    figures[0] = rows / 36000;
    figures[1] = arrivals_gap_cv(arrivals);
    figures[2] = arrivals_dispersion(arrivals, 0);
    arrivals_delete(arrivals);
    workload_close(workload);
    text_fini(&text);
}

static void arrivals_have_their_rate_and_variability(void)
{
    static const struct {
        const char *arrival;
        double rate;
        double cv;
        double dispersion;
        double tolerance;
    } cases[] = {
        {"{kind: poisson, rate_per_s: 5}", 5, 1, 1, 0.15},
        {"{kind: fixed, rate_per_s: 5}", 5, 0, 0, 0.01},
        {"{kind: gamma, rate_per_s: 5, cv: 2}", 5, 2, 4, 0.15},
        {"{kind: gamma, rate_per_s: 5, shape: 0.25}", 5, 2, 4, 0.15},
        {"{kind: weibull, rate_per_s: 5, shape: 2}", 5, 0.5227, 0.2732, 0.15},
        {"{kind: linear, rate_per_s: 4, slope_per_s2: 0}", 4, 1, 1, 0.15},
        /* a rate of 0 and 10 in turns, each for an hour: the counts vary by rate, 300^2
         * over the mean of 300; four gaps of an hour among 180,000 of 0.1 s */
        {"{kind: rate_table, steps: [{at: 0s, rate_per_s: 0}, {at: 1h, rate_per_s: "
         "10}], "
         "period: 2h}",
         5, 94.3, 301, 0.15},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double figures[3];
        harness_note("%s", cases[i].arrival);
        measure(cases[i].arrival, figures);
        EXPECT_CLOSE(figures[0], cases[i].rate, 0.03);
        EXPECT_NEAR(figures[1], cases[i].cv, 0.15 * cases[i].cv + 0.01);
        EXPECT_NEAR(figures[2], cases[i].dispersion,
                    cases[i].tolerance * cases[i].dispersion + 0.01);
    }
}

static void linear_rates_rise_and_may_end(void)
{
    double figures[3];
    /* mean of 1 + 0.0001 t over 36,000 s is 2.8 */
    measure("{kind: linear, rate_per_s: 1, slope_per_s2: 0.0001}", figures);
    EXPECT_CLOSE(figures[0], 2.8, 0.02);
    /* 1 - t / 1800 ends after 1,800 s with 900 requests */
    measure("{kind: linear, rate_per_s: 1, slope_per_s2: -0.00055555}", figures);
    EXPECT_CLOSE(figures[0], 900.0 / 36000, 0.1);
    /* a table whose last rate is 0 ends as well */
    measure(
        "{kind: rate_table, steps: [{at: 0s, rate_per_s: 2}, {at: 100s, rate_per_s: "
        "0}]}",
        figures);
    EXPECT_CLOSE(figures[0], 200.0 / 36000, 0.25);
}

static void chat_turns_continue_their_session(void)
{
    struct workload *const workload =
        open_conf("generate:\n  - {program: chat, preset: moon-conv, requests: 4000, "
                  "branch_ratio: 0, resend_ratio: 0}\n",
                  6);
    struct map *const prompt_of = map_new(4096, 1 << 20);
    struct map *const output_of = map_new(4096, 1 << 20);
    const struct trace_record *record = NULL;
    struct err err = {0};
    uint64_t rows = 0;
    uint64_t turns = 0;
    int64_t last_ns = 0;
    while (workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        EXPECT_U64(record->id, rows++);
        EXPECT(record->arrival_ns >= last_ns);
        EXPECT_U64(segment_tokens(record->segments, record->segment_count),
                   record->prompt_tokens);
        EXPECT_U64(record->segments[0].stream, segment_stream(SEGMENT_TEXT, 0));
        EXPECT_U64(record->segments[0].tokens, 885);
        last_ns = record->arrival_ns;
        EXPECT((record->turn > 0) == (record->parent_count > 0));
        uint32_t prompt = 0;
        uint32_t output = 0;
        if (record->parent_count > 0) {
            const uint64_t parent = record->parents[0];
            REQUIRE(map_get(prompt_of, parent, &prompt));
            REQUIRE(map_get(output_of, parent, &output));
            EXPECT(record->prompt_tokens > prompt + output); /* history + new text */
            const struct segment *const answer =
                &record->segments[record->segment_count - 2];
            EXPECT_U64(answer->stream, segment_stream(SEGMENT_OUTPUT, parent));
            EXPECT_U64(answer->tokens, output);
            turns++;
        }
        map_put(prompt_of, record->id, record->prompt_tokens);
        map_put(output_of, record->id, record->output_tokens);
    }
    EXPECT_U64(rows, 4000);
    EXPECT(turns > 800);
    map_delete(prompt_of);
    map_delete(output_of);
    workload_close(workload);
}

/* 5 turns, and hardly ever a sixth. */
static void sessions_have_the_turns_they_must_have(void)
{
    struct fixture *const drawn = fixture_conf(
        "generate:\n  - {program: chat, warm_up: 0s, duration: 400h, requests: 60,\n"
        "     turns_min: 5, continue_a: 0, continue_b: 1e9, system_tokens: 0,\n"
        "     arrival: {kind: batch, size: 6, period: 300h}}\n",
        3);
    size_t of_turn[6] = {0};
    for (size_t i = 0; i < drawn->count; i++) {
        const uint32_t turn = drawn->rows[i].record.turn;
        of_turn[turn < 5 ? turn : 5]++;
    }
    for (size_t turn = 0; turn < 5; turn++) {
        EXPECT_U64(of_turn[turn], 12);
    }
    EXPECT_U64(of_turn[5], 0);
    fixture_free(drawn);
}

static void chat_begins_with_conversations_under_way(void)
{
    struct fixture *const warm =
        fixture_conf("generate:\n  - {program: chat, requests: 60}\n", 7);
    struct fixture *const cold =
        fixture_conf("generate:\n  - {program: chat, requests: 60, warm_up: 0s}\n", 7);
    for (size_t i = 0; i < 60; i++) {
        EXPECT(warm->rows[i].record.arrival_ns >= 0);
    }
    EXPECT(warm->rows[0].record.session > 1000); /* sessions before time 0 */
    EXPECT(cold->rows[0].record.session == 1);
    fixture_free(warm);
    fixture_free(cold);
}

static void chat_keeps_below_its_prompt_limit(void)
{
    struct workload *const workload =
        open_conf("generate:\n  - {program: chat, requests: 3000, prompt_max: 4000, "
                  "system_tokens: 100, arrival: {kind: poisson, rate_per_s: 2}, "
                  "output: {kind: lognormal, mu: 4, sigma: 1, min: 2, max: 300}}\n",
                  8);
    const struct trace_record *record = NULL;
    struct err err = {0};
    uint32_t largest = 0;
    uint32_t output = 0;
    while (workload_next(workload, &record, &err) == WORKLOAD_RECORD) {
        largest = record->prompt_tokens > largest ? record->prompt_tokens : largest;
        output = record->output_tokens > output ? record->output_tokens : output;
    }
    EXPECT_U64(largest, 4000); /* first prompts are clamped to it */
    EXPECT(output <= 300);
    workload_close(workload);
}

static void wrong_keys_are_told_with_their_line(void)
{
    fixture_refuses_conf("x: 1\n", "give one of 'trace' and 'generate'");
    fixture_refuses_conf("trace: a\ngenerate: []\n", "give one of");
    fixture_refuses_conf("generate: []\n", "0 populations");
    fixture_refuses_conf("generate:\n  - {program: chatt, requests: 1}\n", "chatt");
    fixture_refuses_conf("generate:\n  - {program: chat}\n",
                         "a population without end");
    fixture_refuses_conf("generate:\n  - {program: chat, requests: 1, colour: red}\n",
                         "test.yaml:2: ");
    fixture_refuses_conf("generate:\n  - {requests: 1, input: 1, output: 1}\n",
                         "arrival");
    fixture_refuses_conf("generate:\n  - {requests: 1, input: 1, output: 1, arrival: "
                         "{kind: poisson}}\n",
                         "rate_per_s");
    fixture_refuses_conf(
        "generate:\n  - {requests: 1, output: 1, arrival: {kind: poisson,"
        " rate_per_s: 1}, input: {kind: gamma, shape: -1, scale: 1}}\n",
        "test.yaml:2: gamma: shape and scale must be above 0");
    fixture_refuses_conf(
        "generate:\n  - {requests: 1, output: 1, arrival: {kind: poisson,"
        " rate_per_s: 1}, input: {preset: moon}}\n",
        "no table 'moon'; there are: moon-conv-input");
    fixture_refuses_conf(
        "generate:\n  - {requests: 1, output: 1, arrival: {kind: poisson,"
        " rate_per_s: 1}, input: {kind: quantiles, p: [0, 1], values: "
        "[1]}}\n",
        "equally many");
    fixture_refuses_conf("generate:\n  - {program: chat, requests: 1, output: {kind: "
                         "zipf, exponent: 1, count: 9}}\n",
                         "session_effect");
    fixture_refuses_conf(
        "generate:\n  - {program: chat, requests: 1, prompt_max: 500}\n",
        "system_tokens");
    fixture_refuses_conf("trace: /no/such/file\n", "/no/such/file");
    fixture_refuses_conf("trace: a\non_error: never\n", "never");
}

static void trace_of_a_scenario_is_found_beside_it(void)
{
    static const char rows[] = "arrival_s,input_tokens,output_tokens\n1,2,3\n4,5,6\n";
    (void)harness_temp_file("beside.csv", rows, sizeof(rows) - 1);
    struct conf *conf = NULL;
    struct workload *workload = NULL;
    struct err err = {0};
    static const char text[] = "trace: beside.csv\nrate_factor: 2\nlimit: 1\ntick: 0s\n"
                               "on_error: skip\n";
    char folder[1024];
    (void)snprintf(folder, sizeof(folder), "%s", harness_temp("x"));
    *strrchr(folder, '/') = '\0';
    REQUIRE_OK(conf_parse(&conf, "s.yaml", text, sizeof(text) - 1, &err), &err);
    REQUIRE_OK(workload_open_conf(&workload, conf_root(conf), 1, folder, &err), &err);
    const struct trace_record *record = NULL;
    EXPECT(workload_next(workload, &record, &err) == WORKLOAD_RECORD);
    EXPECT_I64(record->arrival_ns, 500000000);
    EXPECT(workload_next(workload, &record, &err) == WORKLOAD_END);
    workload_close(workload);
    conf_delete(conf);
}

/* The lengths stay as they were; only the gateway learns of them. */
static void predicted_lengths_are_the_true_ones(void)
{
    static const char single[] = "generate:\n"
                                 "  - arrival: {kind: poisson, rate_per_s: 10}\n"
                                 "    input: 10\n"
                                 "    output: {kind: uniform, min: 3, max: 500}\n"
                                 "    predicted: true\n"
                                 "    requests: 20\n";
    static const char chat[] = "generate:\n"
                               "  - {program: chat, preset: moon-conv, warm_up: 0s, "
                               "predicted: true, requests: 20}\n";
    const char *const texts[] = {single, chat, plain};
    for (size_t text = 0; text < 3; text++) {
        struct fixture *const drawn = fixture_conf(texts[text], 1);
        REQUIRE(drawn->count == 20);
        for (size_t i = 0; i < drawn->count; i++) {
            const struct trace_record *const record = &drawn->rows[i].record;
            EXPECT_U64(record->output_tokens_guess,
                       text < 2 ? record->output_tokens : 0);
        }
        fixture_free(drawn);
    }
}

/* What the gateway learns of a request, and no more than that, is another. */
static void clients_may_cap_their_answers_and_hide_their_session(void)
{
#define SINGLE                                                                         \
    "generate:\n"                                                                      \
    "  - arrival: {kind: poisson, rate_per_s: 10}\n"                                   \
    "    prefix: {groups: 3, tokens: 100}\n"                                           \
    "    input: 10\n"                                                                  \
    "    output: {kind: uniform, min: 3, max: 500}\n"                                  \
    "    requests: 20\n"
#define CHAT                                                                           \
    "generate:\n"                                                                      \
    "  - program: chat\n"                                                              \
    "    preset: moon-conv\n"                                                          \
    "    warm_up: 0s\n"                                                                \
    "    requests: 20\n"
#define QA                                                                             \
    "generate:\n"                                                                      \
    "  - program: multi_round_qa\n"                                                    \
    "    users: 30\n"                                                                  \
    "    rounds: 3\n"                                                                  \
    "    time: 60s\n"                                                                  \
    "    runs: [{qps: 4}]\n"                                                           \
    "    requests: 20\n"
#define HIDDEN "    capped: true\n    session: false\n"
    static const char *const texts[][2] = {
        {SINGLE, SINGLE HIDDEN}, {CHAT, CHAT HIDDEN}, {QA, QA HIDDEN}};
    for (size_t form = 0; form < 3; form++) {
        struct fixture *const open = fixture_conf(texts[form][0], 1);
        struct fixture *const closed = fixture_conf(texts[form][1], 1);
        REQUIRE(open->count == 20 && closed->count == 20);
        for (size_t i = 0; i < open->count; i++) {
            const struct trace_record *const shown = &open->rows[i].record;
            const struct trace_record *const hidden = &closed->rows[i].record;
            EXPECT(shown->session != 0);
            EXPECT_U64(hidden->session, 0);
            EXPECT_U64(shown->output_tokens_max, form == 2 ? shown->output_tokens : 0);
            EXPECT_U64(hidden->output_tokens_max, shown->output_tokens);
            EXPECT_U64(hidden->output_tokens, shown->output_tokens);
            EXPECT_I64(hidden->arrival_ns, shown->arrival_ns);
        }
        fixture_free(open);
        fixture_free(closed);
    }
}

HARNESS_MAIN("workload_generate", TEST(single_requests_have_content_of_their_own),
             TEST(seeds_decide_everything),
             TEST(populations_do_not_disturb_one_another),
             TEST(prefix_groups_share_their_text),
             TEST(a_client_with_few_texts_sends_whole_prompts_again),
             TEST(arrivals_have_their_rate_and_variability),
             TEST(linear_rates_rise_and_may_end),
             TEST(chat_turns_continue_their_session),
             TEST(sessions_have_the_turns_they_must_have),
             TEST(chat_begins_with_conversations_under_way),
             TEST(chat_keeps_below_its_prompt_limit),
             TEST(predicted_lengths_are_the_true_ones),
             TEST(clients_may_cap_their_answers_and_hide_their_session),
             TEST(wrong_keys_are_told_with_their_line),
             TEST(trace_of_a_scenario_is_found_beside_it))
