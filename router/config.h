/* SPDX-License-Identifier: Apache-2.0
 *
 * config.h: what may change while the router runs: backends, aliases, policy.
 *
 * The stack writes lists as comma-separated strings, on the command line and in its
 * dynamic configuration alike; one reader serves both. A config is complete and valid
 * or does not exist.
 */
#ifndef STACKSIM_ROUTER_CONFIG_H
#define STACKSIM_ROUTER_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "policies/policy_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_BACKENDS_MAX = 4096, CONFIG_PARAMS_MAX = 16 };

/* What a backend serves, hence how its health is asked for. */
#define MODEL_TYPES(X)                                                                 \
    X(CHAT, "chat", "/v1/chat/completions")                                            \
    X(COMPLETION, "completion", "/v1/completions")                                     \
    X(EMBEDDINGS, "embeddings", "/v1/embeddings")                                      \
    X(RERANK, "rerank", "/v1/rerank")                                                  \
    X(SCORE, "score", "/v1/score")                                                     \
    X(TRANSCRIPTION, "transcription", "/v1/audio/transcriptions")                      \
    X(VISION, "vision", "/v1/chat/completions")                                        \
    X(MESSAGES, "messages", "/v1/messages")

enum model_type {
    MODEL_TYPE_NONE,
#define X(name, text, path) MODEL_TYPE_##name,
    MODEL_TYPES(X)
#undef X
};
const char *model_type_name(enum model_type type);
const char *model_type_path(enum model_type type);

struct config_backend {
    const char *url;
    const char *model;
    const char *label; /* "default" unless given */
    enum model_type type;
    const char *pod;       /* of Kubernetes; NULL: configured by hand */
    const char *kv_events; /* where it publishes them, or NULL */
};
struct config_alias {
    const char *alias;
    const char *model;
};

/* As the user wrote it: NULL = not given. */
struct config_text {
    const char *service_discovery;
    const char *static_backends;
    const char *static_models;
    const char *static_aliases;
    const char *static_model_labels;
    const char *static_model_types;
    const char *static_kv_events; /* ours */
    uint64_t kv_aware_threshold;  /* tokens; 0 = the policy's own */
    const char *routing_logic;
    const char *session_key;
    const char *prefill_model_labels;
    const char *decode_model_labels;
    bool health_checks;
    bool health_checks_given;
    uint64_t health_interval_s; /* 0 = not given */
    uint64_t health_timeout_s;
    uint64_t prefix_min_match_length;
    const char *routing_params; /* "name=value,name=value", ours */
};

/* What configurations are read in. */
struct config_world {
    enum compat compat;
    const struct policy_set *policies; /* NULL = the registry alone; borrowed */
    bool watches_pods;                 /* `k8s` can be had */
    const struct config_backend *pods; /* the backends of `k8s`; borrowed */
    size_t pod_count;
};

/* Prefill on one backend, then decode on another. */
enum disaggregation {
    DISAGGREGATION_NONE,
    DISAGGREGATION_PLAIN,        /* the engines find one another */
    DISAGGREGATION_ORCHESTRATED, /* the router carries kv_transfer_params */
};

struct config {
    struct arena *arena; /* owns every string below */
    enum compat compat;
    struct config_backend *backends;
    size_t backend_count;
    struct config_alias *aliases;
    size_t alias_count;
    const struct route_policy *policy;
    const char *param_names[CONFIG_PARAMS_MAX];
    double param_values[CONFIG_PARAMS_MAX];
    size_t param_count;
    const char *session_key;    /* NULL = none */
    const char *prefill_labels; /* NULL = none; comma-separated */
    const char *decode_labels;
    enum disaggregation disaggregation;
    bool health_checks;
    int64_t health_interval_ns;
    int64_t health_timeout_ns;
    char *warnings; /* one line each, "" when there is nothing to say */
};

/* Every problem is an ERR_USAGE that names the flag; no half of a config is made. */
NODISCARD bool config_new(struct config **out, const struct config_text *text,
                          const struct config_world *world, struct err *err);
void config_delete(struct config *config);
/* Policy and parameters are the same: its state may go on. */
bool config_same_policy(const struct config *a, const struct config *b);
/* The label is among those of a comma-separated list; at release 0.1.3 it is enough
 * that it stands somewhere in the text. */
bool config_label_in(const struct config *config, const char *labels,
                     const char *label);
/* The model behind a name: aliases go one level. */
const char *config_alias(const struct config *config, const char *name);

#endif
