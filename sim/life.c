/* SPDX-License-Identifier: Apache-2.0
 *
 * life.c: what the control plane tells, done to engines and gateways.
 *
 * All of it happens in events of one kind, behind the steps that end in the same
 * instant, so that both modes meet the same fleet.
 */
#include "sim/life.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/life_state.h"

#include <stdio.h>

enum { URL_BYTES = 128 };

/* ---- hooks ----------------------------------------------------------------------- */

static void serving_count(struct life *life, int change)
{
    struct sim *sim = life->sim;
    life->serving = (uint32_t)((int)life->serving + change);
    load_set_engines(&sim->load, life->serving, sim->now_ns);
}

static void on_up(void *context, uint32_t slot)
{
    struct life *life = context;
    struct sim *sim = life->sim;
    struct place *place = &life->places[slot];
    CHECK(!place->up, "slot %u is up already", slot);
    place->up = true;
    place->silent = false;
    serving_count(life, (int)place->count);
    for (uint32_t i = 0; life->begun && sim->reports != NULL && i < place->count; i++) {
        kv_reports_cleared(sim->reports, place->first + i);
    }
}

struct collection {
    struct request **requests;
    size_t capacity;
    uint32_t count;
};

static void collect(void *context, struct request *request)
{
    struct collection *found = context;
    void *array = found->requests;
    const bool grown = mem_grow(&array, &found->capacity, (size_t)found->count + 1,
                                sizeof(struct request *), UINT32_MAX / 2);
    CHECK(grown, "%u requests of an engine", found->count);
    found->requests = array;
    found->requests[found->count++] = request;
}

/* Everything that its engines have is lost. */
static void place_empty(struct life *life, const struct place *place, int64_t wait_ns)
{
    struct sim *sim = life->sim;
    for (uint32_t i = 0; i < place->count; i++) {
        const uint32_t engine = place->first + i;
        struct collection found = {0};
        replica_stop(sim->engines[engine], sim->now_ns);
        replica_visit(sim->engines[engine], collect, &found);
        if (sim->disagg != NULL) {
            sim_disagg_lose(sim, engine);
        }
        for (uint32_t j = 0; j < found.count; j++) {
            struct request *request = found.requests[j];
            replica_lose(sim->engines[engine], request);
            if (request->load_timer != UINT32_MAX) {
                sim_timer_give(sim, request->load_timer);
                request->load_timer = UINT32_MAX;
            }
        }
        for (uint32_t j = 0; j < found.count; j++) {
            if (found.requests[j]->probe) {
                sim_probe_lose(sim, found.requests[j], place->silent);
            } else {
                sim_attempt_hang(sim, found.requests[j], wait_ns);
            }
        }
        mem_free(found.requests);
    }
    sim_engines_renew(sim, place->first, place->count);
}

static void on_down(void *context, uint32_t slot, enum down_how how)
{
    struct life *life = context;
    struct place *place = &life->places[slot];
    place->silent = how == DOWN_SILENT;
    if (!place->up) {
        return;
    }
    place->up = false;
    serving_count(life, -(int)place->count);
    place_empty(life, place,
                place->silent ? life->sim->scenario->control->connect_timeout_ns : 0);
}

static void on_reset(void *context, uint32_t slot)
{
    struct life *life = context;
    struct place *place = &life->places[slot];
    place->silent = false;
    for (uint32_t i = 0; i < place->count; i++) {
        sim_attempts_reset(life->sim, place->first + i);
    }
}

/* ---- the router's list ----------------------------------------------------------- */

static void gateway_out(struct gateway *gateway, uint32_t engine)
{
    if (gateway != NULL) {
        gateway_leave(gateway, engine);
    }
}

static bool busy(const struct gateway *gateway, uint32_t engine)
{
    return gateway != NULL && gateway_endpoint(gateway, engine)->inflight_requests > 0;
}

/* A pod has a new address, unless somebody still waits for an answer of the old one:
 * then it comes back under that. */
