/* SPDX-License-Identifier: Apache-2.0
 *
 * route_rendezvous.c: highest hash of key and endpoint (highest random weight).
 *
 *     argmax over endpoints of FNV-1a64(key, a zero byte, url); ties: the smaller url
 *
 * (Thaler, Ravishankar 1998; AIBrix' session affinity.) No table, nothing to rebuild:
 * an endpoint that goes takes only its own keys along. Unequal weights: the highest of
 * -weight / ln(u), u the hash as a number from 0 to 1, which gives each endpoint a
 * share in proportion to its weight.
 *
 * FNV-1a takes a multiplication per byte, each waiting for the one before. What all
 * urls begin with is hashed once a decision, the rest of four urls side by side; in
 * order of length, so that four end together.
 */
#include "base/hash.h"
#include "policies/affinity_key.h"
#include "policies/registry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARAM_KEY, PARAM_PREFIX_CHUNKS, PARAM_MIXED };
enum { KEY_BYTES_MAX = 256, LANES = 4 };
static const uint64_t fnv_offset = UINT64_C(0xcbf29ce484222325);
static const uint64_t fnv_prime = UINT64_C(0x100000001b3);

/* The end of an url, behind what all have in common. */
struct url_rest {
    const char *bytes; /* one behind the other: a decision reads them all */
    uint32_t byte_count;
    uint32_t index;
};

struct rendezvous {
    struct policy_memory memory;
    struct affinity_rule rule;
    bool mixed;
    /* Of the candidates with this set_hash, unless stale. */
    uint64_t set_hash;
    uint32_t count;
    bool stale;
    bool equal_weights;
    uint32_t common_bytes; /* that all urls begin with */
    uint32_t capacity;
    struct url_rest *rests; /* by length, then index */
    char *text;             /* of the rests */
    size_t text_capacity;
};

static bool rendezvous_init(void *state, const struct policy_setup *setup,
                            struct err *err)
{
    (void)err;
    struct rendezvous *self = state;
    self->memory = setup->memory;
    self->rule = (struct affinity_rule){
        .by = (enum affinity_by)setup->values[PARAM_KEY],
        .prefix_chunks = (uint32_t)setup->values[PARAM_PREFIX_CHUNKS],
    };
    self->mixed = setup->values[PARAM_MIXED] != 0;
    self->stale = true;
    return true;
}

static void rendezvous_fini(void *state)
{
    struct rendezvous *self = state;
    self->memory.resize(self->memory.context, self->rests, 0);
    self->memory.resize(self->memory.context, self->text, 0);
}

/* ---- the candidates' urls ------------------------------------------------------- */

static uint32_t common_bytes_of(const struct cluster_view *view)
{
    /* In byte order, what the first and the last begin with, all begin with. */
    const char *first = view->endpoints[view->by_url[0]]->url;
    const char *last = view->endpoints[view->by_url[view->count - 1]]->url;
    uint32_t bytes = 0;
    while (first[bytes] != '\0' && first[bytes] == last[bytes]) {
        bytes++;
    }
    return bytes;
}

static int compare_rests(const void *left, const void *right)
{
    const struct url_rest *a = left;
    const struct url_rest *b = right;
    if (a->byte_count != b->byte_count) {
        return a->byte_count < b->byte_count ? -1 : 1;
    }
    return a->index < b->index ? -1 : 1;
}

/* Urls lie all over the heap; a byte more, so that no text is no NULL. */
static void pack(struct rendezvous *self, uint32_t count, size_t text_bytes)
{
    if (text_bytes > self->text_capacity) {
        self->text = self->memory.resize(self->memory.context, self->text, text_bytes);
        self->text_capacity = text_bytes;
    }
    char *at = self->text;
    for (uint32_t i = 0; i < count; i++) {
        struct url_rest *rest = &self->rests[i];
        memcpy(at, rest->bytes, rest->byte_count);
        rest->bytes = at;
        at += rest->byte_count;
    }
}

