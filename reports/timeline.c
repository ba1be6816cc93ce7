/* SPDX-License-Identifier: Apache-2.0
 *
 * timeline.c: marks in order of time, each turned into a line or two.
 *
 * The gateway and every engine are processes. A request is a slice of 1 ns at the
 * gateway (a flow can start at nothing shorter), an asynchronous slice while it queues,
 * and slices of prefill and decode on a lane of its engine that no other request has
 * meanwhile; a flow leads from the first to the last. Where prompt and output are
 * computed apart, queue and prefill are at the one engine, a second queue, the transfer
 * of the KV, the first step and decode at the other. Queues are asynchronous because
 * they have no bound, whereas lanes are as many as an engine runs at once.
 */
#include "reports/timeline.h"

#include "base/json.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { GATEWAY_PID = 1, ENGINE_PID = 2, ROUTER_TID = 1, CONTROL_TID = 2, LANE_TID = 1 };
#define LANE_NONE     UINT32_MAX
#define HANDOVER_NONE UINT32_MAX

/* In this order when at the same time: lanes are free before they are taken. */
enum mark_kind {
    MARK_END,
    MARK_HAND_OVER, /* the prompt is computed; the output will be elsewhere */
    MARK_SAMPLE,
    MARK_EVENT,
    MARK_SIZE,
    MARK_ARRIVE,
    MARK_QUEUE,
    MARK_QUEUE_END,
    MARK_PREFILL,
    MARK_SECOND_QUEUE,
    MARK_SECOND_QUEUE_END,
    MARK_TRANSFER,
    MARK_FIRST_STEP,
    MARK_DECODE,
};

struct mark {
    int64_t time_ns;
    uint32_t row; /* of requests, samples or events */
    enum mark_kind kind;
};

/* Lanes of one engine; those that are free form a stack. */
struct lanes {
    uint32_t *next_free;
    size_t capacity;
    uint32_t count;
    uint32_t free;
};

/* Where a request runs. */
struct place {
    uint32_t engine;
    uint32_t lane; /* or LANE_NONE */
};

struct timeline {
    const struct run_record *run;
    FILE *stream;
    struct mark *marks;
    size_t mark_count;
    struct lanes *engines;
    size_t engine_count;
    struct place *place_of; /* request */
    uint32_t *handover_of;  /* request: index, or HANDOVER_NONE */
    bool any;               /* line was written */
};

/* ---- marks ----------------------------------------------------------------------- */

static bool happened(int64_t time_ns)
{
    return time_ns != RUN_TIME_NONE;
}

static void add_mark(struct timeline *timeline, enum mark_kind kind, int64_t time_ns,
                     size_t row)
{
    timeline->marks[timeline->mark_count++] =
        (struct mark){.time_ns = time_ns, .row = (uint32_t)row, .kind = kind};
}

/* NULL: one engine did it all, or the second one was never reached. */
static const struct handover_row *handover_of(const struct timeline *timeline,
                                              size_t row)
{
    const uint32_t at = timeline->handover_of[row];
    return at == HANDOVER_NONE ? NULL : &timeline->run->handovers[at];
}

/* Where the prompt is computed. */
static uint32_t first_engine(const struct timeline *timeline, size_t row)
{
    const struct handover_row *handover = handover_of(timeline, row);
    return handover != NULL ? handover->prefill_engine
                            : timeline->run->requests[row].engine;
}

/* The first of these moments that happened. */
static int64_t earliest(int64_t first_ns, int64_t second_ns, int64_t third_ns)
{
    return happened(first_ns) ? first_ns : happened(second_ns) ? second_ns : third_ns;
}

/* Until when the prompt was computed. */
static int64_t prefill_end_ns(const struct timeline *timeline, size_t row)
{
    const struct request_row *request = &timeline->run->requests[row];
    const struct handover_row *handover = handover_of(timeline, row);
    return handover != NULL
               ? earliest(handover->prefill_end_ns, request->end_ns, request->end_ns)
               : earliest(request->first_token_ns, request->end_ns, request->end_ns);
}

