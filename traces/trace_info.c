/* SPDX-License-Identifier: Apache-2.0
 *
 * trace_info.c: one pass over a workload, everything counted on the way.
 *
 * Lengths are counted by value, so that quantiles are exact and memory does not grow
 * with the number of rows. Blocks are named by chained hashes of the segments; recorded
 * ids come out the same, because a recorded id is a piece of one stream.
 */
#include "traces/trace_info.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/unit.h"
#include "stats/arrivals.h"
#include "traces/block_lru.h"

#include <math.h>
#include <string.h>

enum {
    LENGTHS_MAX = 1 << 24, /* longer ones count as this for quantiles */
    BLOCKS_MAX = 1 << 27,  /* distinct */
    SESSIONS_MAX = 1 << 26,
    DEFAULT_BLOCK_TOKENS = 16,
};

/* In blocks of 512 tokens, as the published figures; other blocks: as many tokens. */
static const uint64_t default_capacities[] = {1000,  2000,  5000,  10000,
                                              20000, 30000, 50000, 100000};
enum {
    DEFAULT_CAPACITY_COUNT = sizeof(default_capacities) / sizeof(default_capacities[0]),
    DEFAULT_CAPACITY_BLOCK = 512,
};
static const int64_t windows_ns[TRACE_INFO_WINDOWS] = {
    INT64_C(1000000000), INT64_C(10000000000), INT64_C(60000000000),
    INT64_C(300000000000)};

/* Lengths by value. */
struct tally {
    uint64_t *counts;
    size_t size;
    size_t capacity;
};

struct collector {
    struct trace_info *info;
    struct arrivals *arrivals;
    struct tally prompt;
    struct tally output;
    struct map *sessions;
    struct map *chains;  /* chained hash -> dense block */
    struct map *parents; /* content of a recorded block -> dense block, or NULL */
    struct block_lru *lru[TRACE_INFO_CAPACITIES_MAX];
    uint64_t *hashes; /* of the current prompt's chunks */
    uint32_t *dense;
    size_t chunk_capacity;
    size_t dense_capacity;
};

static void tally_add(struct tally *tally, uint32_t tokens)
{
    const size_t at = tokens < LENGTHS_MAX ? tokens : LENGTHS_MAX;
    if (at >= tally->size) {
        void *memory = tally->counts;
        const size_t old = tally->size;
        if (!mem_grow(&memory, &tally->capacity, at + 1, sizeof(uint64_t),
                      LENGTHS_MAX + 1)) {
            return; /* cannot be: at is clamped */
        }
        tally->counts = memory;
        memset(tally->counts + old, 0, (at + 1 - old) * sizeof(uint64_t));
        tally->size = at + 1;
    }
    tally->counts[at]++;
}

/* The value of 0-based rank `rank` in sorted order. */
static double tally_rank(const struct tally *tally, uint64_t rank)
{
    uint64_t below = 0;
    for (size_t at = 0; at < tally->size; at++) {
        below += tally->counts[at];
        if (rank < below) {
            return (double)at;
        }
    }
    return 0;
}

static double tally_quantile(const struct tally *tally, uint64_t rows, double q)
{
    if (rows == 0) {
        return 0;
    }
    const double rank = q * (double)(rows - 1);
    const uint64_t low = (uint64_t)rank;
    const double low_value = tally_rank(tally, low);
    const double part = rank - (double)low;
    return part > 0 ? low_value + part * (tally_rank(tally, low + 1) - low_value)
                    : low_value;
}

static void finish_lengths(struct trace_info_lengths *out, const struct tally *tally,
                           uint64_t rows)
{
    out->mean = rows > 0 ? (double)out->sum / (double)rows : 0;
    out->p10 = tally_quantile(tally, rows, 0.10);
    out->p50 = tally_quantile(tally, rows, 0.50);
    out->p90 = tally_quantile(tally, rows, 0.90);
    out->p99 = tally_quantile(tally, rows, 0.99);
}

