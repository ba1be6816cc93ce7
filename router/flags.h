/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.h: the command line: the flags of the stack's own router, and ours.
 *
 * Flags of the stack keep their names and units (plain seconds); ours carry units. What
 * the stack has and we do not is accepted where it changes nothing and refused, with
 * the reason, where it would.
 */
#ifndef STACKSIM_ROUTER_FLAGS_H
#define STACKSIM_ROUTER_FLAGS_H

#include "base/opt.h"
#include "router/config.h"
#include "router/server.h"

/* In the order of the help. */
struct flags { /* NOLINT(clang-analyzer-optin.performance.Padding) */
    /* the stack's */
    const char *host;
    uint64_t port;
    const char *root_path;
    const char *service_discovery;
    const char *k8s_service_discovery_type;
    const char *static_backends;
    const char *static_models;
    const char *static_aliases;
    const char *static_model_types;
    const char *static_model_labels;
    bool health_checks;
    uint64_t health_interval_s;
    uint64_t health_timeout_s;
    uint64_t k8s_port;
    const char *k8s_namespace;
    const char *k8s_label_selector;
    uint64_t k8s_watcher_timeout_s;
    uint64_t backend_health_check_timeout_s;
    const char *routing_logic;
    const char *session_key;
    uint64_t lmcache_controller_port;
    uint64_t lmcache_controller_reply_port;
    uint64_t lmcache_controller_heartbeat_port;
    uint64_t lmcache_health_check_interval_s;
    uint64_t lmcache_worker_timeout_s;
    uint64_t kv_aware_threshold;
    uint64_t prefix_min_match_length;
    const char *prefill_model_labels;
    const char *decode_model_labels;
    uint64_t reroute_attempts;
    const char *callbacks;
    const char *request_rewriter;
    bool enable_batch_api;
    const char *file_storage_class;
    const char *file_storage_path;
    const char *batch_processor;
    uint64_t engine_stats_interval_s;
    uint64_t request_stats_window_s;
    bool log_stats;
    uint64_t log_stats_interval_s;
    const char *dynamic_config_json;
    const char *dynamic_config_yaml;
    const char *external_providers_config;
    const char *semantic_cache_model;
    const char *semantic_cache_dir;
    double semantic_cache_threshold;
    const char *feature_gates;
    const char *log_level;
    const char *log_format;
    const char *sentry_dsn;
    double sentry_error_sample_rate;
    double sentry_traces_sample_rate;
    double sentry_profile_session_sample_rate;
    const char *otel_endpoint;
    const char *otel_service_name;
    bool otel_secure;
    bool version;
    /* ours */
    const char *from_helm; /* read before the others: router/from.h */
    const char *from_crd;
    const char *helm_release;
    bool engine_services;
    bool print_flags;
    const char *compat_name;
    const char *routing_params;
    struct opt_list policy_plugins;
    uint64_t seed;
    const char *decision_log;
    bool decision_scores;
    const char *record_log;
    const char *access_log;
    bool takes_kv_events;
    uint64_t kv_events_port; /* 0 = none */
    const char *static_kv_events;
    bool tokenizes;
    bool lists_adapters;
    const char *k8s_api;
    const char *k8s_token;
    const char *k8s_ca;
    const char *tls_cert;
    const char *tls_key;
    const char *engine_ca;
    bool engine_insecure;
    uint64_t clients_max;
    uint64_t requests_max;
    uint64_t queue_max;
    uint64_t idle_engine_conns_max;
    uint64_t head_bytes_max;
    uint64_t body_bytes_max;
    uint64_t buffer_bytes_max;
    uint64_t stream_bytes_max;
    int64_t head_ns;
    int64_t body_ns;
    int64_t keep_alive_ns;
    int64_t send_ns;
    int64_t queue_ns;
    int64_t connect_ns;
    int64_t first_byte_ns;
    int64_t stream_gap_ns;
    int64_t request_ns;
    int64_t engine_idle_ns;
    double retry_ratio;
    uint64_t ejection_failures;
    int64_t ejection_ns;
    int64_t ejection_ns_max;
    int64_t drain_ns;
    /* made of the above */
    enum compat compat;
};

void flags_defaults(struct flags *flags);
/* The table, for parsing and for --help. */
extern const struct opt_command flags_command;
/* Everything that can be wrong without reading a file: ERR_USAGE. */
NODISCARD bool flags_check(struct flags *flags, struct err *err);
/* What the command line says about backends and policy. */
void flags_config_text(const struct flags *flags, struct config_text *text);
bool flags_want_pods(const struct flags *flags);
/* Of k8s discovery, but for its calls. */
void flags_discovery_setup(const struct flags *flags, struct discovery_setup *setup);
void flags_server_setup(const struct flags *flags, struct server_setup *setup);

#endif
