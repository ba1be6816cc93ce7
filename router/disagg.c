/* SPDX-License-Identifier: Apache-2.0
 *
 * disagg.c: prefill at one backend, then decode at another.
 *
 * The prefill leg is a request of our own for one token; its answer stays here. Only
 * when it came does the client's request go to a backend that decodes, so that an error
 * of the first leg is the client's answer, with its real status. What the engines need
 * to find the KV cache (kv_transfer_params) is carried from the first answer into the
 * second request; the cache itself moves between the engines.
 */
#include "base/json.h"
#include "base/mem.h"
#include "router/proxy_state.h"

#include <string.h>

static const int64_t prefill_timeout_ns = INT64_C(300000000000);

static const char ASK_KV[] =
    "\"max_tokens\":1,\"stream\":false,\"kv_transfer_params\":{\"do_remote_decode\":"
    "true,"
    "\"do_remote_prefill\":false,\"remote_engine_id\":null,\"remote_block_ids\":null,"
    "\"remote_host\":null,\"remote_port\":null}";

/* min_tokens goes, too: with more than one, the prefiller would refuse its one token.
 */
static void write_prefill(struct proxy *proxy, const struct exchange *parent,
                          struct text *out)
{
    static const char *const DROPPED[] = {
        "max_tokens",     "max_completion_tokens", "min_tokens", "stream",
        "stream_options", "kv_transfer_params",    NULL};
    const struct config *config = fleet_config(proxy->fleet);
    const bool orchestrated = config->disaggregation == DISAGGREGATION_ORCHESTRATED;
    /* Release 0.1.3 throws its edited copy away and sends the request as it is. */
    const bool as_it_is = config->compat == COMPAT_TAG;
    if (as_it_is ||
        !body_rebuild(proxy->reader, &parent->body, DROPPED,
                      orchestrated ? ASK_KV : "\"max_tokens\":1,\"stream\":false",
                      out)) {
        text_add_bytes(out, text_str(&parent->body), parent->body.length);
    }
}

static void refuse_prefill(struct proxy *proxy, int64_t now_ns, struct exchange *parent,
                           const struct exchange_answer *answer)
{
    struct text body = {0};
    struct text words = {0};
    const bool plain =
        fleet_config(proxy->fleet)->disaggregation == DISAGGREGATION_PLAIN;
    text_add(&words, plain ? "Prefiller error: " : "Prefill failed: ");
    text_add_bytes(&words, answer->body, answer->body_bytes);
    text_add(&body, plain ? "{\"error\":{\"message\":" : "{\"error\":");
    body_add_string(&body, words.bytes, words.length);
    if (plain) {
        text_printf(&body, ",\"type\":\"prefiller_error\",\"code\":%u}",
                    answer->status);
    }
    text_add(&body, "}");
    proxy->counters.requests_refused++;
    reply_send(proxy, now_ns, parent,
               &(struct reply){.status = answer->status,
                               .type = "application/json",
                               .body = body.bytes,
                               .body_bytes = body.length});
    text_fini(&body);
    text_fini(&words);
}

static void put_member(const struct json *member, struct text *out)
{
    const char *name = json_name(member);
    if (strcmp(name, "remote_host") == 0) {
        return;
    }
    char *text = json_print(member, false);
    text_add(out, out->bytes[out->length - 1] == '{' ? "" : ",");
    body_add_string(out, name, strlen(name));
    text_printf(out, ":%s", text);
    mem_free(text);
}

/* The first answer's kv_transfer_params, with the host that the router reached, as a
 * member of the second request; without them decoding goes on alone. */
static void carry_kv(struct proxy *proxy, struct exchange *parent,
                     const struct exchange *prefill,
                     const struct exchange_answer *answer)
{
    static const char *const DROPPED[] = {"kv_transfer_params", NULL};
    struct json *tree = NULL;
    struct err err;
    if (!json_parse(&tree, "prefill", answer->body, answer->body_bytes, &err)) {
        return;
    }
    const struct json *params = json_get(tree, "kv_transfer_params");
    if (params == NULL || json_is_null(params)) {
        proxy_warn(proxy, "request %s: the prefiller gave no kv_transfer_params",
                   parent->id);
        json_delete(tree);
        return;
    }
    struct text added = {0};
    struct text body = {0};
    text_add(&added, "\"kv_transfer_params\":{");
    for (const struct json *member = json_first_member(params); member != NULL;
         member = json_next(member)) {
        put_member(member, &added);
    }
    text_add(&added, added.bytes[added.length - 1] == '{' ? "\"remote_host\":"
                                                          : ",\"remote_host\":");
    const char *host = prefill->backend->origin->host;
    body_add_string(&added, host, strlen(host));
    text_add(&added, "}");
    if (body_rebuild(proxy->reader, &parent->body, DROPPED, added.bytes, &body)) {
        text_fini(&parent->body);
        parent->body = body;
    }
    text_fini(&added);
    json_delete(tree);
}

static void prefill_done(struct proxy *proxy, int64_t now_ns, struct exchange *prefill,
                         const struct exchange_answer *answer)
{
    struct exchange *parent = prefill->parent;
    const struct config *config = fleet_config(proxy->fleet);
    if (parent == NULL) {
        return;
    }
    const bool ignored = config->compat == COMPAT_TAG && answer->status != 0;
    if (answer->status == 0) {
        exchange_refuse(proxy, now_ns, parent, 503,
                        prefill->backend == NULL
                            ? "PREFILL_SERVICE_UNAVAILABLE: no backend prefills this "
                              "model."
                            : "HTTP error: the prefiller could not be reached.");
        return;
    }
    if (answer->status != 200 && !ignored) {
        refuse_prefill(proxy, now_ns, parent, answer);
        return;
    }
    if (config->disaggregation == DISAGGREGATION_ORCHESTRATED) {
        carry_kv(proxy, parent, prefill, answer);
    }
    parent->leg = LEG_DECODE;
    exchange_try(proxy, now_ns, parent);
}

void disagg_start(struct proxy *proxy, int64_t now_ns, struct exchange *parent)
{
    if (!fleet_serves(proxy->fleet, parent->model)) {
        exchange_try(proxy, now_ns, parent); /* which says what is wrong */
        return;
    }
    struct exchange *prefill = exchange_new(proxy, now_ns, EXCHANGE_PREFILL);
    memcpy(prefill->id, parent->id, sizeof prefill->id);
    memcpy(prefill->method, parent->method, sizeof prefill->method);
    text_add(&prefill->target, text_str(&parent->target));
    text_add_bytes(&prefill->fields, text_str(&parent->fields), parent->fields.length);
    write_prefill(proxy, parent, &prefill->body);
    prefill->model = mem_strdup(parent->model);
    prefill->prompt_tokens = parent->prompt_tokens;
    prefill->output_tokens_max = 1;
    prefill->leg = LEG_PREFILL;
    prefill->end_deadline_ns = now_ns + prefill_timeout_ns;
    prefill->done = prefill_done;
    prefill->parent = parent;
    parent->child = prefill;
    parent->state = EXCHANGE_WAITING;
    exchange_try(proxy, now_ns, prefill);
}
