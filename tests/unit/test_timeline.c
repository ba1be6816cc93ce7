/* SPDX-License-Identifier: Apache-2.0
 *
 * Timelines: JSON, in order of time, lanes that never hold two requests at once.
 */
#include "base/json.h"
#include "base/mem.h"
#include "reports/timeline.h"
#include "tests/harness.h"
#include "tests/json_fixture.h"
#include "tests/sample_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json *timeline_of(const struct run_record *run)
{
    char *text = NULL;
    size_t bytes = 0;
    struct json *json = NULL;
    struct err err = {0};
    FILE *stream = open_memstream(&text, &bytes);
    REQUIRE(stream != NULL);
    timeline_write(run, stream);
    REQUIRE(fclose(stream) == 0);
    REQUIRE_OK(json_parse(&json, "timeline", text, bytes, &err), &err);
    free(text);
    return json;
}

static const char *text_of(const struct json *event, const char *key)
{
    const char *text = json_str(json_get(event, key));
    return text == NULL ? "" : text;
}

/* Of a key in microseconds; -1 when absent. */
static int64_t ns_of(const struct json *event, const char *key)
{
    double us = -1;
    return json_f64(json_get(event, key), &us) ? (int64_t)(us * 1000 + 0.5) : -1;
}

static int64_t number_of(const struct json *event, const char *key)
{
    int64_t number = -1;
    (void)json_i64(json_get(event, key), &number);
    return number;
}

static size_t count_of(const struct json *events, const char *phase, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *event = json_at(events, i);
        count += strcmp(text_of(event, "ph"), phase) == 0 &&
                         strcmp(text_of(event, "name"), name) == 0
                     ? 1
                     : 0;
    }
    return count;
}

static struct run_record *made_up(size_t requests)
{
    const struct sample sample = {
        .name = "a \"quoted\" name", .seed = 1, .requests = requests, .engines = 3};
    return sample_run(&sample);
}

static void every_request_is_there_once_and_in_order(void)
{
    struct run_record *const run = made_up(150);
    struct json *const json = timeline_of(run);
    const struct json *const events = json_get(json, "traceEvents");
    int64_t before_ns = 0;
    size_t scheduled = 0;
    for (size_t i = 0; i < json_count(events); i++) {
        const int64_t at_ns = ns_of(json_at(events, i), "ts");
        if (at_ns >= 0) {
            REQUIRE(at_ns >= before_ns);
            before_ns = at_ns;
        }
    }
    for (size_t i = 0; i < run->request_count; i++) {
        scheduled += run->requests[i].scheduled_ns != RUN_TIME_NONE ? 1 : 0;
    }
    EXPECT(scheduled > 130 && scheduled < 150);
    EXPECT_U64(count_of(events, "X", "request"), 150);
    EXPECT_U64(count_of(events, "b", "queue"), scheduled);
    EXPECT_U64(count_of(events, "e", "queue"), scheduled);
    EXPECT_U64(count_of(events, "X", "prefill"), scheduled);
    EXPECT_U64(count_of(events, "s", "request"), scheduled);
    EXPECT_U64(count_of(events, "f", "request"), scheduled);
    EXPECT_U64(count_of(events, "C", "requests"), run->sample_count);
    EXPECT_U64(count_of(events, "M", "process_name"), 4);
    EXPECT_STR(text_of(json_get(json, "otherData"), "run"), "a \"quoted\" name");
    json_delete(json);
    run_record_delete(run);
}

/* No lane holds two requests at once, and lanes are used again. */
static void expect_lanes_apart(const struct json *events)
{
    enum { LANES = 2000, ENGINES = 3 };
    int64_t *const busy_ns = mem_alloc(LANES, ENGINES * sizeof *busy_ns);
    int64_t lanes = 0;
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *const event = json_at(events, i);
        if (strcmp(text_of(event, "ph"), "X") != 0 || number_of(event, "pid") < 2) {
            continue;
        }
        const int64_t lane = number_of(event, "tid") - 1;
        const int64_t engine = number_of(event, "pid") - 2;
        REQUIRE(lane >= 0 && lane < LANES && engine >= 0 && engine < ENGINES);
        const int64_t at_ns = ns_of(event, "ts");
        EXPECT(at_ns >= busy_ns[lane * ENGINES + engine]);
        busy_ns[lane * ENGINES + engine] = at_ns + ns_of(event, "dur");
        lanes = lane > lanes ? lane : lanes;
    }
    EXPECT(lanes < 40); /* lanes are used again */
    mem_free(busy_ns);
}

static void a_lane_holds_one_request_at_a_time(void)
{
    struct run_record *const run = made_up(200);
    /* Ends that meet beginnings, and requests of no length. */
    for (size_t i = 0; i < run->request_count; i++) {
        struct request_row *const row = &run->requests[i];
        if (row->scheduled_ns != RUN_TIME_NONE && i % 7 == 0) {
            row->first_token_ns = row->end_ns = row->scheduled_ns;
        } else if (row->scheduled_ns != RUN_TIME_NONE && i % 5 == 0) {
            row->end_ns = row->first_token_ns;
        }
    }
    struct json *const json = timeline_of(run);
    const struct json *const events = json_get(json, "traceEvents");
    expect_lanes_apart(events);
    json_delete(json);
    run_record_delete(run);
}

