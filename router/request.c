/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c: from a client's bytes to what the policy sees and what the engine gets.
 *
 * Prompts are not tokenised here. Block hashes are over 64 bytes of text (16 tokens of
 * 4 bytes) or 16 token ids, chained, so that policies that match prefixes by blocks
 * find equal beginnings of texts; they are not the engine's own hashes. For LMCache's
 * word they are its own, of 256 token ids.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "policies/text_chunks.h"
#include "router/proxy_state.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum {
    BLOCK_BYTES = REQUEST_BLOCK_TOKENS * BODY_BYTES_PER_TOKEN,
    CHUNK_IDS = TEXT_CHUNK_CHARACTERS / BODY_BYTES_PER_TOKEN,
    HASHES_MAX = 1 << 20, /* of a prompt; what lies behind does not route */
};

/* --- hashes ----------------------------------------------------------------------- */

static size_t id_chunks(const struct body_facts *facts, uint64_t *hashes, size_t max)
{
    size_t count = 0;
    for (size_t at = 0; at < facts->id_count && count < max; at += CHUNK_IDS) {
        const size_t left = facts->id_count - at;
        const size_t ids = left < CHUNK_IDS ? left : CHUNK_IDS;
        hashes[count++] = hash_xxh64(facts->ids + at, ids * sizeof *facts->ids, 0);
    }
    return count;
}

static size_t chain_blocks(const struct body_facts *facts, uint64_t *hashes, size_t max)
{
    const char *bytes = facts->of_ids ? (const char *)facts->ids : facts->text;
    const size_t byte_count =
        facts->of_ids ? facts->id_count * sizeof *facts->ids : facts->text_bytes;
    uint64_t before = 0;
    size_t count = 0;
    for (size_t at = 0; at + BLOCK_BYTES <= byte_count && count < max;
         at += BLOCK_BYTES) {
        before = hash_pair(before, hash_xxh64(bytes + at, BLOCK_BYTES, 0));
        hashes[count++] = before;
    }
    return count;
}

static void hash_prompt(const struct proxy *proxy, struct exchange *exchange,
                        const struct body_facts *facts)
{
    const unsigned needs = fleet_needs(proxy->fleet);
    const bool chunks = (needs & NEED_CHUNK_HASHES) != 0;
    const bool blocks = (needs & NEED_BLOCK_HASHES) != 0 || proxy->setup.access_log;
    const bool by_lmcache = proxy->setup.lmcache && facts->of_ids;
    size_t chunks_max = facts->of_ids ? facts->id_count / CHUNK_IDS + 1
                                      : facts->text_bytes / TEXT_CHUNK_CHARACTERS + 1;
    size_t blocks_max = facts->of_ids ? facts->id_count / REQUEST_BLOCK_TOKENS
                                      : facts->text_bytes / BLOCK_BYTES;
    chunks_max = !chunks ? 0 : chunks_max < HASHES_MAX ? chunks_max : HASHES_MAX;
    blocks_max = !blocks ? 0 : blocks_max < HASHES_MAX ? blocks_max : HASHES_MAX;
    if (chunks_max + blocks_max == 0) {
        return;
    }
    mem_free(exchange->hashes);
    exchange->hashes = mem_alloc(chunks_max + blocks_max, sizeof *exchange->hashes);
    if (chunks) {
        const size_t count = facts->of_ids
                                 ? id_chunks(facts, exchange->hashes, chunks_max)
                                 : text_chunk_hashes(facts->text, facts->text_bytes,
                                                     exchange->hashes, chunks_max);
        exchange->chunk_count = (uint32_t)(count < chunks_max ? count : chunks_max);
    }
    uint64_t *hashes = exchange->hashes + exchange->chunk_count;
    exchange->block_tokens = by_lmcache ? LMCACHE_CHUNK_TOKENS : REQUEST_BLOCK_TOKENS;
    exchange->block_count =
        (uint32_t)(by_lmcache
                       ? lmcache_hashes(facts->ids, facts->id_count, hashes, blocks_max)
                       : chain_blocks(facts, hashes, blocks_max));
}

void request_hash_ids(const struct proxy *proxy, struct exchange *exchange,
                      const uint32_t *ids, size_t count)
{
    const struct body_facts facts = {.of_ids = true, .ids = ids, .id_count = count};
    exchange->chunk_count = 0;
    exchange->block_count = 0;
    exchange->prompt_tokens = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    hash_prompt(proxy, exchange, &facts);
}

/* --- reading ---------------------------------------------------------------------- */

/* At release 0.1.3 whatever goes wrong inside the router is a 500 without words. */
static unsigned malformed_status(const struct proxy *proxy)
{
    return proxy->setup.compat == COMPAT_HEAD ? 400 : 500;
}

static bool check_body(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                       const struct body_facts *facts)
{
    if (facts->state == BODY_NOT_JSON) {
        exchange_refuse(proxy, now_ns, exchange, malformed_status(proxy),
                        "Invalid request: request body must be valid JSON.");
        return false;
    }
    if (facts->state == BODY_NOT_OBJECT) {
        exchange_refuse(proxy, now_ns, exchange, malformed_status(proxy),
                        "Invalid request: request body must be a JSON object.");
        return false;
    }
    if (!facts->has_model) {
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: missing 'model' in request body.");
        return false;
    }
    return true;
}