static void engine_in(struct sim *sim, const struct place *place, uint32_t engine,
                      uint32_t incarnation)
{
    const struct scenario_pool *pool = sim->pool_of[engine];
    char url[URL_BYTES];
    for (uint32_t i = 0; i < sim->front_count; i++) {
        struct front *front = &sim->fronts[i];
        const bool fresh = incarnation != place->incarnation &&
                           !busy(front->gateway, engine) &&
                           !busy(front->prefill, engine);
        const uint32_t number = place->number + (engine - place->first);
        if (fresh) {
            gateway_forget(front->gateway, engine);
            if (front->prefill != NULL) {
                gateway_forget(front->prefill, engine);
            }
            (void)snprintf(url, sizeof url, "http://%s-%04u.%u:8000", pool->name,
                           number, incarnation);
        } else {
            (void)snprintf(url, sizeof url, "%s",
                           gateway_endpoint(front->gateway, engine)->url);
        }
        front_join(front, engine, url, pool->model.name);
        if (front->prefill != NULL) {
            front_set_role(front, engine, pool->role);
        }
    }
}

static void place_out(struct sim *sim, const struct place *place)
{
    for (uint32_t i = 0; i < place->count; i++) {
        for (uint32_t j = 0; j < sim->front_count; j++) {
            gateway_out(sim->fronts[j].gateway, place->first + i);
            gateway_out(sim->fronts[j].prefill, place->first + i);
        }
    }
}

static void on_listed(void *context, uint32_t slot, bool listed, uint32_t incarnation)
{
    struct life *life = context;
    struct place *place = &life->places[slot];
    if (!life->begun) {
        place->listed = listed; /* engines join when they are made */
        return;
    }
    CHECK(place->listed != listed, "slot %u is listed twice", slot);
    place->listed = listed;
    if (!listed) {
        place_out(life->sim, place);
        return;
    }
    for (uint32_t i = 0; i < place->count; i++) {
        engine_in(life->sim, place, place->first + i, incarnation);
    }
    place->incarnation = incarnation;
    sim_attempts_release(life->sim);
    if (life->sim->fronts[0].admission != NULL) {
        evq_set(life->sim->events, life->sim->source_admit, life->sim->now_ns,
                sim_rank(EVENT_ADMIT, 0));
    }
}

static void on_check(void *context, uint32_t slot)
{
    struct life *life = context;
    const struct place *place = &life->places[slot];
    life->sim->summary.health_checks += place->count;
    sim_probe_send(life->sim, place->first, place->count);
}

static void on_check_over(void *context, uint32_t slot)
{
    struct life *life = context;
    sim_probe_drop(life->sim, life->places[slot].first, life->places[slot].count);
}

void sim_life_checked(struct sim *sim, uint32_t engine, bool well)
{
    struct life *life = sim->life;
    control_checked(life->control, sim->now_ns, life->place_of[engine], well);
    sim_life_reschedule(sim);
}

static uint32_t in_flight(void *context, uint32_t slot)
{
    const struct life *life = context;
    const struct place *place = &life->places[slot];
    uint32_t count = 0;
    for (uint32_t i = 0; i < place->count; i++) {
        const uint32_t engine = place->first + i;
        count +=
            life->sim->load.inflight[engine] + probes_at(&life->sim->probes, engine);
    }
    return count;
}

void sim_tell(struct sim *sim, bool warning, const char *reason, const char *object,
              const char *message)
{
    const struct fleet_event row = {sim->now_ns, warning, reason, object, message};
    if (sim->observer.on_event != NULL) {
        sim->observer.on_event(sim->observer.context, &row);
    }
}

static void on_event(void *context, const struct control_event *event)
{
    const struct life *life = context;
    CHECK(event->time_ns == life->sim->now_ns, "an event of another time is told");
    sim_tell(life->sim, event->warning, event->reason, event->object, event->message);
}

/* ---- how large pools are ----------------------------------------------------------
 */

