/* SPDX-License-Identifier: Apache-2.0
 *
 * llmservingsim.c: LLMServingSim JSONL, flat and sessions (spec/traces.md F7), and the
 * same with block ids instead of token ids.
 *
 * Ids cover the prompt and the output, so that the next turn finds what was generated.
 * Our segments name generated text after the request that produced it. A block id that
 * first appears over generated tokens is therefore remembered with its request, and a
 * later prompt that lists it gets a piece of that request's output; ids over prompts
 * are content of their own. Token ids are hashed into a chain of blocks first and then
 * go the same way.
 */
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "traces/json_rows.h"

#include <stdio.h>

enum {
    ID,
    SESSION_ID,
    ARRIVAL_TIME_NS,
    ARRIVAL_NS,
    INPUT_TOKS,
    OUTPUT_TOKS,
    INPUT_TOK_IDS,
    OUTPUT_TOK_IDS,
    BLOCK_IDS,
    SUB_REQUESTS,
    TOOL_DURATION_NS,
    KEY_COUNT
};

static const char *const keys[KEY_COUNT] = {
    [ID] = "id",
    [SESSION_ID] = "session_id",
    [ARRIVAL_TIME_NS] = "arrival_time_ns",
    [ARRIVAL_NS] = "arrival_ns",
    [INPUT_TOKS] = "input_toks",
    [OUTPUT_TOKS] = "output_toks",
    [INPUT_TOK_IDS] = "input_tok_ids",
    [OUTPUT_TOK_IDS] = "output_tok_ids",
    [BLOCK_IDS] = "block_ids",
    [SUB_REQUESTS] = "sub_requests",
    [TOOL_DURATION_NS] = "tool_duration_ns",
};

enum { BLOCKS_MAX = 1 << 22, KNOWN_MAX = 1 << 28 };
#define NOBODY UINT32_MAX

/* Where the tokens of a block id were generated. */
struct owner {
    uint64_t record_id;
    uint32_t prompt_part;   /* tokens at its start that were prompt */
    uint32_t output_offset; /* of its first generated token */
};

struct llmservingsim {
    struct json_rows rows;
    jsonl_value sub; /* next sub-request of the current line, or JSONL_NONE */
    char session_name[64];
    int64_t tool_ns;   /* after the previous sub-request */
    struct map *known; /* dense block -> index into owners, or NOBODY */
    struct owner *owners;
    size_t owner_count;
    size_t owner_capacity;
    uint64_t *blocks; /* dense ids over prompt and output of the current request */
    size_t block_count;
    size_t block_capacity;
};

static bool llmservingsim_detect(const char *head, size_t byte_count)
{
    return trace_head_begins(head, byte_count, "{") &&
           (trace_head_has(head, byte_count, "\"input_toks\"") ||
            trace_head_has(head, byte_count, "\"sub_requests\""));
}

static bool llmservingsim_open(void *state, struct trace_input *input, struct err *err)
{
    (void)input;
    (void)err;
    struct llmservingsim *const sim = state;
    json_rows_init(&sim->rows, keys, KEY_COUNT);
    sim->sub = JSONL_NONE;
    sim->known = map_new(1024, KNOWN_MAX);
    return true;
}

static void llmservingsim_close(void *state)
{
    struct llmservingsim *const sim = state;
    json_rows_fini(&sim->rows);
    map_delete(sim->known);
    mem_free(sim->owners);
    mem_free(sim->blocks);
}

static bool add_dense(struct llmservingsim *sim, struct trace_input *input,
                      uint64_t identity)
{
    uint64_t dense = 0;
    void *memory = sim->blocks;
    if (!input_block(input, identity, &dense) ||
        !mem_grow(&memory, &sim->block_capacity, sim->block_count + 1, sizeof(uint64_t),
                  BLOCKS_MAX)) {
        return false;
    }
    sim->blocks = memory;
    sim->blocks[sim->block_count++] = dense;
    return true;
}

static bool read_block_ids(struct llmservingsim *sim, struct trace_input *input,
                           struct err *err)
{
    const struct json_rows *const rows = &sim->rows;
    jsonl_value ids = JSONL_NONE;
    if (!json_rows_array(rows, input, BLOCK_IDS, &ids, err)) {
        return false;
    }
    if (ids == JSONL_NONE) {
        return true;
    }
    for (jsonl_value id = jsonl_first(rows->jsonl, ids); id != JSONL_NONE;
         id = jsonl_next(rows->jsonl, id)) {
        if (!add_dense(sim, input, json_rows_identity(rows, id))) {
            return input_fail(input, err, jsonl_column(rows->jsonl, id),
                              keys[BLOCK_IDS], "too many blocks");
        }
    }
    const uint64_t tokens =
        (uint64_t)input->record.prompt_tokens + input->record.output_tokens;
    if (sim->block_count != tokens / input->block_tokens) {
        input_remark(input,
                     "block_ids do not cover the full blocks of prompt + output");
    }
    return true;
}

