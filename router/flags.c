/* SPDX-License-Identifier: Apache-2.0
 *
 * flags.c: one table for parsing, help and defaults.
 */
#include "router/flags.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const int64_t ns_per_s = 1000000000;

#define AT(field) offsetof(struct flags, field)
#define NO_EFFECT "Accepted and without effect: "

static const struct opt OPTIONS[] = {
    {"--host", "ADDRESS", OPT_STR, AT(host), "0.0.0.0",
     "IP address to listen on, IPv4 or IPv6. Example: --host 127.0.0.1"},
    {"--port", "PORT", OPT_U64, AT(port), "8001",
     "Port to listen on; 0 takes a free one and says which. Example: --port 8000"},
    {"--root-path", "PREFIX", OPT_STR, AT(root_path), "\"\"",
     "Prefix of every path. Example: --root-path /llm"},
    {"--service-discovery", "KIND", OPT_STR, AT(service_discovery), "static",
     "Where backends come from: static, the two flags below, or k8s, the pods of a "
     "namespace. (external-only is refused: name a provider's URL as a backend.) "
     "Example: --service-discovery k8s --k8s-label-selector release=prod"},
    {"--static-backends", "URLS", OPT_STR, AT(static_backends), "none",
     "Backends, separated by commas. Example: --static-backends "
     "http://10.0.0.1:8000,http://10.0.0.2:8000"},
    {"--static-models", "MODELS", OPT_STR, AT(static_models), "none",
     "The model of each backend, in their order. Example: --static-models llama,llama"},
    {"--static-aliases", "ALIASES", OPT_STR, AT(static_aliases), "none",
     "Names that stand for a model. Example: --static-aliases gpt-4:llama"},
    {"--static-model-labels", "LABELS", OPT_STR, AT(static_model_labels), "default",
     "A label for each backend, for disaggregated prefill. Example: "
     "--static-model-labels prefill,decode"},
    {"--static-model-types", "TYPES", OPT_STR, AT(static_model_types), "none",
     "What each backend serves, hence how it is probed: chat, completion, embeddings, "
     "rerank, score, transcription, vision, messages. Example: --static-model-types "
     "chat,chat"},
    {"--static-backend-health-checks", NULL, OPT_FLAG, AT(health_checks), "off",
     "Send a small request to every backend now and then; one that fails gets no "
     "traffic until it answers again. Needs --static-model-types."},
    {"--static-backend-health-check-interval", "SECONDS", OPT_U64,
     AT(health_interval_s), "60", "Seconds from one probe's end to the next."},
    {"--static-backend-health-check-timeout-seconds", "SECONDS", OPT_U64,
     AT(health_timeout_s), "10; at compat tag 30", "Seconds a probe may take."},
    {"--k8s-namespace", "NAME", OPT_STR, AT(k8s_namespace), "default",
     "Of k8s discovery: the namespace whose pods are engines."},
    {"--k8s-label-selector", "TEXT", OPT_STR, AT(k8s_label_selector), "\"\"",
     "Of k8s discovery: only pods with these labels. Example: --k8s-label-selector "
     "environment=prod,release=llm"},
    {"--k8s-port", "PORT", OPT_U64, AT(k8s_port), "8000",
     "Of k8s discovery: the port of the engine in each pod."},
    {"--k8s-watcher-timeout-seconds", "SECONDS", OPT_U64, AT(k8s_watcher_timeout_s),
     "240; at compat tag 30",
     "Of k8s discovery: pods are listed afresh so often, for events that were lost."},
    {"--backend-health-check-timeout-seconds", "SECONDS", OPT_U64,
     AT(backend_health_check_timeout_s), "10",
     "Of k8s discovery: an engine may take so long to list its models."},
    {"--k8s-service-discovery-type", "KIND", OPT_STR, AT(k8s_service_discovery_type),
     "pod-ip", "Of k8s discovery: only pod-ip; behind a Service no policy chooses."},
    {"--k8s-api", "URL", OPT_STR, AT(k8s_api), "that of the cluster we run in",
     "Of k8s discovery: the API server. Example: --k8s-api https://10.0.0.1:6443"},
    {"--k8s-token", "FILE", OPT_STR, AT(k8s_token), "that of the service account",
     "Of k8s discovery: a file with the bearer token, read anew each time."},
    {"--k8s-ca", "FILE", OPT_STR, AT(k8s_ca), "that of the service account",
     "Of k8s discovery: PEM file of roots that sign the API server's certificate."},
    {"--routing-logic", "POLICY", OPT_STR, AT(routing_logic), "none",
     "The policy, one of those of the simulator, by its own name or the stack's: "
     "roundrobin, session, prefixaware, least_request ... Example: --routing-logic "
     "prefixaware"},
    {"--routing-params", "LIST", OPT_STR, AT(routing_params), "none",
     "Parameters of the policy, separated by commas. Example: --routing-params "
     "pinning=0,spill_load_ratio=1.5"},
    {"--policy-plugin", "FILE", OPT_LIST, AT(policy_plugins), "none",
     "A shared object with more policies, as for stacksim; may be given more than "
     "once. "
     "Example: --policy-plugin ./mine.so"},
    {"--session-key", "NAME", OPT_STR, AT(session_key), "none",
     "Header field, or field of the body, that names the session. Example: "
     "--session-key x-user-id"},
    {"--prefix-min-match-length", "CHARACTERS", OPT_U64, AT(prefix_min_match_length),
     "0", "Of prefixaware: shorter matches do not count."},
    {"--prefill-model-labels", "LABELS", OPT_STR, AT(prefill_model_labels), "none",
     "Labels of backends that prefill, for disaggregated prefill."},
    {"--decode-model-labels", "LABELS", OPT_STR, AT(decode_model_labels), "none",
     "Labels of backends that decode, for disaggregated prefill."},
    {"--max-instance-failover-reroute-attempts", "COUNT", OPT_U64, AT(reroute_attempts),
     "2",
     "Other backends tried when one cannot be reached, before the first byte of an "
     "answer. The stack's default is 0."},
    {"--engine-stats-interval", "SECONDS", OPT_U64, AT(engine_stats_interval_s), "30",
     "Seconds between looks at each engine's metrics."},
    {"--request-stats-window", "SECONDS", OPT_U64, AT(request_stats_window_s), "60",
     "Length of the sliding window of request statistics."},
    {"--log-stats", NULL, OPT_FLAG, AT(log_stats), "off",
     "Print statistics of every backend now and then."},
    {"--log-stats-interval", "SECONDS", OPT_U64, AT(log_stats_interval_s), "10",
     "Seconds between such records."},
    {"--dynamic-config-json", "FILE", OPT_STR, AT(dynamic_config_json), "none",
     "Configuration that may change while the router runs, looked at every 10 seconds "
     "and "
     "on SIGHUP. "
     "Flags that are given win over the file at start. Example: "
     "--dynamic-config-json /etc/router.json"},
    {"--log-level", "LEVEL", OPT_STR, AT(log_level), "info",
     "critical, error, warning, info, debug or trace."},
    {"--log-format", "FORMAT", OPT_STR, AT(log_format), "text", "Only text."},
    {"--request-rewriter", "NAME", OPT_STR, AT(request_rewriter), "noop", "Only noop."},
    {"--feature-gates", "LIST", OPT_STR, AT(feature_gates), "none",
     "Name=true or Name=false, separated by commas; SemanticCache cannot be true."},
    {"--sentry-dsn", "URL", OPT_STR, AT(sentry_dsn), "none",
     "Where errors are reported; without it nothing is sent anywhere. Example: "
     "--sentry-dsn https://KEY@sentry.example/42"},
    {"--sentry-error-sample-rate", "RATIO", OPT_F64, AT(sentry_error_sample_rate), "1",
     "Share of errors reported, 0 to 1; never more than four at a time."},
    {"--sentry-traces-sample-rate", "RATIO", OPT_F64, AT(sentry_traces_sample_rate),
     "0.1", "Share of transactions reported, 0 to 1; this router reports none."},
    {"--sentry-profile-session-sample-rate", "RATIO", OPT_F64,
     AT(sentry_profile_session_sample_rate), "1.0",
     "Share of profiles reported, 0 to 1; this router makes none."},
    {"--version", NULL, OPT_FLAG, AT(version), NULL, "Print the version and exit."},

    {"--from-helm", "FILE", OPT_STR, AT(from_helm), "none",
     "Start with the flags that the stack's Helm chart would give its router for these "
     "values; flags given beside it win. Example: --from-helm values.yaml"},
    {"--from-crd", "FILE", OPT_STR, AT(from_crd), "none",
     "The same for a VLLMRouter object and the stack's operator. Example: --from-crd "
     "router.yaml"},
    {"--engine-services", NULL, OPT_FLAG, AT(engine_services), "off",
     "With --from-helm: take the Services of the file's engines as static backends "
     "instead of watching pods, their names as labels."},
    {"--helm-release", "NAME", OPT_STR, AT(helm_release), "stack",
     "Name of the Helm release, with which names of Services begin. Example: "
     "--helm-release demo"},
    {"--print-flags", NULL, OPT_FLAG, AT(print_flags), "off",
     "Print all flags in one line, those of the file first, and exit."},
    {"--compat", "LEVEL", OPT_STR, AT(compat_name), "head",
     "Which behaviour of the stack's router: tag (release 0.1.3, bug for bug), "
     "tag-fixed "
     "or head."},
    {"--seed", "NUMBER", OPT_U64, AT(seed), "1",
     "Of the policy's random choices and of request ids."},
    {"--decision-log", "FILE", OPT_STR, AT(decision_log), "none",
     "Every decision as a line of CSV, as 'stacksim run --decisions' writes it."},
    {"--decision-scores", NULL, OPT_FLAG, AT(decision_scores), "off",
     "With the score of every candidate in the decision log."},
    {"--record", "FILE", OPT_STR, AT(record_log), "none",
     "Every input of the policy as a line of JSON, from which the decisions can be "
     "made "
     "again."},
    {"--access-log", "FILE", OPT_STR, AT(access_log), "none",
     "Every request as a row of a trace that 'stacksim run --trace' replays."},
    {"--kv-events", NULL, OPT_FLAG, AT(takes_kv_events), "off",
     "Take what engines tell about their prefix caches by POST /kv_events?id=ENGINE; "
     "for "
     "kvaware, dynamo_kv and weighted_sum's precise scorer."},
    {"--kv-events-port", "PORT", OPT_U64, AT(kv_events_port), "none",
     "Hear the KV events of every engine on this port, where vLLM publishes them over "
     "ZeroMQ (--kv-events-config). Example: --kv-events-port 5557"},
    {"--static-kv-events", "ENDPOINTS", OPT_STR, AT(static_kv_events), "none",
     "The same for each static backend, in their order. Example: --static-kv-events "
     "tcp://10.0.0.1:5557,tcp://10.0.0.2:5557"},
    {"--lmcache-controller-port", "PORT", OPT_U64, AT(lmcache_controller_port), "none",
     "Hear on this port what workers of LMCache push to their controller (ZeroMQ): who "
     "has which chunks of 256 tokens; for kvaware. The stack's own port is 9000."},
    {"--kv-aware-threshold", "TOKENS", OPT_U64, AT(kv_aware_threshold), "2000",
     "Of kvaware: tokens of a prompt that its owner may lack."},
    {"--tokenize", NULL, OPT_FLAG, AT(tokenizes), "off; on with the ports above",
     "Ask an engine for the token ids of a prompt that is text, when the policy "
     "matches "
     "blocks; else four bytes of text count as a token."},
    {"--lora-adapters", NULL, OPT_FLAG, AT(lists_adapters), "off",
     "Ask engines for their models now and then, and route requests for a LoRA adapter "
     "to those that list it."},
    {"--tls-cert", "FILE", OPT_STR, AT(tls_cert), "none",
     "PEM certificate chain; with it the router speaks https."},
    {"--tls-key", "FILE", OPT_STR, AT(tls_key), "none", "Its PEM key."},
    {"--engine-ca", "FILE", OPT_STR, AT(engine_ca), "the system's",
     "PEM file of roots that sign the certificates of https backends."},
    {"--engine-tls-insecure", NULL, OPT_FLAG, AT(engine_insecure), "off",
     "Take any certificate of a backend."},
    {"--max-connections", "COUNT", OPT_U64, AT(clients_max), "16384",
     "Client connections at a time."},
    {"--max-requests", "COUNT", OPT_U64, AT(requests_max), "16384",
     "Requests at engines at a time; more wait."},
    {"--max-queue", "COUNT", OPT_U64, AT(queue_max), "4096",
     "Requests that wait; more are answered 503."},
    {"--max-idle-engine-connections", "COUNT", OPT_U64, AT(idle_engine_conns_max),
     "1024", "Idle connections kept to each backend."},
    {"--max-header-bytes", "BYTES", OPT_BYTES, AT(head_bytes_max), "64KiB",
     "Of a request's or answer's header. Example: --max-header-bytes 16KiB"},
    {"--max-body-bytes", "BYTES", OPT_BYTES, AT(body_bytes_max), "64MiB",
     "Of a request's body. Example: --max-body-bytes 8MiB"},
    {"--max-buffer-bytes", "BYTES", OPT_BYTES, AT(buffer_bytes_max), "2GiB",
     "Of all request bodies held at a time."},
    {"--max-stream-bytes", "BYTES", OPT_BYTES, AT(stream_bytes_max), "256KiB",
     "Of an answer its client has not taken; above, the engine is made to wait."},
    {"--header-timeout", "TIME", OPT_DURATION, AT(head_ns), "30s",
     "For a request's header to arrive. Example: --header-timeout 10s"},
    {"--body-timeout", "TIME", OPT_DURATION, AT(body_ns), "60s",
     "Between pieces of a request's body."},
    {"--keep-alive", "TIME", OPT_DURATION, AT(keep_alive_ns), "75s",
     "An idle client connection is kept."},
    {"--send-timeout", "TIME", OPT_DURATION, AT(send_ns), "60s",
     "A client may take nothing of its answer."},
    {"--queue-timeout", "TIME", OPT_DURATION, AT(queue_ns), "60s",
     "A request waits for its turn."},
    {"--connect-timeout", "TIME", OPT_DURATION, AT(connect_ns), "2s",
     "To connect to a backend."},
    {"--first-byte-timeout", "TIME", OPT_DURATION, AT(first_byte_ns), "600s",
     "From a request sent to the header of its answer; 0 = no limit."},
    {"--stream-timeout", "TIME", OPT_DURATION, AT(stream_gap_ns), "300s",
     "Between pieces of an answer; 0 = no limit."},
    {"--request-timeout", "TIME", OPT_DURATION, AT(request_ns), "0",
     "All of a request; 0 = no limit."},
    {"--engine-idle-timeout", "TIME", OPT_DURATION, AT(engine_idle_ns), "4s",
     "An idle connection to a backend is kept. vLLM closes its own after 5 s."},
    {"--retry-ratio", "RATIO", OPT_F64, AT(retry_ratio), "0.2",
     "Retries may be this share of requests."},
    {"--ejection-failures", "COUNT", OPT_U64, AT(ejection_failures), "3",
     "Failures to reach a backend, in a row, that take it out for a while; 0 = never. "
     "The last backend of a model is never taken out."},
    {"--ejection-time", "TIME", OPT_DURATION, AT(ejection_ns), "5s",
     "How long the first time; it doubles each time."},
    {"--max-ejection-time", "TIME", OPT_DURATION, AT(ejection_ns_max), "120s",
     "How long at most."},
    {"--drain-timeout", "TIME", OPT_DURATION, AT(drain_ns), "30s",
     "After SIGTERM, for requests under way to end."},

    {"--lmcache-controller-reply-port", "PORT", OPT_U64,
     AT(lmcache_controller_reply_port), "none",
     NO_EFFECT "LMCache's controller here only listens."},
    {"--lmcache-controller-heartbeat-port", "PORT", OPT_U64,
     AT(lmcache_controller_heartbeat_port), "none",
     NO_EFFECT "LMCache's controller here only listens."},
    {"--lmcache-health-check-interval", "SECONDS", OPT_U64,
     AT(lmcache_health_check_interval_s), "5",
     NO_EFFECT "LMCache's controller here only listens."},
    {"--lmcache-worker-timeout", "SECONDS", OPT_U64, AT(lmcache_worker_timeout_s), "30",
     NO_EFFECT "LMCache's controller here only listens."},
    {"--file-storage-class", "NAME", OPT_STR, AT(file_storage_class), "local_file",
     NO_EFFECT "there is no batch API."},
    {"--file-storage-path", "PATH", OPT_STR, AT(file_storage_path), "/tmp/vllm_files",
     NO_EFFECT "there is no batch API."},
    {"--batch-processor", "NAME", OPT_STR, AT(batch_processor), "local",
     NO_EFFECT "there is no batch API."},
    {"--semantic-cache-model", "NAME", OPT_STR, AT(semantic_cache_model),
     "all-MiniLM-L6-v2", NO_EFFECT "there is no semantic cache."},
    {"--semantic-cache-dir", "PATH", OPT_STR, AT(semantic_cache_dir), "semantic_cache",
     NO_EFFECT "there is no semantic cache."},
    {"--semantic-cache-threshold", "RATIO", OPT_F64, AT(semantic_cache_threshold),
     "0.95", NO_EFFECT "there is no semantic cache."},
    {"--otel-service-name", "NAME", OPT_STR, AT(otel_service_name), "vllm-router",
     NO_EFFECT "no spans are made."},
    {"--otel-secure", NULL, OPT_FLAG, AT(otel_secure), "off",
     NO_EFFECT "no spans are made."},
    {"--callbacks", "MODULE", OPT_STR, AT(callbacks), "none",
     "Refused: callbacks are Python."},
    {"--enable-batch-api", NULL, OPT_FLAG, AT(enable_batch_api), "off",
     "Refused: the stack's batches call no engine."},
    {"--dynamic-config-yaml", "FILE", OPT_STR, AT(dynamic_config_yaml), "none",
     "Refused: write the same as JSON."},
    {"--external-providers-config", "FILE", OPT_STR, AT(external_providers_config),
     "none", "Refused: name a provider's URL as a backend."},
    {"--otel-endpoint", "URL", OPT_STR, AT(otel_endpoint), "none",
     "Refused: no spans are made; trace context is passed on to engines."},
    {0},
};

