/* SPDX-License-Identifier: Apache-2.0
 *
 * adapters.h: the LoRA adapters of a scenario: what they are, where they are registered
 * and how long loading one takes (spec/vllm-engine.md 3, production-stack.md 6.2).
 */
#ifndef STACKSIM_SIM_ADAPTERS_H
#define STACKSIM_SIM_ADAPTERS_H

#include "base/conf.h"
#include "sim/engine_config.h"

enum { ADAPTERS_MAX = 1 << 14 };
#define ADAPTER_NONE UINT32_MAX /* the base model */

/* As the stack's controller does it, whose `algorithm` is ignored: every adapter on the
 * first engines by name; or on those that have the fewest so far. */
enum placement { PLACEMENT_DEFAULT, PLACEMENT_BALANCED };

struct adapter {
    const char *name; /* owned by the list */
    uint64_t id;      /* XXH64 of the name, never 0: what gateways compare */
    uint32_t rank;
    uint64_t bytes;    /* on disk; 0 = by the engine's model and the rank */
    bool remote;       /* an engine's first read comes over the network */
    uint32_t replicas; /* engines to be registered at; UINT32_MAX = all */
    int64_t loaded_ns; /* when engines get it; 0 = before the run */
    const char *model; /* base model, as models are named; NULL = any */
};

struct adapter_list; /* immutable once read */

/* Reads `adapters:` of a scenario; *out is NULL when there is none. */
NODISCARD bool adapter_list_read(struct adapter_list **out,
                                 const struct conf_node *root, struct err *err);
void adapter_list_delete(struct adapter_list *list); /* NULL is legal */

uint32_t adapter_list_count(const struct adapter_list *list); /* NULL: 0 */
const struct adapter *adapter_list_at(const struct adapter_list *list, uint32_t index);
/* ADAPTER_NONE: there is none of that name. */
uint32_t adapter_list_find(const struct adapter_list *list, const char *name);
enum placement adapter_list_placement(const struct adapter_list *list);
/* Engines have loaded what is registered with them before the first request. */
bool adapter_list_preloads(const struct adapter_list *list);

/* What gateways compare; 0 for NULL, the base model. */
uint64_t adapter_id(const char *name);
/* KV of equal tokens is another one under another adapter. The stream of a prompt's
 * first segment, moved to where only prompts of this adapter begin: behind another
 * first block all later ones are others, too. */
uint64_t adapter_stream(const char *name, uint64_t stream);

/* What one adapter costs an engine. */
struct adapter_cost {
    int64_t fetch_ns;   /* over the network to the engine's disk */
    int64_t read_ns;    /* from there to pinned host memory */
    int64_t copy_ns;    /* and on to a slot, behind a read */
    int64_t warm_ns;    /* to a slot when it is in host memory */
    uint64_t gpu_bytes; /* that its kernels read in a step */
    uint32_t rank;
};

/* Of all adapters, for the engines of one pool. */
struct adapter_costs {
    uint32_t count;
    struct adapter_cost *adapter;
    /* A step with adapters takes, on the GPU, launches + max(bytes read, products). */
    double launch_s;
    double byte_s;
    double rank_token_s; /* of one token at an adapter of rank 1 */
};

/* The pool's engine has LoRA on. */
struct adapter_costs *adapter_costs_new(const struct adapter_list *list,
                                        const struct engine_config *engine,
                                        const struct gpu_spec *gpu,
                                        const struct model_spec *model);
void adapter_costs_delete(struct adapter_costs *costs);

#endif
