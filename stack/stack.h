/* SPDX-License-Identifier: Apache-2.0
 *
 * stack.h: a deployment of the vLLM Production Stack, out of the files that people
 * have: values of its Helm chart, its custom resources, or both in one file.
 *
 * What is in here is what chart or operator would make of the files: the command lines
 * of the pods, their resources, and everything in the files that does not do what it
 * seems to (struct findings). Read once, plain values afterwards. Sources: release
 * vllm-stack-0.1.3 ("tag") and its successor of August 2026 ("head"), as
 * spec/production-stack.md 6 and 7 describe them.
 */
#ifndef STACKSIM_STACK_STACK_H
#define STACKSIM_STACK_STACK_H

#include "stack/engine_flags.h"

enum stack_release { STACK_TAG, STACK_HEAD };

enum { STACK_ENGINES_MAX = 256, STACK_ADAPTERS_MAX = 1000, STACK_FILES_MAX = 16 };

/* What runs the pods of an engine. */
enum stack_kind {
    STACK_DEPLOYMENT, /* the chart's */
    STACK_RAY,        /* the chart's RayCluster: several pods are one engine */
    STACK_RUNTIME,    /* the operator's, of a VLLMRuntime */
};

/* One expression of a node selector: terms are ORed, expressions of a term ANDed. */
struct stack_expression {
    uint32_t term;
    const char *key;
    const char *op;                 /* In, NotIn, Exists, DoesNotExist, Gt, Lt */
    const struct conf_node *values; /* list of scalars, or NULL */
    const struct conf_node *where;
};

/* A label, or a taint that is tolerated: value "" is any, key "" every taint. */
struct stack_label {
    const char *key;
    const char *value;
};

struct stack_probe {
    uint32_t initial_s;
    uint32_t period_s;
    uint32_t failures;
};

/* Where a pod finds the model when it starts. */
enum stack_cache_kind {
    STACK_CACHE_NONE,  /* nowhere: every start downloads */
    STACK_CACHE_CLAIM, /* on a volume that all pods share */
    STACK_CACHE_HOST,  /* in a folder of its machine */
};
struct stack_cache {
    enum stack_cache_kind kind;
    const char *path;     /* where it is downloaded to */
    bool one_node;        /* only one node can mount it */
    uint64_t limit_bytes; /* more does not go there; 0 = not told */
};

/* Where the chart mounts its claim. */
#define STACK_CLAIM_PATH "/data"

/* Of a container's environment; 0, NULL, false: not set. */
struct stack_env {
    double cpu_gb;
    double disk_gb;
    uint32_t chunk_tokens;
    const char *remote_url;
    const char *hf_home;
    bool has_token; /* for the model hub */
};

struct stack_lmcache {
    const struct conf_node *where; /* NULL = no such section */
    bool enabled;
    bool pd;               /* one leg of disaggregated prefill */
    uint32_t chunk_tokens; /* 0 = LMCache's own 256 */
    double cpu_gb;         /* of each pod, per GPU of its tensor-parallel group */
    double disk_gb;        /* in force: 0 where the chart drops it */
    const char *nixl_role; /* "sender", "receiver" or NULL */
    const char *kv_role;   /* "kv_both" unless given */
    bool controller;
    const char *remote_url; /* of a cache server, or NULL */
};

/* A ScaledObject of KEDA: who sets the number of replicas. */
enum { STACK_SCALE_METRICS = 8 };
struct stack_scale_metric {
    const char *name; /* as docs/autoscaling.md has it: "waiting" */
    double target;
    double activation;
    bool is_value; /* of all pods together; else for each */
};
struct stack_scale {
    const struct conf_node *where;
    bool of_operator; /* with its rates: one pod a minute */
    bool idle_to_zero;
    uint32_t min;
    uint32_t max;
    uint32_t poll_s;
    uint32_t cooldown_s;
    uint32_t initial_cooldown_s;
    struct stack_scale_metric metrics[STACK_SCALE_METRICS];
    size_t metric_count;
};