const struct opt_command flags_command = {
    .name = "",
    .usage = "--static-backends URLS --static-models MODELS --routing-logic POLICY "
             "[options]",
    .summary = "An OpenAI-compatible router in front of vLLM engines.",
    .description =
        "Clients speak to it as to one engine; it chooses the engine of each request\n"
        "by a policy that the simulator knows, too, object for object. The flags of "
        "the\n"
        "vLLM Production Stack's own router are understood.\n"
        "\n"
        "Two engines, sessions by a header field:\n"
        "\n"
        "    stackrouter --port 8000 --static-backends http://e1:8000,http://e2:8000 "
        "\\\n"
        "        --static-models llama,llama --routing-logic session \\\n"
        "        --session-key x-user-id\n"
        "\n"
        "Try it:\n"
        "\n"
        "    curl http://localhost:8000/v1/chat/completions -d '{\"model\": "
        "\"llama\",\n"
        "        \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}'\n"
        "    curl http://localhost:8000/metrics\n"
        "\n"
        "SIGTERM ends it once the requests under way are answered.",
    .options = OPTIONS,
};

void flags_defaults(struct flags *flags)
{
    *flags = (struct flags){
        .host = "0.0.0.0",
        .port = 8001,
        .root_path = "",
        .k8s_namespace = "default",
        .k8s_label_selector = "",
        .k8s_port = 8000,
        .backend_health_check_timeout_s = 10,
        .reroute_attempts = 2,
        .request_rewriter = "noop",
        .engine_stats_interval_s = 30,
        .request_stats_window_s = 60,
        .log_stats_interval_s = 10,
        .log_level = "info",
        .log_format = "text",
        .sentry_error_sample_rate = 1,
        .sentry_traces_sample_rate = 0.1,
        .sentry_profile_session_sample_rate = 1,
        .compat_name = "head",
        .seed = 1,
        .clients_max = 16384,
        .requests_max = 16384,
        .queue_max = 4096,
        .idle_engine_conns_max = 1024,
        .head_bytes_max = UINT64_C(64) << 10,
        .body_bytes_max = UINT64_C(64) << 20,
        .buffer_bytes_max = UINT64_C(2) << 30,
        .stream_bytes_max = UINT64_C(256) << 10,
        .head_ns = 30 * ns_per_s,
        .body_ns = 60 * ns_per_s,
        .keep_alive_ns = 75 * ns_per_s,
        .send_ns = 60 * ns_per_s,
        .queue_ns = 60 * ns_per_s,
        .connect_ns = 2 * ns_per_s,
        .first_byte_ns = 600 * ns_per_s,
        .stream_gap_ns = 300 * ns_per_s,
        .engine_idle_ns = 4 * ns_per_s,
        .retry_ratio = 0.2,
        .ejection_failures = 3,
        .ejection_ns = 5 * ns_per_s,
        .ejection_ns_max = 120 * ns_per_s,
        .drain_ns = 30 * ns_per_s,
    };
}

