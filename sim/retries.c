/* SPDX-License-Identifier: Apache-2.0
 *
 * retries.c: who hangs, who pauses, who tries again. A new attempt is a new request
 * under the old number, since everything that an engine knew of it is lost; its arrival
 * stays that of the first one, for that is when its client began to wait.
 */
#include "sim/retries.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/sim_state.h"

struct attempt {
    struct attempt *next; /* hung or paused */
    struct attempt *previous;
    struct attempt *all_next;
    struct attempt **all_link; /* to here */
    struct request *request;   /* NULL = paused */
    struct parked *parked;     /* its record; NULL = nobody will try again */
    int64_t arrival_ns;
    uint64_t number;
    uint32_t front;
    uint32_t timer;    /* UINT32_MAX = none */
    uint32_t attempts; /* at engines */
    uint32_t retries;  /* of its client */
    uint32_t failovers;
    uint32_t failed[FAILOVERS_MAX + 1]; /* engines, since the client's last try */
    bool client_gone;                   /* paused: it hangs up instead */
    bool held;     /* paused by the router, which waits for an engine */
    bool released; /* one has come */
};

/* ---- lists ----------------------------------------------------------------------- */

static void append(struct attempt **first, struct attempt **last, struct attempt *item)
{
    item->previous = *last;
    item->next = NULL;
    if (*last == NULL) {
        *first = item;
    } else {
        (*last)->next = item;
    }
    *last = item;
}

static void take_out(struct attempt **first, struct attempt **last,
                     const struct attempt *item)
{
    if (item->previous == NULL) {
        *first = item->next;
    } else {
        item->previous->next = item->next;
    }
    if (item->next == NULL) {
        *last = item->previous;
    } else {
        item->next->previous = item->previous;
    }
}

void retries_init(struct retries *retries, uint32_t engines)
{
    *retries = (struct retries){.hung_at = mem_alloc(engines, sizeof(uint32_t))};
}

static void attempt_free(struct attempt *attempt)
{
    *attempt->all_link = attempt->all_next;
    if (attempt->all_next != NULL) {
        attempt->all_next->all_link = attempt->all_link;
    }
    if (attempt->parked != NULL) {
        admission_drop(attempt->parked);
    }
    mem_free(attempt);
}

void retries_fini(struct retries *retries)
{
    while (retries->all != NULL) {
        attempt_free(retries->all);
    }
    mem_free(retries->hung_at);
    *retries = (struct retries){0};
}

/* ---- beginning and end ----------------------------------------------------------- */

static struct attempt *attempt_new(struct sim *sim, const struct incoming *incoming)
{
    const struct scenario_control *config = sim->scenario->control;
    struct attempt *attempt = mem_alloc(1, sizeof *attempt);
    attempt->all_next = sim->retries.all;
    attempt->all_link = &sim->retries.all;
    if (attempt->all_next != NULL) {
        attempt->all_next->all_link = &attempt->all_next;
    }
    sim->retries.all = attempt;
    attempt->timer = UINT32_MAX;
    attempt->arrival_ns = incoming->arrival_ns;
    attempt->number = incoming->number;
    attempt->front = incoming->front;
    if (config->retries > 0 || config->failovers > 0 || config->hold_ns > 0) {
        attempt->parked = parked_new(incoming->record, incoming->arrival_ns);
    }
    return attempt;
}

void sim_attempt_begin(struct sim *sim, struct request *request,
                       const struct incoming *incoming)
{
    struct attempt *attempt = incoming->attempt;
    if (attempt == NULL) {
        attempt = attempt_new(sim, incoming);
    }
    attempt->front = incoming->front;
    attempt->attempts++;
    attempt->request = request;
    request->attempt = attempt;
}

uint32_t sim_attempt_end(struct request *request)
{
    const uint32_t attempts = request->attempt->attempts;
    attempt_free(request->attempt);
    request->attempt = NULL;
    return attempts;
}

static uint32_t timer_at(struct sim *sim, const struct timer *timer, int64_t time_ns,
                         uint64_t number)
{
    const uint32_t slot = sim_timer_new(sim, timer);
    evq_set(sim->events, sim->source_timers + slot, time_ns,
            sim_rank(timer->kind, number));
    return slot;
}

/* ---- hanging --------------------------------------------------------------------- */

