/* SPDX-License-Identifier: Apache-2.0
 *
 * links.c: progressive filling over the links that are in use. Flows are few (a
 * transfer takes milliseconds), so that they are walked and not indexed.
 */
#include "sim/links.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>

static const double rounding_ns = 1e-3; /* a sum of doubles is off by less */

struct flow {
    uint32_t id;
    uint32_t link[2]; /* out of its source, into its reader */
    double bytes;     /* still to go at links->now_ns */
    double rate;      /* bytes/s */
    bool fixed;       /* while rates are worked out */
};

struct link {
    double bytes_per_s;
    double spare;   /* while rates are worked out */
    uint32_t flows; /* whose rate is not fixed yet */
};

struct links {
    uint32_t link_count;
    struct link *links; /* node n: 2n out, 2n + 1 in */
    struct flow *flows; /* in order of their starts */
    size_t flow_capacity;
    uint32_t flow_count;
    uint32_t *unused; /* ids, the last first */
    size_t unused_capacity;
    uint32_t unused_count;
    uint32_t ids;
    int64_t now_ns;
    int64_t next_ns;
    uint32_t next; /* index of the flow that ends then */
};

struct links *links_new(const double *bytes_per_s, uint32_t nodes)
{
    struct links *links = mem_alloc(1, sizeof *links);
    links->link_count = 2 * nodes;
    links->links = mem_alloc(links->link_count, sizeof *links->links);
    for (uint32_t i = 0; i < links->link_count; i++) {
        links->links[i].bytes_per_s = bytes_per_s[i / 2];
        CHECK(links->links[i].bytes_per_s > 0, "node %u has no bandwidth", i / 2);
    }
    links->now_ns = INT64_MIN;
    links->next_ns = INT64_MAX;
    return links;
}

void links_delete(struct links *links)
{
    if (links != NULL) {
        mem_free(links->links);
        mem_free(links->flows);
        mem_free(links->unused);
        mem_free(links);
    }
}

static void bytes_move(struct links *links, int64_t now_ns)
{
    CHECK(now_ns >= links->now_ns, "the clock of the links goes back");
    for (uint32_t i = 0; i < links->flow_count; i++) {
        struct flow *flow = &links->flows[i];
        const double moved = flow->rate * ((double)(now_ns - links->now_ns) / 1e9);
        flow->bytes = flow->bytes > moved ? flow->bytes - moved : 0;
    }
    links->now_ns = now_ns;
}

/* The link that is full first, when all its open flows get the same. */
static uint32_t link_tightest(const struct links *links, double *share)
{
    uint32_t tightest = UINT32_MAX;
    for (uint32_t i = 0; i < links->flow_count; i++) {
        for (uint32_t side = 0; side < 2 && !links->flows[i].fixed; side++) {
            const uint32_t at = links->flows[i].link[side];
            const double own = links->links[at].spare / links->links[at].flows;
            if (tightest == UINT32_MAX || own < *share) {
                *share = own;
                tightest = at;
            }
        }
    }
    return tightest;
}

static void rates_fix(struct links *links, uint32_t tightest, double share)
{
    for (uint32_t i = 0; i < links->flow_count; i++) {
        struct flow *flow = &links->flows[i];
        if (flow->fixed || (flow->link[0] != tightest && flow->link[1] != tightest)) {
            continue;
        }
        flow->fixed = true;
        flow->rate = share;
        for (uint32_t side = 0; side < 2; side++) {
            struct link *link = &links->links[flow->link[side]];
            link->spare = link->spare > share ? link->spare - share : 0;
            link->flows--;
        }
    }
}

static void next_find(struct links *links)
{
    links->next_ns = INT64_MAX;
    for (uint32_t i = 0; i < links->flow_count; i++) {
        const struct flow *flow = &links->flows[i];
        if (flow->rate <= 0) {
            continue;
        }
        const int64_t end_ns =
            links->now_ns + (int64_t)ceil(flow->bytes / flow->rate * 1e9 - rounding_ns);
        if (end_ns < links->next_ns) {
            links->next_ns = end_ns;
            links->next = i;
        }
    }
}

