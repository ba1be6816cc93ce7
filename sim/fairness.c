/* SPDX-License-Identifier: Apache-2.0
 *
 * fairness.c: one row per tenant.
 */
#include "sim/fairness.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { TENANTS_MAX = 1 << 16 };
static const double prompt_weight = 1;
static const double output_weight = 2;

struct tenant {
    char *name; /* NULL = the nameless */
    struct tenant_summary sum;
    uint32_t waiting;
    int64_t since_ns;  /* it began to wait; while waiting > 0 */
    int64_t waited_ns; /* before that */
    double served;     /* weighted tokens, let in from the queue */
};

struct fairness {
    struct map *tenant_of_name; /* by hash */
    struct tenant *tenants;     /* the first is the nameless one */
    size_t capacity;
    uint32_t count;
};

struct fairness *fairness_new(void)
{
    struct fairness *fairness = mem_alloc(1, sizeof *fairness);
    fairness->tenant_of_name = map_new(16, TENANTS_MAX);
    fairness->capacity = 16;
    fairness->tenants = mem_alloc(fairness->capacity, sizeof *fairness->tenants);
    fairness->count = 1;
    return fairness;
}

void fairness_delete(struct fairness *fairness)
{
    if (fairness != NULL) {
        for (uint32_t i = 0; i < fairness->count; i++) {
            mem_free(fairness->tenants[i].name);
        }
        map_delete(fairness->tenant_of_name);
        mem_free(fairness->tenants);
        mem_free(fairness);
    }
}

uint32_t fairness_tenant(struct fairness *fairness, const char *name)
{
    uint32_t tenant = 0;
    if (name == NULL) {
        return tenant;
    }
    const uint64_t hash = hash_xxh64(name, strlen(name), 0);
    if (map_get(fairness->tenant_of_name, hash, &tenant)) {
        return tenant;
    }
    void *tenants = fairness->tenants;
    if (!mem_grow(&tenants, &fairness->capacity, fairness->count + 1,
                  sizeof *fairness->tenants, TENANTS_MAX)) {
        return 0;
    }
    fairness->tenants = tenants;
    fairness->tenants[fairness->count] = (struct tenant){.name = mem_strdup(name)};
    map_put(fairness->tenant_of_name, hash, fairness->count);
    return fairness->count++;
}

void fairness_wait(struct fairness *fairness, uint32_t tenant, int64_t now_ns)
{
    struct tenant *row = &fairness->tenants[tenant];
    if (row->waiting++ == 0) {
        row->since_ns = now_ns;
    }
}

void fairness_serve(struct fairness *fairness, uint32_t tenant, uint32_t prompt_tokens,
                    uint32_t output_tokens)
{
    fairness->tenants[tenant].served +=
        prompt_weight * prompt_tokens + output_weight * output_tokens;
}

void fairness_leave(struct fairness *fairness, uint32_t tenant, int64_t now_ns)
{
    struct tenant *row = &fairness->tenants[tenant];
    CHECK(row->waiting > 0, "tenant %u leaves a queue that it is not in", tenant);
    if (--row->waiting == 0) {
        row->waited_ns += now_ns - row->since_ns;
    }
}

void fairness_ended(struct fairness *fairness, uint32_t tenant,
                    const struct request_outcome *outcome)
{
    struct tenant_summary *sum = &fairness->tenants[tenant].sum;
    sum->requests++;
    if (outcome->status == OUTCOME_COMPLETED) {
        sum->completed++;
        sum->prompt_tokens += outcome->prompt_tokens;
        sum->output_tokens += outcome->output_tokens;
        sum->ttft_sum_ns += outcome->first_token_ns - outcome->arrival_ns;
    } else if (outcome->status == OUTCOME_SHED ||
               outcome->status == OUTCOME_TIMED_OUT) {
        sum->turned_away++;
    }
}

static int64_t waited_ns(const struct tenant *row, int64_t now_ns)
{
    return row->waited_ns + (row->waiting > 0 ? now_ns - row->since_ns : 0);
}

bool fairness_summary(const struct fairness *fairness, uint32_t index, int64_t now_ns,
                      struct tenant_summary *summary)
{
    for (uint32_t i = 0; i < fairness->count; i++) {
        const struct tenant *row = &fairness->tenants[i];
        if (row->sum.requests == 0 || index-- > 0) {
            continue;
        }
        *summary = row->sum;
        summary->name = row->name != NULL ? row->name : "";
        summary->waited_ns = waited_ns(row, now_ns);
        summary->let_in_tokens = row->served;
        return true;
    }
    return false;
}

double fairness_jain(const struct fairness *fairness, int64_t now_ns)
{
    double sum = 0;
    double squares = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < fairness->count; i++) {
        const struct tenant *row = &fairness->tenants[i];
        const double waited_s = (double)waited_ns(row, now_ns) / 1e9;
        if (waited_s > 0) {
            const double rate = row->served / waited_s;
            sum += rate;
            squares += rate * rate;
            count++;
        }
    }
    return count > 1 && squares > 0 ? sum * sum / (count * squares) : (double)NAN;
}