void sim_attempt_hang(struct sim *sim, struct request *request, int64_t wait_ns)
{
    struct retries *retries = &sim->retries;
    struct attempt *attempt = request->attempt;
    if (request->state != REQUEST_ENDED) {
        request_move(request, REQUEST_ENDED); /* no engine knows it */
    }
    if (request->cancel && !request->kv_failed) { /* its client has hung up already */
        sim_finish(sim, request, OUTCOME_CANCELLED);
        return;
    }
    if (request->split != NULL) {
        sim_disagg_hang(sim, request);
    }
    append(&retries->hung_first, &retries->hung_last, attempt);
    retries->hung++;
    retries->hung_at[request->engine]++;
    if (wait_ns < INT64_MAX) {
        attempt->timer = timer_at(
            sim, &(struct timer){.kind = EVENT_ATTEMPT_LOST, .attempt = attempt},
            sim->now_ns + wait_ns, request->number);
    }
}

static void unhang(struct sim *sim, struct attempt *attempt)
{
    struct retries *retries = &sim->retries;
    take_out(&retries->hung_first, &retries->hung_last, attempt);
    retries->hung--;
    retries->hung_at[attempt->request->engine]--;
    if (attempt->timer != UINT32_MAX) {
        sim_timer_give(sim, attempt->timer);
        attempt->timer = UINT32_MAX;
    }
}

void sim_hung_visit(const struct sim *sim,
                    void (*visit)(void *context, struct request *request),
                    void *context)
{
    for (struct attempt *at = sim->retries.hung_first; at != NULL; at = at->next) {
        visit(context, at->request);
    }
}

bool sim_attempt_cancel(struct sim *sim, struct request *request)
{
    if (request->attempt == NULL || request->state != REQUEST_ENDED) {
        return false;
    }
    unhang(sim, request->attempt);
    sim_finish(sim, request, OUTCOME_CANCELLED);
    return true;
}

/* All at once, in an event of their own: who fails now may be routed again. */
void sim_attempts_reset(struct sim *sim, uint32_t engine)
{
    for (struct attempt *at = sim->retries.hung_first; at != NULL; at = at->next) {
        if (at->request->engine != engine) {
            continue;
        }
        if (at->timer != UINT32_MAX) {
            sim_timer_give(sim, at->timer);
        }
        at->timer =
            timer_at(sim, &(struct timer){.kind = EVENT_ATTEMPT_LOST, .attempt = at},
                     sim->now_ns, at->number);
    }
}

/* ---- trying again ---------------------------------------------------------------- */

static struct incoming incoming_of(struct attempt *attempt)
{
    return (struct incoming){&attempt->parked->record, attempt->arrival_ns,
                             attempt->number, attempt->front, attempt};
}

/* When its client loses patience, if that is not after due_ns. */
static int64_t patience_cut(struct attempt *attempt, int64_t due_ns)
{
    const int64_t patience_ns = attempt->parked->record.cancel_ns;
    attempt->client_gone =
        patience_ns > 0 && attempt->arrival_ns + patience_ns <= due_ns;
    return attempt->client_gone ? attempt->arrival_ns + patience_ns : due_ns;
}

/* A retry timer's moment is still to come, at due_ns. */
static void wait_until(struct sim *sim, struct attempt *attempt, int64_t due_ns)
{
    attempt->request = NULL;
    append(&sim->retries.paused_first, &sim->retries.paused_last, attempt);
    sim->retries.paused++;
    attempt->timer =
        timer_at(sim, &(struct timer){.kind = EVENT_RETRY, .attempt = attempt},
                 due_ns > sim->now_ns ? due_ns : sim->now_ns, attempt->number);
}

static void set_held(struct sim *sim, struct attempt *attempt, bool held)
{
    attempt->held = held;
    sim->retries.held += held ? 1 : UINT64_MAX;
    sim_scaling_held(sim, held ? 1 : -1);
}

/* The router keeps it until an engine comes, or too long. */
static void hold(struct sim *sim, struct attempt *attempt)
{
    sim->summary.held++;
    set_held(sim, attempt, true);
    wait_until(sim, attempt,
               patience_cut(attempt, sim->now_ns + sim->scenario->control->hold_ns));
}

void sim_attempts_release(struct sim *sim)
{
    struct attempt *next = NULL;
    for (struct attempt *at = sim->retries.paused_first;
         at != NULL && sim->retries.held > 0; at = next) {
        next = at->next;
        if (at->held) {
            set_held(sim, at, false);
            at->released = true;
            at->client_gone = false;
            sim_timer_give(sim, at->timer);
            at->timer =
                timer_at(sim, &(struct timer){.kind = EVENT_RETRY, .attempt = at},
                         sim->now_ns, at->number);
        }
    }
}