static struct pool_size size_of(const struct life *life, uint32_t pool)
{
    struct pool_size size = {.time_ns = life->sim->now_ns,
                             .pool = pool,
                             .desired = control_desired(life->control, pool)};
    const uint32_t first = control_slot(life->control, pool, 0);
    for (uint32_t i = 0; i < life->setup.pools[pool].slots; i++) {
        const struct control_pod pod = control_pod(life->control, first + i);
        size.held_engines += pod.holds ? life->places[first + i].count : 0;
        size.ready += pod.ready ? 1 : 0;
    }
    return size;
}

/* Those that have changed since they were told. */
static void sizes_tell(struct life *life)
{
    const struct observer *observer = &life->sim->observer;
    for (uint32_t i = 0; observer->on_size != NULL && i < life->setup.pool_count; i++) {
        const struct pool_size size = size_of(life, i);
        const struct pool_size *told = &life->sizes[i];
        if (!life->sizes_told || size.desired != told->desired ||
            size.held_engines != told->held_engines || size.ready != told->ready) {
            life->sizes[i] = size;
            observer->on_size(observer->context, &size);
        }
    }
    life->sizes_told = true;
}

/* ---- life ------------------------------------------------------------------------ */

static void places_new(struct life *life)
{
    const struct scenario *scenario = life->sim->scenario;
    uint32_t engine = 0;
    uint32_t slot = 0;
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        life->place_count += scenario->control->pools[i].slots;
    }
    life->places = mem_alloc(life->place_count, sizeof *life->places);
    life->place_of = mem_alloc(life->sim->engine_count, sizeof(uint32_t));
    for (uint32_t i = 0; i < scenario->pool_count; i++) {
        const struct scenario_pool *pool = &scenario->pools[i];
        const uint32_t slots = scenario->control->pools[i].slots;
        for (uint32_t number = 0; number < slots; number++, slot++) {
            struct place *place = &life->places[slot];
            *place = (struct place){.first = engine,
                                    .count = pool->engines / slots,
                                    .pool = i,
                                    .number = number};
            for (uint32_t j = 0; j < place->count; j++) {
                life->place_of[engine++] = slot;
            }
        }
    }
    CHECK(engine == life->sim->engine_count, "%u engines have places", engine);
}

struct life *sim_life_new(struct sim *sim)
{
    const struct scenario_control *config = sim->scenario->control;
    if (config == NULL) {
        return NULL;
    }
    struct life *life = mem_alloc(1, sizeof *life);
    life->sim = sim;
    places_new(life);
    retries_init(&sim->retries, sim->engine_count);
    probes_init(&sim->probes, sim->engine_count);
    life->setup = (struct control_setup){
        .pools = config->pools,
        .pool_count = sim->scenario->pool_count,
        .nodes = config->nodes,
        .node_count = config->node_count,
        .discovery = config->discovery,
        .hooks = {life, on_up, on_down, on_reset, on_listed, on_check, on_check_over,
                  in_flight, on_event},
    };
    life->control = control_new(&life->setup);
    life->begun = true;
    custom_init(&life->custom, sim, life->control, &life->reload);
    load_set_engines(&sim->load, life->serving, sim->now_ns);
    for (uint32_t slot = 0; slot < life->place_count; slot++) {
        if (!life->places[slot].listed) {
            place_out(sim, &life->places[slot]);
        }
    }
    sizes_tell(life);
    return life;
}

void sim_life_delete(struct life *life)
{
    if (life != NULL) {
        control_delete(life->control);
        retries_fini(&life->sim->retries);
        probes_fini(&life->sim->probes);
        mem_free(life->places);
        mem_free(life->place_of);
        mem_free(life);
    }
}

