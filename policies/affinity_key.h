/* SPDX-License-Identifier: Apache-2.0
 *
 * affinity_key.h: what a hashing policy hashes: whoever has the same key belongs
 * together.
 *
 * The session key of the client, or the first characters of the prompt with the adapter
 * (KV blocks of two adapters have nothing in common), or, for a request that has
 * neither, its own id: such requests are spread as if at random, without a draw.
 */
#ifndef STACKSIM_POLICIES_AFFINITY_KEY_H
#define STACKSIM_POLICIES_AFFINITY_KEY_H

#include "policies/policy.h"

enum affinity_by {
    AFFINITY_SESSION, /* session key, else prefix, else request id */
    AFFINITY_PREFIX,  /* prefix, else session key, else request id */
};

/* Entries of a parameter table. */
#define AFFINITY_BY_PARAM(by)                                                          \
    {                                                                                  \
        .name = "key", .kind = PARAM_U64, .default_value = (by),                       \
        .max = AFFINITY_PREFIX,                                                        \
        .help =                                                                        \
            "what is hashed: 0 the session key, else the prefix, else the request "    \
            "id; 1 the prefix, else the session key, else the request id",             \
    }
#define AFFINITY_CHUNKS_PARAM                                                          \
    {                                                                                  \
        .name = "prefix_chunks", .kind = PARAM_U64, .default_value = 1, .min = 1,      \
        .max = 1 << 20,                                                                \
        .help = "the prefix is this many times 128 characters from the start of the "  \
                "prompt (fewer when it is shorter)",                                   \
    }
enum { AFFINITY_NEEDS = NEED_SESSION_KEY | NEED_CHUNK_HASHES };

struct affinity_rule {
    enum affinity_by by;
    uint32_t prefix_chunks;
};

struct affinity_key {
    uint64_t hash;    /* of a session key: XXH64 of its bytes, seed 0 */
    const char *text; /* the session key if that is the key, else NULL; borrowed */
};

struct affinity_key affinity_key_of(const struct affinity_rule *rule,
                                    const struct request_view *request);

#endif
