/* SPDX-License-Identifier: Apache-2.0
 *
 * front.c: what a router sees of a record; only what its policy needs is computed.
 */
#include "sim/front.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim/adapters.h"
#include "sim/scenario_control.h"
#include "traces/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 24, CHUNK_CHARS = 128 };
enum { PREFILL_STREAMS = 1 << 16 }; /* beyond the replicas: chance of its own */

/* Its own counters and its own knowledge: prefill legs are requests of their own. */
static bool prefill_new(struct front *front, const struct gateway_setup *decode,
                        struct err *err)
{
    const struct scenario_disaggregation *disagg = &front->scenario->disaggregation;
    struct gateway_setup setup = *decode;
    setup.policy = disagg->prefill;
    setup.param_names = disagg->param_names;
    setup.param_values = disagg->param_values;
    setup.param_count = disagg->param_count;
    setup.replica += PREFILL_STREAMS;
    return gateway_new(&front->prefill, &setup, err);
}

bool front_init(struct front *front, const struct scenario *scenario, uint32_t replica,
                const struct front_links *links, struct err *err)
{
    const struct gateway_setup setup = {
        .policy = scenario->policy,
        .compat = scenario->compat,
        .param_names = scenario->param_names,
        .param_values = scenario->param_values,
        .param_count = scenario->param_count,
        .seed = scenario->seed,
        .replica = replica,
        .stats_window_ns = scenario->stats_window_ns,
        .endpoints_max = SCENARIO_REPLICAS_MAX,
        .resets = scenario->control != NULL && scenario->control->reloads,
        .oracle = links->oracle,
    };
    *front = (struct front){.scenario = scenario};
    if (!gateway_new(&front->gateway, &setup, err) ||
        (scenario->disaggregation.policy != NULL && !prefill_new(front, &setup, err))) {
        return false;
    }
    if (links->sink != NULL) {
        gateway_log_to(front->gateway, links->sink);
        if (front->prefill != NULL) {
            gateway_log_to(front->prefill, links->sink);
        }
    }
    return scenario->admission.policy == NULL ||
           admission_new(&front->admission, scenario, front->gateway, replica, err);
}

void front_fini(struct front *front)
{
    admission_delete(front->admission);
    gateway_delete(front->gateway);
    gateway_delete(front->prefill);
    mem_free(front->hashes);
    mem_free(front->segments);
    *front = (struct front){0};
}

void front_join(struct front *front, uint32_t engine, const char *url,
                const char *model)
{
    const uint32_t endpoint = gateway_join(front->gateway, url, model, 1.0);
    CHECK(endpoint == engine, "engine %u became endpoint %u", engine, endpoint);
    if (front->prefill != NULL) {
        gateway_join(front->prefill, url, model, 1.0);
    }
}

void front_set_role(struct front *front, uint32_t engine, enum pool_role role)
{
    gateway_set_accepting(front->gateway, engine, role != ROLE_PREFILL);
    gateway_set_accepting(front->prefill, engine, role != ROLE_DECODE);
}

void front_serve(struct front *front, const char *adapter, const uint32_t *engines,
                 uint32_t count)
{
    gateway_serve(front->gateway, adapter, engines, count);
    if (front->prefill != NULL) {
        gateway_serve(front->prefill, adapter, engines, count);
    }
}

const struct segment *front_segments(struct front *front,
                                     const struct trace_record *record)
{
    if (record->adapter == NULL || record->segment_count == 0) {
        return record->segments;
    }
    void *array = front->segments;
    const bool grown = mem_grow(&array, &front->segment_capacity, record->segment_count,
                                sizeof(struct segment), UINT32_MAX);
    CHECK(grown, "%u segments", record->segment_count);
    front->segments = array;
    memcpy(front->segments, record->segments,
           record->segment_count * sizeof(struct segment));
    front->segments[0].stream =
        adapter_stream(record->adapter, record->segments[0].stream);
    return front->segments;
}

