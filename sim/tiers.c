/* SPDX-License-Identifier: Apache-2.0
 *
 * tiers.c: which chunk goes from where to where, and when it is there.
 *
 * All is booked when it begins: a chunk that will be on disk in a second is in the
 * index at once, with the time from which it can be read. No event is needed, and both
 * modes of the simulator see the same tier at the same time.
 */
#include "sim/tiers.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/tier_index.h"

#include <math.h>
#include <string.h>

enum { SAVINGS_MAX = 1 << 26, PLACE_SHIFT = 28 };

/* A device in one direction: one transfer after another. */
struct lane {
    int64_t free_ns;
};

struct cache_server {
    struct cache_server_config config;
    struct tier_index *index;
    struct lane in;
    struct lane out;
};

/* A chunk that a step under way computes. */
struct saving {
    uint64_t step;
    uint64_t key;
    uint32_t entry; /* in host memory; TIER_ENTRY_NONE: it has no tier there */
    uint32_t reserved;
};

struct tiers {
    struct tiers_setup setup;
    struct tiers_config config;
    struct tier_index
        *index[TIER_COUNT]; /* NULL = no such tier; remote: the server's */
    struct tier_listener evicted;
    struct lane read[TIER_COUNT];
    struct lane write[TIER_COUNT];
    struct saving *savings; /* [first, end), in order of their steps */
    size_t capacity;
    size_t first;
    size_t end;
    struct tiers_stats stats;
};

const char *tier_name(enum tier tier)
{
    static const char *const names[] = {
#define X(id, name, help) name,
        TIERS(X)
#undef X
    };
    CHECK((size_t)tier < TIER_COUNT, "tier %d", (int)tier);
    return names[tier];
}

static int64_t transfer_ns(double bytes, double bytes_per_s)
{
    return (int64_t)ceil(bytes / bytes_per_s * 1e9);
}

static int64_t later(int64_t a_ns, int64_t b_ns)
{
    return a_ns > b_ns ? a_ns : b_ns;
}

/* ---- the cache server ------------------------------------------------------------ */

struct cache_server *cache_server_new(const struct cache_server_config *config)
{
    struct cache_server *server = mem_alloc(1, sizeof *server);
    CHECK(config->bytes_per_s > 0, "a cache server without a network");
    server->config = *config;
    server->index = tier_index_new(config->bytes, NULL);
    return server;
}

void cache_server_delete(struct cache_server *server)
{
    if (server != NULL) {
        tier_index_delete(server->index);
        mem_free(server);
    }
}

/* ---- life ------------------------------------------------------------------------ */

/* Of the tiers that are the engine's own. */
static bool held_here(const struct tiers *tiers, uint64_t key)
{
    for (uint32_t tier = 0; tier < TIER_REMOTE; tier++) {
        if (tiers->index[tier] != NULL &&
            tier_index_find(tiers->index[tier], key) != TIER_ENTRY_NONE) {
            return true;
        }
    }
    return false;
}

static void tell(const struct tiers *tiers, uint64_t key, bool stored)
{
    if (tiers->setup.listener != NULL) {
        tiers->setup.listener->on_chunk(tiers->setup.listener->context, key, stored);
    }
}

static void on_evict(void *context, uint64_t key)
{
    const struct tiers *tiers = context;
    if (!held_here(tiers, key)) {
        tell(tiers, key, false);
    }
}

struct tiers *tiers_new(const struct tiers_setup *setup)
{
    struct tiers *tiers = mem_alloc(1, sizeof *tiers);
    tiers->setup = *setup;
    tiers->config = *setup->config;
    tiers->evicted = (struct tier_listener){tiers, on_evict};
    for (uint32_t tier = 0; tier < TIER_REMOTE; tier++) {
        const struct tier_spec *spec = &tiers->config.tiers[tier];
        if (spec->present && spec->bytes > 0) {
            tiers->index[tier] = tier_index_new(spec->bytes, &tiers->evicted);
        }
    }
    if (tiers->config.tiers[TIER_REMOTE].present) {
        CHECK(setup->server != NULL, "a remote tier without a cache server");
        tiers->index[TIER_REMOTE] = setup->server->index;
    }
    return tiers;
}

void tiers_delete(struct tiers *tiers)
{
    if (tiers != NULL) {
        for (uint32_t tier = 0; tier < TIER_REMOTE; tier++) {
            tier_index_delete(tiers->index[tier]);
        }
        mem_free(tiers->savings);
        mem_free(tiers);
    }
}