/* Prompts at engine 1, outputs at 2. Of every six requests with a handover one is lost
 * in each stage, one has an only token, and one is whole. */
static struct run_record *apart(void)
{
    struct run_record *const run = made_up(240);
    for (size_t i = 0; i < run->request_count; i++) {
        struct request_row *const row = &run->requests[i];
        if (row->scheduled_ns == RUN_TIME_NONE || i % 2 == 0) {
            continue;
        }
        const size_t stage = i / 2 % 6;
        struct handover_row handover = {
            .request = (uint32_t)i,
            .prefill_engine = 1,
            .prefill_end_ns = row->scheduled_ns + 1000,
            .kv_asked_ns = row->scheduled_ns + 2000,
            .kv_here_ns = row->scheduled_ns + 3000,
        };
        row->engine = 2;
        row->end_ns = stage < 4    ? row->scheduled_ns + 500 + 1000 * (int64_t)stage
                      : stage == 4 ? row->first_token_ns
                                   : row->end_ns;
        row->first_token_ns = stage < 4 ? RUN_TIME_NONE : row->first_token_ns;
        handover.prefill_end_ns = stage < 1 ? RUN_TIME_NONE : handover.prefill_end_ns;
        handover.kv_asked_ns = stage < 2 ? RUN_TIME_NONE : handover.kv_asked_ns;
        handover.kv_here_ns = stage < 3 ? RUN_TIME_NONE : handover.kv_here_ns;
        REQUIRE(run_add_handover(run, &handover));
    }
    return run;
}

static void a_prompt_computed_apart_runs_on_at_the_other_engine(void)
{
    struct run_record *const run = apart();
    struct json *const json = timeline_of(run);
    const struct json *const events = json_get(json, "traceEvents");
    size_t scheduled = 0;
    size_t asked = 0;
    size_t here = 0;
    size_t seconds = 0;
    for (size_t i = 0; i < run->request_count; i++) {
        scheduled += run->requests[i].scheduled_ns != RUN_TIME_NONE ? 1 : 0;
    }
    for (size_t i = 0; i < run->handover_count; i++) {
        seconds += run->handovers[i].prefill_end_ns != RUN_TIME_NONE ? 1 : 0;
        asked += run->handovers[i].kv_asked_ns != RUN_TIME_NONE ? 1 : 0;
        here += run->handovers[i].kv_here_ns != RUN_TIME_NONE ? 1 : 0;
    }
    EXPECT(here > 50 && asked > here && seconds > asked && scheduled > seconds);
    EXPECT_U64(count_of(events, "X", "prefill"), scheduled);
    EXPECT_U64(count_of(events, "X", "KV transfer"), asked);
    EXPECT_U64(count_of(events, "X", "first step"), here);
    EXPECT_U64(count_of(events, "b", "queue"), scheduled + seconds);
    EXPECT_U64(count_of(events, "e", "queue"), scheduled + seconds);
    /* One end, whatever the stage that it was lost in. */
    EXPECT_U64(count_of(events, "s", "request"), scheduled);
    EXPECT_U64(count_of(events, "f", "request"), scheduled);
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *const event = json_at(events, i);
        const char *const name = text_of(event, "name");
        if (strcmp(name, "KV transfer") == 0 || strcmp(name, "first step") == 0) {
            EXPECT_I64(number_of(event, "pid"), 2 + 2);
            EXPECT(ns_of(event, "dur") >= 0);
        }
    }
    expect_lanes_apart(events);
    json_delete(json);
    run_record_delete(run);
}

static void requests_of_no_length_leave_their_lane_free(void)
{
    struct run_record *const run = made_up(60);
    for (size_t i = 0; i < run->request_count; i++) {
        struct request_row *const row = &run->requests[i];
        if (row->scheduled_ns != RUN_TIME_NONE) {
            row->first_token_ns = row->end_ns = row->scheduled_ns;
        }
    }
    struct json *const json = timeline_of(run);
    /* The router, and one lane for each of three engines. */
    EXPECT_U64(count_of(json_get(json, "traceEvents"), "M", "thread_name"), 4);
    json_delete(json);
    run_record_delete(run);
}

static void a_run_without_rows_is_an_empty_timeline(void)
{
    struct run_record *const run = made_up(0);
    struct json *const json = timeline_of(run);
    EXPECT_U64(count_of(json_get(json, "traceEvents"), "X", "request"), 0);
    json_delete(json);
    run_record_delete(run);
}

HARNESS_MAIN("timeline", TEST(every_request_is_there_once_and_in_order),
             TEST(a_lane_holds_one_request_at_a_time),
             TEST(a_prompt_computed_apart_runs_on_at_the_other_engine),
             TEST(requests_of_no_length_leave_their_lane_free),
             TEST(a_run_without_rows_is_an_empty_timeline))