static void rates_share(struct links *links)
{
    for (uint32_t i = 0; i < links->flow_count; i++) {
        struct flow *flow = &links->flows[i];
        flow->fixed = false;
        for (uint32_t side = 0; side < 2; side++) {
            struct link *link = &links->links[flow->link[side]];
            link->spare = link->bytes_per_s;
            link->flows = 0;
        }
    }
    for (uint32_t i = 0; i < links->flow_count; i++) {
        links->links[links->flows[i].link[0]].flows++;
        links->links[links->flows[i].link[1]].flows++;
    }
    double share = 0;
    uint32_t tightest = 0;
    while ((tightest = link_tightest(links, &share)) != UINT32_MAX) {
        rates_fix(links, tightest, share);
    }
    next_find(links);
}

void links_set(struct links *links, int64_t now_ns, uint32_t node, double bytes_per_s)
{
    CHECK(2 * node < links->link_count && bytes_per_s >= 0, "node %u: %g bytes/s", node,
          bytes_per_s);
    bytes_move(links, now_ns);
    struct link *out = &links->links[2 * (size_t)node];
    out[0].bytes_per_s = bytes_per_s; /* and in, behind it */
    out[1].bytes_per_s = bytes_per_s;
    rates_share(links);
}

static uint32_t id_take(struct links *links)
{
    return links->unused_count > 0 ? links->unused[--links->unused_count]
                                   : links->ids++;
}

static void id_give(struct links *links, uint32_t id)
{
    void *array = links->unused;
    const bool grown =
        mem_grow(&array, &links->unused_capacity, (size_t)links->unused_count + 1,
                 sizeof *links->unused, UINT32_MAX / 2);
    CHECK(grown, "%u ids of flows", links->unused_count);
    links->unused = array;
    links->unused[links->unused_count++] = id;
}

uint32_t links_add(struct links *links, int64_t now_ns, uint32_t from, uint32_t to,
                   double bytes)
{
    CHECK(from != to && bytes > 0, "a flow from %u to %u of %g bytes", from, to, bytes);
    void *array = links->flows;
    const bool grown =
        mem_grow(&array, &links->flow_capacity, (size_t)links->flow_count + 1,
                 sizeof *links->flows, UINT32_MAX / 2);
    CHECK(grown, "%u flows", links->flow_count);
    links->flows = array;
    bytes_move(links, now_ns);
    const uint32_t id = id_take(links);
    links->flows[links->flow_count++] =
        (struct flow){.id = id, .link = {2 * from, 2 * to + 1}, .bytes = bytes};
    rates_share(links);
    return id;
}

static void flow_drop(struct links *links, uint32_t index)
{
    id_give(links, links->flows[index].id);
    links->flow_count--;
    for (uint32_t i = index; i < links->flow_count; i++) {
        links->flows[i] = links->flows[i + 1];
    }
    rates_share(links);
}

void links_remove(struct links *links, int64_t now_ns, uint32_t flow)
{
    bytes_move(links, now_ns);
    for (uint32_t i = 0; i < links->flow_count; i++) {
        if (links->flows[i].id == flow) {
            flow_drop(links, i);
            return;
        }
    }
    CHECK(false, "flow %u is not under way", flow);
}

int64_t links_next_ns(const struct links *links)
{
    return links->next_ns;
}

uint32_t links_end(struct links *links)
{
    CHECK(links->flow_count > 0, "no flow is under way");
    const uint32_t id = links->flows[links->next].id;
    const uint32_t index = links->next;
    bytes_move(links, links->next_ns);
    flow_drop(links, index);
    return id;
}

uint32_t links_count(const struct links *links)
{
    return links->flow_count;
}
