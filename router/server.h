/* SPDX-License-Identifier: Apache-2.0
 *
 * server.h: the rim: sockets, names, clocks, signals and log files around the proxy.
 */
#ifndef STACKSIM_ROUTER_SERVER_H
#define STACKSIM_ROUTER_SERVER_H

#include "router/proxy.h"
#include "router/tls.h"

struct server_setup {
    const char *host;
    uint16_t port;            /* 0 = any free one */
    struct proxy_setup proxy; /* rim, fleet, and offsets are filled in here */
    struct fleet_setup fleet;
    struct config *config; /* the first; taken */
    struct tls_setup tls_listen;
    struct tls_setup tls_engines;
    struct tls_setup tls_cluster; /* of the Kubernetes API */
    const char *decision_log;     /* paths, or NULL; "-" = standard output */
    const char *record_log;
    const char *access_log;
    bool decision_scores;
    uint16_t kv_events_port; /* of every engine; 0 = those named by the config only */
    uint16_t lmcache_port;   /* where its workers push to; 0 = nowhere */
    bool quiet;              /* warnings and statistics only */
    int64_t drain_ns;        /* after SIGTERM, before connections are cut */
    /* Asked every reload_interval_ns for a new configuration; NULL = no change, or none
     * that is valid (then it has said why through warn). */
    struct config *(*reload)(void *context, bool *failed, struct err *err);
    void *reload_context;
    int64_t reload_interval_ns;
};

/* Runs until SIGTERM or SIGINT; SIGHUP asks for a new configuration at once. */
NODISCARD bool server_run(const struct server_setup *setup, struct err *err);

#endif