static void choose_capacities(struct trace_info *info,
                              const struct trace_info_options *options)
{
    const bool told = options->capacities != NULL;
    const size_t count = told ? options->capacity_count : DEFAULT_CAPACITY_COUNT;
    info->lru_count =
        count < TRACE_INFO_CAPACITIES_MAX ? count : TRACE_INFO_CAPACITIES_MAX;
    for (size_t i = 0; i < info->lru_count; i++) {
        info->lru[i].capacity_blocks =
            told ? options->capacities[i]
                 : default_capacities[i] * DEFAULT_CAPACITY_BLOCK / info->block_tokens;
    }
}

static void begin(struct collector *collector, struct trace_info *info,
                  const struct workload *workload,
                  const struct trace_info_options *options)
{
    const uint32_t recorded = workload_block_tokens(workload);
    *info = (struct trace_info){0};
    info->block_tokens = options->block_tokens;
    if (info->block_tokens == 0) {
        info->block_tokens = recorded > 0 ? recorded : DEFAULT_BLOCK_TOKENS;
    }
    *collector = (struct collector){.info = info};
    collector->arrivals = arrivals_new(windows_ns, TRACE_INFO_WINDOWS);
    collector->sessions = map_new(1024, SESSIONS_MAX);
    collector->chains = map_new(1024, BLOCKS_MAX);
    if (recorded == info->block_tokens) {
        collector->parents = map_new(1024, BLOCKS_MAX);
    }
    choose_capacities(info, options);
    for (size_t i = 0; i < info->lru_count; i++) {
        collector->lru[i] = block_lru_new(info->lru[i].capacity_blocks);
    }
}

static void end(struct collector *collector)
{
    for (size_t i = 0; i < collector->info->lru_count; i++) {
        block_lru_delete(collector->lru[i]);
    }
    arrivals_delete(collector->arrivals);
    map_delete(collector->sessions);
    map_delete(collector->chains);
    map_delete(collector->parents);
    mem_free(collector->prompt.counts);
    mem_free(collector->output.counts);
    mem_free(collector->hashes);
    mem_free(collector->dense);
}

static bool chunk_room(struct collector *collector, size_t count)
{
    void *hashes = collector->hashes;
    void *dense = collector->dense;
    const bool room = mem_grow(&hashes, &collector->chunk_capacity, count,
                               sizeof(uint64_t), BLOCKS_MAX);
    collector->hashes = hashes;
    if (!room || !mem_grow(&dense, &collector->dense_capacity, count, sizeof(uint32_t),
                           BLOCKS_MAX)) {
        return false;
    }
    collector->dense = dense;
    return true;
}

/* A recorded block's content under another prefix than before: its id is no chain. */
static void check_parent(struct collector *collector, uint64_t content, uint32_t dense)
{
    uint32_t seen = 0;
    if (!map_get(collector->parents, content, &seen)) {
        map_put(collector->parents, content, dense);
    } else if (seen != dense) {
        collector->info->block_contents_of_two_prefixes++;
        map_put(collector->parents, content, dense);
    }
}

/* Numbers the prompt's blocks and counts what an infinite cache would hold of them. */
static bool count_blocks(struct collector *collector, const struct trace_record *record,
                         size_t *chunk_count)
{
    struct trace_info *const info = collector->info;
    const uint32_t size = info->block_tokens;
    const size_t count = ((size_t)record->prompt_tokens + size - 1) / size;
    if (!chunk_room(collector, count)) {
        return false;
    }
    (void)segment_chunk_hashes(record->segments, record->segment_count, size,
                               collector->hashes, count);
    uint64_t chain = 0;
    size_t hits = 0;
    for (size_t i = 0; i < count; i++) {
        chain = hash_pair(chain, collector->hashes[i]);
        uint32_t dense = 0;
        if (map_get(collector->chains, chain, &dense)) {
            hits++;
        } else {
            if (map_count(collector->chains) >= BLOCKS_MAX) {
                return false;
            }
            dense = (uint32_t)map_count(collector->chains);
            map_put(collector->chains, chain, dense);
        }
        collector->dense[i] = dense;
        if (collector->parents != NULL) {
            check_parent(collector, collector->hashes[i], dense);
        }
    }
    const uint64_t tokens = (uint64_t)hits * size;
    info->blocks += count;
    info->hit_blocks += hits;
    info->hit_tokens += tokens < record->prompt_tokens ? tokens : record->prompt_tokens;
    info->hit_tokens_full += tokens <= record->prompt_tokens ? tokens : tokens - size;
    *chunk_count = count;
    return true;
}

