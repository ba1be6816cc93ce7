/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_fixture.h: workloads from text, and their records copied out.
 */
#ifndef STACKSIM_TESTS_TRACE_FIXTURE_H
#define STACKSIM_TESTS_TRACE_FIXTURE_H

#include "base/conf.h"
#include "base/mem.h"
#include "tests/harness.h"
#include "traces/workload.h"

#include <string.h>

enum { FIXTURE_ROWS = 64, FIXTURE_PIECES = 16 };

struct fixture_row {
    struct trace_record record;
    struct segment pieces[FIXTURE_PIECES];
    char model[32];
    char tenant[32];
    char adapter[32];
};

struct fixture {
    struct workload *workload; /* still open, for notes and counts */
    size_t count;
    struct fixture_row rows[FIXTURE_ROWS];
};

static inline void fixture_drain(struct fixture *fixture)
{
    const struct trace_record *record = NULL;
    struct err err = {0};
    enum workload_result result = WORKLOAD_END;
    while ((result = workload_next(fixture->workload, &record, &err)) ==
           WORKLOAD_RECORD) {
        REQUIRE(fixture->count < FIXTURE_ROWS);
        REQUIRE(record->segment_count >= 1 && record->segment_count <= FIXTURE_PIECES);
        struct fixture_row *const row = &fixture->rows[fixture->count++];
        row->record = *record;
        memcpy(row->pieces, record->segments,
               record->segment_count * sizeof(struct segment));
        row->record.segments = row->pieces;
        strncpy(row->model, record->model != NULL ? record->model : "", 31);
        strncpy(row->tenant, record->tenant != NULL ? record->tenant : "", 31);
        strncpy(row->adapter, record->adapter != NULL ? record->adapter : "", 31);
        EXPECT_U64(segment_tokens(record->segments, record->segment_count),
                   record->prompt_tokens);
    }
    if (!EXPECT(result == WORKLOAD_END)) {
        harness_note("%s", err.text);
    }
}

/* Reads the whole text as a file with this name. */
static inline struct fixture *fixture_read(const char *name, const char *text,
                                           const struct trace_options *options)
{
    struct fixture *const fixture = mem_alloc(1, sizeof(*fixture));
    const struct trace_options none = {0};
    struct err err = {0};
    const char *const path = harness_temp_file(name, text, strlen(text));
    REQUIRE_OK(workload_open_trace(&fixture->workload, path,
                                   options != NULL ? options : &none, &err),
               &err);
    fixture_drain(fixture);
    return fixture;
}

/* Draws the whole workload of a YAML text. */
static inline struct fixture *fixture_conf(const char *text, uint64_t seed)
{
    struct fixture *const fixture = mem_alloc(1, sizeof(*fixture));
    struct conf *conf = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    REQUIRE_OK(workload_open_conf(&fixture->workload, conf_root(conf), seed,
                                  harness_temp(""), &err),
               &err);
    conf_delete(conf);
    fixture_drain(fixture);
    return fixture;
}

static inline void fixture_free(struct fixture *fixture)
{
    workload_close(fixture->workload);
    mem_free(fixture);
}

/* Opening this text as a trace fails with all these words. */
static inline void fixture_refuses(const char *text, const char *part)
{
    const char *const path = harness_temp_file("bad", text, strlen(text));
    const struct trace_options options = {0};
    struct workload *workload = NULL;
    struct err err = {0};
    EXPECT_FAILS(workload_open_trace(&workload, path, &options, &err), &err, part);
    EXPECT(err.kind == ERR_INPUT);
}

static inline void fixture_refuses_conf(const char *text, const char *part)
{
    struct conf *conf = NULL;
    struct workload *workload = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    EXPECT_FAILS(workload_open_conf(&workload, conf_root(conf), 1, "", &err), &err,
                 part);
    conf_delete(conf);
}

#endif
