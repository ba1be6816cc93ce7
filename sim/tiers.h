/* SPDX-License-Identifier: Apache-2.0
 *
 * tiers.h: the tiers behind one engine's KV cache: host memory, disk, a cache server.
 *
 * Prompts are kept in chunks (sim/tier_index.h). When a request comes to the head of
 * the queue its leading chunks are looked up in all tiers, the nearest first; what is
 * found beyond the engine's own cache can be loaded instead of computed. Computed
 * chunks are saved to host memory and put to the tiers below from there, and what is
 * loaded from below is copied up. As LMCache does it (spec/vllm-engine.md 6.1), or
 * vLLM's OffloadingConnector (6.2).
 *
 * Times: a transfer of b bytes takes latency + b / bandwidth, and those of one device
 * in one direction follow one another. That holds for the cache server, too, which is
 * one process: its card serves one transfer at a time, in order of their requests. A
 * load that holds up a step has to know its end when it begins, which fair shares, that
 * change with every newcomer, cannot tell; what the server moves in a second is the
 * same.
 */
#ifndef STACKSIM_SIM_TIERS_H
#define STACKSIM_SIM_TIERS_H

#include <stdbool.h>
#include <stdint.h>

#define TIERS(X)                                                                       \
    X(CPU, "cpu", "the host's memory, over PCIe")                                      \
    X(DISK, "disk", "a local disk")                                                    \
    X(REMOTE, "remote", "the cache server, over the network")

enum tier {
#define X(id, name, help) TIER_##id,
    TIERS(X)
#undef X
        TIER_COUNT
};
const char *tier_name(enum tier tier);

enum tiers_connector { CONNECTOR_LMCACHE, CONNECTOR_OFFLOADING };
enum tiers_role { TIERS_BOTH, TIERS_PRODUCER, TIERS_CONSUMER };

struct tier_spec {
    bool present;
    uint64_t bytes; /* of this engine; cpu 0: a buffer on the way to the others; unused
                       of remote */
    double read_bytes_per_s; /* cpu: of one GPU's link; remote: of this engine's card */
    double write_bytes_per_s; /* as above */
    int64_t latency_ns;       /* of a transfer */
};

struct tiers_config {
    bool present;
    enum tiers_connector connector;
    enum tiers_role role;
    bool async_load;     /* else the whole batch waits for what one request loads */
    bool load_if_faster; /* than to compute it; else always */
    uint32_t chunk_tokens;
    uint32_t min_retrieve_tokens; /* less than that is computed */
    struct tier_spec tiers[TIER_COUNT];
};

struct cache_server_config {
    bool present;
    uint64_t bytes;
    double bytes_per_s; /* of its card, in each direction; > 0 */
};

/* One process, shared by all engines of a scenario. */
struct cache_server;
struct cache_server *cache_server_new(const struct cache_server_config *config);
void cache_server_delete(struct cache_server *server);

/* What an engine tells a controller: it has this chunk in a tier of its own now, or in
 * none any more. */
struct tiers_listener {
    void *context;
    void (*on_chunk)(void *context, uint64_t key, bool stored);
};

struct tiers;

struct tiers_setup {
    const struct tiers_config *config; /* copied */
    uint64_t chunk_bytes;              /* of all GPUs together */
    uint64_t rank_bytes;               /* of one GPU's part, which its link moves */
    uint64_t salt;                     /* engines of equal salt read each other's KV */
    struct cache_server *server;       /* NULL = none; borrowed */
    const struct tiers_listener *listener; /* NULL = nobody; borrowed */
};

struct tiers *tiers_new(const struct tiers_setup *setup);
void tiers_delete(struct tiers *tiers);
const struct tiers_config *tiers_config(const struct tiers *tiers);

/* What one request knows of its chunks; prompt, then output. The owner keeps it beside
 * the request, fills in keys, places and count, and zeroes the rest. */
struct tier_sequence {
    const uint64_t *keys; /* hashes of all tokens up to the chunk's end */
    uint32_t *places;     /* room for as many: where those that were found are */
    uint32_t count;       /* full chunks */
    uint32_t hits;        /* leading ones that were found, and are pinned */
    uint32_t saved;       /* leading ones that need no saving any more */
    bool asked;
};

/* Once for each admission: pins the longest run of leading chunks that are here, and
 * returns its tokens, less than known_tokens, for one is computed for its logits. */
uint32_t tiers_look_up(struct tiers *tiers, struct tier_sequence *sequence,
                       uint32_t known_tokens, int64_t now_ns);
/* Unpins: it will be computed, or is in the engine's own cache. */
void tiers_decline(struct tiers *tiers, struct tier_sequence *sequence);
/* Unpins, and the next admission asks anew. */
void tiers_forget(struct tiers *tiers, struct tier_sequence *sequence);

/* Loads what the look-up found from the chunk with token local_tokens on; start_ns is
 * now or later (a load before this one). Returns when it is in the GPU's blocks. */
int64_t tiers_load(struct tiers *tiers, struct tier_sequence *sequence,
                   uint32_t local_tokens, uint32_t hit_tokens, int64_t start_ns);
/* How long that would take, were all devices free. Changes nothing. */
int64_t tiers_load_estimate(const struct tiers *tiers,
                            const struct tier_sequence *sequence,
                            uint32_t local_tokens);

/* A step computes the sequence up to `tokens`: its chunks that are complete then are
 * saved when the step is over. Returns how much longer that makes the step, ns. */
int64_t tiers_save(struct tiers *tiers, struct tier_sequence *sequence, uint32_t tokens,
                   int64_t now_ns, uint64_t step);
/* Saves at once what an ended request has computed, beside the steps that follow
 * (vLLM's connector, outputs). */
void tiers_store(struct tiers *tiers, struct tier_sequence *sequence, uint32_t tokens,
                 int64_t now_ns);
/* The step is over. Steps end in order. */
void tiers_step_ended(struct tiers *tiers, uint64_t step, int64_t now_ns);

/* The engine's process has ended, with all that it had in tiers of its own and on the
 * way there. No sequence may have anything pinned. Counters go on. */
void tiers_lose(struct tiers *tiers);

struct tier_stats {
    uint64_t hit_tokens; /* loaded from it instead of computed */
    uint64_t load_bytes;
    uint64_t save_bytes;
    int64_t load_ns;     /* that requests waited for it */
    int64_t save_ns;     /* that the engine waited for it */
    uint64_t evictions;  /* of the cache server: for what this engine put there */
    uint64_t held_bytes; /* now; 0 of the cache server */
};

struct tiers_stats {
    struct tier_stats tiers[TIER_COUNT];
    uint64_t query_tokens;
    uint64_t dropped_chunks; /* not saved: nothing in host memory might leave */
    int64_t stall_ns;        /* that the engine stood still, for loads and saves */
};
void tiers_stats_read(const struct tiers *tiers, struct tiers_stats *stats);

/* The engine stands still for so long. */
void tiers_stall(struct tiers *tiers, int64_t length_ns);

void tiers_check(const struct tiers *tiers);

#endif