/* A running chain of whole blocks over token ids. */
struct chain {
    uint64_t hash;
    uint32_t filled;
};

/* Goes on over one list of token ids. */
static bool chain_tokens(struct llmservingsim *sim, struct trace_input *input,
                         size_t key, struct chain *chain, struct err *err)
{
    const struct json_rows *const rows = &sim->rows;
    jsonl_value ids = JSONL_NONE;
    if (!json_rows_array(rows, input, key, &ids, err)) {
        return false;
    }
    if (ids == JSONL_NONE) {
        return true;
    }
    const uint32_t said = key == INPUT_TOK_IDS ? input->record.prompt_tokens
                                               : input->record.output_tokens;
    if (jsonl_count(rows->jsonl, ids) != said) {
        input_remark(input, "token ids are not as many as the length says");
    }
    for (jsonl_value id = jsonl_first(rows->jsonl, ids); id != JSONL_NONE;
         id = jsonl_next(rows->jsonl, id)) {
        chain->hash = hash_pair(chain->hash, json_rows_identity(rows, id));
        if (++chain->filled < input->block_tokens) {
            continue;
        }
        chain->filled = 0;
        if (!add_dense(sim, input, chain->hash)) {
            return input_fail(input, err, jsonl_column(rows->jsonl, id), keys[key],
                              "too many blocks");
        }
    }
    return true;
}

static bool read_blocks(struct llmservingsim *sim, struct trace_input *input,
                        struct err *err)
{
    struct chain chain = {0, 0};
    sim->block_count = 0;
    return read_block_ids(sim, input, err) &&
           (sim->block_count > 0 ||
            (chain_tokens(sim, input, INPUT_TOK_IDS, &chain, err) &&
             chain_tokens(sim, input, OUTPUT_TOK_IDS, &chain, err)));
}

/* The first `tokens` tokens of block `dense`. */
static bool add_block(struct llmservingsim *sim, struct trace_input *input,
                      uint64_t dense, uint32_t tokens)
{
    const uint64_t stream = segment_stream(SEGMENT_BLOCK, 0);
    const uint64_t offset = dense * input->block_tokens;
    uint32_t index = NOBODY;
    if (!map_get(sim->known, dense, &index) || index == NOBODY) {
        return input_add(input, stream, offset, tokens);
    }
    const struct owner *const owner = &sim->owners[index];
    const uint32_t prompt_part =
        tokens < owner->prompt_part ? tokens : owner->prompt_part;
    return input_add(input, stream, offset, prompt_part) &&
           input_add(input, segment_stream(SEGMENT_OUTPUT, owner->record_id),
                     owner->output_offset, tokens - prompt_part);
}

/* Block i of the current request is new: says where its tokens come from. */
static bool learn_block(struct llmservingsim *sim, const struct trace_input *input,
                        size_t i)
{
    const uint64_t start = (uint64_t)i * input->block_tokens;
    const uint64_t prompt_tokens = input->record.prompt_tokens;
    uint32_t index = NOBODY;
    if (map_count(sim->known) >= KNOWN_MAX) {
        return false;
    }
    if (start + input->block_tokens > prompt_tokens) {
        void *memory = sim->owners;
        if (!mem_grow(&memory, &sim->owner_capacity, sim->owner_count + 1,
                      sizeof(struct owner), KNOWN_MAX)) {
            return false;
        }
        sim->owners = memory;
        index = (uint32_t)sim->owner_count++;
        sim->owners[index] = (struct owner){
            .record_id = input->record.id,
            .prompt_part =
                start < prompt_tokens ? (uint32_t)(prompt_tokens - start) : 0,
            .output_offset =
                start < prompt_tokens ? 0 : (uint32_t)(start - prompt_tokens),
        };
    }
    map_put(sim->known, sim->blocks[i], index);
    return true;
}

static bool read_prompt(struct llmservingsim *sim, struct trace_input *input,
                        struct err *err)
{
    const uint64_t prompt_tokens = input->record.prompt_tokens;
    if (!read_blocks(sim, input, err)) {
        return false;
    }
    for (size_t i = 0; i < sim->block_count; i++) {
        const uint64_t start = (uint64_t)i * input->block_tokens;
        const uint64_t left = start < prompt_tokens ? prompt_tokens - start : 0;
        const uint32_t take =
            left < input->block_tokens ? (uint32_t)left : input->block_tokens;
        uint32_t unused = 0;
        if (!add_block(sim, input, sim->blocks[i], take) ||
            (!map_get(sim->known, sim->blocks[i], &unused) &&
             !learn_block(sim, input, i))) {
            return input_fail_pieces(input, err);
        }
    }
    return input_fill_private(input, err);
}

