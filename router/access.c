/* SPDX-License-Identifier: Apache-2.0
 *
 * access.c: what is booked when an exchange ends.
 */
#include "router/proxy_state.h"
#include "router/usage.h"

void access_log(struct proxy *proxy, int64_t now_ns, struct exchange *exchange)
{
    const struct backend *backend = exchange->attempt.backend;
    if (exchange->kind != EXCHANGE_PROXY || backend == NULL || exchange->status == 0) {
        return;
    }
    struct usage usage;
    struct counter_server *server =
        counters_server(&proxy->counters, backend->slot, backend->name, backend->model);
    counters_latency(server, exchange->status,
                     (double)(now_ns - exchange->arrival_ns) / 1e9);
    usage_read(text_str(&exchange->answer), exchange->answer.length, &usage);
    server->input_tokens += usage.prompt_tokens;
    server->output_tokens += usage.output_tokens;
    exchange->cached_tokens = usage.cached_tokens;
}
