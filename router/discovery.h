/* SPDX-License-Identifier: Apache-2.0
 *
 * discovery.h: finds engines among the pods of a Kubernetes namespace.
 *
 * A list, then a watch from where the list ended, over and over; every pod is asked for
 * its models, and each change becomes a new configuration of the fleet. A part of the
 * proxy core: it speaks to the API through the same connections as to engines.
 */
#ifndef STACKSIM_ROUTER_DISCOVERY_H
#define STACKSIM_ROUTER_DISCOVERY_H

#include "base/text.h"
#include "router/config.h"

struct proxy;
struct discovery;

struct discovery_setup {
    const char *api; /* https://HOST:PORT of the API server */
    const char *space;
    const char *selector; /* of labels, "" = all pods */
    uint16_t port;        /* of the engine in each pod */
    enum compat compat;
    int64_t watch_s; /* the API ends a watch after it; 0 = our choice */
    int64_t ask_ns;  /* an engine may take to list its models */
    void *context;
    /* Appends the bearer token, read afresh since it is renewed; may append nothing. */
    void (*token)(void *token_context, struct text *out);
    void *token_context;
    /* The configuration with these backends; the caller owns it. */
    struct config *(*configure)(void *context, const struct config_backend *backends,
                                size_t count, struct err *err);
};

/* Strings of the setup must outlive it. */
NODISCARD bool discovery_new(struct discovery **out,
                             const struct discovery_setup *setup, struct err *err);
/* Not before its proxy. */
void discovery_delete(struct discovery *discovery);
/* Starts what is due; for the proxy. */
void discovery_on_tick(struct proxy *proxy, int64_t now_ns);

struct discovery_counters {
    uint64_t pods; /* seen now */
    uint64_t lists;
    uint64_t events;
    uint64_t failures; /* of lists, watches and questions to pods */
};
void discovery_count(const struct discovery *discovery,
                     struct discovery_counters *counters);

#endif