/* Lengths and prompt of the object that rows->values came from. */
static bool read_request(struct llmservingsim *sim, struct trace_input *input,
                         struct err *err)
{
    const struct input_field prompt = json_rows_field(&sim->rows, INPUT_TOKS);
    const struct input_field output = json_rows_field(&sim->rows, OUTPUT_TOKS);
    return input_tokens(input, &prompt, &input->record.prompt_tokens, err) &&
           input_tokens(input, &output, &input->record.output_tokens, err) &&
           read_prompt(sim, input, err);
}

static enum format_result next_sub_request(struct llmservingsim *sim,
                                           struct trace_input *input, struct err *err)
{
    const jsonl_value object = sim->sub;
    int64_t tool_ns = 0;
    sim->sub = jsonl_next(sim->rows.jsonl, object);
    input_begin(input);
    input->record.arrival_ns = input->floor_ns;
    if (!json_rows_pick(&sim->rows, input, object, err)) {
        return FORMAT_BROKEN;
    }
    const struct input_field tool = json_rows_field(&sim->rows, TOOL_DURATION_NS);
    struct input_session *const session = input_session(
        input, sim->session_name, sizeof(sim->session_name), &input->record.session);
    if ((tool.bytes != NULL && !input_time(input, &tool, 1, &tool_ns, err)) ||
        !read_request(sim, input, err)) {
        return FORMAT_BROKEN;
    }
    const bool is_first = session->turns == 0;
    input_continue(input, session, is_first,
                   is_first ? TRACE_THINK_NONE : sim->tool_ns);
    sim->tool_ns = tool_ns;
    return FORMAT_RECORD;
}

/* A line with sub_requests is a session; ids that repeat are told apart by the line. */
static bool begin_session(struct llmservingsim *sim, struct trace_input *input,
                          jsonl_value list, struct err *err)
{
    const struct input_field name = json_rows_field(&sim->rows, SESSION_ID);
    const unsigned long long line = lines_number(input->lines);
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(sim->session_name); i++) {
        sim->session_name[i] = '\0';
    }
    (void)snprintf(sim->session_name, sizeof(sim->session_name), "line %llu", line);
    if (name.bytes != NULL) {
        struct input_session *const named =
            input_session(input, name.bytes, name.byte_count, &number);
        if (named != NULL && named->turns++ > 0) {
            input_remark(input, "session_id occurs again; taken as another session");
        }
    }
    if (input_session(input, sim->session_name, sizeof(sim->session_name), &number) ==
        NULL) {
        return input_fail(input, err, 1, "", "too many sessions");
    }
    if (jsonl_count(sim->rows.jsonl, list) == 0) {
        input_remark(input, "sub_requests is empty; nothing to replay");
    }
    sim->sub = jsonl_first(sim->rows.jsonl, list);
    sim->tool_ns = 0;
    return true;
}

/* One line: a request, or a session whose sub-requests follow (FORMAT_END: none yet).
 */
static enum format_result next_line(struct llmservingsim *sim,
                                    struct trace_input *input, struct err *err)
{
    int64_t arrival_ns = 0;
    jsonl_value list = JSONL_NONE;
    input_begin(input);
    const size_t key = json_rows_field(&sim->rows, ARRIVAL_NS).bytes != NULL
                           ? ARRIVAL_NS
                           : ARRIVAL_TIME_NS;
    const struct input_field arrival = json_rows_field(&sim->rows, key);
    const int64_t told_ns = input->options->time_unit_ns;
    if (!input_time(input, &arrival, told_ns > 0 ? told_ns : 1, &arrival_ns, err) ||
        !json_rows_array(&sim->rows, input, SUB_REQUESTS, &list, err)) {
        return FORMAT_BROKEN;
    }
    if (list != JSONL_NONE) {
        input->floor_ns = arrival_ns;
        return begin_session(sim, input, list, err) ? FORMAT_END : FORMAT_BROKEN;
    }
    input->record.arrival_ns = arrival_ns;
    if (!read_request(sim, input, err)) {
        return FORMAT_BROKEN;
    }
    input->floor_ns = arrival_ns;
    return FORMAT_RECORD;
}

static enum format_result llmservingsim_next(void *state, struct trace_input *input,
                                             struct err *err)
{
    struct llmservingsim *const sim = state;
    for (;;) {
        if (sim->sub != JSONL_NONE) {
            return next_sub_request(sim, input, err);
        }
        const enum format_result scanned = json_rows_next(&sim->rows, input, err);
        if (scanned != FORMAT_RECORD) {
            return scanned;
        }
        const enum format_result result = next_line(sim, input, err);
        if (result != FORMAT_END) {
            return result;
        }
    }
}

const struct trace_format format_llmservingsim = {
    .name = "llmservingsim",
    .help =
        "LLMServingSim JSONL: requests or sessions, with token or block ids or none",
    .detect = llmservingsim_detect,
    .state_bytes = sizeof(struct llmservingsim),
    .open = llmservingsim_open,
    .next = llmservingsim_next,
    .close = llmservingsim_close,
    .block_tokens = 16,
};
