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
/* One item of modelSpec, behind the shared settings that `shared` holds already. */
struct values_shared {
    const struct conf_node *spec;
    uint32_t port;
    uint32_t service_port;
    const char *max_surge;
    const char *max_unavailable;
    struct stack_probe startup;
    struct stack_probe liveness;
    struct stack_probe readiness;
    const char *budget;          /* NULL = none that protects */
    const char *labels;          /* of all pods, "k=v,k=v" */
    const struct conf_node *ray; /* raySpec: all models become Ray clusters */
    const char *remote_url;
    const struct stack_label *tolerations;
    size_t toleration_count;
};
/* servingEngineSpec; of `outer` labels and remote_url are valid. */
NODISCARD bool values_engines_read(struct stack *stack, const struct conf_node *spec,
                                   const struct values_shared *outer, struct err *err);
NODISCARD bool values_model_read(struct stack *stack,
                                 const struct values_shared *shared,
                                 const struct conf_node *model, struct err *err);
/* vllmConfig and lmcacheConfig: the engine's arguments. */
NODISCARD bool values_vllm_read(struct stack *stack, const struct values_shared *shared,
                                struct stack_engine *engine, struct err *err);
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

/* Claim, shared memory, extraVolumes and extraVolumeMounts of a modelSpec item. */
NODISCARD bool storage_read(struct stack *stack, struct stack_engine *engine,
                            struct err *err);
/* extraVolumes and extraVolumeMounts: every mount has a volume. */
NODISCARD bool volumes_check(const struct conf_node *map, struct err *err);
/* Fills `cache`; behind flags and environment. */
void storage_find(struct stack_engine *engine);
/* Expressions of nodeSelectorTerms, into the arena. */
NODISCARD bool node_terms_read(struct stack *stack, struct stack_engine *engine,
                               const struct conf_node *map, const char *key,
                               struct err *err);
/* The list `key` of this map, behind the tolerations that the engine has. */
NODISCARD bool tolerations_read(struct stack *stack, struct stack_engine *engine,
                                const struct conf_node *map, const char *key,
                                struct err *err);
/* A probe of a pod: what is not written stays as it is. */
NODISCARD bool probe_read(const struct conf_node *map, const char *key,
                          struct stack_probe *probe, struct err *err);
/* The list `env`, of which later entries win. *v1, of VLLM_USE_V1: 0, 1, or
 * unchanged. */
NODISCARD bool env_read(struct stack_engine *engine, const struct conf_node *map,
                        int *v1, struct err *err);
/* The map `configs` of servingEngineSpec, over which all else wins. */
NODISCARD bool env_configs_read(struct stack_engine *engine,
                                const struct conf_node *spec, int *v1, struct err *err);
/* LMCache by environment, and by --kv-transfer-config alone; behind the flags. */
void env_apply(struct stack_engine *engine);
/* 8005 for "v0.8.5", by its date for "2025-05-17-v1", 0 for others. */
uint32_t image_vllm(const char *image, enum stack_release release);

/* `keda` of a modelSpec item and autoscalingConfig of a VLLMRuntime, at head: fills
 * `scale`. */
NODISCARD bool keda_read(struct stack *stack, struct stack_engine *engine,
                         struct err *err);
NODISCARD bool autoscaling_read(struct stack *stack, struct stack_engine *engine,
                                const struct conf_node *spec, struct err *err);

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
/* Fails on aliases of models with which the router does not start, or that go round in
 * a circle; finds those that lead nowhere. */
NODISCARD bool aliases_check(struct stack *stack, struct err *err);

#endif
