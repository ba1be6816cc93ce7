/* SPDX-License-Identifier: Apache-2.0
 *
 * access.c: what is booked when an exchange ends: counters, and a row of a trace.
 *
 * The access log is a trace in the simulator's own format (docs/traces.md). Prompts are
 * pieces of recorded blocks of 128 tokens, named by the chained hash of the text up to
 * their end, so that equal beginnings are equal pieces and no text is kept. Token
 * counts are the engine's when it reports them; else the prompt's is an estimate, and
 * events of a stream stand for tokens.
 */
#include "base/hash.h"
#include "router/proxy_state.h"
#include "router/usage.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE_TOKENS = 128, PIECES_MAX = 4096 };
static const uint64_t piece_mask = (UINT64_C(1) << 48) - 1;

void access_log_header(struct text *out)
{
    text_printf(out,
                "#format=stacksim-trace\n#version=1\n#unit=ns\n#block_size=%d\n"
                "#source=access log of stackrouter\n"
                "arrival,session,in,out,max_out,model,prio,cancel,prompt\n",
                PIECE_TOKENS);
}

/* RFC 4180, where a name needs it. */
static void add_name(struct text *out, const char *name)
{
    if (strpbrk(name, ",\"\r\n#") == NULL) {
        text_add(out, name);
        return;
    }
    text_add(out, "\"");
    for (; *name != '\0'; name++) {
        text_add(out, *name == '"' ? "\"" : "");
        if (*name != '\r' && *name != '\n') {
            text_add_bytes(out, name, 1);
        }
    }
    text_add(out, "\"");
}

/* A fleet of one model needs no name, and the trace then fits any scenario. */
static bool several_models(const struct fleet *fleet)
{
    for (size_t i = 1; i < fleet_count(fleet); i++) {
        if (strcmp(fleet_at(fleet, i)->model, fleet_at(fleet, 0)->model) != 0) {
            return true;
        }
    }
    return false;
}

/* A piece is named by the block in which it ends, and by its turn in a larger one. */
static void add_prompt(const struct exchange *exchange, uint32_t prompt_tokens,
                       struct text *out)
{
    const uint64_t hashed = (uint64_t)exchange->block_count * exchange->block_tokens;
    const uint64_t tokens = hashed < prompt_tokens ? hashed : prompt_tokens;
    for (uint32_t i = 0; i < tokens / PIECE_TOKENS && i < PIECES_MAX; i++) {
        const uint32_t last_token = (i + 1) * PIECE_TOKENS - 1;
        const uint32_t block = last_token / exchange->block_tokens;
        const uint32_t turn = last_token % exchange->block_tokens / PIECE_TOKENS;
        const uint64_t name = exchange->hashes[exchange->chunk_count + block] + turn;
        text_printf(out, "%sb%" PRIu64, i == 0 ? "" : ";", name & piece_mask);
    }
}

static void add_row(struct proxy *proxy, int64_t now_ns,
                    const struct exchange *exchange, const struct usage *usage,
                    struct text *out)
{
    const bool gone = exchange->client == NULL;
    const uint32_t prompt_tokens =
        usage->prompt_tokens > 0 ? usage->prompt_tokens : exchange->prompt_tokens;
    uint64_t output_tokens = usage->output_tokens;
    if (output_tokens == 0) {
        output_tokens = exchange->answer_events > 1 ? exchange->answer_events - 1 : 1;
    }
    text_printf(out, "%" PRId64 ",", exchange->arrival_ns - proxy->started_ns);
    if (exchange->session_key != NULL) {
        const uint64_t hash =
            hash_xxh64(exchange->session_key, strlen(exchange->session_key), 0);
        text_printf(out, "%" PRIu64, (hash >> 1) + 1);
    }
    text_printf(out, ",%" PRIu32 ",%" PRIu64 ",", prompt_tokens, output_tokens);
    if (exchange->output_tokens_max > 0) {
        text_printf(out, "%" PRIu32, exchange->output_tokens_max);
    }
    text_add(out, ",");
    if (several_models(proxy->fleet)) {
        add_name(out, exchange->model);
    }
    text_printf(out, ",%" PRId32 ",", exchange->priority);
    if (gone) {
        text_printf(out, "%" PRId64, now_ns - exchange->arrival_ns);
    }
    text_add(out, ",");
    add_prompt(exchange, prompt_tokens, out);
    text_add(out, "\n");
}

void access_log(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    const struct backend *backend = exchange->attempt.backend;
    if (exchange->kind != EXCHANGE_PROXY || backend == NULL) {
        return;
    }
    struct usage usage;
    struct counter_server *server =
        counters_server(&proxy->counters, backend->slot, backend->name, backend->model);
    usage_read(text_str(&exchange->answer), exchange->answer.length, &usage);
    server->input_tokens += usage.prompt_tokens;
    server->output_tokens += usage.output_tokens;
    exchange->cached_tokens = usage.cached_tokens;
    if (exchange->status > 0) {
        counters_latency(server, exchange->status,
                         (double)(now_ns - exchange->arrival_ns) / 1e9);
    }
    const bool generated = exchange->status == 200 || exchange->client == NULL;
    if (proxy->setup.access_log && generated) {
        struct text line = {0};
        add_row(proxy, now_ns, exchange, &usage, &line);
        proxy->rim->log(proxy->rim->context, PROXY_LOG_ACCESS, line.bytes, line.length);
        text_fini(&line);
    }
}
