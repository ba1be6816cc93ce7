/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_engine_events.c: an engine that publishes anything, twice over. Whatever is told
 * has blocks, and what is removed was stored before.
 */
#include "base/check.h"
#include "base/map.h"
#include "router/engine_events.h"
#include "tests/fuzz/fuzz.h"

static void on_event(void *context, const struct kv_event *event)
{
    struct map *known = context;
    CHECK((event->block_count > 0) == (event->kind != KV_EVENT_CLEARED),
          "%u blocks in an event of kind %d", event->block_count, (int)event->kind);
    for (uint32_t i = 0; i < event->block_count; i++) {
        uint32_t ignored = 0;
        if (event->kind == KV_EVENT_STORED) {
            map_put(known, event->blocks[i], 1);
        }
        CHECK(map_get(known, event->blocks[i], &ignored), "a block out of nowhere");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct map *known = map_new(64, 1 << 20);
    struct engine_events *events = engine_events_new(4);
    const struct engine_events_sink sink = {known, on_event};
    for (uint64_t i = 0; i < 2; i++) {
        struct err err = {0};
        const struct kv_batch batch = {i, (const char *)data, size};
        const bool good = engine_events_take(events, &batch, &sink, &err);
        CHECK(good || err.text[0] != '\0', "a failure without a word");
    }
    engine_events_delete(events);
    map_delete(known);
    return 0;
}
