/* SPDX-License-Identifier: Apache-2.0
 *
 * popularity.c: a table of cumulated shares, or the tenant's name.
 *
 * Popularity may drift: after each `rotate` the ranks move on by one adapter, so that
 * what was hot becomes cold. Then a session's first draw has to be remembered.
 */
#include "traces/popularity.h"

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>

enum kind { KIND_UNIFORM, KIND_ZIPF, KIND_POWER, KIND_TENANT };
enum { SESSIONS_MAX = 1 << 28 };

struct popularity {
    enum kind kind;
    uint64_t seed;
    uint32_t count;
    double exponent;
    double base_ratio;     /* of the requests go to the base model */
    int64_t rotate_ns;     /* 0 = the ranks stay */
    double *upto;          /* by rank: share of it and of all before */
    struct map *rotations; /* session -> how often the ranks had moved; or NULL */
    char *prefix;
    struct text name;
};

/* P(rank): zipf 1 / (rank + 1)^s; power as in S-LoRA (benchmarks/trace.py),
 * ((rank + 1) / n)^a - (rank / n)^a, where a = 1 is even and less is skewed. */
static double weight_of(const struct popularity *popularity, uint32_t rank)
{
    const double count = popularity->count;
    if (popularity->kind == KIND_ZIPF) {
        return pow((double)rank + 1, -popularity->exponent);
    }
    if (popularity->kind == KIND_POWER) {
        return pow((rank + 1) / count, popularity->exponent) -
               pow(rank / count, popularity->exponent);
    }
    return 1;
}

static void shares_fill(struct popularity *popularity)
{
    double sum = 0;
    popularity->upto = mem_alloc(popularity->count, sizeof(double));
    for (uint32_t rank = 0; rank < popularity->count; rank++) {
        sum += weight_of(popularity, rank);
        popularity->upto[rank] = sum;
    }
    for (uint32_t rank = 0; rank < popularity->count; rank++) {
        popularity->upto[rank] /= sum;
    }
}

static bool keys_read(struct popularity *popularity, const struct conf_node *map,
                      struct err *err)
{
    static const char *const kinds[] = {"uniform", "zipf", "power", "tenant", NULL};
    const char *prefix = "adapter-";
    uint32_t kind = KIND_UNIFORM;
    popularity->exponent = 1;
    if (!conf_enum(map, "popularity", kinds, &kind, err) ||
        !conf_str(map, "prefix", &prefix, err) ||
        !conf_u32(map, "count", &popularity->count, 1, POPULARITY_ADAPTERS_MAX, err) ||
        !conf_f64(map, "exponent", &popularity->exponent, 0, 20, err) ||
        !conf_f64(map, "base_ratio", &popularity->base_ratio, 0, 1, err) ||
        !conf_duration_ns(map, "rotate", &popularity->rotate_ns, err) ||
        !conf_done(map, err)) {
        return false;
    }
    popularity->kind = (enum kind)kind;
    popularity->prefix = mem_strdup(prefix);
    return true;
}

static bool keys_check(const struct popularity *popularity, const struct conf_node *map,
                       struct err *err)
{
    const enum kind kind = popularity->kind;
    const bool skewed = kind == KIND_ZIPF || kind == KIND_POWER;
    if (kind == KIND_TENANT) {
        static const char *const others[] = {"count", "rotate"};
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
            if (conf_get(map, others[i]) != NULL) {
                return conf_fail(conf_get(map, others[i]), err,
                                 "%s: with popularity: tenant every tenant has its own "
                                 "adapter; leave it out",
                                 others[i]);
            }
        }
    } else if (popularity->count == 0) {
        return conf_fail(map, err,
                         "adapters: count: how many adapters share the requests?");
    }
    if (!skewed && conf_get(map, "exponent") != NULL) {
        return conf_fail(conf_get(map, "exponent"), err,
                         "exponent: only popularity: zipf and power have one");
    }
    return kind != KIND_POWER || popularity->exponent > 0 ||
           conf_fail(conf_get(map, "exponent"), err,
                     "exponent: of popularity: power it is above 0 (1: even)");
}

bool popularity_open(struct popularity **out, const struct conf_node *map,
                     uint64_t seed, struct err *err)
{
    struct popularity *const popularity = mem_alloc(1, sizeof(*popularity));
    popularity->seed = seed;
    if (!keys_read(popularity, map, err) || !keys_check(popularity, map, err)) {
        popularity_close(popularity);
        return false;
    }
    if (popularity->kind != KIND_TENANT) {
        shares_fill(popularity);
    }
    if (popularity->rotate_ns > 0) {
        popularity->rotations = map_new(1024, SESSIONS_MAX);
    }
    *out = popularity;
    return true;
}

void popularity_close(struct popularity *popularity)
{
    if (popularity != NULL) {
        mem_free(popularity->upto);
        map_delete(popularity->rotations);
        mem_free(popularity->prefix);
        text_fini(&popularity->name);
        mem_free(popularity);
    }
}

static uint32_t rank_at(const struct popularity *popularity, double share)
{
    uint32_t low = 0;
    uint32_t high = popularity->count - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (popularity->upto[middle] > share) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* How far the ranks have moved for this request: as for the first of its session. */
static uint32_t rotation_of(struct popularity *popularity,
                            const struct trace_record *record)
{
    uint32_t rotation = 0;
    if (popularity->rotate_ns == 0 ||
        (record->session != 0 &&
         map_get(popularity->rotations, record->session, &rotation))) {
        return rotation;
    }
    const int64_t moved =
        record->arrival_ns > 0 ? record->arrival_ns / popularity->rotate_ns : 0;
    rotation = (uint32_t)(moved % popularity->count);
    if (record->session != 0) {
        map_put(popularity->rotations, record->session, rotation);
    }
    return rotation;
}

const char *popularity_draw(struct popularity *popularity,
                            const struct trace_record *record)
{
    struct rng rng;
    if (record->session != 0) {
        rng_init(&rng, popularity->seed, "workload.adapters/session", record->session);
    } else {
        rng_init(&rng, popularity->seed, "workload.adapters", record->id);
    }
    if (popularity->base_ratio > 0 && rng_unit(&rng) < popularity->base_ratio) {
        return NULL;
    }
    popularity->name.length = 0;
    text_add(&popularity->name, popularity->prefix);
    if (popularity->kind == KIND_TENANT) {
        if (record->tenant == NULL) {
            return NULL;
        }
        text_add(&popularity->name, record->tenant);
    } else {
        const uint32_t rank = rank_at(popularity, rng_unit(&rng));
        text_printf(&popularity->name, "%" PRIu32,
                    (rank + rotation_of(popularity, record)) % popularity->count);
    }
    return text_str(&popularity->name);
}

void popularity_describe(const struct popularity *popularity, struct text *out)
{
    static const char *const kinds[] = {"uniform", "zipf", "power"};
    if (popularity->kind == KIND_TENANT) {
        text_add(out, "an adapter for each tenant");
        return;
    }
    text_printf(out, "%" PRIu32 " adapters, %s", popularity->count,
                kinds[popularity->kind]);
    if (popularity->kind != KIND_UNIFORM) {
        text_printf(out, " %g", popularity->exponent);
    }
}