void sim_life_reschedule(struct sim *sim)
{
    const struct life *life = sim->life;
    const struct scenario_control *config = sim->scenario->control;
    int64_t next_ns = control_next_ns(life->control);
    if (life->next_action < config->action_count &&
        config->actions[life->next_action].at_ns < next_ns) {
        next_ns = config->actions[life->next_action].at_ns;
    }
    if (life->reload.pending && life->reload.poll_ns < next_ns) {
        next_ns = life->reload.poll_ns;
    }
    if (custom_next_ns(&life->custom) < next_ns) {
        next_ns = custom_next_ns(&life->custom);
    }
    if (sim->scaling != NULL) {
        const int64_t scaling_ns = sim_scaling_next_ns(sim);
        next_ns = scaling_ns < next_ns ? scaling_ns : next_ns;
    }
    if (life->emptied) {
        next_ns = sim->now_ns;
    }
    if (next_ns == INT64_MAX) {
        evq_clear(sim->events, sim->source_life);
    } else {
        evq_set(sim->events, sim->source_life, next_ns, sim_rank(EVENT_CONTROL, 0));
    }
}

bool sim_life_settled(const struct sim *sim)
{
    const struct life *life = sim->life;
    return life->next_action == sim->scenario->control->action_count &&
           !life->reload.pending && !life->emptied &&
           life->custom.mount_ns == INT64_MAX &&
           (sim->scaling == NULL || sim_scaling_next_ns(sim) == INT64_MAX) &&
           control_settled(life->control);
}

bool sim_life_acts(const struct sim *sim)
{
    return sim->life->next_action < sim->scenario->control->action_count;
}

bool sim_life_serves(const struct sim *sim, uint32_t engine)
{
    const struct life *life = sim->life;
    return control_serves(life->control, life->place_of[engine]);
}

void sim_life_refuse(struct sim *sim, struct request *request)
{
    const struct life *life = sim->life;
    const struct place *place = &life->places[life->place_of[request->engine]];
    const struct scenario_control *config = sim->scenario->control;
    sim_attempt_hang(sim, request, place->silent ? config->connect_timeout_ns : 0);
}

void sim_life_left(struct sim *sim, uint32_t engine)
{
    struct life *life = sim->life;
    const uint32_t slot = life->place_of[engine];
    if (!control_serves(life->control, slot) && life->places[slot].up &&
        in_flight(life, slot) == 0) {
        life->places[slot].emptied = true;
        life->emptied = true;
        sim_life_reschedule(sim);
    }
}

void sim_life_due(struct sim *sim)
{
    struct life *life = sim->life;
    const struct scenario_control *config = sim->scenario->control;
    control_advance(life->control, sim->now_ns);
    if (life->emptied) {
        life->emptied = false;
        for (uint32_t slot = 0; slot < life->place_count; slot++) {
            if (life->places[slot].emptied) {
                life->places[slot].emptied = false;
                control_empty(life->control, sim->now_ns, slot);
            }
        }
    }
    while (life->next_action < config->action_count &&
           config->actions[life->next_action].at_ns <= sim->now_ns) {
        life_act(life, &config->actions[life->next_action++]);
    }
    custom_due(&life->custom);
    if (life->reload.pending && life->reload.poll_ns <= sim->now_ns) {
        sim_reload_poll(sim, &life->reload);
    }
    if (sim->scaling != NULL) {
        sim_scaling_due(sim);
    }
    sizes_tell(life);
    sim_life_reschedule(sim);
}

/* ---- the number of replicas ------------------------------------------------------ */

uint32_t sim_life_first_slot(const struct sim *sim, uint32_t pool)
{
    return control_slot(sim->life->control, pool, 0);
}

struct control_pod sim_life_pod(const struct sim *sim, uint32_t slot)
{
    return control_pod(sim->life->control, slot);
}

uint32_t sim_life_engine(const struct sim *sim, uint32_t slot)
{
    return sim->life->places[slot].first;
}

void sim_pool_scale(struct sim *sim, uint32_t pool, uint32_t replicas)
{
    control_scale(sim->life->control, sim->now_ns, pool, replicas);
    sim_life_reschedule(sim);
}

uint32_t sim_pool_desired(const struct sim *sim, uint32_t pool)
{
    return control_desired(sim->life->control, pool);
}

uint32_t sim_pool_ready(const struct sim *sim, uint32_t pool)
{
    return control_ready(sim->life->control, pool);
}