static void gather(struct rendezvous *self, const struct cluster_view *view)
{
    if (view->count > self->capacity) {
        self->rests = self->memory.resize(self->memory.context, self->rests,
                                          view->count * sizeof *self->rests);
        self->capacity = view->count;
    }
    self->common_bytes = common_bytes_of(view);
    self->equal_weights = true;
    size_t text_bytes = 1;
    for (uint32_t i = 0; i < view->count; i++) {
        const char *rest = view->endpoints[i]->url + self->common_bytes;
        self->rests[i] = (struct url_rest){
            .bytes = rest, .byte_count = (uint32_t)strlen(rest), .index = i};
        text_bytes += self->rests[i].byte_count;
        self->equal_weights = self->equal_weights &&
                              view->endpoints[i]->weight == view->endpoints[0]->weight;
    }
    qsort(self->rests, view->count, sizeof *self->rests, compare_rests);
    pack(self, view->count, text_bytes);
    self->set_hash = view->set_hash;
    self->count = view->count;
    self->stale = false;
}

/* ---- hashes --------------------------------------------------------------------- */

static uint64_t fnv_add(uint64_t hash, const void *bytes, size_t byte_count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < byte_count; i++) {
        hash = (hash ^ at[i]) * fnv_prime;
    }
    return hash;
}

/* Of the key, the zero byte and what all urls begin with. */
static uint64_t hash_beginning(const struct rendezvous *self,
                               const struct cluster_view *view,
                               const struct request_view *request)
{
    const struct affinity_key key = affinity_key_of(&self->rule, request);
    uint64_t hash = 0;
    if (key.text != NULL) {
        hash = fnv_add(fnv_offset, key.text, strnlen(key.text, KEY_BYTES_MAX));
    } else {
        uint8_t bytes[8];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (uint8_t)(key.hash >> (8 * i));
        }
        hash = fnv_add(fnv_offset, bytes, sizeof bytes);
    }
    hash *= fnv_prime; /* the zero byte */
    return fnv_add(hash, view->endpoints[0]->url, self->common_bytes);
}

/* Of four, the first of which is the shortest. */
static void hash_four(uint64_t beginning, const struct url_rest rests[LANES],
                      uint64_t hashes[LANES])
{
    uint64_t a = beginning;
    uint64_t b = beginning;
    uint64_t c = beginning;
    uint64_t d = beginning;
    const uint32_t shortest = rests[0].byte_count;
    for (uint32_t i = 0; i < shortest; i++) {
        a = (a ^ (uint8_t)rests[0].bytes[i]) * fnv_prime;
        b = (b ^ (uint8_t)rests[1].bytes[i]) * fnv_prime;
        c = (c ^ (uint8_t)rests[2].bytes[i]) * fnv_prime;
        d = (d ^ (uint8_t)rests[3].bytes[i]) * fnv_prime;
    }
    const uint64_t so_far[LANES] = {a, b, c, d};
    for (int lane = 0; lane < LANES; lane++) {
        hashes[lane] = fnv_add(so_far[lane], rests[lane].bytes + shortest,
                               rests[lane].byte_count - shortest);
    }
}

static void hash_some(uint64_t beginning, const struct url_rest *rests, uint32_t count,
                      uint64_t hashes[LANES])
{
    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = fnv_add(beginning, rests[i].bytes, rests[i].byte_count);
    }
}

/* ---- the highest ---------------------------------------------------------------- */

struct highest {
    const struct cluster_view *view;
    bool by_score;
    uint32_t index; /* NOT_A_CANDIDATE until something is offered */
    uint64_t hash;
    double score;
};

static double unit_of(uint64_t hash)
{
    return ((double)(hash >> 11) + 0.5) * 0x1p-53; /* never 0 nor 1 */
}