static void replace_alias(struct exchange *exchange, const struct body_facts *facts,
                          const char *model)
{
    struct text body = {0};
    body_with_model(text_str(&exchange->body), exchange->body.length, facts, model,
                    &body);
    text_fini(&exchange->body);
    exchange->body = body;
}

static bool read_form(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                      const char *model)
{
    if (model == NULL) {
        exchange_refuse(proxy, now_ns, exchange, 400,
                        "Invalid request: missing 'model' in request body.");
        return false;
    }
    counters_incoming(&proxy->counters, model);
    exchange->model = mem_strdup(model);
    exchange->prompt_tokens = 1;
    if (exchange->session_field != NULL) {
        exchange->session_key = mem_strdup(exchange->session_field);
    }
    return true;
}

static bool is_form(const struct exchange *exchange)
{
    static const char FORM[] = "multipart/form-data";
    return exchange->form_type != NULL &&
           strncasecmp(exchange->form_type, FORM, sizeof FORM - 1) == 0;
}

bool request_read(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    const struct config *config = fleet_config(proxy->fleet);
    const char *body = text_str(&exchange->body);
    if (is_form(exchange)) {
        return read_form(proxy, now_ns, exchange,
                         body_read_form_model(proxy->reader, exchange->form_type, body,
                                              exchange->body.length));
    }
    struct body_facts facts;
    /* Release 0.1.3 looks at headers only. */
    const bool body_session = config->compat == COMPAT_HEAD;
    body_read(proxy->reader, body, exchange->body.length,
              body_session ? config->session_key : NULL, &facts);
    if (!check_body(proxy, now_ns, exchange, &facts)) {
        return false;
    }
    counters_incoming(&proxy->counters, facts.model);
    if (config->compat == COMPAT_TAG && !facts.prompt_is_text &&
        strcmp(config->policy->name, "prefix_aware") == 0) {
        /* Release 0.1.3 looks for a prompt's text in chats, too. */
        exchange_refuse(proxy, now_ns, exchange, 500, "Internal Server Error");
        return false;
    }
    const char *model = config_alias(config, facts.model);
    const char *base = fleet_adapter_model(proxy->fleet, model);
    if (base != NULL) {
        exchange->adapter = mem_strdup(model);
    }
    exchange->model = mem_strdup(base != NULL ? base : model);
    const char *session =
        exchange->session_field != NULL ? exchange->session_field : facts.session_key;
    exchange->session_key = session != NULL ? mem_strdup(session) : NULL;
    exchange->prompt_tokens = facts.prompt_tokens;
    exchange->output_tokens_max = facts.output_tokens_max;
    exchange->priority = facts.priority;
    exchange->wants_stream = facts.stream;
    exchange->wants_ids = proxy->setup.tokenizes && !facts.of_ids &&
                          facts.text_bytes > 0 &&
                          (fleet_needs(proxy->fleet) & NEED_BLOCK_HASHES) != 0;
    hash_prompt(proxy, exchange, &facts);
    if (model != facts.model) {
        replace_alias(exchange, &facts, model);
    }
    return true;
}

void request_view_of(const struct exchange *exchange, struct request_view *view)
{
    *view = (struct request_view){
        .request_id = exchange->number,
        .arrival_ns = exchange->arrival_ns,
        .session_key = exchange->session_key,
        .model = exchange->model,
        .prompt_tokens = exchange->prompt_tokens,
        .output_tokens_max = exchange->output_tokens_max,
        .priority = exchange->priority,
        .chunk_hashes = exchange->chunk_count > 0 ? exchange->hashes : NULL,
        .chunk_count = exchange->chunk_count,
        .block_hashes =
            exchange->block_count > 0 ? exchange->hashes + exchange->chunk_count : NULL,
        .block_count = exchange->block_count,
        .adapter = exchange->adapter != NULL
                       ? hash_xxh64(exchange->adapter, strlen(exchange->adapter), 0)
                       : 0,
        .block_tokens = exchange->block_count > 0 ? exchange->block_tokens : 0,
    };
}

/* --- writing ---------------------------------------------------------------------- */

void request_write_head(const struct proxy *proxy, const struct exchange *exchange,
                        const struct origin *origin, struct text *out)
{
    text_printf(out, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", exchange->method, origin->base,
                text_str(&exchange->target), origin->host_field);
    text_printf(out, "X-Request-Id: %s\r\n", exchange->id);
    text_add_bytes(out, text_str(&exchange->fields), exchange->fields.length);
    /* To engines only: not to Sentry, and a prefill leg carries the client's own. */
    const bool ours = exchange->backend != NULL && exchange->kind != EXCHANGE_PREFILL;
    if (ours && proxy->setup.api_key != NULL) {
        text_printf(out, "Authorization: Bearer %s\r\n", proxy->setup.api_key);
    }
    if (exchange->body.length > 0 || strcmp(exchange->method, "POST") == 0) {
        text_printf(out, "Content-Length: %zu\r\n", exchange->body.length);
    }
    text_add(out, "\r\n");
}
