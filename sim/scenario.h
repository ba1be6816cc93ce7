/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario.h: one run completely: fleet, routing, workload, SLOs, seed, end.
 */
#ifndef STACKSIM_SIM_SCENARIO_H
#define STACKSIM_SIM_SCENARIO_H

#include "base/conf.h"
#include "policies/admit.h"
#include "policies/pair.h"
#include "policies/policy_set.h"
#include "sim/adapters.h"
#include "sim/aliases.h"
#include "sim/cost.h"
#include "sim/kv_reports.h"
#include "sim/tiers.h"

enum {
    SCENARIO_POOLS_MAX = 16,
    SCENARIO_PARAMS_MAX = 32,
    SCENARIO_REPLICAS_MAX = 4096
};

/* When a request that has parents is released (spec/traces.md 3.4). */
enum replay { REPLAY_OPEN, REPLAY_CLOSED, REPLAY_HYBRID };

/* What a pool's engines do where prompts and outputs are computed apart. */
enum pool_role { ROLE_BOTH, ROLE_PREFILL, ROLE_DECODE };

struct scenario_pool {
    char name[FACT_NAME_BYTES];
    uint32_t replicas;
    uint32_t engines; /* replicas, and those that may come later */
    struct gpu_spec gpu;
    struct model_spec model;
    struct engine_config engine;
    struct gpu_placement placement;
    uint32_t kv_blocks; /* per replica, null block included */
    struct cost *cost;  /* owned by the scenario */
    enum pool_role role;
    struct adapter_costs *adapters; /* owned; NULL = the base model alone */
    struct tiers_config tiers;      /* behind each engine's KV cache */
    bool lockstep; /* the replicas are data-parallel ranks (sim/lockstep.h) */
};

/* Who may come in; policy NULL = everybody. */
struct scenario_admission {
    const struct admit_policy *policy;
    const char *param_names[SCENARIO_PARAMS_MAX]; /* borrowed from conf */
    double param_values[SCENARIO_PARAMS_MAX];
    uint32_t param_count;
};

/* Prompts on engines that prefill, outputs on engines that decode; policy NULL = every
 * request on one engine. */
struct scenario_disaggregation {
    const struct pair_policy *policy;
    double values[POLICY_PARAMS_MAX]; /* of its parameters */
    /* Who chooses the prefill leg's engine; `routing.policy` chooses the other one. */
    const struct route_policy *prefill;
    const char *param_names[SCENARIO_PARAMS_MAX]; /* borrowed from conf */
    double param_values[SCENARIO_PARAMS_MAX];
    uint32_t param_count;
    bool push;        /* both legs begin at once, and the first one writes */
    bool named;       /* in the place of a routing policy */
    int64_t lease_ns; /* how long KV waits for its reader; 0 = without end */
    /* The network between engines. */
    double nic_bytes_per_s; /* of one GPU, in each direction */
    int64_t latency_ns;     /* from the order to the first byte */
    int64_t block_ns;       /* to post the reads of one KV block */
    bool layer_overlap;     /* layers move while later ones are computed */
};

struct scenario_control;

struct scenario {
    char name[FACT_NAME_BYTES];
    uint64_t seed;
    uint32_t pool_count;
    struct scenario_pool pools[SCENARIO_POOLS_MAX];
    /* Routing. */
    const struct route_policy *policy;
    enum compat compat;
    const char *param_names[SCENARIO_PARAMS_MAX]; /* borrowed from conf */
    double param_values[SCENARIO_PARAMS_MAX];
    uint32_t param_count;
    struct aliases aliases;
    uint32_t router_replicas;  /* that share nothing; >= 1 */
    int64_t router_request_ns; /* of a replica's process, for one request */
    int64_t stats_window_ns;
    int64_t scrape_interval_ns; /* of engine metrics by the router */
    struct kv_reports_config kv_reports;
    bool kv_reports_tiers;    /* of chunks in tiers, instead of blocks in KV caches */
    uint32_t chars_per_token; /* text model for routers that hash characters: 4 */
    struct scenario_admission admission;
    const char *warmup; /* rule of the report, borrowed from conf; NULL = none */
    struct scenario_disaggregation disaggregation;
    struct adapter_list *adapters; /* owned; NULL = none */
    struct cache_server_config cache_server;
    struct scenario_control *control; /* owned; NULL = the fleet never changes */
    /* Workload. */
    const struct conf_node *workload; /* for workload_open_conf */
    enum replay replay;
    uint32_t in_flight_max; /* of the client; 0 = no limit */
    /* Limits and observation. */
    uint64_t requests_max;      /* 0 = the whole workload */
    int64_t time_max_ns;        /* 0 = until everything has ended */
    int64_t sample_interval_ns; /* 0 = no samples */
    int64_t slo_ttft_ns;        /* 0 = no target */
    int64_t slo_tpot_ns;
    int64_t slo_e2e_ns;
    struct conf *conf;   /* owned */
    char base_dir[1024]; /* folder of the scenario file, for relative paths */
};

/* Where configs/ lies: explicit, else $STACKSIM_CONFIGS, else the install prefix, else
 * the source tree. */
struct scenario_options {
    const char *config_dir;       /* --config-dir or NULL */
    const char *const *overrides; /* "key.path=value" */
    size_t override_count;
    const char *policy;                /* overrides routing.policy; NULL = as written */
    const struct policy_set *policies; /* borrowed; NULL = the registry */
    const char
        *base_dir; /* of scenario_parse: where relative paths start; NULL = "." */
};

/* path: a file, or the name of one in configs/scenarios, without ".yaml". Every check
 * that needs no workload is done here: unknown keys, ranges, memory. */
NODISCARD bool scenario_load(struct scenario **out, const char *path,
                             const struct scenario_options *options, struct err *err);
/* The same from text; name stands for the file in errors. */
NODISCARD bool scenario_parse(struct scenario **out, const char *name, const char *text,
                              size_t byte_count, const struct scenario_options *options,
                              struct err *err);
void scenario_delete(struct scenario *scenario);
/* Of routing.policy or --policy, as people know the run: a pair policy's when they name
 * one. */
const char *scenario_policy_name(const struct scenario *scenario);

#endif