/* Waiting for blocks, the transfer, and the step that gives the first token. */
static void mark_second_leg(struct timeline *timeline, size_t row,
                            const struct handover_row *handover)
{
    const struct request_row *request = &timeline->run->requests[row];
    const int64_t from_ns = prefill_end_ns(timeline, row);
    add_mark(timeline, MARK_HAND_OVER, from_ns, row);
    if (!happened(handover->prefill_end_ns)) {
        return;
    }
    const int64_t asked_ns =
        earliest(handover->kv_asked_ns, request->first_token_ns, request->end_ns);
    add_mark(timeline, MARK_SECOND_QUEUE, from_ns, row);
    add_mark(timeline, MARK_SECOND_QUEUE_END, asked_ns, row);
    if (happened(handover->kv_asked_ns)) {
        add_mark(timeline, MARK_TRANSFER, asked_ns, row);
    }
    if (happened(handover->kv_here_ns)) {
        add_mark(timeline, MARK_FIRST_STEP, handover->kv_here_ns, row);
    }
}

static void mark_request(struct timeline *timeline, size_t row)
{
    const struct request_row *request = &timeline->run->requests[row];
    const struct handover_row *handover = handover_of(timeline, row);
    add_mark(timeline, MARK_ARRIVE, request->arrival_ns, row);
    if (request->engine >= timeline->engine_count || !happened(request->end_ns)) {
        return;
    }
    const bool scheduled = happened(request->scheduled_ns);
    if (happened(request->queued_ns)) {
        add_mark(timeline, MARK_QUEUE, request->queued_ns, row);
        add_mark(timeline, MARK_QUEUE_END,
                 scheduled ? request->scheduled_ns : request->end_ns, row);
    }
    if (scheduled) {
        add_mark(timeline, MARK_PREFILL, request->scheduled_ns, row);
        add_mark(timeline, MARK_END, request->end_ns, row);
    }
    /* Of a request of one token nothing is decoded. */
    if (scheduled && happened(request->first_token_ns) &&
        request->first_token_ns < request->end_ns) {
        add_mark(timeline, MARK_DECODE, request->first_token_ns, row);
    }
    if (scheduled && handover != NULL) {
        mark_second_leg(timeline, row, handover);
    }
}

static int by_time(const void *left, const void *right)
{
    const struct mark *a = left;
    const struct mark *b = right;
    if (a->time_ns != b->time_ns) {
        return a->time_ns < b->time_ns ? -1 : 1;
    }
    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }
    return (a->row > b->row) - (a->row < b->row);
}

static void make_marks(struct timeline *timeline)
{
    enum { MARKS_PER_REQUEST = 6, MARKS_PER_HANDOVER = 5 };
    const struct run_record *run = timeline->run;
    timeline->marks =
        mem_alloc(run->request_count * MARKS_PER_REQUEST +
                      run->handover_count * MARKS_PER_HANDOVER + run->sample_count +
                      run->event_count + run->size_count + 1,
                  sizeof *timeline->marks);
    for (size_t i = 0; i < run->request_count; i++) {
        mark_request(timeline, i);
    }
    for (size_t i = 0; i < run->sample_count; i++) {
        if (run->samples[i].engine < timeline->engine_count) {
            add_mark(timeline, MARK_SAMPLE, run->samples[i].time_ns, i);
        }
    }
    for (size_t i = 0; i < run->event_count; i++) {
        add_mark(timeline, MARK_EVENT, run->events[i].time_ns, i);
    }
    for (size_t i = 0; i < run->size_count; i++) {
        add_mark(timeline, MARK_SIZE, run->sizes[i].time_ns, i);
    }
    qsort(timeline->marks, timeline->mark_count, sizeof *timeline->marks, by_time);
}

/* ---- lines ----------------------------------------------------------------------- */

/* Microseconds with all digits of a nanosecond. */
static void put_us(FILE *stream, const char *key, int64_t time_ns)
{
    fprintf(stream, ",\"%s\":%" PRId64 ".%03d", key, time_ns / 1000,
            (int)(time_ns % 1000));
}

