/* SPDX-License-Identifier: Apache-2.0
 *
 * admit_token_bucket.c: so many prompt tokens per second, with a reserve for bursts;
 * what exceeds it is turned away (spec/policies.md A6). One bucket for all, or one for
 * each tenant.
 *
 * Looks at the clock alone: it protects a budget, not the fleet.
 */
#include "policies/registry.h"

enum { PARAM_CAPACITY, PARAM_RATE_PER_S, PARAM_PER_TENANT };

struct bucket {
    double tokens;
    int64_t filled_ns;
};

struct token_bucket {
    struct policy_memory memory;
    struct bucket *buckets; /* by tenant; without per_tenant only the first */
    uint32_t count;
    double capacity;
    double rate_per_s;
    bool per_tenant;
};

static bool bucket_init(void *state, const struct policy_setup *setup, struct err *err)
{
    (void)err;
    struct token_bucket *self = state;
    self->memory = setup->memory;
    self->capacity = setup->values[PARAM_CAPACITY];
    self->rate_per_s = setup->values[PARAM_RATE_PER_S];
    self->per_tenant = setup->values[PARAM_PER_TENANT] != 0;
    return true;
}

static void bucket_fini(void *state)
{
    struct token_bucket *self = state;
    if (self->buckets != NULL) {
        self->memory.resize(self->memory.context, self->buckets, 0);
    }
}

/* Tenants are dense and bounded by the host, and so are the buckets. New ones are full.
 */
static struct bucket *bucket_of(struct token_bucket *self, uint32_t tenant,
                                int64_t now_ns)
{
    if (tenant >= self->count) {
        const uint32_t count = 2 * tenant + 1;
        self->buckets = self->memory.resize(self->memory.context, self->buckets,
                                            count * sizeof *self->buckets);
        for (uint32_t i = self->count; i < count; i++) {
            self->buckets[i] = (struct bucket){self->capacity, now_ns};
        }
        self->count = count;
    }
    return &self->buckets[tenant];
}

static struct admit_decision bucket_arrive(void *state, const struct admit_view *view,
                                           const struct admit_request *request)
{
    struct token_bucket *self = state;
    struct bucket *bucket =
        bucket_of(self, self->per_tenant ? request->tenant : 0, view->now_ns);
    const double passed_s = (double)(view->now_ns - bucket->filled_ns) / 1e9;
    const double filled = bucket->tokens + passed_s * self->rate_per_s;
    bucket->tokens = filled < self->capacity ? filled : self->capacity;
    bucket->filled_ns = view->now_ns;
    if (request->prompt_tokens > bucket->tokens) {
        return (struct admit_decision){.verdict = ADMIT_REJECT,
                                       .reason = ADMIT_REASON_RATE};
    }
    bucket->tokens -= request->prompt_tokens;
    return (struct admit_decision){.verdict = ADMIT_PASS};
}

static size_t bucket_memory_bytes(const void *state)
{
    const struct token_bucket *self = state;
    return self->count * sizeof *self->buckets;
}

static const struct policy_param params[] = {
    [PARAM_CAPACITY] = {.name = "capacity",
                        .kind = PARAM_F64,
                        .default_value = 10000,
                        .min = 1,
                        .max = 1e12,
                        .help =
                            "prompt tokens that a full bucket holds; a longer prompt "
                            "never passes"},
    [PARAM_RATE_PER_S] = {.name = "rate_per_s",
                          .kind = PARAM_F64,
                          .default_value = 1000,
                          .max = 1e12,
                          .help = "prompt tokens that flow in per second"},
    [PARAM_PER_TENANT] = {.name = "per_tenant",
                          .kind = PARAM_BOOL,
                          .max = 1,
                          .help = "1: a bucket for each tenant; 0: one for all"},
    {.name = NULL},
};

const struct admit_policy admit_token_bucket = {
    .name = "token_bucket",
    .help = "So many prompt tokens per second; what exceeds them is turned away.",
    .source = "inference-sim/inference-sim:docs/guide/admission.md (token-bucket)",
    .breaks =
        "turns away while the fleet is idle, lets in while it is full: it does not "
        "look; outputs cost nothing; prompts longer than the bucket never pass",
    .params = params,
    .state_bytes = sizeof(struct token_bucket),
    .init = bucket_init,
    .fini = bucket_fini,
    .arrive = bucket_arrive,
    .memory_bytes = bucket_memory_bytes,
};
