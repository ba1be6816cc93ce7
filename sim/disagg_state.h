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
    uint32_t prefill_engine;
    uint32_t decode_engine; /* NO_ENGINE until it is chosen */
    bool prefill_open;      /* attempts that their gateways have not seen end */
    bool decode_open;
    bool one_token;         /* is all that the client asks for */
    bool stays;             /* the decode leg is routed as a prefill leg, too */
    bool between;           /* ARRIVED again, in this instant */
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
};

/* ---- disagg.c ---- */

void disagg_timer_drop(struct sim *sim, uint32_t *slot);
void disagg_links_reschedule(struct sim *sim);

#endif