static void begin(struct timeline *timeline, const char *phase, const char *name,
                  uint32_t pid)
{
    fprintf(timeline->stream, "%s{\"ph\":\"%s\",\"name\":\"%s\",\"pid\":%" PRIu32,
            timeline->any ? ",\n" : "", phase, name, pid);
    timeline->any = true;
}

static void put_text(FILE *stream, const char *key, const char *value)
{
    struct json *object = json_object();
    json_put_str(object, "", value);
    char *text = json_print(object, false); /* {"":"value"} */
    fprintf(stream, "\"%s\":%.*s", key, (int)(strlen(text) - 5), text + 4);
    mem_free(text);
    json_delete(object);
}

static void name_thread(struct timeline *timeline, uint32_t pid, uint32_t tid,
                        const char *name)
{
    begin(timeline, "M", "thread_name", pid);
    fprintf(timeline->stream, ",\"tid\":%" PRIu32 ",\"args\":{\"name\":\"%s\"}}", tid,
            name);
    begin(timeline, "M", "thread_sort_index", pid);
    fprintf(timeline->stream,
            ",\"tid\":%" PRIu32 ",\"args\":{\"sort_index\":%" PRIu32 "}}", tid, tid);
}

static void name_process(struct timeline *timeline, uint32_t pid, const char *name)
{
    begin(timeline, "M", "process_name", pid);
    fputs(",\"args\":{", timeline->stream);
    put_text(timeline->stream, "name", name);
    fputs("}}", timeline->stream);
    begin(timeline, "M", "process_sort_index", pid);
    fprintf(timeline->stream, ",\"args\":{\"sort_index\":%" PRIu32 "}}", pid);
}

static void name_processes(struct timeline *timeline)
{
    name_process(timeline, GATEWAY_PID, "gateway");
    name_thread(timeline, GATEWAY_PID, ROUTER_TID, "router");
    if (timeline->run->event_count > 0) {
        name_thread(timeline, GATEWAY_PID, CONTROL_TID, "control plane");
    }
    for (size_t i = 0; i < timeline->engine_count; i++) {
        const struct engine_row *engine = &timeline->run->engines[i];
        char name[256];
        snprintf(name, sizeof name, "engine %zu: %s, %s", i, engine->pool,
                 engine->description);
        name_process(timeline, ENGINE_PID + (uint32_t)i, name);
    }
}

static void put_flow(struct timeline *timeline, const char *phase, uint32_t pid,
                     uint32_t tid, const struct mark *mark)
{
    begin(timeline, phase, "request", pid);
    fprintf(timeline->stream,
            ",\"cat\":\"flow\",\"id\":%" PRIu32 ",\"tid\":%" PRIu32 "%s", mark->row,
            tid, phase[0] == 'f' ? ",\"bp\":\"e\"" : "");
    put_us(timeline->stream, "ts", mark->time_ns);
    fputs("}", timeline->stream);
}

/* Numbers of 2^53 and more would be rounded by most readers. */
static void put_id(FILE *stream, const char *key, uint64_t id)
{
    const char *quote = id >> 53 != 0 ? "\"" : "";
    fprintf(stream, "\"%s\":%s%" PRIu64 "%s", key, quote, id, quote);
}

/* ---- a request's way ------------------------------------------------------------- */

static void put_arrival(struct timeline *timeline, const struct mark *mark)
{
    FILE *stream = timeline->stream;
    const struct request_row *request = &timeline->run->requests[mark->row];
    begin(timeline, "X", "request", GATEWAY_PID);
    fprintf(stream, ",\"cat\":\"gateway\",\"tid\":%d", ROUTER_TID);
    put_us(stream, "ts", mark->time_ns);
    put_us(stream, "dur", 1);
    fputs(",\"args\":{", stream);
    put_id(stream, "request", request->request_id);
    fputs(",", stream);
    put_id(stream, "session", request->session_id);
    fprintf(stream, ",\"turn\":%" PRIu32 ",\"status\":\"%s\"", request->turn,
            request_status_name(request->status));
    if (request->engine != RUN_ENGINE_NONE) {
        fprintf(stream, ",\"engine\":%" PRIu32, request->engine);
    }
    fputs("}}", stream);
    if (request->engine < timeline->engine_count && happened(request->scheduled_ns) &&
        happened(request->end_ns)) {
        put_flow(timeline, "s", GATEWAY_PID, ROUTER_TID, mark);
    }
}

