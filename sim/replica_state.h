/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_state.h: the inside of one engine, shared by the files that make it up:
 * running.c (who holds what), step_form.c (the scheduler), decode_run.c (many equal
 * steps at once), pipeline.c (batches that follow each other through stages), outlook.c
 * (what would become of a newcomer) and replica.c (step boundaries and the outer
 * interface). Nobody else includes it.
 */
#ifndef STACKSIM_SIM_REPLICA_STATE_H
#define STACKSIM_SIM_REPLICA_STATE_H

#include "sim/decode_set.h"
#include "sim/replica.h"
#include "sim/stages.h"

enum { DEPTH_MAX = STAGES_UNDER_WAY_MAX };

struct kv_hold {
    struct kv_hold *next;
    struct kv_hold *previous;
    struct kv_sequence kv;
    uint32_t owned; /* blocks, as for kvpool_release */
    bool release;   /* at the next boundary */
};

/* A formed step. */
struct step {
    uint64_t index;
    int64_t length_fx;
    int64_t extra_fx; /* of it: adapters' kernels */
    int64_t stall_ns; /* of it, beside the forward pass: adapters and tiers */
    uint32_t decodes;
    uint64_t context;     /* of the decodes, when it was formed */
    uint32_t context_max; /* their longest, if the cost model asks for it */
    uint64_t version;     /* of the decode set, when it was formed */
    bool decode_only;
    bool slowed; /* it was formed while the engine was slow */
    bool empty;  /* a place in the queue of a pipeline, and no step */
    struct batch_shape shape;
    struct request *emitting; /* prompts that end in it, through emit_next */
};

struct replica {
    struct replica_setup setup;
    struct engine_config engine; /* with an order, always */
    struct kvpool *pool;
    struct decode_set decodes;
    struct request_list running; /* in order of admission */
    struct request_list waiting;
    struct request_list loading; /* LOADING, in order of their allocation */
    uint32_t ready;              /* of them: their KV has come */
    uint32_t reserved;           /* free blocks that they will need for the rest */
    struct kv_hold *hold_first;  /* in order of their requests' ends */
    struct kv_hold *hold_last;
    bool releasing;                /* some hold is to be released */
    struct request *prefill_first; /* PREFILLING, in order of admission */
    struct request *prefill_last;
    struct request *drain_first; /* DRAINING, in order of their last step; few */
    struct request *drain_last;
    struct step steps[DEPTH_MAX]; /* under way, then formed ahead */
    uint32_t step_count;
    uint32_t depth;
    uint64_t returned; /* index of the last step that ended */
    uint64_t admissions;
    int64_t start_ns;    /* of the step under way */
    int64_t start_rest;  /* and 2^-16 ns beyond it */
    int64_t asked_ns;    /* the last answer of next_boundary_ns, and what it was */
    uint64_t asked_step; /* about: a step's index comes once, from 1 on */
    int64_t boundary_ns;
    uint64_t ahead;         /* steps of the decode run still to be formed */
    struct decode_cost run; /* length of steps[0] and its growth, while ahead > 0 */
    bool head_stuck;        /* the last try to admit somebody failed for good reason */
    bool preempted;         /* somebody was, in the step being formed */
    bool cancelling;        /* some request has its cancel flag set */
    struct adapter_slots *adapters; /* NULL: the base model alone */
    uint64_t speculation_key;       /* of the draws */
    bool shows_drafts;              /* the cost model knows what they are */
    double slow;     /* factor of its step times; 1 = as the cost model says */
    bool pipelined;  /* there are stages; steps are formed one by one */
    uint64_t places; /* steps formed so far, a pipeline's empty places, too */
    struct stages stages;
    struct replica_stats stats;
};

static inline uint32_t replica_blocks_of(const struct replica *replica, uint64_t tokens)
{
    const uint64_t size = replica->engine.block_tokens;
    return (uint32_t)((tokens + size - 1) / size);
}

/* A step that would take length_fx. */
static inline int64_t replica_slowed(const struct replica *replica, int64_t length_fx)
{
    return replica->slow == 1.0 ? length_fx
                                : (int64_t)((double)length_fx * replica->slow);
}

