/* SPDX-License-Identifier: Apache-2.0
 *
 * lmcache.h: what a controller of LMCache hears: which engine has which chunks.
 *
 * Workers of LMCache push MessagePack maps (spec/production-stack.md 1.4): RegisterMsg,
 * DeRegisterMsg, KVAdmitMsg, KVEvictMsg. A chunk is 256 tokens; its key is the SHA-256
 * of the key before, in hex, and its token ids. The first 8 bytes of a key are a block
 * hash to the policies, the same that lmcache_hashes makes of a prompt. Later releases
 * hash with vLLM's own seeded functions: their keys are numbers, and meet no prompt of
 * ours.
 */
#ifndef STACKSIM_ROUTER_LMCACHE_H
#define STACKSIM_ROUTER_LMCACHE_H

#include "base/err.h"
#include "policies/policy.h"

enum { LMCACHE_CHUNK_TOKENS = 256 };

/* Of the whole chunks of a prompt, `max` at most; returns their number. */
size_t lmcache_hashes(const uint32_t *ids, size_t id_count, uint64_t *hashes,
                      size_t max);

struct lmcache;
struct lmcache_sink {
    void *context;
    /* An engine's chunks; host: of the address that its worker registered. False: no
     * endpoint is there, and nothing is kept of the event. */
    bool (*on_event)(void *context, const char *host, const struct kv_event *event);
};

/* forgets: workers that leave take their chunks along. The stack's controller never
 * heard them leave (release 0.1.3). */
struct lmcache *lmcache_new(bool forgets);
void lmcache_delete(struct lmcache *lmcache);

/* One frame. False when it is no message; messages of other kinds are passed over. */
NODISCARD bool lmcache_take(struct lmcache *lmcache, const char *bytes,
                            size_t byte_count, const struct lmcache_sink *sink,
                            struct err *err);
/* Messages about chunks of engines that are nobody's endpoint. */
uint64_t lmcache_unmapped(const struct lmcache *lmcache);

#endif