void tiers_lose(struct tiers *tiers)
{
    for (uint32_t tier = 0; tier < TIER_REMOTE; tier++) {
        if (tiers->index[tier] != NULL) {
            tiers->stats.tiers[tier].evictions +=
                tier_index_evictions(tiers->index[tier]);
            tier_index_delete(tiers->index[tier]);
            tiers->index[tier] =
                tier_index_new(tiers->config.tiers[tier].bytes, &tiers->evicted);
        }
        tiers->read[tier] = (struct lane){0};
        tiers->write[tier] = (struct lane){0};
    }
    tiers->first = 0;
    tiers->end = 0;
}

const struct tiers_config *tiers_config(const struct tiers *tiers)
{
    return &tiers->config;
}

/* ---- look-up --------------------------------------------------------------------- */

/* The server keeps what engines of different models wrote; each finds its own. */
static uint64_t key_in(const struct tiers *tiers, uint32_t tier, uint64_t key)
{
    return tier == TIER_REMOTE ? key ^ tiers->setup.salt : key;
}

static uint32_t find(const struct tiers *tiers, uint32_t tier, uint64_t key)
{
    return tiers->index[tier] == NULL
               ? TIER_ENTRY_NONE
               : tier_index_find(tiers->index[tier], key_in(tiers, tier, key));
}

static bool find_nearest(const struct tiers *tiers, uint64_t key, int64_t now_ns,
                         uint32_t *place)
{
    for (uint32_t tier = 0; tier < TIER_COUNT; tier++) {
        const uint32_t entry = find(tiers, tier, key);
        if (entry != TIER_ENTRY_NONE &&
            tier_index_here(tiers->index[tier], entry, now_ns)) {
            *place = tier << PLACE_SHIFT | entry;
            return true;
        }
    }
    return false;
}

static struct tier_index *index_at(const struct tiers *tiers, uint32_t place)
{
    return tiers->index[place >> PLACE_SHIFT];
}

static uint32_t entry_at(uint32_t place)
{
    return place & ((UINT32_C(1) << PLACE_SHIFT) - 1);
}

uint32_t tiers_look_up(struct tiers *tiers, struct tier_sequence *sequence,
                       uint32_t known_tokens, int64_t now_ns)
{
    const uint32_t full = known_tokens / tiers->config.chunk_tokens;
    const uint32_t limit = full < sequence->count ? full : sequence->count;
    CHECK(!sequence->asked, "the tiers are asked twice for one admission");
    sequence->asked = true;
    sequence->hits = 0;
    if (tiers->config.role == TIERS_PRODUCER) {
        return 0;
    }
    tiers->stats.query_tokens += known_tokens;
    while (sequence->hits < limit &&
           find_nearest(tiers, sequence->keys[sequence->hits], now_ns,
                        &sequence->places[sequence->hits])) {
        sequence->hits++;
    }
    /* From the last to the first, as LMCache and vLLM do: of a prompt the end leaves
     * before the start, without which it is of no use. */
    for (uint32_t i = sequence->hits; i-- > 0;) {
        const uint32_t place = sequence->places[i];
        tier_index_pin(index_at(tiers, place), entry_at(place));
        tier_index_touch(index_at(tiers, place), entry_at(place));
    }
    sequence->saved = sequence->hits;
    const uint32_t tokens = sequence->hits * tiers->config.chunk_tokens;
    return tokens < known_tokens ? tokens : known_tokens - 1;
}

static void unpin(struct tiers *tiers, struct tier_sequence *sequence)
{
    for (uint32_t i = 0; i < sequence->hits; i++) {
        const uint32_t place = sequence->places[i];
        tier_index_unpin(index_at(tiers, place), entry_at(place));
    }
    sequence->hits = 0;
}

void tiers_decline(struct tiers *tiers, struct tier_sequence *sequence)
{
    unpin(tiers, sequence);
}

void tiers_forget(struct tiers *tiers, struct tier_sequence *sequence)
{
    unpin(tiers, sequence);
    sequence->asked = false;
    sequence->saved = 0;
}

/* ---- loads ----------------------------------------------------------------------- */

static int64_t lane_move(struct lane *lane, int64_t start_ns, int64_t length_ns)
{
    lane->free_ns = later(start_ns, lane->free_ns) + length_ns;
    return lane->free_ns;
}

/* Between this engine's card and the server's: begins when both are free, goes as fast
 * as the slower one. */
struct network {
    struct lane *own;
    double own_bytes_per_s;
    struct lane *server;
    double server_bytes_per_s;
};

