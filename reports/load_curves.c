/* SPDX-License-Identifier: Apache-2.0
 *
 * load_curves.c: runs sorted into lines by all of their keys but axis and seed.
 */
#include "reports/load_curves.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

static const char *value_of(const struct stored_sweep_run *run, const char *key)
{
    for (size_t i = 0; i < run->key_count; i++) {
        if (strcmp(run->keys[i].key, key) == 0) {
            return run->keys[i].value;
        }
    }
    return NULL;
}

/* Numbers in every run, and not all the same. */
static bool is_axis(const struct stored_sweep *sweep, const char *key)
{
    double low = (double)INFINITY;
    double high = -(double)INFINITY;
    for (size_t i = 0; i < sweep->run_count; i++) {
        const char *const value = value_of(&sweep->runs[i], key);
        const double x = value == NULL ? (double)NAN : stored_key_number(value);
        if (isnan(x)) {
            return false;
        }
        low = fmin(low, x);
        high = fmax(high, x);
    }
    return low < high;
}

static bool speaks_of_load(const char *key)
{
    static const char *const words[] = {"rate", "load", "qps", "rps", "clients"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(key, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *axis_of(const struct stored_sweep *sweep)
{
    const char *axis = NULL;
    const struct stored_sweep_run *const first = &sweep->runs[0];
    for (size_t i = 0; sweep->run_count > 0 && i < first->key_count; i++) {
        const char *const key = first->keys[i].key;
        if (strcmp(key, "seed") == 0 || strcmp(key, "policy") == 0 ||
            !is_axis(sweep, key)) {
            continue;
        }
        if (axis == NULL || speaks_of_load(key) || !speaks_of_load(axis)) {
            axis = key;
        }
    }
    return axis;
}

/* The keys that make a line: all but axis and seed. */
static void name_line(const struct stored_sweep_run *run, const char *axis,
                      struct text *name)
{
    struct stored_key *const kept = mem_alloc(run->key_count, sizeof *kept);
    size_t count = 0;
    for (size_t i = 0; i < run->key_count; i++) {
        if (strcmp(run->keys[i].key, axis) != 0) {
            kept[count++] = run->keys[i];
        }
    }
    stored_sweep_name(kept, count, "seed", name);
    text_add(name, name->length == 0 ? "all" : "");
    mem_free(kept);
}

static struct load_line *find_line(struct load_curves *curves, const char *name)
{
    for (size_t i = 0; i < curves->line_count; i++) {
        if (strcmp(curves->lines[i].name, name) == 0) {
            return &curves->lines[i];
        }
    }
    curves->lines =
        mem_resize(curves->lines, curves->line_count + 1, sizeof *curves->lines);
    struct load_line *const line = &curves->lines[curves->line_count++];
    *line = (struct load_line){.name = mem_strdup(name)};
    return line;
}

static struct load_point *find_point(struct load_line *line, double x)
{
    size_t at = line->point_count;
    while (at > 0 && line->points[at - 1].x > x) {
        at--;
    }
    if (at > 0 && line->points[at - 1].x >= x) {
        return &line->points[at - 1];
    }
    line->points =
        mem_resize(line->points, line->point_count + 1, sizeof *line->points);
    memmove(&line->points[at + 1], &line->points[at],
            (line->point_count - at) * sizeof *line->points);
    line->points[at] = (struct load_point){.x = x};
    line->point_count++;
    return &line->points[at];
}

static void add_run(struct load_curves *curves, const struct stored_sweep_run *planned,
                    const struct run_record *run)
{
    struct text name = {0};
    name_line(planned, curves->key, &name);
    struct load_point *const point =
        find_point(find_line(curves, text_str(&name)),
                   stored_key_number(value_of(planned, curves->key)));
    text_fini(&name);
    point->runs =
        mem_resize(point->runs, point->run_count + 1, sizeof(struct run_record *));
    point->runs[point->run_count++] = run;
}

struct load_curves *load_curves_new(const struct stored_sweep *sweep,
                                    const struct run_record *const *done)
{
    const char *const axis = axis_of(sweep);
    if (axis == NULL) {
        return NULL;
    }
    struct load_curves *const curves = mem_alloc(1, sizeof *curves);
    curves->key = mem_strdup(axis);
    for (size_t i = 0; i < sweep->run_count; i++) {
        if (done[i] != NULL) {
            add_run(curves, &sweep->runs[i], done[i]);
        }
    }
    return curves;
}

void load_curves_delete(struct load_curves *curves)
{
    if (curves == NULL) {
        return;
    }
    for (size_t i = 0; i < curves->line_count; i++) {
        for (size_t at = 0; at < curves->lines[i].point_count; at++) {
            mem_free(curves->lines[i].points[at].runs);
        }
        mem_free(curves->lines[i].points);
        mem_free(curves->lines[i].name);
    }
    mem_free(curves->lines);
    mem_free(curves->key);
    mem_free(curves);
}

struct estimate load_point_estimate(const struct load_point *point, enum metric metric)
{
    double *const values = mem_alloc(point->run_count, sizeof *values);
    size_t count = 0;
    for (size_t i = 0; i < point->run_count; i++) {
        const double value = point->runs[i]->metrics.value[metric];
        if (!isnan(value)) {
            values[count++] = value;
        }
    }
    struct estimate estimate = estimate_mean(values, count, 0.95);
    estimate.mean = count == 0 ? (double)NAN : estimate.mean;
    mem_free(values);
    return estimate;
}