static void put_queue(struct timeline *timeline, const struct mark *mark)
{
    FILE *stream = timeline->stream;
    const struct request_row *request = &timeline->run->requests[mark->row];
    const bool begins = mark->kind == MARK_QUEUE || mark->kind == MARK_SECOND_QUEUE;
    const bool is_first = mark->kind == MARK_QUEUE || mark->kind == MARK_QUEUE_END;
    begin(timeline, begins ? "b" : "e", "queue",
          ENGINE_PID +
              (is_first ? first_engine(timeline, mark->row) : request->engine));
    fprintf(stream, ",\"cat\":\"queue\",\"id\":%" PRIu32, mark->row);
    put_us(stream, "ts", mark->time_ns);
    if (begins) {
        fputs(",\"args\":{", stream);
        put_id(stream, "request", request->request_id);
        fputs("}", stream);
    }
    fputs("}", stream);
}

/* Of a request that runs nowhere. */
static void take_lane(struct timeline *timeline, const struct mark *mark,
                      uint32_t engine)
{
    struct lanes *lanes = &timeline->engines[engine];
    struct place *place = &timeline->place_of[mark->row];
    *place = (struct place){.engine = engine, .lane = lanes->free};
    if (place->lane != LANE_NONE) {
        lanes->free = lanes->next_free[place->lane];
        return;
    }
    char name[32];
    (void)mem_grow((void **)&lanes->next_free, &lanes->capacity, lanes->count + 1,
                   sizeof *lanes->next_free, RUN_REQUESTS_MAX);
    place->lane = lanes->count++;
    snprintf(name, sizeof name, "lane %" PRIu32, place->lane);
    name_thread(timeline, ENGINE_PID + engine, LANE_TID + place->lane, name);
}

static void free_lane(struct timeline *timeline, const struct mark *mark)
{
    struct place *place = &timeline->place_of[mark->row];
    struct lanes *lanes = &timeline->engines[place->engine];
    if (place->lane != LANE_NONE) {
        lanes->next_free[place->lane] = lanes->free;
        lanes->free = place->lane;
        place->lane = LANE_NONE;
    }
}

struct stage {
    const char *name;
    uint32_t engine;
    int64_t until_ns;
};

static void begin_stage(struct timeline *timeline, const struct mark *mark,
                        const struct stage *stage)
{
    FILE *stream = timeline->stream;
    const struct request_row *request = &timeline->run->requests[mark->row];
    begin(timeline, "X", stage->name, ENGINE_PID + stage->engine);
    fprintf(stream, ",\"cat\":\"request\",\"tid\":%" PRIu32,
            LANE_TID + timeline->place_of[mark->row].lane);
    put_us(stream, "ts", mark->time_ns);
    put_us(stream, "dur", stage->until_ns - mark->time_ns);
    fputs(",\"args\":{", stream);
    put_id(stream, "request", request->request_id);
}

/* The flow of a request goes on from slice to slice and ends in its last one. */
static void put_step(struct timeline *timeline, const struct mark *mark,
                     uint32_t engine, bool is_last)
{
    put_flow(timeline, is_last ? "f" : "t", ENGINE_PID + engine,
             LANE_TID + timeline->place_of[mark->row].lane, mark);
}

static bool is_decoded(const struct request_row *request)
{
    return happened(request->first_token_ns) &&
           request->first_token_ns < request->end_ns;
}