/* Tokens whose ids exist: prompt and what was sampled, steps under way included. */
static inline uint32_t replica_known_tokens(const struct request *request)
{
    return request->prompt_tokens + request->produced;
}

/* ---- replica.c ---- */

/* At the end of a step, and when an idle engine wakes: fills the pipeline and looks
 * ahead. start_ns is set. */
void replica_boundary(struct replica *replica, int64_t now_ns);

/* ---- running.c ---- */

/* Gives the request's blocks their place in the prefix tree, as far as their tokens are
 * known to the scheduler. */
void running_register(struct replica *replica, struct request *request);
/* Outputs that this prompt quotes may belong to requests that are still decoding here;
 * their blocks enter the tree only when somebody looks (ADR 0004). Returns true when
 * there is such a request, for then the next lookup may find more. */
bool running_register_quoted(struct replica *replica, const struct request *request);
/* The request decodes from now on, or does not any more. */
void running_decode_add(struct replica *replica, struct request *request,
                        uint32_t remaining);
void running_decode_remove(struct replica *replica, struct request *request);
void running_prefill_append(struct replica *replica, struct request *request);
void running_prefill_remove(struct replica *replica, struct request *request);
void running_drain_add(struct replica *replica, struct request *request);
void running_drain_remove(struct replica *replica, struct request *request);
/* By the engine's order; without one new requests queue at the end, preempted ones in
 * front. */
void running_queue(struct replica *replica, struct request *request, bool in_front);
/* Takes a running request out of everything and gives its blocks back. Its state field
 * still says where it was. */
void running_leave(struct replica *replica, struct request *request);
/* The same, but for its blocks, which stay held for another engine. */
struct kv_hold *running_hold(struct replica *replica, struct request *request);
/* Gives back what holds marked for release have. */
void running_release_holds(struct replica *replica);
void running_preempt(struct replica *replica, struct request *victim);
/* The request is set aside for want of a slot of its adapter, or not any more. */
void running_aside_begin(struct replica *replica, struct request *request,
                         int64_t now_ns);
void running_aside_end(struct replica *replica, struct request *request,
                       int64_t now_ns);
/* Takes a LOADING request out of its list; its blocks stay held. */
void running_loading_leave(struct replica *replica, struct request *request);
/* Whom vLLM would preempt: the last admitted, or the least urgent one. */
struct request *running_victim(const struct replica *replica);

/* ---- step_form.c ---- */

/* Forms one step behind those under way. False: there is nothing to do. */
bool step_form(struct replica *replica, int64_t now_ns);
/* Members of the decode set whose last step has been formed start to drain. */
void step_retire_decodes(struct replica *replica);

/* ---- replica_tiers.c ---- */

/* Leading tokens that a request at the head of the queue need not compute: `local` are
 * in the engine's own cache. */
uint32_t replica_tiers_cached(struct replica *replica, struct request *request,
                              uint32_t local, int64_t now_ns);
/* Whether it waits beside the queue for what it loads, or the batch waits for it. */
bool replica_tiers_load_apart(const struct replica *replica);
/* It is admitted: loads what is missing from start_ns on; returns when it is here. */
int64_t replica_tiers_load(struct replica *replica, struct request *request,
                           uint32_t local, int64_t start_ns);
/* It was preempted, or goes. */
void replica_tiers_forget(const struct replica *replica, struct request *request);
/* It gives its blocks back, `tokens` of them computed and known. */
void replica_tiers_leave(const struct replica *replica, struct request *request,
                         uint32_t tokens);
void replica_tiers_check(const struct replica *replica);

/* ---- decode_run.c ---- */

/* Finds how many steps after those formed will be like them. */
void run_plan(struct replica *replica);
/* When the count-th step from the one under way ends; count <= ahead + 1. */
int64_t run_end_ns(const struct replica *replica, uint64_t count);
/* Steps from the one under way that end at or before time_ns, or strictly before it; at
 * most ahead. */
uint64_t run_ended(const struct replica *replica, int64_t time_ns, bool strict);
/* Ends the run at the end of the step under way at time_ns. */
void run_cut(struct replica *replica, int64_t time_ns);
/* The run is over: books its steps, so that the last one is the step under way. */
void run_settle(struct replica *replica);

#endif
