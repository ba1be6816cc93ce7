/* SPDX-License-Identifier: Apache-2.0
 *
 * workload.c: sources merged in order of time, limited and scaled.
 *
 * A workload of one source, the common case, hands the source's record through; only a
 * changed time makes a copy. Several sources (populations) are merged by looking at the
 * next record of each: they are few, so a heap would cost more than it saves.
 */
#include "traces/workload.h"

#include "base/mem.h"
#include "base/text.h"
#include "traces/generators/population.h"
#include "traces/popularity.h"
#include "traces/reader.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

struct head {
    struct source *source;
    const struct trace_record *record; /* next to lend; NULL: not drawn or ended */
    bool ended;
};

struct workload {
    size_t head_count;
    struct head *heads;
    struct head *lent; /* whose record is out */
    double rate_factor;
    uint64_t limit;                /* UINT64_MAX: none */
    uint64_t count;                /* records lent */
    struct trace_record changed;   /* copy of the record that is lent, if it was */
    struct popularity *popularity; /* of adapters; NULL = as recorded */
    struct text origin;
    struct text lineage;
    struct text *notes; /* made on demand */
};

static struct workload *workload_new(size_t head_count)
{
    struct workload *const workload = mem_alloc(1, sizeof(*workload));
    workload->heads = mem_alloc(head_count, sizeof(struct head));
    workload->notes = mem_alloc(1, sizeof(*workload->notes));
    workload->limit = UINT64_MAX;
    workload->rate_factor = 1;
    return workload;
}

static void add_source(struct workload *workload, struct source *source)
{
    if (workload->head_count > 0) {
        text_add(&workload->origin, "; ");
        text_add(&workload->lineage, "; ");
    }
    text_add(&workload->origin, text_str(&source->origin));
    text_add(&workload->lineage,
             text_str(source->lineage.length > 0 ? &source->lineage : &source->origin));
    workload->heads[workload->head_count++].source = source;
}

void workload_close(struct workload *workload)
{
    if (workload == NULL) {
        return;
    }
    for (size_t i = 0; i < workload->head_count; i++) {
        struct source *const source = workload->heads[i].source;
        source->type->close(source);
    }
    popularity_close(workload->popularity);
    text_fini(&workload->origin);
    text_fini(&workload->lineage);
    text_fini(workload->notes);
    mem_free(workload->notes);
    mem_free(workload->heads);
    mem_free(workload);
}

static bool check_options(const struct trace_options *options, struct err *err)
{
    const double factor = options->rate_factor;
    if (factor < 0 || !isfinite(factor) || (factor > 0 && factor < 1e-6) ||
        factor > 1e6) {
        return err_set(err, ERR_USAGE,
                       "a rate factor of %g; 0.000001 to 1000000 are possible", factor);
    }
    if (options->block_tokens > 1U << 20) {
        return err_set(err, ERR_USAGE,
                       "a block of %u tokens; at most 2^20 are possible",
                       options->block_tokens);
    }
    return true;
}

bool workload_open_trace(struct workload **out, const char *path,
                         const struct trace_options *options, struct err *err)
{
    struct source *source = NULL;
    if (!check_options(options, err) || !reader_open(&source, path, options, err)) {
        return false;
    }
    struct workload *const workload = workload_new(1);
    add_source(workload, source);
    if (options->rate_factor > 0) {
        workload->rate_factor = options->rate_factor;
    }
    if (options->limit > 0) {
        workload->limit = options->limit;
    }
    *out = workload;
    return true;
}

/* Reads `trace:` and its options; *path must be freed. */
static bool read_trace(const struct conf_node *map, struct trace_options *options,
                       const char **path, struct err *err)
{
    static const char *const policies[] = {"fail", "skip", "clamp", NULL};
    uint32_t on_error = TRACE_FAIL;
    int64_t tick_ns = INT64_MIN;
    int64_t unit_ns = 0;
    if (!conf_str(map, "trace", path, err) ||
        !conf_str(map, "format", &options->format, err) ||
        !conf_enum(map, "on_error", policies, &on_error, err) ||
        !conf_u32(map, "block_tokens", &options->block_tokens, 1, 1U << 20, err) ||
        !conf_duration_ns(map, "tick", &tick_ns, err) ||
        !conf_duration_ns(map, "time_unit", &unit_ns, err) ||
        !conf_f64(map, "rate_factor", &options->rate_factor, 1e-6, 1e6, err) ||
        !conf_u64(map, "limit", &options->limit, err)) {
        return false;
    }
    options->on_error = (enum trace_on_error)on_error;
    options->time_unit_ns = unit_ns;
    if (tick_ns != INT64_MIN) {
        options->tick_ns = tick_ns == 0 ? TRACE_TICK_KEEP : tick_ns;
    }
    return conf_done(map, err);
}