struct stack_engine {
    const struct conf_node *where;
    enum stack_kind kind;
    const char *name;   /* of the modelSpec item or VLLMRuntime; the pods' label */
    const char *labels; /* of its pods: "app=engines,model=chat8b" */
    const char *never_starts; /* why no pod of it ever serves, or NULL */
    const char *object;       /* "demo-chat8b-deployment-vllm" */
    const char *service;      /* "demo-chat8b-engine-service" */
    uint32_t service_port;    /* 80 */
    const char *image;        /* "vllm/vllm-openai:v0.8.5" */
    uint32_t vllm;            /* 8005 = 0.8.5; 0 = not told by the image's tag */
    const char *model_url;
    uint32_t replicas;  /* engines: routable endpoints */
    uint32_t pods;      /* of each engine: 1, or head and workers of a Ray cluster */
    uint32_t gpus;      /* of each pod */
    uint32_t head_gpus; /* of a Ray cluster's head */
    const char *gpu_resource;
    uint64_t cpu_milli; /* request of each pod */
    uint64_t memory_bytes;
    uint64_t limit_bytes; /* limitMemory; 0 = none */
    uint64_t head_cpu_milli;
    uint64_t head_memory_bytes;
    uint64_t shm_bytes; /* mounted; 0 = not */
    uint32_t port;      /* containerPort */
    bool has_vllm_config;
    bool uses_v0; /* VLLM_USE_V1=0, on an engine that still has V0 */
    bool allows_lora_updates;
    bool has_storage;   /* a volume claim is mounted */
    bool storage_rwo;   /* by one node at a time */
    bool has_budget;    /* a PodDisruptionBudget protects its pods */
    const char *budget; /* "1", "25%": pods that may be missing; valid with it */
    uint64_t storage_bytes;
    struct stack_cache cache;
    struct stack_env env;
    const char *node_name;
    const struct stack_expression *expressions;
    size_t expression_count;
    const struct stack_label *tolerations;
    size_t toleration_count;
    const char *max_surge;       /* "100%"; NULL = recreate */
    const char *max_unavailable; /* "0", "25%" */
    struct stack_probe startup;  /* period 0 = none; so the others */
    struct stack_probe liveness;
    struct stack_probe readiness;
    const struct stack_scale *scale; /* NULL = nobody */
    struct stack_lmcache lmcache;
    struct args args; /* behind "vllm serve MODEL" */
    struct engine_flags flags;
    const struct conf_node *tensor_parallel_where; /* lines to blame; may be NULL */
};

struct stack_router {
    const struct conf_node *where; /* NULL = no router in these files */
    bool of_operator;
    uint32_t replicas;
    const char *discovery; /* "k8s", "static" */
    const char *selector;  /* "app=engines,tier=gpu", "" = all pods */
    const char *routing_logic;
    const char *session_key; /* NULL = none */
    uint32_t scrape_interval_s;
    uint32_t stats_window_s;
    uint32_t port;
    struct args args; /* behind the program's name */
};

struct stack_adapter {
    const struct conf_node *where;
    const char *name;
    const char *base_model;
    bool has_replicas; /* else: on every pod */
    uint32_t replicas;
};

struct stack_cache_server {
    const struct conf_node *where; /* NULL = none */
    uint32_t replicas;
    uint64_t memory_bytes;
};

/* A StaticRoute, which writes the router's configuration file. */
struct stack_route {
    const struct conf_node *where; /* NULL = none */
    const char *service;           /* that it names; NULL = none */
    bool checks_health;            /* of that Service, where it can */
    uint32_t period_s;
    uint32_t successes;
    uint32_t failures;
};

struct stack_options {
    enum stack_release release;
    const char *name;           /* of the Helm release; NULL = "stack" */
    const char *kube_namespace; /* NULL = "default" */
    const char *const *more;    /* further files, with custom resources */
    size_t more_count;
};

struct stack {
    struct arena *arena;
    struct conf *confs[STACK_FILES_MAX];
    size_t conf_count;
    enum stack_release release;
    const char *name;
    const char *kube_namespace;
    struct stack_engine *engines; /* STACK_ENGINES_MAX of them have room */
    size_t engine_count;
    struct stack_router router;
    struct stack_cache_server cache_server;
    struct stack_route route;
    struct stack_adapter *adapters;
    size_t adapter_count;
    bool has_values; /* there were values of the chart */
    bool has_lora_controller;
    bool has_api_key;         /* engines want one */
    struct findings findings; /* sorted by line */
};

/* Fails on what neither chart nor operator would take, with file and line. Chart values
 * may stand in the first file alone. */
NODISCARD bool stack_load(struct stack **out, const char *path,
                          const struct stack_options *options, struct err *err);
/* name stands for the file in messages. */
/* NOLINTNEXTLINE(readability-function-size): text, its length and name are one thought
 */
NODISCARD bool stack_parse(struct stack **out, const char *name, const char *text,
                           size_t byte_count, const struct stack_options *options,
                           struct err *err);
void stack_delete(struct stack *stack);

/* "tag" or "head". */
NODISCARD bool stack_release_parse(const char *name, enum stack_release *release,
                                   struct err *err);
const char *stack_release_name(enum stack_release release);
/* The name under which clients ask for this engine's model. */
const char *stack_served_name(const struct stack_engine *engine);

#endif