/* --- checks ----------------------------------------------------------------------- */

static bool check_refused(const struct flags *flags, struct err *err)
{
    if (flags->callbacks != NULL) {
        return err_set(err, ERR_USAGE,
                       "--callbacks: a module of Python cannot be loaded here");
    }
    if (flags->enable_batch_api) {
        return err_set(
            err, ERR_USAGE,
            "--enable-batch-api: there is no batch API; the stack's calls no "
            "engine");
    }
    if (flags->dynamic_config_yaml != NULL) {
        return err_set(err, ERR_USAGE,
                       "--dynamic-config-yaml: write the same as JSON and give "
                       "--dynamic-config-json");
    }
    if (flags->external_providers_config != NULL) {
        return err_set(err, ERR_USAGE,
                       "--external-providers-config: name the provider's URL in "
                       "--static-backends");
    }
    if (flags->otel_endpoint != NULL) {
        return err_set(err, ERR_USAGE,
                       "--otel-endpoint: no spans are made; drop the flag (trace "
                       "context is passed on to engines)");
    }
    return true;
}

static bool check_pods(const struct flags *flags, struct err *err)
{
    const char *type = flags->k8s_service_discovery_type;
    if (type != NULL && strcmp(type, "pod-ip") != 0) {
        return err_set(err, ERR_USAGE,
                       "--k8s-service-discovery-type: '%s' is not pod-ip; to use "
                       "Services, name them in --static-backends",
                       type);
    }
    return true;
}

