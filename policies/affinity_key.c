/* SPDX-License-Identifier: Apache-2.0
 *
 * affinity_key.c: a prefix of one chunk is hashed as KubeAI does (XXH64 of its text), a
 * longer one by chaining the hashes of its chunks.
 */
#include "policies/affinity_key.h"

#include "base/hash.h"

#include <string.h>

static struct affinity_key of_session(const struct request_view *request)
{
    const char *text = request->session_key;
    return (struct affinity_key){.hash = hash_xxh64(text, strlen(text), 0),
                                 .text = text};
}

static struct affinity_key of_prefix(const struct affinity_rule *rule,
                                     const struct request_view *request)
{
    const uint32_t chunks = rule->prefix_chunks < request->chunk_count
                                ? rule->prefix_chunks
                                : request->chunk_count;
    uint64_t hash = request->chunk_hashes[0];
    for (uint32_t i = 1; i < chunks; i++) {
        hash = hash_pair(hash, request->chunk_hashes[i]);
    }
    if (request->adapter != 0) {
        hash = hash_pair(hash, request->adapter);
    }
    return (struct affinity_key){.hash = hash};
}

struct affinity_key affinity_key_of(const struct affinity_rule *rule,
                                    const struct request_view *request)
{
    const bool has_session = request->session_key != NULL;
    const bool has_prefix = request->chunk_count > 0;
    if (has_session && (rule->by == AFFINITY_SESSION || !has_prefix)) {
        return of_session(request);
    }
    if (has_prefix) {
        return of_prefix(rule, request);
    }
    return (struct affinity_key){.hash = hash_pair(request->request_id, 0)};
}
