/* SPDX-License-Identifier: Apache-2.0
 *
 * parts.h: the readers that stack.c puts together; nobody else includes it.
 */
#ifndef STACKSIM_STACK_PARTS_H
#define STACKSIM_STACK_PARTS_H

#include "stack/read.h"
#include "stack/stack.h"

/* A document of chart values. */
NODISCARD bool values_read(struct stack *stack, const struct conf_node *root,
                           struct err *err);
/* servingEngineSpec, and what of it holds for every engine. */
NODISCARD bool values_engines_read(struct stack *stack, const struct conf_node *spec,
                                   const char *remote_url, struct err *err);
/* One item of modelSpec, behind the shared settings that `shared` holds already. */
struct values_shared {
    const struct conf_node *spec;
    uint32_t port;
    uint32_t service_port;
    const char *max_surge;
    const char *max_unavailable;
    struct stack_probe startup;
    const struct conf_node *ray; /* raySpec: all models become Ray clusters */
    const char *remote_url;
    const struct stack_label *tolerations;
    size_t toleration_count;
};
NODISCARD bool values_model_read(struct stack *stack,
                                 const struct values_shared *shared,
                                 const struct conf_node *model, struct err *err);
/* vllmConfig and lmcacheConfig: the engine's arguments. */
NODISCARD bool values_vllm_read(struct stack *stack, struct stack_engine *engine,
                                const struct conf_node *model, struct err *err);
NODISCARD bool values_lmcache_read(struct stack *stack, struct stack_engine *engine,
                                   const struct conf_node *model, struct err *err);
/* routerSpec; after the engines. labels: of the engines' pods, as "k=v,k=v". */
NODISCARD bool values_router_read(struct stack *stack, const struct conf_node *root,
                                  const char *labels, struct err *err);
/* labels of servingEngineSpec over the chart's own, keys sorted; in the arena. */
NODISCARD bool values_labels(struct stack *stack, const struct conf_node *spec,
                             const char **out, struct err *err);

/* A document with a kind. */
NODISCARD bool resource_read(struct stack *stack, const struct conf_node *root,
                             struct err *err);
/* metadata.name, never NULL; all else of metadata is passed over, status, too. */
NODISCARD bool resource_name_read(const struct conf_node *root, const char **name,
                                  struct err *err);
NODISCARD bool runtime_read(struct stack *stack, const struct conf_node *root,
                            struct err *err);
NODISCARD bool router_resource_read(struct stack *stack, const struct conf_node *root,
                                    struct err *err);

/* extraVolumes and extraVolumeMounts: every mount has a volume. */
NODISCARD bool volumes_check(const struct conf_node *map, struct err *err);
/* Expressions of nodeSelectorTerms, into the arena. */
NODISCARD bool node_terms_read(struct stack *stack, struct stack_engine *engine,
                               const struct conf_node *map, const char *key,
                               struct err *err);
/* `tolerations` of this map, behind those that the engine has. */
NODISCARD bool tolerations_read(struct stack *stack, struct stack_engine *engine,
                                const struct conf_node *map, struct err *err);
/* The chart's env list: VLLM_USE_V1 and what allows LoRA updates. *v1: 0, 1, or
 * unchanged. */
NODISCARD bool env_read(struct stack_engine *engine, const struct conf_node *map,
                        int *v1, struct err *err);
/* 8005 for "v0.8.5", by its date for "2025-05-17-v1", 0 for others. */
uint32_t image_vllm(const char *image, enum stack_release release);

/* Room for one more, zeroed, with its args ready; an error when there is none. */
NODISCARD bool stack_add_engine(struct stack *stack, const struct conf_node *where,
                                struct stack_engine **engine, struct err *err);
NODISCARD bool stack_add_adapter(struct stack *stack, const struct conf_node *where,
                                 struct stack_adapter **adapter, struct err *err);
/* "format" in the arena. */
const char *stack_text(const struct stack *stack, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* Keys that only one of the releases knows: at the other one they are passed over with
 * a warning. */
void only_at(struct stack *stack, enum stack_release release,
             const struct conf_node *map, const char *const *keys);

/* What engines, router and adapters do that nobody would want (traps.c). */
void traps_find(struct stack *stack);
void router_traps_find(struct stack *stack);

#endif