static int64_t network_move(const struct network *network, int64_t start_ns,
                            double bytes)
{
    struct lane *own = network->own;
    struct lane *server = network->server;
    const int64_t begin_ns = later(start_ns, later(own->free_ns, server->free_ns));
    own->free_ns = begin_ns + transfer_ns(bytes, network->own_bytes_per_s);
    server->free_ns = begin_ns + transfer_ns(bytes, network->server_bytes_per_s);
    return later(own->free_ns, server->free_ns);
}

static int64_t fetch(struct tiers *tiers, uint32_t tier, uint32_t chunks,
                     int64_t start_ns)
{
    const struct tier_spec *spec = &tiers->config.tiers[tier];
    const double bytes =
        (double)chunks *
        (double)(tier == TIER_CPU ? tiers->setup.rank_bytes : tiers->setup.chunk_bytes);
    int64_t end_ns = 0;
    if (tier == TIER_REMOTE) {
        const struct network network = {&tiers->read[tier], spec->read_bytes_per_s,
                                        &tiers->setup.server->out,
                                        tiers->setup.server->config.bytes_per_s};
        end_ns = network_move(&network, start_ns, bytes);
    } else {
        end_ns = lane_move(&tiers->read[tier], start_ns,
                           transfer_ns(bytes, spec->read_bytes_per_s));
    }
    end_ns += spec->latency_ns;
    struct tier_stats *stats = &tiers->stats.tiers[tier];
    stats->load_bytes += chunks * tiers->setup.chunk_bytes;
    stats->load_ns += end_ns - start_ns;
    return end_ns;
}

static void count_hits(struct tiers *tiers, const struct tier_sequence *sequence,
                       uint32_t local_tokens, uint32_t hit_tokens)
{
    const uint32_t size = tiers->config.chunk_tokens;
    for (uint32_t i = local_tokens / size; i < sequence->hits; i++) {
        const uint32_t from = i * size > local_tokens ? i * size : local_tokens;
        const uint32_t to = (i + 1) * size < hit_tokens ? (i + 1) * size : hit_tokens;
        tiers->stats.tiers[sequence->places[i] >> PLACE_SHIFT].hit_tokens += to - from;
    }
}

/* What came from below is in host memory now; it stays there while there is room. */
static void copy_up(struct tiers *tiers, uint64_t key, int64_t now_ns, int64_t ready_ns)
{
    const bool known = held_here(tiers, key);
    if (tiers->index[TIER_CPU] != NULL &&
        find(tiers, TIER_CPU, key) == TIER_ENTRY_NONE &&
        tier_index_add(tiers->index[TIER_CPU], key, tiers->setup.chunk_bytes, now_ns,
                       ready_ns) != TIER_ENTRY_NONE &&
        !known) {
        tell(tiers, key, true);
    }
}

int64_t tiers_load(struct tiers *tiers, struct tier_sequence *sequence,
                   uint32_t local_tokens, uint32_t hit_tokens, int64_t start_ns)
{
    const uint32_t first = local_tokens / tiers->config.chunk_tokens;
    uint32_t chunks[TIER_COUNT] = {0};
    CHECK(first < sequence->hits, "nothing to load");
    for (uint32_t i = first; i < sequence->hits; i++) {
        chunks[sequence->places[i] >> PLACE_SHIFT]++;
    }
    count_hits(tiers, sequence, local_tokens, hit_tokens);
    int64_t end_ns = start_ns;
    for (uint32_t tier = TIER_COUNT; tier-- > TIER_DISK;) {
        end_ns = chunks[tier] > 0 ? fetch(tiers, tier, chunks[tier], end_ns) : end_ns;
    }
    /* From host memory to the GPU goes all of it. */
    end_ns = fetch(tiers, TIER_CPU, sequence->hits - first, end_ns);
    for (uint32_t i = first; i < sequence->hits; i++) {
        const uint32_t place = sequence->places[i];
        tier_index_read(index_at(tiers, place), entry_at(place), end_ns);
    }
    const uint32_t hits = sequence->hits;
    unpin(tiers, sequence);
    for (uint32_t i = first; i < hits; i++) {
        if (sequence->places[i] >> PLACE_SHIFT != TIER_CPU) {
            copy_up(tiers, sequence->keys[i], start_ns, end_ns);
        }
    }
    return end_ns;
}

