/* SPDX-License-Identifier: Apache-2.0
 *
 * run_csv.c: see the header.
 */
#include "reports/run_csv.h"

#include "base/csv.h"
#include "base/mem.h"
#include "base/unit.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { COLUMNS_MAX = 256, RUNS_MAX = 1 << 20, LINE_MAX_BYTES = 1 << 20 };

enum column_kind {
    COLUMN_OTHER,
    COLUMN_RUN,
    COLUMN_POLICY,
    COLUMN_SCENARIO,
    COLUMN_SEED
};

struct reader {
    const char *path;
    struct lines *lines;
    struct csv *csv;
    enum column_kind kinds[COLUMNS_MAX];
    enum metric metrics[COLUMNS_MAX]; /* METRIC_COUNT = none */
    size_t columns;
    struct run_record **runs;
    size_t count;
    size_t capacity;
};

static bool fail(const struct reader *reader, struct err *err, const char *what,
                 const char *name)
{
    return err_set(err, ERR_INPUT, "%s:%" PRIu64 ": %s%s", reader->path,
                   lines_number(reader->lines), what, name);
}

static bool header_read(struct reader *reader, struct err *err)
{
    static const char *const names[] = {"", "run", "policy", "scenario", "seed"};
    const char *const *fields = NULL;
    bool found[sizeof names / sizeof names[0]] = {false};
    const enum lines_result result =
        csv_next(reader->csv, &fields, &reader->columns, err);
    if (result == LINES_ERROR) {
        return false;
    }
    if (result == LINES_END || reader->columns > COLUMNS_MAX) {
        return fail(reader, err, "a line with the names of the columns is missing", "");
    }
    for (size_t i = 0; i < reader->columns; i++) {
        reader->metrics[i] = metric_by_name(fields[i]);
        for (size_t kind = 1; kind < sizeof names / sizeof names[0]; kind++) {
            if (strcmp(fields[i], names[kind]) == 0) {
                reader->kinds[i] = (enum column_kind)kind;
                found[kind] = true;
            }
        }
    }
    if (!found[COLUMN_RUN] || !found[COLUMN_SCENARIO] || !found[COLUMN_SEED]) {
        return fail(reader, err,
                    "the columns run, scenario and seed must be there; "
                    "'stacksim report FILE.db --format csv' writes them",
                    "");
    }
    return true;
}

static bool value_read(const struct reader *reader, const char *field, double *value,
                       struct err *err)
{
    struct err why = {0};
    *value = (double)NAN;
    return field[0] == '\0' || unit_number(field, value, &why) ||
           fail(reader, err, "no number: ", field);
}

/* Strings of info are borrowed from the fields. */
static bool row_read(struct reader *reader, const char *const *fields, size_t count,
                     struct err *err)
{
    struct run_info info = {0};
    struct metrics metrics;
    struct err why = {0};
    if (count != reader->columns) {
        return fail(reader, err, "another number of fields than in the first line", "");
    }
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        metrics.value[i] = (double)NAN;
    }
    for (size_t i = 0; i < count; i++) {
        if (reader->kinds[i] == COLUMN_SEED && !unit_u64(fields[i], &info.seed, &why)) {
            return fail(reader, err, "no seed: ", fields[i]);
        }
        info.name = reader->kinds[i] == COLUMN_RUN ? fields[i] : info.name;
        info.policy = reader->kinds[i] == COLUMN_POLICY ? fields[i] : info.policy;
        info.scenario_name =
            reader->kinds[i] == COLUMN_SCENARIO ? fields[i] : info.scenario_name;
        if (reader->metrics[i] != METRIC_COUNT &&
            !value_read(reader, fields[i], &metrics.value[reader->metrics[i]], err)) {
            return false;
        }
    }
    void *array = reader->runs;
    if (!mem_grow(&array, &reader->capacity, reader->count + 1,
                  sizeof(struct run_record *), RUNS_MAX)) {
        return fail(reader, err, "more runs than can be compared", "");
    }
    reader->runs = array;
    struct run_record *run = run_record_new(&info);
    run->metrics = metrics;
    reader->runs[reader->count++] = run;
    return true;
}

static bool rows_read(struct reader *reader, struct err *err)
{
    const char *const *fields = NULL;
    size_t count = 0;
    enum lines_result result = LINES_LINE;
    while ((result = csv_next(reader->csv, &fields, &count, err)) == LINES_LINE) {
        if (!row_read(reader, fields, count, err)) {
            return false;
        }
    }
    return result == LINES_END;
}

bool run_csv_read(struct run_record ***out, size_t *count, const char *path,
                  struct err *err)
{
    struct reader *reader = mem_alloc(1, sizeof *reader);
    reader->path = path;
    bool ok = lines_open(&reader->lines, path, LINE_MAX_BYTES, err);
    if (ok) {
        reader->csv = csv_new(reader->lines);
        ok = header_read(reader, err) && rows_read(reader, err);
        csv_delete(reader->csv);
        lines_close(reader->lines);
    }
    for (size_t i = 0; !ok && i < reader->count; i++) {
        run_record_delete(reader->runs[i]);
    }
    if (ok) {
        *out = reader->runs;
        *count = reader->count;
    } else {
        mem_free(reader->runs);
    }
    mem_free(reader);
    return ok;
}