static uint64_t *hashes_reserve(struct front *front, size_t count)
{
    void *array = front->hashes;
    const bool grown =
        mem_grow(&array, &front->hash_capacity, count, sizeof(uint64_t), UINT32_MAX);
    CHECK(grown, "%zu prompt hashes", count);
    front->hashes = array;
    return front->hashes;
}

static void chunks_fill(struct front *front, const struct trace_record *record,
                        struct request_view *view)
{
    const uint32_t chunk = CHUNK_CHARS / front->scenario->chars_per_token;
    const size_t most = record->prompt_tokens / chunk + 1;
    uint64_t *hashes = hashes_reserve(front, most);
    view->chunk_hashes = hashes;
    view->chunk_count = (uint32_t)segment_chunk_hashes(
        record->segments, record->segment_count, chunk, hashes, most);
}

/* Behind the chunk hashes, in case both are wanted. */
static void blocks_fill(struct front *front, const struct trace_record *record,
                        struct request_view *view)
{
    const uint32_t block = front->scenario->pools[0].engine.block_tokens;
    const size_t most = record->prompt_tokens / block + 1;
    uint64_t *hashes = hashes_reserve(front, view->chunk_count + most);
    view->chunk_hashes = view->chunk_count > 0 ? hashes : NULL;
    view->block_hashes = hashes + view->chunk_count;
    view->block_count = (uint32_t)segment_block_hashes(
        front_segments(front, record), record->segment_count, block, 0,
        hashes + view->chunk_count, most);
    view->block_tokens = block;
}

/* key must outlive the view. */
static void view_fill(struct front *front, const struct trace_record *record,
                      unsigned needs, char key[KEY_BYTES], struct request_view *view)
{
    if ((needs & NEED_SESSION_KEY) != 0 && record->session != 0) {
        (void)snprintf(key, KEY_BYTES, "%" PRIu64, record->session);
        view->session_key = key;
    }
    if ((needs & NEED_CHUNK_HASHES) != 0) {
        chunks_fill(front, record, view);
    }
    if ((needs & NEED_BLOCK_HASHES) != 0) {
        blocks_fill(front, record, view);
    }
}

/* Of which request, and when it came. */
struct asked {
    const struct trace_record *record;
    int64_t arrival_ns;
};

static struct route_decision route(struct front *front, struct gateway *gateway,
                                   int64_t now_ns, const struct asked *asked,
                                   uint32_t *engine)
{
    const struct trace_record *record = asked->record;
    char key[KEY_BYTES];
    struct request_view view = {
        .request_id = record->id,
        .arrival_ns = asked->arrival_ns,
        .model = record->adapter != NULL ? record->adapter : record->model,
        .prompt_tokens = record->prompt_tokens,
        .output_tokens_max = record->output_tokens_max,
        .output_tokens_guess = record->output_tokens_guess,
        .priority = record->priority,
        .tenant = record->tenant,
        .adapter = adapter_id(record->adapter),
    };
    view_fill(front, record, gateway_needs(gateway), key, &view);
    return front->except == NULL
               ? gateway_route(gateway, now_ns, &view, engine)
               : gateway_route_except(gateway, now_ns, &view, front->except, engine);
}

struct route_decision front_route(struct front *front, int64_t now_ns,
                                  const struct trace_record *record, int64_t arrival_ns,
                                  uint32_t *engine)
{
    const struct asked asked = {record, arrival_ns};
    return route(front, front->gateway, now_ns, &asked, engine);
}

struct route_decision front_route_prefill(struct front *front, int64_t now_ns,
                                          const struct trace_record *record,
                                          int64_t arrival_ns, uint32_t *engine)
{
    const struct asked asked = {record, arrival_ns};
    return route(front, front->prefill, now_ns, &asked, engine);
}

unsigned front_needs(const struct front *front)
{
    return gateway_needs(front->gateway) |
           (front->prefill != NULL ? gateway_needs(front->prefill) : 0);
}

bool front_needs_metrics(const struct front *front)
{
    return (front_needs(front) & NEED_METRICS) != 0 ||
           (front->admission != NULL && admission_needs_metrics(front->admission));
}

uint32_t front_waiting(const struct front *front)
{
    return front->admission != NULL ? admission_waiting(front->admission) : 0;
}
