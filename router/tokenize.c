/* SPDX-License-Identifier: Apache-2.0
 *
 * tokenize.c: the token ids of a prompt that is text, from an engine of its model, as
 * the stack's router asks for them (spec/production-stack.md 1.4): only with them are
 * our block hashes those of the engines' events.
 *
 * The body goes as it is: vLLM's /tokenize reads model, prompt and messages of it and
 * passes over the rest. Without an answer in time the text's own hashes stand.
 */
#include "base/json.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <string.h>

static const int64_t timeout_ns = 10000000000; /* as the stack */

static bool read_ids(const struct exchange_answer *answer, uint32_t **ids,
                     size_t *count)
{
    struct json *tree = NULL;
    struct err err;
    if (answer->status != 200 ||
        !json_parse(&tree, "tokens", answer->body, answer->body_bytes, &err)) {
        return false;
    }
    const struct json *tokens = json_get(tree, "tokens");
    const size_t most = json_count(tokens);
    int64_t id = 0;
    *ids = mem_alloc(most, sizeof **ids);
    *count = 0;
    for (const struct json *token = json_first(tokens);
         token != NULL && json_i64(token, &id) && id >= 0 && id <= UINT32_MAX;
         token = json_next(token)) {
        (*ids)[(*count)++] = (uint32_t)id;
    }
    json_delete(tree);
    const bool good = *count > 0 && *count == most;
    if (!good) {
        mem_free(*ids);
    }
    return good;
}

static void done(struct proxy *proxy, int64_t now_ns, struct exchange *exchange,
                 const struct exchange_answer *answer)
{
    struct exchange *parent = exchange->parent;
    uint32_t *ids = NULL;
    size_t count = 0;
    const bool good = read_ids(answer, &ids, &count);
    proxy->counters.tokenizations += good ? 1 : 0;
    proxy->counters.tokenizations_failed += good ? 0 : 1;
    if (parent != NULL) {
        if (good) {
            request_hash_ids(proxy, parent, ids, count);
        }
        exchange_go_on(proxy, now_ns, parent);
    }
    if (good) {
        mem_free(ids);
    }
}

/* Members of the model in turn, since each has the tokenizer. */
static struct backend *choose(const struct proxy *proxy, const struct exchange *parent)
{
    struct backend *chosen = NULL;
    uint64_t seen = 0;
    for (int round = 0; round < 2 && chosen == NULL; round++) {
        const uint64_t wanted = seen > 0 ? parent->number % seen : 0;
        seen = 0;
        for (size_t i = 0; i < fleet_count(proxy->fleet); i++) {
            struct backend *backend = fleet_at(proxy->fleet, i);
            if (!backend->accepting || strcmp(backend->model, parent->model) != 0) {
                continue;
            }
            if (round == 1 && seen == wanted) {
                chosen = backend;
            }
            seen++;
        }
    }
    return chosen;
}

bool tokenize_start(struct proxy *proxy, int64_t now_ns, struct exchange *parent)
{
    struct backend *backend = choose(proxy, parent);
    if (backend == NULL) {
        return false;
    }
    struct exchange *exchange = exchange_new(proxy, now_ns, EXCHANGE_TOKENIZE);
    exchange->end_deadline_ns = now_ns + timeout_ns;
    memcpy(exchange->method, "POST", 5);
    text_add(&exchange->target, "/tokenize");
    text_add(&exchange->fields, "Content-Type: application/json\r\n");
    text_add_bytes(&exchange->body, text_str(&parent->body), parent->body.length);
    exchange->done = done;
    exchange->parent = parent;
    parent->child = exchange;
    parent->state = EXCHANGE_WAITING;
    exchange_start_internal(proxy, now_ns, exchange, backend);
    return true;
}