static void put_prefill(struct timeline *timeline, const struct mark *mark)
{
    const struct request_row *request = &timeline->run->requests[mark->row];
    const struct handover_row *handover = handover_of(timeline, mark->row);
    const struct stage stage = {"prefill", first_engine(timeline, mark->row),
                                prefill_end_ns(timeline, mark->row)};
    const bool is_last =
        !is_decoded(request) && (handover == NULL || !happened(handover->kv_asked_ns));
    take_lane(timeline, mark, stage.engine);
    begin_stage(timeline, mark, &stage);
    fprintf(timeline->stream,
            ",\"prompt_tokens\":%" PRIu32 ",\"cached_tokens\":%" PRIu32 "}}",
            request->prompt_tokens, request->cached_tokens);
    put_step(timeline, mark, stage.engine, is_last);
    if (stage.until_ns <= mark->time_ns &&
        (handover != NULL || request->end_ns <= mark->time_ns)) {
        free_lane(timeline, mark); /* its end is behind us */
    }
}

static void take_second_lane(struct timeline *timeline, const struct mark *mark)
{
    if (timeline->place_of[mark->row].lane == LANE_NONE) {
        take_lane(timeline, mark, timeline->run->requests[mark->row].engine);
    }
}

/* The KV on its way, then the step that waits for it. */
static void put_transfer(struct timeline *timeline, const struct mark *mark)
{
    const struct request_row *request = &timeline->run->requests[mark->row];
    const struct handover_row *handover = handover_of(timeline, mark->row);
    const bool is_transfer = mark->kind == MARK_TRANSFER;
    const struct stage stage = {
        is_transfer ? "KV transfer" : "first step", request->engine,
        is_transfer
            ? earliest(handover->kv_here_ns, request->first_token_ns, request->end_ns)
            : earliest(request->first_token_ns, request->end_ns, request->end_ns)};
    take_second_lane(timeline, mark);
    begin_stage(timeline, mark, &stage);
    fprintf(timeline->stream, ",\"from_engine\":%" PRIu32 "}}",
            handover->prefill_engine);
    if (is_transfer) {
        put_step(timeline, mark, stage.engine, !is_decoded(request));
    }
    if (request->end_ns <= mark->time_ns) {
        free_lane(timeline, mark);
    }
}

static void put_decode(struct timeline *timeline, const struct mark *mark)
{
    const struct request_row *request = &timeline->run->requests[mark->row];
    const struct stage stage = {"decode", request->engine, request->end_ns};
    take_second_lane(timeline, mark);
    begin_stage(timeline, mark, &stage);
    fprintf(timeline->stream,
            ",\"output_tokens\":%" PRIu32 ",\"preemptions\":%" PRIu32 "}}",
            request->output_tokens, request->preemptions);
    put_step(timeline, mark, stage.engine, true);
}

static void put_sample(struct timeline *timeline, const struct mark *mark)
{
    FILE *stream = timeline->stream;
    const struct engine_sample_row *sample = &timeline->run->samples[mark->row];
    begin(timeline, "C", "requests", ENGINE_PID + sample->engine);
    put_us(stream, "ts", mark->time_ns);
    fprintf(stream, ",\"args\":{\"running\":%" PRIu32 ",\"waiting\":%" PRIu32 "}}",
            sample->running_requests, sample->waiting_requests);
    begin(timeline, "C", "KV blocks used, %", ENGINE_PID + sample->engine);
    put_us(stream, "ts", mark->time_ns);
    fprintf(stream, ",\"args\":{\"used\":%.2f}}",
            sample->kv_total_blocks == 0
                ? 0.0
                : 100.0 * sample->kv_used_blocks / sample->kv_total_blocks);
}

/* An instant that goes through all tracks: what befell the fleet explains them. */
static void put_event(struct timeline *timeline, const struct mark *mark)
{
    FILE *stream = timeline->stream;
    const struct event_row *event = &timeline->run->events[mark->row];
    fprintf(stream, "%s{\"ph\":\"i\",", timeline->any ? ",\n" : "");
    timeline->any = true;
    put_text(stream, "name", event->reason);
    fprintf(stream, ",\"pid\":%d,\"tid\":%d,\"cat\":\"%s\",\"s\":\"%s\"", GATEWAY_PID,
            CONTROL_TID, event->warning ? "warning" : "normal",
            event->warning ? "g" : "t");
    put_us(stream, "ts", mark->time_ns);
    fputs(",\"args\":{", stream);
    put_text(stream, "object", event->object);
    fputs(",", stream);
    put_text(stream, "message", event->message);
    fputs("}}", stream);
}