int64_t tiers_load_estimate(const struct tiers *tiers,
                            const struct tier_sequence *sequence, uint32_t local_tokens)
{
    const uint32_t first = local_tokens / tiers->config.chunk_tokens;
    const struct tier_spec *specs = tiers->config.tiers;
    double bytes[TIER_COUNT] = {0};
    for (uint32_t i = first; i < sequence->hits; i++) {
        bytes[sequence->places[i] >> PLACE_SHIFT] += (double)tiers->setup.chunk_bytes;
    }
    bytes[TIER_CPU] =
        (double)(sequence->hits - first) * (double)tiers->setup.rank_bytes;
    int64_t sum_ns = 0;
    for (uint32_t tier = 0; tier < TIER_COUNT; tier++) {
        double bytes_per_s = specs[tier].read_bytes_per_s;
        if (tier == TIER_REMOTE && tiers->setup.server != NULL) {
            bytes_per_s = fmin(bytes_per_s, tiers->setup.server->config.bytes_per_s);
        }
        if (bytes[tier] > 0) {
            sum_ns += specs[tier].latency_ns + transfer_ns(bytes[tier], bytes_per_s);
        }
    }
    return sum_ns;
}

/* ---- saves ----------------------------------------------------------------------- */

static void saving_append(struct tiers *tiers, const struct saving *saving)
{
    if (tiers->end == tiers->capacity && tiers->first > tiers->end / 2) {
        tiers->end -= tiers->first;
        memmove(tiers->savings, tiers->savings + tiers->first,
                tiers->end * sizeof *saving);
        tiers->first = 0;
    }
    void *array = tiers->savings;
    const bool grown = mem_grow(&array, &tiers->capacity, tiers->end + 1,
                                sizeof *tiers->savings, SAVINGS_MAX);
    CHECK(grown, "more than %d chunks in the steps under way", (int)SAVINGS_MAX);
    tiers->savings = array;
    tiers->savings[tiers->end++] = *saving;
}

static bool held_anywhere(const struct tiers *tiers, uint64_t key)
{
    return held_here(tiers, key) || find(tiers, TIER_REMOTE, key) != TIER_ENTRY_NONE;
}

/* The next chunk up to `limit` that has to be saved, with its place in host memory.
 * False when there is none. */
static bool saving_next(struct tiers *tiers, struct tier_sequence *sequence,
                        uint32_t limit, int64_t now_ns, struct saving *saving)
{
    while (sequence->saved < limit &&
           held_anywhere(tiers, sequence->keys[sequence->saved])) {
        sequence->saved++;
    }
    if (sequence->saved >= limit) {
        return false;
    }
    saving->key = sequence->keys[sequence->saved];
    saving->entry = TIER_ENTRY_NONE;
    if (tiers->index[TIER_CPU] != NULL) {
        saving->entry =
            tier_index_add(tiers->index[TIER_CPU], saving->key,
                           tiers->setup.chunk_bytes, now_ns, TIER_ON_ITS_WAY);
        if (saving->entry == TIER_ENTRY_NONE) {
            tiers->stats.dropped_chunks += limit - sequence->saved;
            sequence->saved = limit; /* LMCache gives up on the rest, too */
            return false;
        }
    }
    sequence->saved++;
    return true;
}

static uint32_t save_limit(const struct tiers *tiers,
                           const struct tier_sequence *sequence, uint32_t tokens)
{
    const uint32_t full = tokens / tiers->config.chunk_tokens;
    const bool saves = tiers->config.role != TIERS_CONSUMER;
    return !saves ? 0 : full < sequence->count ? full : sequence->count;
}

int64_t tiers_save(struct tiers *tiers, struct tier_sequence *sequence, uint32_t tokens,
                   int64_t now_ns, uint64_t step)
{
    const uint32_t limit = save_limit(tiers, sequence, tokens);
    uint32_t chunks = 0;
    struct saving saving = {.step = step};
    for (; saving_next(tiers, sequence, limit, now_ns, &saving); chunks++) {
        saving_append(tiers, &saving);
    }
    if (chunks == 0 || tiers->config.connector == CONNECTOR_OFFLOADING) {
        return 0;
    }
    const struct tier_spec *cpu = &tiers->config.tiers[TIER_CPU];
    const double bytes = (double)chunks * (double)tiers->setup.rank_bytes;
    const int64_t stall_ns =
        cpu->latency_ns + transfer_ns(bytes, cpu->write_bytes_per_s);
    tiers->stats.tiers[TIER_CPU].save_ns += stall_ns;
    return stall_ns;
}

/* From host memory to a tier below, from from_ns on; returns when it is there, or
 * from_ns when it does not go. */
