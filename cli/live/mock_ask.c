/* SPDX-License-Identifier: Apache-2.0
 *
 * mock_ask.c: see mock_ask.h. The router's reader finds the prompt in all its forms;
 * the few fields that only an engine cares about are read as a tree.
 */
#include "cli/live/mock_ask.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "traces/token_text.h"

#include <inttypes.h>
#include <string.h>

enum { COMPLETION_TOKENS = 16, IDS_MAX = 1 << 24 };

static bool refuse(struct mock_ask *ask, const char *what)
{
    ask->refusal.length = 0;
    text_add(&ask->refusal, what);
    return false;
}

static bool read_prompt(struct mock_ask *ask, const struct body_facts *facts)
{
    const size_t count = facts->of_ids
                             ? facts->id_count
                             : token_text_read(facts->text, facts->text_bytes, NULL, 0);
    void *array = ask->ids;
    if (!mem_grow(&array, &ask->id_capacity, count + 1, sizeof *ask->ids, IDS_MAX)) {
        return refuse(ask, "The prompt is longer than any context.");
    }
    ask->ids = array;
    ask->id_count = count > 0 ? count : 1;
    ask->ids[0] = TOKEN_TEXT_ID_FIRST; /* an empty prompt is one token, as with BOS */
    if (facts->of_ids) {
        memcpy(ask->ids, facts->ids, count * sizeof *ask->ids);
    } else {
        (void)token_text_read(facts->text, facts->text_bytes, ask->ids, count);
    }
    return true;
}

static bool flag(const struct json *object, const char *key)
{
    bool value = false;
    (void)json_bool(json_get(object, key), &value);
    return value;
}

/* An absent one leaves *out alone. */
static bool count_of(struct mock_ask *ask, const struct json *root, const char *key,
                     uint32_t *out)
{
    const struct json *value = json_get(root, key);
    int64_t number = 0;
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (!json_i64(value, &number) || number < 0 || number > UINT32_MAX) {
        ask->refusal.length = 0;
        text_printf(&ask->refusal, "%s must be a whole number of at least 0.", key);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* How long the answer will be; 0 stands for "the rest of the context". */
static bool read_lengths(struct mock_ask *ask, const struct json *root, bool chat,
                         uint32_t natural)
{
    uint32_t most = 0;
    uint32_t least = 0;
    uint32_t choices = 1;
    if (!count_of(ask, root, "max_tokens", &most) ||
        !count_of(ask, root, "max_completion_tokens", &most) ||
        !count_of(ask, root, "min_tokens", &least) ||
        !count_of(ask, root, "n", &choices)) {
        return false;
    }
    if (choices != 1) {
        return refuse(ask, "n: this engine makes exactly one choice.");
    }
    ask->output_tokens_max = most;
    most = most > 0 || chat ? most : COMPLETION_TOKENS;
    if (most > 0 && least > most) {
        return refuse(ask, "min_tokens must be less than or equal to max_tokens.");
    }
    natural = natural > least ? natural : least;
    ask->ends_by_length = flag(root, "ignore_eos") || (most > 0 && natural >= most);
    ask->output_tokens = ask->ends_by_length ? most : natural;
    return true;
}

/* The prefill leg of a disaggregated request is told where its blocks are; the decode
 * leg says it again, and fetches them. */
static void read_transfer(struct mock_ask *ask, const struct json *root,
                          const struct mock_limits *limits)
{
    const struct json *params = json_get(root, "kv_transfer_params");
    ask->kv_transfer_params.length = 0;
    ask->remote_tokens = 0;
    if (flag(params, "do_remote_prefill")) {
        const size_t tokens =
            json_count(json_get(params, "remote_block_ids")) * limits->block_tokens;
        ask->remote_tokens =
            (uint32_t)(tokens < ask->id_count ? tokens : ask->id_count);
    }
    if (!flag(params, "do_remote_decode")) {
        return;
    }
    text_printf(&ask->kv_transfer_params,
                "{\"do_remote_prefill\":true,\"do_remote_decode\":false,"
                "\"remote_engine_id\":\"%s\",\"remote_host\":\"127.0.0.1\","
                "\"remote_port\":%u,\"remote_block_ids\":[",
                limits->engine_id, (unsigned)limits->port);
    for (size_t i = 0; i < ask->id_count / limits->block_tokens; i++) {
        text_printf(&ask->kv_transfer_params, "%s%zu", i == 0 ? "" : ",", i + 1);
    }
    text_add(&ask->kv_transfer_params, "]}");
}

static bool read_fields(struct mock_ask *ask, const struct json *root, bool chat,
                        const struct mock_limits *limits)
{
    const struct json *options = json_get(root, "stream_options");
    const char *salt = json_str(json_get(root, "cache_salt"));
    ask->include_usage = flag(options, "include_usage");
    if (options != NULL && !json_is_null(options) && !ask->stream) {
        return refuse(ask, "Stream options can only be defined when `stream=True`.");
    }
    ask->cache_salt = salt != NULL ? hash_xxh64(salt, strlen(salt), 0) : 0;
    read_transfer(ask, root, limits);
    return read_lengths(ask, root, chat, limits->answer_tokens);
}

bool mock_ask_read(struct mock_ask *ask, struct body_reader *reader,
                   const struct mock_body *body, const struct mock_limits *limits)
{
    struct body_facts facts;
    struct json *root = NULL;
    struct err err = {0};
    body_read(reader, body->bytes, body->byte_count, NULL, &facts);
    if (facts.state != BODY_OK) {
        return refuse(ask, facts.state == BODY_NOT_OBJECT
                               ? "The body must be a JSON object."
                               : "The body must be valid JSON.");
    }
    ask->model.length = 0;
    text_add(&ask->model, facts.has_model ? facts.model : "");
    ask->stream = facts.stream;
    ask->priority = facts.priority;
    if (!read_prompt(ask, &facts)) {
        return false;
    }
    if (!json_parse(&root, "body", body->bytes, body->byte_count, &err)) {
        return refuse(ask, err.text);
    }
    const char *wanted = body->chat ? "messages" : "prompt";
    bool good = json_get(root, wanted) != NULL;
    if (good) {
        good = read_fields(ask, root, body->chat, limits);
    } else {
        ask->refusal.length = 0;
        text_printf(&ask->refusal, "Field required: %s.", wanted);
    }
    json_delete(root);
    return good;
}

bool mock_ask_fit(struct mock_ask *ask, const struct mock_limits *limits)
{
    const uint32_t context = limits->max_model_len;
    const bool has_room = ask->id_count < context;
    const uint32_t room = has_room ? context - (uint32_t)ask->id_count : 0;
    if (!has_room || ask->output_tokens_max > room) {
        ask->refusal.length = 0;
        text_printf(&ask->refusal,
                    "This model's maximum context length is %" PRIu32
                    " tokens. However, you requested %zu tokens (%zu in the prompt, "
                    "%" PRIu32 " in the completion). Please reduce the length of the "
                    "prompt or completion.",
                    context, ask->id_count + ask->output_tokens_max, ask->id_count,
                    ask->output_tokens_max);
        return false;
    }
    if (ask->output_tokens == 0 || ask->output_tokens > room) {
        ask->output_tokens = room; /* to the end of the context */
        ask->ends_by_length = true;
    }
    return true;
}

void mock_ask_fini(struct mock_ask *ask)
{
    text_fini(&ask->model);
    text_fini(&ask->kv_transfer_params);
    text_fini(&ask->refusal);
    mem_free(ask->ids);
    ask->ids = NULL;
    ask->id_capacity = 0;
}