static bool open_conf_trace(struct workload **out, const struct conf_node *map,
                            uint64_t seed, const char *base_dir, struct err *err)
{
    struct trace_options options = {.seed = seed};
    const char *path = NULL;
    if (!read_trace(map, &options, &path, err)) {
        return false;
    }
    struct text beside = {0};
    const bool relative = path[0] != '/' && strcmp(path, "-") != 0;
    if (relative && base_dir != NULL && base_dir[0] != '\0') {
        text_printf(&beside, "%s/%s", base_dir, path);
    }
    const bool is_beside = beside.length > 0 && access(text_str(&beside), F_OK) == 0;
    const bool ok =
        workload_open_trace(out, is_beside ? text_str(&beside) : path, &options, err);
    text_fini(&beside);
    return ok;
}

/* A list of populations, or one population by itself. */
static bool open_generate(struct workload **out, const struct conf_node *map,
                          uint64_t seed, struct err *err)
{
    const struct conf_node *const node = conf_get(map, "generate");
    const bool is_list = conf_kind(node) == CONF_LIST;
    const size_t count = is_list ? conf_count(node) : 1;
    if (count == 0 || count > POPULATIONS_MAX) {
        return conf_fail(node, err, "%zu populations; 1 to %d are possible", count,
                         POPULATIONS_MAX);
    }
    struct workload *const workload = workload_new(count);
    text_add(&workload->origin, "generated: ");
    text_printf(&workload->lineage,
                "generated (seed %llu): ", (unsigned long long)seed);
    for (size_t i = 0; i < count; i++) {
        struct source *source = NULL;
        if (!population_open(&source, is_list ? conf_at(node, i) : node, seed, i,
                             err)) {
            goto fail;
        }
        add_source(workload, source);
    }
    double rate_factor = 1;
    uint64_t limit = 0;
    if (!conf_f64(map, "rate_factor", &rate_factor, 1e-6, 1e6, err) ||
        !conf_u64(map, "limit", &limit, err) || !conf_done(map, err)) {
        goto fail;
    }
    workload->rate_factor = rate_factor;
    workload->limit = limit > 0 ? limit : UINT64_MAX;
    *out = workload;
    return true;
fail:
    workload_close(workload);
    return false;
}

/* `adapters:` holds for the whole workload, whatever it is. */
static bool adapters_open(struct popularity **out, const struct conf_node *map,
                          uint64_t seed, struct err *err)
{
    const struct conf_node *adapters = NULL;
    if (!conf_map(map, "adapters", &adapters, err)) {
        return false;
    }
    return adapters == NULL || popularity_open(out, adapters, seed, err);
}

static void adapters_take(struct workload *workload, struct popularity *popularity)
{
    if (popularity != NULL) {
        struct text words = {0};
        popularity_describe(popularity, &words);
        text_printf(&workload->origin, "; %s", text_str(&words));
        text_printf(&workload->lineage, "; %s", text_str(&words));
        text_fini(&words);
        workload->popularity = popularity;
    }
}

bool workload_name_adapters(struct workload *workload, const struct conf_node *map,
                            uint64_t seed, struct err *err)
{
    struct popularity *popularity = NULL;
    if (!adapters_open(&popularity, map, seed, err)) {
        return false;
    }
    adapters_take(workload, popularity);
    return true;
}

bool workload_open_conf(struct workload **out, const struct conf_node *map,
                        uint64_t seed, const char *base_dir, struct err *err)
{
    if (map == NULL || conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "workload: a map with 'trace' or 'generate' is due");
    }
    const bool trace = conf_get(map, "trace") != NULL;
    const bool generate = conf_get(map, "generate") != NULL;
    if (trace == generate) {
        return conf_fail(map, err, "workload: give one of 'trace' and 'generate'");
    }
    struct popularity *popularity = NULL;
    if (!adapters_open(&popularity, map, seed, err)) {
        return false;
    }
    const bool opened = trace ? open_conf_trace(out, map, seed, base_dir, err)
                              : open_generate(out, map, seed, err);
    if (!opened) {
        popularity_close(popularity);
        return false;
    }
    adapters_take(*out, popularity);
    return true;
}

static enum workload_result head_fill(struct head *head, struct err *err)
{
    const enum workload_result result =
        head->source->type->next(head->source, &head->record, err);
    if (result == WORKLOAD_END) {
        head->ended = true;
        head->record = NULL;
    }
    return result;
}