static int64_t put(struct tiers *tiers, uint32_t tier, uint64_t key, int64_t now_ns,
                   int64_t from_ns)
{
    const struct tier_spec *spec = &tiers->config.tiers[tier];
    const uint64_t bytes = tiers->setup.chunk_bytes;
    if (tiers->index[tier] == NULL || find(tiers, tier, key) != TIER_ENTRY_NONE) {
        return from_ns;
    }
    const uint64_t evictions = tier_index_evictions(tiers->index[tier]);
    const uint32_t entry = tier_index_add(tiers->index[tier], key_in(tiers, tier, key),
                                          bytes, now_ns, TIER_ON_ITS_WAY);
    if (entry == TIER_ENTRY_NONE) {
        return from_ns;
    }
    tiers->stats.tiers[tier].evictions +=
        tier_index_evictions(tiers->index[tier]) - evictions;
    int64_t end_ns = 0;
    if (tier == TIER_REMOTE) {
        const struct network network = {&tiers->write[tier], spec->write_bytes_per_s,
                                        &tiers->setup.server->in,
                                        tiers->setup.server->config.bytes_per_s};
        end_ns = network_move(&network, from_ns, (double)bytes);
    } else {
        end_ns = lane_move(&tiers->write[tier], from_ns,
                           transfer_ns((double)bytes, spec->write_bytes_per_s));
    }
    end_ns += spec->latency_ns;
    tier_index_arrive(tiers->index[tier], entry, end_ns);
    tiers->stats.tiers[tier].save_bytes += bytes;
    return end_ns;
}

/* The chunk is computed. LMCache has copied it by now; vLLM's connector copies it
 * beside the steps that follow. */
static void saving_end(struct tiers *tiers, const struct saving *saving, int64_t now_ns)
{
    const struct tier_spec *cpu = &tiers->config.tiers[TIER_CPU];
    int64_t here_ns = now_ns;
    if (tiers->config.connector == CONNECTOR_OFFLOADING) {
        here_ns = lane_move(
            &tiers->write[TIER_CPU], now_ns,
            transfer_ns((double)tiers->setup.rank_bytes, cpu->write_bytes_per_s));
        here_ns += cpu->latency_ns;
    }
    tiers->stats.tiers[TIER_CPU].save_bytes += tiers->setup.chunk_bytes;
    const bool known =
        saving->entry == TIER_ENTRY_NONE && held_here(tiers, saving->key);
    if (saving->entry != TIER_ENTRY_NONE) {
        tier_index_arrive(tiers->index[TIER_CPU], saving->entry, here_ns);
    }
    const int64_t disk_ns = put(tiers, TIER_DISK, saving->key, now_ns, here_ns);
    const int64_t remote_ns = put(tiers, TIER_REMOTE, saving->key, now_ns, here_ns);
    if (saving->entry != TIER_ENTRY_NONE) {
        tier_index_read(tiers->index[TIER_CPU], saving->entry,
                        later(disk_ns, remote_ns));
    }
    if (!known && held_here(tiers, saving->key)) {
        tell(tiers, saving->key, true);
    }
}

void tiers_step_ended(struct tiers *tiers, uint64_t step, int64_t now_ns)
{
    size_t end = tiers->first;
    while (end < tiers->end && tiers->savings[end].step <= step) {
        end++;
    }
    for (size_t i = tiers->first; i < end; i++) {
        saving_end(tiers, &tiers->savings[i], now_ns);
    }
    tiers->first = end;
    if (tiers->first == tiers->end) {
        tiers->first = 0;
        tiers->end = 0;
    }
}

void tiers_store(struct tiers *tiers, struct tier_sequence *sequence, uint32_t tokens,
                 int64_t now_ns)
{
    const uint32_t limit = save_limit(tiers, sequence, tokens);
    struct saving saving = {0};
    while (saving_next(tiers, sequence, limit, now_ns, &saving)) {
        saving_end(tiers, &saving, now_ns);
    }
}

/* ---- results --------------------------------------------------------------------- */

void tiers_stall(struct tiers *tiers, int64_t length_ns)
{
    tiers->stats.stall_ns += length_ns;
}

void tiers_stats_read(const struct tiers *tiers, struct tiers_stats *stats)
{
    *stats = tiers->stats;
    for (uint32_t tier = 0; tier < TIER_REMOTE; tier++) {
        if (tiers->index[tier] != NULL) {
            stats->tiers[tier].evictions += tier_index_evictions(tiers->index[tier]);
            stats->tiers[tier].held_bytes = tier_index_bytes(tiers->index[tier]);
        }
    }
}

void tiers_check(const struct tiers *tiers)
{
    for (uint32_t tier = 0; tier < TIER_COUNT; tier++) {
        if (tiers->index[tier] != NULL) {
            tier_index_check(tiers->index[tier]);
        }
    }
}