static void count_lengths(struct collector *collector,
                          const struct trace_record *record)
{
    struct trace_info *const info = collector->info;
    tally_add(&collector->prompt, record->prompt_tokens);
    tally_add(&collector->output, record->output_tokens);
    info->prompt.sum += record->prompt_tokens;
    info->output.sum += record->output_tokens;
    if (record->prompt_tokens > info->prompt.max) {
        info->prompt.max = record->prompt_tokens;
    }
    if (record->output_tokens > info->output.max) {
        info->output.max = record->output_tokens;
    }
}

static bool count_session(struct collector *collector,
                          const struct trace_record *record)
{
    struct trace_info *const info = collector->info;
    uint32_t turns = 0;
    if (record->session == 0) {
        return true;
    }
    if (!map_get(collector->sessions, record->session, &turns) &&
        map_count(collector->sessions) >= SESSIONS_MAX) {
        return false;
    }
    turns++;
    map_put(collector->sessions, record->session, turns);
    info->session_rows++;
    if (turns > info->session_turns_max) {
        info->session_turns_max = turns;
    }
    return true;
}

static bool count_record(struct collector *collector, const struct trace_record *record,
                         struct err *err)
{
    struct trace_info *const info = collector->info;
    size_t chunks = 0;
    info->first_arrival_ns =
        info->rows == 0 ? record->arrival_ns : info->first_arrival_ns;
    info->last_arrival_ns = record->arrival_ns;
    info->rows++;
    info->segments += record->segment_count;
    arrivals_add(collector->arrivals, record->arrival_ns);
    count_lengths(collector, record);
    if (!count_session(collector, record) ||
        !count_blocks(collector, record, &chunks)) {
        return err_set(err, ERR_INPUT,
                       "the trace has too many blocks of %u tokens, or sessions, to "
                       "count; choose larger blocks",
                       info->block_tokens);
    }
    for (size_t i = 0; i < info->lru_count; i++) {
        info->lru[i].hit_blocks +=
            block_lru_ask(collector->lru[i], collector->dense, chunks);
    }
    return true;
}

static void finish(struct collector *collector, const struct workload *workload)
{
    struct trace_info *const info = collector->info;
    finish_lengths(&info->prompt, &collector->prompt, info->rows);
    finish_lengths(&info->output, &collector->output, info->rows);
    info->gap_cv = arrivals_gap_cv(collector->arrivals);
    for (size_t i = 0; i < TRACE_INFO_WINDOWS; i++) {
        info->dispersion[i] = arrivals_dispersion(collector->arrivals, i);
    }
    info->sessions = map_count(collector->sessions);
    info->distinct_blocks = map_count(collector->chains);
    workload_counts(workload, &info->counts);
}

bool trace_info_collect(struct trace_info *out, struct workload *workload,
                        const struct trace_info_options *options, struct err *err)
{
    struct collector collector;
    bool ok = true;
    begin(&collector, out, workload, options);
    while (ok) {
        const struct trace_record *record = NULL;
        const enum workload_result result = workload_next(workload, &record, err);
        if (result == WORKLOAD_END) {
            finish(&collector, workload);
            break;
        }
        ok = result == WORKLOAD_RECORD && count_record(&collector, record, err);
    }
    end(&collector);
    return ok;
}

static double ratio(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0;
}