static bool comes_before(const struct trace_record *a, const struct trace_record *b)
{
    return a->arrival_ns != b->arrival_ns ? a->arrival_ns < b->arrival_ns
                                          : a->id < b->id;
}

/* The head with the earliest record; NULL: all have ended. */
static enum workload_result merge_next(struct workload *workload,
                                       const struct trace_record **record,
                                       struct err *err)
{
    struct head *first = NULL;
    if (workload->lent != NULL) {
        workload->lent->record = NULL;
        workload->lent = NULL;
    }
    for (size_t i = 0; i < workload->head_count; i++) {
        struct head *const head = &workload->heads[i];
        if (head->record == NULL && !head->ended &&
            head_fill(head, err) == WORKLOAD_ERROR) {
            return WORKLOAD_ERROR;
        }
        if (!head->ended &&
            (first == NULL || comes_before(head->record, first->record))) {
            first = head;
        }
    }
    if (first == NULL) {
        return WORKLOAD_END;
    }
    workload->lent = first;
    *record = first->record;
    return WORKLOAD_RECORD;
}

static const struct trace_record *scale(struct workload *workload,
                                        const struct trace_record *record)
{
    workload->changed = *record;
    const double at_ns = (double)record->arrival_ns / workload->rate_factor;
    workload->changed.arrival_ns = at_ns < 9.2e18 ? llrint(at_ns) : INT64_MAX;
    return &workload->changed;
}

static const struct trace_record *name_adapter(struct workload *workload,
                                               const struct trace_record *record)
{
    if (record != &workload->changed) {
        workload->changed = *record;
    }
    workload->changed.adapter = popularity_draw(workload->popularity, record);
    return &workload->changed;
}

enum workload_result workload_next(struct workload *workload,
                                   const struct trace_record **record, struct err *err)
{
    if (workload->count >= workload->limit) {
        return WORKLOAD_END;
    }
    struct source *const only = workload->heads[0].source;
    const enum workload_result result = workload->head_count == 1
                                            ? only->type->next(only, record, err)
                                            : merge_next(workload, record, err);
    if (result != WORKLOAD_RECORD) {
        return result;
    }
    workload->count++;
    if (workload->rate_factor != 1.0) {
        *record = scale(workload, *record);
    }
    if (workload->popularity != NULL && (*record)->adapter == NULL) {
        *record = name_adapter(workload, *record);
    }
    return WORKLOAD_RECORD;
}

uint64_t workload_expected(const struct workload *workload)
{
    uint64_t expected = 0;
    for (size_t i = 0; i < workload->head_count; i++) {
        const struct head *const head = &workload->heads[i];
        if (head->source->type->expected == NULL) {
            return 0;
        }
        const uint64_t part = head->source->type->expected(head->source);
        if (part == 0 && !head->ended) {
            return 0;
        }
        expected += part;
    }
    const uint64_t left = workload->limit - workload->count;
    return expected < left ? expected : left;
}

double workload_progress(const struct workload *workload)
{
    double least = 1;
    for (size_t i = 0; i < workload->head_count; i++) {
        const struct source *const source = workload->heads[i].source;
        const double part =
            source->type->progress != NULL ? source->type->progress(source) : 0;
        least = part < least ? part : least;
    }
    if (workload->limit != UINT64_MAX) {
        const double part = (double)workload->count / (double)workload->limit;
        least = part > least ? part : least;
    }
    return least < 0 ? 0 : least;
}

const char *workload_notes(const struct workload *workload)
{
    struct text *const notes = workload->notes;
    text_fini(notes);
    for (size_t i = 0; i < workload->head_count; i++) {
        const struct source *const source = workload->heads[i].source;
        if (source->type->notes != NULL) {
            source->type->notes(source, notes);
        }
    }
    if (workload->rate_factor != 1.0) {
        text_printf(notes,
                    "arrival times divided by %g; think times are as they were\n",
                    workload->rate_factor);
    }
    return text_str(notes);
}

const char *workload_origin(const struct workload *workload)
{
    return text_str(&workload->origin);
}

const char *workload_source(const struct workload *workload)
{
    return text_str(&workload->lineage);
}

uint32_t workload_block_tokens(const struct workload *workload)
{
    return workload->heads[0].source->block_tokens;
}

void workload_counts(const struct workload *workload, struct trace_counts *counts)
{
    *counts = (struct trace_counts){0};
    const struct source *const source = workload->heads[0].source;
    if (source->type->counts != NULL) {
        source->type->counts(source, counts);
    }
}
