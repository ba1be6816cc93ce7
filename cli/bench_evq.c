/* SPDX-License-Identifier: Apache-2.0
 *
 * bench_evq.c: the hold model (Jones 1986): take the earliest event, set the next one
 * of its source; what the engines of a large fleet ask of sim/evq.h.
 */
#include "cli/bench_evq.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sim/evq.h"

#include <inttypes.h>
#include <stdio.h>

enum { PENDING = 1 << 16, EVENTS = 1 << 24 };
#define GAP_NS_MAX 20000000 /* a decode step or two */

static uint64_t events_move(struct evq *evq, struct rng *rng)
{
    uint64_t order = 0;
    for (uint32_t source = 0; source < PENDING; source++) {
        evq_set(evq, source, (int64_t)rng_below(rng, GAP_NS_MAX), source);
    }
    for (uint32_t i = 0; i < EVENTS; i++) {
        struct event event;
        const bool any = evq_peek(evq, &event);
        CHECK(any, "event %" PRIu32 " is missing", i);
        order = order * UINT64_C(0x9e3779b97f4a7c15) + event.source;
        evq_set(evq, event.source,
                event.time_ns + 1 + (int64_t)rng_below(rng, GAP_NS_MAX), event.source);
    }
    return hash_mix(order);
}

void bench_evq_once(void)
{
    struct rng rng;
    rng_init(&rng, 1, "bench evq", 0);
    struct evq *evq = evq_new(PENDING);
    char digest[17];
    snprintf(digest, sizeof digest, "%016" PRIx64, events_move(evq, &rng));
    evq_delete(evq);
    struct json *totals = json_object();
    json_put_u64(totals, "requests", 0);
    json_put_u64(totals, "events", EVENTS);
    json_put_u64(totals, "steps", 0);
    struct json *object = json_object();
    json_put(object, "totals", totals);
    json_put_str(object, "digest", digest);
    char *bytes = json_print(object, false);
    puts(bytes);
    mem_free(bytes);
    json_delete(object);
}