double trace_info_hit_ratio_blocks(const struct trace_info *info)
{
    return ratio(info->hit_blocks, info->blocks);
}

double trace_info_hit_ratio_tokens(const struct trace_info *info)
{
    return ratio(info->hit_tokens, info->prompt.sum);
}

static void text_lengths(struct text *out, const char *name,
                         const struct trace_info_lengths *lengths)
{
    text_printf(out,
                "%-18s %llu in all, mean %.1f, p10 %.0f, p50 %.0f, p90 %.0f, p99 %.0f, "
                "max %u\n",
                name, (unsigned long long)lengths->sum, lengths->mean, lengths->p10,
                lengths->p50, lengths->p90, lengths->p99, lengths->max);
}

static void text_blocks(const struct trace_info *info, struct text *out)
{
    text_printf(out, "%-18s %llu of %u tokens, %llu distinct\n", "blocks",
                (unsigned long long)info->blocks, info->block_tokens,
                (unsigned long long)info->distinct_blocks);
    text_printf(out,
                "%-18s %.4f of blocks, %.4f of tokens (%.4f without partial blocks)\n",
                "ideal prefix hits", trace_info_hit_ratio_blocks(info),
                trace_info_hit_ratio_tokens(info),
                ratio(info->hit_tokens_full, info->prompt.sum));
    for (size_t i = 0; i < info->lru_count && info->hit_blocks > 0; i++) {
        text_printf(out, "%-18s %.4f of blocks with %llu blocks (%llu hits)\n",
                    i == 0 ? "LRU prefix hits" : "",
                    ratio(info->lru[i].hit_blocks, info->blocks),
                    (unsigned long long)info->lru[i].capacity_blocks,
                    (unsigned long long)info->lru[i].hit_blocks);
    }
    const struct trace_counts *const counts = &info->counts;
    if (counts->ids_ceil + counts->ids_floor + counts->ids_neither > 0) {
        text_printf(out, "%-18s %llu rows fit ceil, %llu floor, %llu neither\n",
                    "block ids", (unsigned long long)counts->ids_ceil,
                    (unsigned long long)counts->ids_floor,
                    (unsigned long long)counts->ids_neither);
    }
    if (info->block_contents_of_two_prefixes > 0) {
        text_printf(out,
                    "%-18s %llu times a recorded block came after another prefix than "
                    "before: ids are not chained\n",
                    "", (unsigned long long)info->block_contents_of_two_prefixes);
    }
}

static void text_arrivals(const struct trace_info *info, struct text *out)
{
    static const char *const windows[] = {"1 s", "10 s", "60 s", "300 s"};
    if (info->rows > 1 && info->last_arrival_ns == info->first_arrival_ns) {
        text_printf(out, "\n%-18s none: all requests arrive at one instant\n",
                    "arrival gaps");
        return;
    }
    text_printf(out, "\n%-18s CV %.3f, dispersion", "arrival gaps", info->gap_cv);
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        /* Not a number: the trace is too short for two windows. */
        if (!isnan(info->dispersion[i])) {
            text_printf(out, "%s %.2f in %s", i == 0 ? "" : ",", info->dispersion[i],
                        windows[i]);
        }
    }
    text_add(out, "\n");
}

void trace_info_text(const struct trace_info *info, struct text *out)
{
    char span[32];
    const int64_t span_ns = info->last_arrival_ns - info->first_arrival_ns;
    unit_format_ns(span, sizeof(span), span_ns);
    text_printf(out, "%-18s %llu\n", "requests", (unsigned long long)info->rows);
    text_printf(out, "%-18s %s, last arrival at %.7f s", "span", span,
                (double)info->last_arrival_ns / 1e9);
    if (span_ns > 0) {
        text_printf(out, ", mean rate %.3f/s",
                    (double)(info->rows - 1) / ((double)span_ns / 1e9));
    }
    text_arrivals(info, out);
    text_lengths(out, "prompt tokens", &info->prompt);
    text_lengths(out, "output tokens", &info->output);
    text_printf(out, "%-18s %llu", "sessions", (unsigned long long)info->sessions);
    if (info->sessions > 0) {
        text_printf(out, " with %llu requests, the longest of %u",
                    (unsigned long long)info->session_rows, info->session_turns_max);
    }
    text_printf(out, "\n%-18s %.2f a prompt\n", "segments",
                ratio(info->segments, info->rows));
    text_blocks(info, out);
}

