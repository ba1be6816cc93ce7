/* SPDX-License-Identifier: Apache-2.0
 *
 * route_maglev.c: consistent hashing by lookup table (Eisenbud et al., NSDI'16).
 *
 *     slot = hash of the key modulo M; the slot's owner gets the request
 *
 * One table holds all members, in byte order of their urls, so that gateways agree. It
 * is made anew at the first decision after somebody joined or left. An owner that is no
 * candidate (ill, or of another model) is passed over for that of the next slot: Maglev
 * would make a table for every such set; passing over costs no table, and a key whose
 * owner is well never moves for another's illness. Offset and skip are XXH64 of the url
 * with the seeds 0 and 1, as in Envoy.
 */
#include "base/hash.h"
#include "policies/affinity_key.h"
#include "policies/maglev_table.h"
#include "policies/registry.h"

#include <string.h>

enum { PARAM_KEY, PARAM_PREFIX_CHUNKS, PARAM_SLOTS };

struct member {
    const char *url; /* the gateway's, which keeps it while it is a member */
    uint32_t id;
};

struct maglev {
    struct policy_memory memory;
    struct affinity_rule rule;
    uint32_t slots_wanted;
    bool stale;
    struct member *members; /* in byte order of url */
    uint32_t member_count;
    uint32_t member_capacity;
    uint32_t *owner_ids; /* by slot */
    uint32_t slot_count;
};

static bool maglev_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct maglev *self = state;
    self->memory = setup->memory;
    self->rule = (struct affinity_rule){
        .by = (enum affinity_by)setup->values[PARAM_KEY],
        .prefix_chunks = (uint32_t)setup->values[PARAM_PREFIX_CHUNKS],
    };
    self->slots_wanted = (uint32_t)setup->values[PARAM_SLOTS];
    self->stale = true;
    return true;
}

static void maglev_fini(void *state)
{
    struct maglev *self = state;
    self->memory.resize(self->memory.context, self->members, 0);
    self->memory.resize(self->memory.context, self->owner_ids, 0);
}

static void make_table(struct maglev *self)
{
    const struct policy_memory *memory = &self->memory;
    const uint32_t count = self->member_count;
    const uint32_t slot_count =
        maglev_prime(count > self->slots_wanted ? count : self->slots_wanted);
    if (slot_count != self->slot_count) {
        self->owner_ids = memory->resize(memory->context, self->owner_ids,
                                         slot_count * sizeof *self->owner_ids);
        self->slot_count = slot_count;
    }
    struct maglev_node *nodes =
        memory->resize(memory->context, NULL, count * sizeof *nodes);
    uint32_t *next = memory->resize(memory->context, NULL, count * sizeof *next);
    for (uint32_t i = 0; i < count; i++) {
        const char *url = self->members[i].url;
        const size_t bytes = strlen(url);
        nodes[i].offset = (uint32_t)(hash_xxh64(url, bytes, 0) % slot_count);
        nodes[i].skip = (uint32_t)(hash_xxh64(url, bytes, 1) % (slot_count - 1)) + 1;
    }
    maglev_fill(self->owner_ids, slot_count, nodes, count, next);
    for (uint32_t slot = 0; slot < slot_count; slot++) {
        self->owner_ids[slot] = self->members[self->owner_ids[slot]].id;
    }
    memory->resize(memory->context, nodes, 0);
    memory->resize(memory->context, next, 0);
    self->stale = false;
}

static struct route_decision maglev_pick(void *state, const struct cluster_view *view,
                                         const struct request_view *request)
{
    struct maglev *self = state;
    if (self->stale) {
        make_table(self);
    }
    const struct affinity_key key = affinity_key_of(&self->rule, request);
    uint32_t slot = (uint32_t)(key.hash % self->slot_count);
    uint32_t index = view->index_of_id[self->owner_ids[slot]];
    while (index == NOT_A_CANDIDATE) {
        slot = slot + 1 < self->slot_count ? slot + 1 : 0;
        index = view->index_of_id[self->owner_ids[slot]];
    }
    return (struct route_decision){
        .endpoint = (int32_t)index,
        .reason = REASON_MAGLEV,
        .candidates = view->count,
    };
}

static void add_member(struct maglev *self, const struct endpoint_view *endpoint)
{
    if (self->member_count == self->member_capacity) {
        self->member_capacity = 2 * self->member_capacity + 16;
        self->members =
            self->memory.resize(self->memory.context, self->members,
                                self->member_capacity * sizeof *self->members);
    }
    uint32_t at = self->member_count++;
    while (at > 0 && strcmp(self->members[at - 1].url, endpoint->url) > 0) {
        self->members[at] = self->members[at - 1];
        at--;
    }
    self->members[at] = (struct member){.url = endpoint->url, .id = endpoint->id};
}

static void remove_member(struct maglev *self, uint32_t id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < self->member_count; i++) {
        if (self->members[i].id != id) {
            self->members[kept++] = self->members[i];
        }
    }
    self->member_count = kept;
}

static void maglev_on_endpoint_change(void *state, enum endpoint_change change,
                                      const struct endpoint_view *endpoint)
{
    struct maglev *self = state;
    if (change == ENDPOINT_JOINED) {
        add_member(self, endpoint);
        self->stale = true;
    } else if (change == ENDPOINT_LEFT) {
        remove_member(self, endpoint->id);
        self->stale = true;
    }
}

static size_t maglev_memory_bytes(const void *state)
{
    const struct maglev *self = state;
    return self->slot_count * sizeof *self->owner_ids +
           self->member_capacity * sizeof *self->members;
}

static const struct policy_param params[] = {
    [PARAM_KEY] = AFFINITY_BY_PARAM(AFFINITY_SESSION),
    [PARAM_PREFIX_CHUNKS] = AFFINITY_CHUNKS_PARAM,
    [PARAM_SLOTS] = {.name = "slots",
                     .kind = PARAM_U64,
                     .default_value = 65537,
                     .min = 3,
                     .max = 1 << 24,
                     .help = "of the table, at least as many as endpoints; the next "
                             "prime counts"},
    {.name = NULL},
};

const struct route_policy route_maglev = {
    .name = "maglev",
    .help = "Consistent hashing of the session key or the prefix by lookup table "
            "(extension).",
    .source = "Eisenbud et al., Maglev, NSDI 2016; Envoy's Maglev load balancer",
    .breaks = "hot keys; a join or leave moves some keys of other endpoints, too",
    .needs = AFFINITY_NEEDS,
    .params = params,
    .state_bytes = sizeof(struct maglev),
    .init = maglev_init,
    .fini = maglev_fini,
    .pick = maglev_pick,
    .on_endpoint_change = maglev_on_endpoint_change,
    .memory_bytes = maglev_memory_bytes,
};
