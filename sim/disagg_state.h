/* SPDX-License-Identifier: Apache-2.0
 *
 * disagg_state.h: requests with two legs from the inside, shared by disagg.c (their
 * way) and disagg_loss.c (engines and cards that fail them). Nobody else includes it.
 */
#ifndef STACKSIM_SIM_DISAGG_STATE_H
#define STACKSIM_SIM_DISAGG_STATE_H

#include "sim/links.h"
#include "sim/sim_state.h"

#define NO_TIMER  UINT32_MAX
#define NO_FLOW   UINT32_MAX
#define NO_ENGINE UINT32_MAX

/* The two legs of a request; its own fields are those of the leg it is in. */
struct split {
    struct request *request;
    struct request *part; /* pushed: the leg that prefills, until it has ended */
    uint32_t prefill_engine;
    uint32_t decode_engine; /* NO_ENGINE until it is chosen */
    bool prefill_open;      /* attempts that their gateways have not seen end */
    bool decode_open;
    bool one_token;         /* is all that the client asks for */
    bool stays;             /* the decode leg is routed as a prefill leg, too */
    bool between;           /* ARRIVED again, in this instant */
    bool pushed;            /* both legs began at once */
    bool wants;             /* pushed: the second engine will take KV */
    bool asked;             /* and has blocks for it */
    uint32_t output_tokens; /* of the decode leg */
    /* Of the prefill leg, once it is over. */
    int64_t queued_ns;
    int64_t scheduled_ns;
    int64_t prefill_end_ns;
    uint32_t cached_tokens;
    uint32_t tier_tokens;
    /* The KV on its way. */
    struct kv_hold *hold; /* NULL = nothing is held */
    uint32_t blocks;      /* asked for */
    int64_t asked_ns;
    int64_t here_ns;
    uint32_t timer; /* HANDOVER or KV_POSTED */
    uint32_t lease; /* KV_EXPIRED */
    uint32_t flow;
};

struct disagg {
    const struct scenario_disaggregation *config;
    struct links *links;
    struct split **by_flow; /* whose KV it is */
    size_t flow_capacity;
    double block_bytes;
    double *bytes_per_s; /* by engine: of its cards, in each direction */
    double layers;       /* of the model */
    uint32_t model_len;  /* tokens that every engine can hold */
    uint64_t between;
    uint64_t parts; /* begun so far */
};

/* ---- disagg.c ---- */

void disagg_timer_drop(struct sim *sim, uint32_t *slot);
void disagg_links_reschedule(struct sim *sim);
struct split *disagg_split_new(struct request *request, const struct incoming *incoming,
                               uint32_t prefill_engine, uint32_t decode_engine);
uint32_t disagg_timer_at(struct sim *sim, const struct timer *timer, int64_t time_ns,
                         uint64_t number);
/* Of a prompt, what the engine that decodes reads: whole blocks only before the partial
 * last one was read, too (spec/vllm-engine.md 5.3). */
uint32_t disagg_shared_tokens(const struct sim *sim, uint32_t decode_engine,
                              uint32_t prompt_tokens);
/* The prefill leg is over at its gateway, and at its engine unless its part goes on
 * there. */
void disagg_prefill_close(struct sim *sim, struct split *split, struct attempt_end end);
void disagg_hold_release(struct sim *sim, uint32_t engine, struct kv_hold *hold);
/* The leg has computed the prompt; in an instant others may be told. */
void disagg_prefilled(struct sim *sim, struct split *split, const struct request *leg,
                      struct kv_hold *hold);
/* From now on the KV is kept for `lease` at most. */
void disagg_lease_begin(struct sim *sim, struct split *split);
/* The KV of split->blocks blocks sets out. */
void disagg_transfer_begin(struct sim *sim, struct split *split);

/* ---- disagg_push.c ---- */

/* Both legs begin. */
void disagg_push(struct sim *sim, const struct incoming *incoming, uint32_t prefill,
                 uint32_t decode);
/* The part of a pushed request has computed the prompt. */
void disagg_part_prefilled(struct sim *sim, struct request *part, struct kv_hold *hold);
/* The second engine has all KV of the prompt, or computes it itself, whatever the first
 * one does with it. */
bool disagg_push_unneeded(const struct split *split);
/* One instant later, when other engines may be told. */
void disagg_push_ready(struct sim *sim, struct split *split);
/* The request ends before its part, which somebody has to stop. */
void disagg_part_leave(struct sim *sim, struct split *split);

#endif