static bool check_gates(const char *gates, struct err *err)
{
    while (gates != NULL && *gates != '\0') {
        const size_t length = strcspn(gates, ",");
        const char *equals = memchr(gates, '=', length);
        const size_t value = equals != NULL ? (size_t)(gates + length - equals - 1) : 0;
        const bool on = value == 4 && strncasecmp(equals + 1, "true", 4) == 0;
        const bool off = value == 5 && strncasecmp(equals + 1, "false", 5) == 0;
        if (!on && !off) {
            return err_set(err, ERR_USAGE,
                           "--feature-gates: '%.*s' is not NAME=true or NAME=false",
                           (int)length, gates);
        }
        if (on && strncmp(gates, "SemanticCache=", 14) == 0) {
            return err_set(err, ERR_USAGE,
                           "--feature-gates: there is no semantic cache; drop "
                           "SemanticCache=true");
        }
        gates += length + (gates[length] == ',' ? 1 : 0);
    }
    return true;
}

static bool one_of(const char *flag, const char *value, const char *const *allowed,
                   struct err *err)
{
    struct text all = {0};
    for (size_t i = 0; allowed[i] != NULL; i++) {
        if (strcmp(value, allowed[i]) == 0) {
            text_fini(&all);
            return true;
        }
        text_printf(&all, "%s%s", i == 0 ? "" : ", ", allowed[i]);
    }
    (void)err_set(err, ERR_USAGE, "%s: '%s' is not one of %s", flag, value,
                  text_str(&all));
    text_fini(&all);
    return false;
}

