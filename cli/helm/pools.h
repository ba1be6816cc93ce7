/* SPDX-License-Identifier: Apache-2.0
 *
 * pools.h: the engines of a deployment as YAML of a scenario. Part of scenario.c.
 */
#ifndef STACKSIM_CLI_HELM_POOLS_H
#define STACKSIM_CLI_HELM_POOLS_H

#include "cli/helm/deployment.h"

/* Fails, with the engine's line, when GPU or model are not known, or it does not fit.
 */
NODISCARD bool helm_pool_put(struct helm *helm, const struct helm_engine *engine,
                             struct text *out, struct err *err);
/* "prefill" or "decode", by the router's labels; NULL where legs are not apart. */
const char *helm_role(const struct helm *helm, const struct stack_engine *engine);
/* `cache_server`, where an engine has a remote tier. */
void helm_cache_server_put(struct helm *helm, struct text *out);
/* LMCache keeps KV beside the engine's own cache. */
bool helm_has_tiers(const struct stack_engine *engine);
/* vLLM's own connector does (--kv-offloading-size). */
bool helm_offloads(const struct stack_engine *engine);
/* Between double quotes, whatever is in it. */
void helm_quote(const char *text, struct text *out);

#endif
