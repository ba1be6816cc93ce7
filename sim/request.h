/* SPDX-License-Identifier: Apache-2.0
 *
 * request.h: requests in flight, and the moves that are legal for them.
 */
#ifndef STACKSIM_SIM_REQUEST_H
#define STACKSIM_SIM_REQUEST_H

#include "sim/kvpool.h"
#include "sim/observer.h"
#include "sim/tiers.h"
#include "traces/record.h"

#include <stddef.h>
#include <stdint.h>

#define REQUEST_STATES(X)                                                              \
    X(ARRIVED, "at the gateway")                                                       \
    X(WAITING, "in an engine's queue, new or preempted")                               \
    X(LOADING, "in an engine, which waits for its KV to come; holds blocks")           \
    X(PREFILLING, "running; some known tokens are not computed yet")                   \
    X(DECODING, "running; one token per step, member of the decode set")               \
    X(DRAINING, "running; its last token is in a step under way")                      \
    X(ENDED, "has its outcome")

enum request_state {
#define X(name, help) REQUEST_##name,
    REQUEST_STATES(X)
#undef X
};

/* What a step that speculates gives a request. */
struct flight {
    uint64_t step;   /* index; 0 = none */
    uint32_t tokens; /* sampled and kept */
    uint32_t wasted; /* scheduled, but not kept */
    uint32_t left;   /* that it still lacks afterwards */
    bool cut;        /* more were right than it lacked */
};

/* Of a request whose prompt is computed by one engine and that decodes at another. */
enum request_leg { LEG_WHOLE, LEG_PREFILL, LEG_DECODE };

struct request {
    /* What a walk over a batch reads, side by side: one cache line. */
    struct request *next; /* running or waiting */
    struct request *previous;
    int64_t base; /* decode set: computed - steps formed, constant */
    enum request_state state;
    uint32_t step_tokens; /* scheduled in the step that is being formed */
    /* How far it is. The first two are stale while DECODING: see decode_set.h. */
    uint32_t computed; /* tokens whose KV is, or in a formed step will be, in blocks */
    uint32_t produced; /* output tokens sampled, those in formed steps included */
    uint32_t prompt_tokens;
    uint32_t output_tokens; /* that it will produce: recorded, capped by the engine */
    uint64_t last_step;     /* index of the step that samples its last token */
    uint64_t admission;     /* order of admission, for the running list */
    /* What else it is. */
    uint64_t record_id;
    uint64_t session;
    uint32_t turn;
    int32_t priority;
    /* What happened. OUTCOME_TIME_NONE until it did. */
    int64_t arrival_ns;
    int64_t queued_ns;
    int64_t scheduled_ns;
    int64_t first_token_ns;
    uint32_t cached_tokens;
    uint32_t preemptions;
    uint32_t recomputed_tokens;
    uint32_t seen_tokens; /* of its output, when somebody last looked */
    uint32_t engine;
    uint32_t front;        /* replica of the router that it met */
    uint32_t lost_tokens;  /* computed at the last preemption, to be computed again */
    uint32_t length_place; /* in the decode set's heap of lengths */
    uint64_t skipped_step; /* last step that left it out while DECODING; 0 = none */
    uint64_t batch;        /* pipeline: last step that made a token of it; 0 = none */
    uint64_t batch_before; /* and the one before that */
    uint64_t batch_place;  /* of the last one, empty places counted */
    struct flight flights[2]; /* by step index modulo 2; with speculation */
    uint32_t reach;   /* tokens that it has had blocks for, if beyond computed */
    bool cancel;      /* the client has hung up */
    bool released;    /* preempted while DRAINING: holds no blocks any more */
    bool admitted;    /* admission waits to hear of its end */
    bool probe;       /* a health check (sim/probes.h): nobody else hears of it */
    bool part;        /* a leg that prefills for another request (sim/disagg_push.c) */
    uint64_t number;  /* of its arrival: unique, as its record's id need not be */
    uint32_t account; /* its tenant in sim/fairness.h; 0 without admission */
    uint32_t adapter; /* its number in sim/adapters.h, or ADAPTER_NONE */
    int64_t
        aside_since_ns; /* waits for a slot of its adapter; OUTCOME_TIME_NONE: not */
    int64_t aside_ns;   /* that it has waited for one */
    uint32_t timer;     /* event source of its cancellation; UINT32_MAX = none */
    enum request_leg leg;
    uint32_t remote_tokens; /* LEG_DECODE: KV to be had from the engine that prefilled;
                               0 once it is asked for */
    bool kv_here;           /* LOADING: it has come */
    uint32_t tier_hit;      /* leading tokens that tiers can spare it; 0 = none */
    uint32_t tier_tokens;   /* that it loaded from them at its first admission */
    uint32_t load_timer;    /* event source of the end of a load; UINT32_MAX = none */
    bool kv_failed; /* KV that it waits for will not come; with `cancel`: it fails */
    struct attempt *attempt; /* at engines (sim/retries.h); NULL: the only one */
    struct split *split;     /* its two legs (sim/disagg.c); NULL = LEG_WHOLE */
    /* Other lists: prefilling; emitting or draining. */
    struct request *prefill_previous;
    struct request *prefill_next;
    struct request *emit_next;
    struct request *drain_next;
    /* Blocks. */
    struct kv_sequence kv;
    uint64_t *outputs; /* ids of requests whose output the prompt contains */
    uint32_t output_count;
    uint32_t storage_class; /* of runs and outputs, in the table */
    void *storage;
    /* Chunks of the tiers. */
    struct tier_sequence tiers;
    uint32_t chunk_class; /* of its keys and places, in the table */
    void *chunk_storage;
};

struct request_table;

struct request_table *request_table_new(void);
void request_table_delete(struct request_table *table);

/* A new ARRIVED request for this record; block_tokens > 0 also cuts its block runs
 * (prompt and output) and keeps what kvpool needs. */
struct request *request_table_add(struct request_table *table,
                                  const struct trace_record *record,
                                  uint32_t output_tokens, uint32_t block_tokens);
/* Cuts the chunks that tiers know it by, prompt and output: after so many blocks each.
 * Once, for a request whose record is at hand. */
void request_table_chunk(struct request_table *table, struct request *request,
                         const struct trace_record *record, uint32_t block_tokens,
                         uint32_t chunk_blocks);
/* Must be ENDED. */
void request_table_remove(struct request_table *table, struct request *request);
/* The live request of a record, or NULL. Only when the table tracks ids. */
struct request *request_table_find(const struct request_table *table,
                                   uint64_t record_id);
size_t request_table_live(const struct request_table *table);

/* INV-2: CHECKs that the move is legal. */
void request_move(struct request *request, enum request_state state);

/* Doubly linked list through previous/next. */
struct request_list {
    struct request *first;
    struct request *last;
    uint32_t count;
};
void request_list_append(struct request_list *list, struct request *request);
void request_list_prepend(struct request_list *list, struct request *request);
/* before NULL appends. */
void request_list_insert(struct request_list *list, struct request *before,
                         struct request *request);
void request_list_remove(struct request_list *list, struct request *request);

#endif