static bool is_ratio(const char *flag, double value, struct err *err)
{
    return (value >= 0 && value <= 1) ||
           err_set(err, ERR_USAGE, "%s: %g is not between 0 and 1", flag, value);
}

static bool in_range(const char *flag, uint64_t value, uint64_t min, uint64_t max,
                     struct err *err)
{
    return (value >= min && value <= max) ||
           err_set(err, ERR_USAGE, "%s: %llu is not between %llu and %llu", flag,
                   (unsigned long long)value, (unsigned long long)min,
                   (unsigned long long)max);
}

static bool check_ranges(const struct flags *flags, struct err *err)
{
    static const uint64_t seconds_max = 1000000000;
    return in_range("--port", flags->port, 0, UINT16_MAX, err) &&
           in_range("--engine-stats-interval", flags->engine_stats_interval_s, 1,
                    seconds_max, err) &&
           in_range("--request-stats-window", flags->request_stats_window_s, 1,
                    seconds_max, err) &&
           in_range("--log-stats-interval", flags->log_stats_interval_s, 1, seconds_max,
                    err) &&
           in_range("--static-backend-health-check-interval", flags->health_interval_s,
                    0, seconds_max, err) &&
           in_range("--static-backend-health-check-timeout-seconds",
                    flags->health_timeout_s, 0, seconds_max, err) &&
           in_range("--max-instance-failover-reroute-attempts", flags->reroute_attempts,
                    0, FLEET_TRIED_MAX, err) &&
           in_range("--k8s-port", flags->k8s_port, 1, UINT16_MAX, err) &&
           in_range("--k8s-watcher-timeout-seconds", flags->k8s_watcher_timeout_s, 0,
                    seconds_max, err) &&
           in_range("--backend-health-check-timeout-seconds",
                    flags->backend_health_check_timeout_s, 1, seconds_max, err) &&
           in_range("--kv-events-port", flags->kv_events_port, 0, UINT16_MAX, err) &&
           in_range("--lmcache-controller-port", flags->lmcache_controller_port, 0,
                    UINT16_MAX, err) &&
           in_range("--max-connections", flags->clients_max, 1, 1 << 20, err) &&
           in_range("--max-requests", flags->requests_max, 1, 1 << 20, err) &&
           in_range("--max-queue", flags->queue_max, 0, 1 << 20, err) &&
           in_range("--max-idle-engine-connections", flags->idle_engine_conns_max, 0,
                    1 << 20, err) &&
           in_range("--max-header-bytes", flags->head_bytes_max, 1024, 16 << 20, err) &&
           in_range("--max-body-bytes", flags->body_bytes_max, 1024, 1 << 30, err) &&
           in_range("--max-stream-bytes", flags->stream_bytes_max, 1024, 1 << 30,
                    err) &&
           in_range("--ejection-failures", flags->ejection_failures, 0, 1000000, err) &&
           is_ratio("--retry-ratio", flags->retry_ratio, err) &&
           is_ratio("--sentry-error-sample-rate", flags->sentry_error_sample_rate,
                    err) &&
           is_ratio("--sentry-traces-sample-rate", flags->sentry_traces_sample_rate,
                    err) &&
           is_ratio("--sentry-profile-session-sample-rate",
                    flags->sentry_profile_session_sample_rate, err);
}