static struct json *json_lengths(const struct trace_info_lengths *lengths)
{
    struct json *const object = json_object();
    json_put_u64(object, "sum", lengths->sum);
    json_put_u64(object, "max", lengths->max);
    json_put_f64(object, "mean", lengths->mean);
    json_put_f64(object, "p10", lengths->p10);
    json_put_f64(object, "p50", lengths->p50);
    json_put_f64(object, "p90", lengths->p90);
    json_put_f64(object, "p99", lengths->p99);
    return object;
}

static struct json *json_lru(const struct trace_info *info)
{
    struct json *const list = json_array();
    for (size_t i = 0; i < info->lru_count; i++) {
        struct json *const object = json_object();
        json_put_u64(object, "capacity_blocks", info->lru[i].capacity_blocks);
        json_put_u64(object, "hit_blocks", info->lru[i].hit_blocks);
        json_push(list, object);
    }
    return list;
}

static struct json *json_counts(const struct trace_counts *counts)
{
    struct json *const object = json_object();
    json_put_u64(object, "skipped", counts->skipped);
    json_put_u64(object, "clamped", counts->clamped);
    json_put_u64(object, "unknown_keys", counts->unknown_keys);
    json_put_u64(object, "ids_ceil", counts->ids_ceil);
    json_put_u64(object, "ids_floor", counts->ids_floor);
    json_put_u64(object, "ids_neither", counts->ids_neither);
    json_put_u64(object, "estimated_arrivals", counts->estimated_arrivals);
    return object;
}

struct json *trace_info_json(const struct trace_info *info)
{
    struct json *const object = json_object();
    json_put_u64(object, "rows", info->rows);
    json_put_i64(object, "first_arrival_ns", info->first_arrival_ns);
    json_put_i64(object, "last_arrival_ns", info->last_arrival_ns);
    json_put_i64(object, "span_ns", info->last_arrival_ns - info->first_arrival_ns);
    json_put(object, "prompt_tokens", json_lengths(&info->prompt));
    json_put(object, "output_tokens", json_lengths(&info->output));
    json_put_f64(object, "arrival_gap_cv", info->gap_cv);
    json_put_f64(object, "dispersion_1s", info->dispersion[0]);
    json_put_f64(object, "dispersion_10s", info->dispersion[1]);
    json_put_f64(object, "dispersion_60s", info->dispersion[2]);
    json_put_f64(object, "dispersion_300s", info->dispersion[3]);
    json_put_u64(object, "segments", info->segments);
    json_put_u64(object, "sessions", info->sessions);
    json_put_u64(object, "session_rows", info->session_rows);
    json_put_u64(object, "session_turns_max", info->session_turns_max);
    json_put_u64(object, "block_tokens", info->block_tokens);
    json_put_u64(object, "blocks", info->blocks);
    json_put_u64(object, "distinct_blocks", info->distinct_blocks);
    json_put_u64(object, "hit_blocks", info->hit_blocks);
    json_put_u64(object, "hit_tokens", info->hit_tokens);
    json_put_u64(object, "hit_tokens_full_blocks", info->hit_tokens_full);
    json_put_f64(object, "ideal_hit_ratio_blocks", trace_info_hit_ratio_blocks(info));
    json_put_f64(object, "ideal_hit_ratio_tokens", trace_info_hit_ratio_tokens(info));
    json_put_u64(object, "block_contents_of_two_prefixes",
                 info->block_contents_of_two_prefixes);
    json_put(object, "lru", json_lru(info));
    json_put(object, "reading", json_counts(&info->counts));
    return object;
}