/* False: this client gives up. */
static bool pause(struct sim *sim, struct attempt *attempt)
{
    const struct scenario_control *config = sim->scenario->control;
    if (attempt->parked == NULL || attempt->retries >= config->retries) {
        return false;
    }
    int64_t wait_ns = config->backoff_ns;
    for (uint32_t i = 0; i < attempt->retries && wait_ns < config->backoff_max_ns;
         i++) {
        wait_ns *= 2;
    }
    wait_ns = wait_ns < config->backoff_max_ns ? wait_ns : config->backoff_max_ns;
    attempt->retries++;
    attempt->failovers = 0;
    wait_until(sim, attempt, patience_cut(attempt, sim->now_ns + wait_ns));
    return true;
}

/* The router tries the next one, in the same instant. */
static void fail_over(struct sim *sim, struct attempt *attempt)
{
    struct front *front = &sim->fronts[attempt->front];
    const struct incoming incoming = incoming_of(attempt);
    const struct route_except except = {attempt->failed, attempt->failovers};
    sim->summary.failovers++;
    front->except = &except;
    sim_request_route(sim, &incoming);
    front->except = NULL;
}

static void lost(struct sim *sim, struct attempt *attempt)
{
    const struct scenario_control *config = sim->scenario->control;
    struct request *request = attempt->request;
    const bool streamed =
        request->leg != LEG_PREFILL && request->first_token_ns != OUTCOME_TIME_NONE;
    const bool over =
        attempt->parked != NULL && !streamed && attempt->failovers < config->failovers;
    if (!over && (attempt->parked == NULL || attempt->retries >= config->retries)) {
        sim_finish(sim, request, OUTCOME_FAILED);
        return;
    }
    attempt->failed[attempt->failovers] = request->engine;
    request->attempt = NULL;
    sim_attempt_close(sim, request, over);
    if (over) {
        attempt->failovers++;
        fail_over(sim, attempt);
    } else {
        const bool waits = pause(sim, attempt);
        CHECK(waits, "request %llu gives up", (unsigned long long)attempt->number);
    }
}

static void again(struct sim *sim, struct attempt *attempt)
{
    take_out(&sim->retries.paused_first, &sim->retries.paused_last, attempt);
    sim->retries.paused--;
    struct incoming incoming = incoming_of(attempt);
    const bool too_long = attempt->held;
    if (attempt->held) {
        set_held(sim, attempt, false);
    }
    if (attempt->client_gone) {
        sim_request_drop(sim, &incoming, OUTCOME_CANCELLED);
    } else if (too_long) {
        sim_request_drop(sim, &incoming, OUTCOME_TIMED_OUT);
    } else if (attempt->released) {
        attempt->released = false;
        sim_arrive_held(sim, &incoming);
    } else {
        sim->summary.retries++;
        sim_arrive_again(sim, &incoming);
    }
}

void sim_attempt_timer(struct sim *sim, const struct timer *timer)
{
    struct attempt *attempt = timer->attempt;
    attempt->timer = UINT32_MAX;
    if (timer->kind == EVENT_RETRY) {
        again(sim, attempt);
    } else {
        unhang(sim, attempt);
        lost(sim, attempt);
    }
}

void sim_attempt_unroutable(struct sim *sim, const struct incoming *incoming)
{
    if (sim->life == NULL) {
        sim_request_drop(sim, incoming, OUTCOME_REJECTED);
        return;
    }
    const bool holds = sim->scaling != NULL && sim_scaling_unroutable(sim);
    struct attempt *attempt = incoming->attempt;
    if (attempt == NULL) {
        attempt = attempt_new(sim, incoming);
    }
    struct incoming own = *incoming;
    own.attempt = attempt;
    if (holds && attempt->failovers == 0) {
        sim_request_unadmit(sim, &own);
        hold(sim, attempt);
    } else if (pause(sim, attempt)) {
        sim_request_unadmit(sim, &own);
    } else {
        sim_request_drop(sim, &own,
                         attempt->attempts > 0 ? OUTCOME_FAILED : OUTCOME_REJECTED);
    }
}

void sim_attempts_stop(struct sim *sim)
{
    while (sim->retries.hung_first != NULL) {
        struct attempt *attempt = sim->retries.hung_first;
        unhang(sim, attempt);
        sim_finish(sim, attempt->request, OUTCOME_UNFINISHED);
    }
    while (sim->retries.paused_first != NULL) {
        struct attempt *attempt = sim->retries.paused_first;
        take_out(&sim->retries.paused_first, &sim->retries.paused_last, attempt);
        sim->retries.paused--;
        if (attempt->held) {
            set_held(sim, attempt, false);
        }
        sim_timer_give(sim, attempt->timer);
        const struct incoming incoming = incoming_of(attempt);
        sim_request_drop(sim, &incoming, OUTCOME_UNFINISHED);
    }
}