bool flags_check(struct flags *flags, struct err *err)
{
    static const char *const COMPATS[] = {"tag", "tag-fixed", "head", NULL};
    static const char *const LEVELS[] = {"critical", "error", "warning", "info",
                                         "debug",    "trace", NULL};
    static const char *const FORMATS[] = {"text", NULL};
    static const char *const REWRITERS[] = {"noop", NULL};
    if (!check_refused(flags, err) || !check_pods(flags, err) ||
        !check_gates(flags->feature_gates, err) || !check_ranges(flags, err) ||
        !one_of("--compat", flags->compat_name, COMPATS, err) ||
        !one_of("--log-level", flags->log_level, LEVELS, err) ||
        !one_of("--log-format", flags->log_format, FORMATS, err) ||
        !one_of("--request-rewriter", flags->request_rewriter, REWRITERS, err)) {
        return false;
    }
    const char *root = flags->root_path;
    if (root[0] != '\0' && (root[0] != '/' || root[strlen(root) - 1] == '/')) {
        return err_set(err, ERR_USAGE,
                       "--root-path: '%s' must begin with a slash and not end with one",
                       root);
    }
    for (int level = 0; COMPATS[level] != NULL; level++) {
        if (strcmp(flags->compat_name, COMPATS[level]) == 0) {
            flags->compat = (enum compat)level;
        }
    }
    return true;
}