static void put_size(struct timeline *timeline, const struct mark *mark)
{
    FILE *stream = timeline->stream;
    const struct pool_size_row *size = &timeline->run->sizes[mark->row];
    char name[160];
    snprintf(name, sizeof name, "replicas of %s", size->pool);
    fprintf(stream, "%s{\"ph\":\"C\",", timeline->any ? ",\n" : "");
    timeline->any = true;
    put_text(stream, "name", name);
    fprintf(stream, ",\"pid\":%d", GATEWAY_PID);
    put_us(stream, "ts", mark->time_ns);
    fprintf(stream,
            ",\"args\":{\"desired\":%" PRIu32 ",\"holding GPUs\":%" PRIu32
            ",\"ready\":%" PRIu32 "}}",
            size->desired, size->held_engines, size->ready);
}

static void put_mark(struct timeline *timeline, const struct mark *mark)
{
    switch (mark->kind) {
    case MARK_END:
    case MARK_HAND_OVER:
        free_lane(timeline, mark);
        break;
    case MARK_SAMPLE:
        put_sample(timeline, mark);
        break;
    case MARK_EVENT:
        put_event(timeline, mark);
        break;
    case MARK_SIZE:
        put_size(timeline, mark);
        break;
    case MARK_ARRIVE:
        put_arrival(timeline, mark);
        break;
    case MARK_QUEUE:
    case MARK_QUEUE_END:
    case MARK_SECOND_QUEUE:
    case MARK_SECOND_QUEUE_END:
        put_queue(timeline, mark);
        break;
    case MARK_PREFILL:
        put_prefill(timeline, mark);
        break;
    case MARK_TRANSFER:
    case MARK_FIRST_STEP:
        put_transfer(timeline, mark);
        break;
    case MARK_DECODE:
        put_decode(timeline, mark);
        break;
    }
}

/* Those whose engines are both known. */
static void find_handovers(struct timeline *timeline)
{
    const struct run_record *const run = timeline->run;
    for (size_t i = 0; i < run->handover_count; i++) {
        const struct handover_row *const handover = &run->handovers[i];
        if (handover->request < run->request_count &&
            handover->prefill_engine < run->engine_count) {
            timeline->handover_of[handover->request] = (uint32_t)i;
        }
    }
}

void timeline_write(const struct run_record *run, FILE *stream)
{
    struct timeline timeline = {
        .run = run, .stream = stream, .engine_count = run->engine_count};
    timeline.engines = mem_alloc(run->engine_count, sizeof *timeline.engines);
    timeline.place_of = mem_alloc(run->request_count, sizeof *timeline.place_of);
    for (size_t i = 0; i < run->engine_count; i++) {
        timeline.engines[i].free = LANE_NONE;
    }
    timeline.handover_of = mem_alloc(run->request_count, sizeof *timeline.handover_of);
    for (size_t i = 0; i < run->request_count; i++) {
        timeline.place_of[i].lane = LANE_NONE;
        timeline.handover_of[i] = HANDOVER_NONE;
    }
    find_handovers(&timeline);
    make_marks(&timeline);
    fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":{", stream);
    put_text(stream, "scenario", run->info.scenario_name);
    fputs(",", stream);
    put_text(stream, "run", run->info.name);
    fputs(",", stream);
    put_text(stream, "policy", run->info.policy);
    fprintf(stream, ",\"seed\":\"%" PRIu64 "\"},\n\"traceEvents\":[\n", run->info.seed);
    name_processes(&timeline);
    for (size_t i = 0; i < timeline.mark_count; i++) {
        put_mark(&timeline, &timeline.marks[i]);
    }
    fputs("\n]}\n", stream);
    for (size_t i = 0; i < run->engine_count; i++) {
        mem_free(timeline.engines[i].next_free);
    }
    mem_free(timeline.engines);
    mem_free(timeline.place_of);
    mem_free(timeline.handover_of);
    mem_free(timeline.marks);
}