static void offer(struct highest *highest, uint64_t hash, uint32_t index)
{
    const struct cluster_view *view = highest->view;
    double score = 0;
    if (highest->by_score) {
        score = -view->endpoints[index]->weight / log(unit_of(hash));
    }
    if (view->scores != NULL) {
        view->scores[index] = highest->by_score ? score : unit_of(hash);
    }
    bool wins = false;
    if (highest->index == NOT_A_CANDIDATE) {
        wins = true;
    } else if (highest->by_score && score != highest->score) {
        wins = score > highest->score;
    } else if (!highest->by_score && hash != highest->hash) {
        wins = hash > highest->hash;
    } else {
        wins = view->url_rank[index] < view->url_rank[highest->index];
    }
    if (wins) {
        highest->index = index;
        highest->hash = hash;
        highest->score = score;
    }
}

static void offer_all(const struct rendezvous *self, uint64_t beginning,
                      struct highest *highest)
{
    uint64_t hashes[LANES];
    /* Most hashes are below the highest and not worth a call. */
    const bool lower_loses = !highest->by_score && highest->view->scores == NULL;
    for (uint32_t at = 0; at < self->count; at += LANES) {
        const uint32_t left = self->count - at;
        const uint32_t lanes = left < LANES ? left : LANES;
        if (lanes == LANES) {
            hash_four(beginning, self->rests + at, hashes);
        } else {
            hash_some(beginning, self->rests + at, lanes, hashes);
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            const uint64_t hash = self->mixed ? hash_mix(hashes[lane]) : hashes[lane];
            if (!lower_loses || hash >= highest->hash) {
                offer(highest, hash, self->rests[at + lane].index);
            }
        }
    }
}

static struct route_decision rendezvous_pick(void *state,
                                             const struct cluster_view *view,
                                             const struct request_view *request)
{
    struct rendezvous *self = state;
    if (self->stale || self->set_hash != view->set_hash || self->count != view->count) {
        gather(self, view);
    }
    struct highest highest = {
        .view = view, .by_score = !self->equal_weights, .index = NOT_A_CANDIDATE};
    offer_all(self, hash_beginning(self, view, request), &highest);
    return (struct route_decision){
        .endpoint = (int32_t)highest.index,
        .reason = REASON_RENDEZVOUS,
        .candidates = view->count,
        .score = highest.by_score ? highest.score : unit_of(highest.hash),
    };
}

static void rendezvous_on_endpoint_change(void *state, enum endpoint_change change,
                                          const struct endpoint_view *endpoint)
{
    (void)change;
    (void)endpoint;
    struct rendezvous *self = state;
    self->stale = true;
}

static size_t rendezvous_memory_bytes(const void *state)
{
    const struct rendezvous *self = state;
    return self->capacity * sizeof *self->rests + self->text_capacity;
}

/* ---- tables --------------------------------------------------------------------- */

static const char *const aliases[] = {"session-affinity", NULL};

static const struct policy_param params[] = {
    [PARAM_KEY] = AFFINITY_BY_PARAM(AFFINITY_SESSION),
    [PARAM_PREFIX_CHUNKS] = AFFINITY_CHUNKS_PARAM,
    [PARAM_MIXED] =
        {
            .name = "mixed",
            .kind = PARAM_BOOL,
            .max = 1,
            .help = "1: the hash is mixed once more, so that shares are equal whatever "
                    "the urls; 0: FNV-1a as it is, as in AIBrix",
        },
    {.name = NULL},
};

const struct route_policy route_rendezvous = {
    .name = "rendezvous",
    .aliases = aliases,
    .help = "The highest hash of key and endpoint (extension).",
    .source =
        "vllm-project/aibrix:pkg/plugins/gateway/algorithms/simple_session_affinity.go",
    .breaks = "large fleets (every url is hashed for every request); hot keys; "
              "without mixed, urls that differ in their last byte alone",
    .needs = AFFINITY_NEEDS,
    .params = params,
    .state_bytes = sizeof(struct rendezvous),
    .init = rendezvous_init,
    .fini = rendezvous_fini,
    .pick = rendezvous_pick,
    .on_endpoint_change = rendezvous_on_endpoint_change,
    .score_help = "hash of key and endpoint as a number from 0 to 1, with unequal "
                  "weights -weight / ln(hash); the highest wins",
    .memory_bytes = rendezvous_memory_bytes,
};
