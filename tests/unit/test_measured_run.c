/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of a measurement are read to the nanosecond, and refused when they cannot be.
 */
#include "tests/harness.h"
#include "traces/measured_run.h"

#include <math.h>
#include <string.h>

#define ROW(queued, first, last)                                                       \
    "{\"request_id\": \"a\", \"input_toks\": 7, \"output_toks\": 3, "                  \
    "\"arrival_time\": 1000.5, \"queued_ts\": " queued                                 \
    ", \"scheduled_ts\": 20.1, \"first_token_ts\": " first                             \
    ", \"last_token_ts\": " last "}\n"

static const char *file_of(const char *text)
{
    return harness_temp_file("rows", text, strlen(text));
}

static void refuse_requests(const char *text, const char *part)
{
    struct measured_run run;
    struct err err = {0};
    EXPECT_FAILS(measured_run_load(&run, file_of(text), &err), &err, part);
}

static void requests_keep_their_nanoseconds(void)
{
    struct measured_run run;
    struct err err = {0};
    REQUIRE_OK(measured_run_load(&run,
                                 file_of(ROW("20.000000001", "20.5", "21")
                                             ROW("20.25", "20.5", "20.5")),
                                 &err),
               &err);
    EXPECT_U64(run.count, 2);
    EXPECT_U64(run.requests[0].prompt_tokens, 7);
    EXPECT_U64(run.requests[0].output_tokens, 3);
    EXPECT_I64(run.requests[0].arrival_ns, INT64_C(1000500000000));
    EXPECT_I64(run.requests[0].queued_ns, INT64_C(20000000001));
    EXPECT_I64(run.requests[0].scheduled_ns, INT64_C(20100000000));
    EXPECT_I64(run.requests[1].first_token_ns, INT64_C(20500000000));
    EXPECT_I64(run.requests[1].last_token_ns, INT64_C(20500000000));
    int64_t offset_ns = 0;
    EXPECT(measured_run_clock_offset(&run, &offset_ns));
    EXPECT_I64(offset_ns, INT64_C(20000000001) - INT64_C(1000500000000));
    measured_run_fini(&run);
}

static void arrivals_may_be_missing(void)
{
    struct measured_run run;
    struct err err = {0};
    REQUIRE_OK(measured_run_load(
                   &run,
                   file_of("{\"input_toks\": 1, \"output_toks\": 1, \"queued_ts\": 1, "
                           "\"first_token_ts\": 2, \"last_token_ts\": 2}"),
                   &err),
               &err);
    int64_t offset_ns = 0;
    EXPECT(!measured_run_clock_offset(&run, &offset_ns));
    EXPECT_I64(run.requests[0].scheduled_ns, INT64_MIN);
    measured_run_fini(&run);
}

static void broken_requests_are_refused_with_their_line(void)
{
    refuse_requests("", "holds no requests");
    refuse_requests(ROW("20", "20.5", "21") "{\"input_toks\": 7, \"outp", ":2:");
    refuse_requests(ROW("20", "20.5", "21") "{\"input_toks\": 7}\n",
                    ":2: output_toks: is missing");
    refuse_requests(ROW("20", "19", "21"), ":1: first_token_ts: lies before queued_ts");
    refuse_requests(ROW("20", "20.5", "20.4"), ":1: last_token_ts: lies before");
    refuse_requests(ROW("\"soon\"", "20.5", "21"), ":1: queued_ts: must be a time");
    refuse_requests(ROW("-1", "20.5", "21"), ":1: queued_ts: must be a time");
    refuse_requests(ROW("null", "20.5", "21"), ":1: queued_ts: is missing");
}

static void refuse_series(const char *text, const char *part)
{
    struct measured_series series;
    struct err err = {0};
    EXPECT_FAILS(measured_series_load(&series, file_of(text), &err), &err, part);
}

static void windows_are_read_by_column_name(void)
{
    struct measured_series series;
    struct err err = {0};
    REQUIRE_OK(
        measured_series_load(
            &series, file_of("waiting,x,t,running\n3,9,1.0,4\n0,9,2.5,5\n"), &err),
        &err);
    EXPECT_U64(series.count, 2);
    EXPECT(!series.has_kv);
    EXPECT_NEAR(series.windows[1].t_s, 2.5, 0.0);
    EXPECT_NEAR(series.windows[0].waiting, 3.0, 0.0);
    EXPECT_NEAR(series.windows[1].running, 5.0, 0.0);
    EXPECT(isnan(series.windows[0].kv_used_pct));
    measured_series_fini(&series);
}

static void broken_windows_are_refused_with_their_line(void)
{
    refuse_series("", "t: there is no such column");
    refuse_series("t,running\n1,2\n", ":1: waiting: there is no such column");
    refuse_series("t,running,waiting\n1,2\n", ":2: row: has another number of fields");
    refuse_series("t,running,waiting\n1,2,3\n1,2,3\n", ":3: t: must rise");
    refuse_series("t,running,waiting\n1,2x,3\n", ":2: running: must be a number");
}

HARNESS_MAIN("measured_run", TEST(requests_keep_their_nanoseconds),
             TEST(arrivals_may_be_missing),
             TEST(broken_requests_are_refused_with_their_line),
             TEST(windows_are_read_by_column_name),
             TEST(broken_windows_are_refused_with_their_line))
