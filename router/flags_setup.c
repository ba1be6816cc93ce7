/* SPDX-License-Identifier: Apache-2.0
 *
 * flags_setup.c: from the command line to what the modules are made of.
 */
#include "router/flags.h"

#include <string.h>

static const int64_t ns_per_s = 1000000000;

bool flags_want_pods(const struct flags *flags)
{
    return flags->service_discovery != NULL &&
           strcmp(flags->service_discovery, "k8s") == 0;
}

void flags_discovery_setup(const struct flags *flags, struct discovery_setup *setup)
{
    *setup = (struct discovery_setup){
        .api = flags->k8s_api,
        .space = flags->k8s_namespace,
        .selector = flags->k8s_label_selector,
        .port = (uint16_t)flags->k8s_port,
        .compat = flags->compat,
        .watch_s = (int64_t)flags->k8s_watcher_timeout_s,
        .ask_ns = (int64_t)flags->backend_health_check_timeout_s * ns_per_s,
    };
}

void flags_config_text(const struct flags *flags, struct config_text *text)
{
    *text = (struct config_text){
        .service_discovery = flags->service_discovery,
        .static_backends = flags->static_backends,
        .static_models = flags->static_models,
        .static_aliases = flags->static_aliases,
        .static_model_labels = flags->static_model_labels,
        .static_model_types = flags->static_model_types,
        .routing_logic = flags->routing_logic,
        .session_key = flags->session_key,
        .prefill_model_labels = flags->prefill_model_labels,
        .decode_model_labels = flags->decode_model_labels,
        .health_checks = flags->health_checks,
        .health_checks_given = flags->health_checks,
        .health_interval_s = flags->health_interval_s,
        .health_timeout_s = flags->health_timeout_s,
        .prefix_min_match_length = flags->prefix_min_match_length,
        .routing_params = flags->routing_params,
        .static_kv_events = flags->static_kv_events,
        .kv_aware_threshold = flags->kv_aware_threshold,
    };
}

static void fill_limits(const struct flags *flags, struct proxy_limits *limits)
{
    *limits = (struct proxy_limits){
        .clients_max = (uint32_t)flags->clients_max,
        .requests_max = (uint32_t)flags->requests_max,
        .queue_max = (uint32_t)flags->queue_max,
        .idle_engine_conns_max = (uint32_t)flags->idle_engine_conns_max,
        .head_bytes_max = flags->head_bytes_max,
        .body_bytes_max = flags->body_bytes_max,
        .buffer_bytes_max = flags->buffer_bytes_max,
        .stream_bytes_max = flags->stream_bytes_max,
        .head_ns = flags->head_ns,
        .body_ns = flags->body_ns,
        .keep_alive_ns = flags->keep_alive_ns,
        .send_ns = flags->send_ns,
        .queue_ns = flags->queue_ns,
        .connect_ns = flags->connect_ns,
        .first_byte_ns = flags->first_byte_ns,
        .stream_gap_ns = flags->stream_gap_ns,
        .request_ns = flags->request_ns,
        .engine_idle_ns = flags->engine_idle_ns,
        .retries_max = (uint32_t)flags->reroute_attempts,
        .retry_ratio = flags->retry_ratio,
    };
}

void flags_server_setup(const struct flags *flags, struct server_setup *setup)
{
    *setup = (struct server_setup){
        .host = flags->host,
        .port = (uint16_t)flags->port,
        .decision_log = flags->decision_log,
        .decision_scores = flags->decision_scores,
        .record_log = flags->record_log,
        .access_log = flags->access_log,
        .quiet = strcmp(flags->log_level, "debug") != 0 &&
                 strcmp(flags->log_level, "trace") != 0,
        .drain_ns = flags->drain_ns,
        .reload_interval_ns = 10 * ns_per_s,
        .kv_events_port = (uint16_t)flags->kv_events_port,
        .lmcache_port = (uint16_t)flags->lmcache_controller_port,
        .tls_listen = {.server = true,
                       .cert_path = flags->tls_cert,
                       .key_path = flags->tls_key},
        .tls_engines = {.ca_path = flags->engine_ca,
                        .insecure = flags->engine_insecure},
        .tls_cluster = {.ca_path = flags->k8s_ca},
        .fleet = {.seed = flags->seed,
                  .stats_window_ns = (int64_t)flags->request_stats_window_s * ns_per_s,
                  .ejection_failures = (uint32_t)flags->ejection_failures,
                  .ejection_ns = flags->ejection_ns,
                  .ejection_ns_max = flags->ejection_ns_max},
        .proxy = {.compat = flags->compat,
                  .seed = flags->seed,
                  .scrape_interval_ns =
                      (int64_t)flags->engine_stats_interval_s * ns_per_s,
                  .stats_interval_ns =
                      flags->log_stats ? (int64_t)flags->log_stats_interval_s * ns_per_s
                                       : 0,
                  .root_path = flags->root_path,
                  .version = STACKSIM_VERSION,
                  .takes_kv_events = flags->takes_kv_events,
                  .tokenizes = flags->tokenizes || flags->kv_events_port != 0 ||
                               flags->static_kv_events != NULL ||
                               flags->lmcache_controller_port != 0,
                  .lmcache = flags->lmcache_controller_port != 0,
                  /* Pods come with whatever adapters they have. */
                  .lists_adapters = flags->lists_adapters || flags_want_pods(flags),
                  .dynamic_config = flags->dynamic_config_json},
    };
    fill_limits(flags, &setup->proxy.limits);
}
