/* SPDX-License-Identifier: Apache-2.0
 *
 * sentry.h: errors of the router, reported to a Sentry server.
 *
 * An event says what failed, at which backend, for which model and with which status.
 * Nothing of a client is in it: no address, header, request id or text. Without a DSN
 * nothing is sent anywhere; with one, a share of the errors is, and never more than a
 * few at a time: a dead backend must not become a flood of reports.
 */
#ifndef STACKSIM_ROUTER_SENTRY_H
#define STACKSIM_ROUTER_SENTRY_H

#include "base/err.h"
#include "router/origin.h"

struct proxy;

struct sentry {
    struct origin *origin;
    char *target;    /* "/api/42/envelope/" */
    char *key;       /* the DSN's public one */
    double rate;     /* share of errors reported */
    uint32_t active; /* reports under way */
    uint64_t sent;
    uint64_t dropped; /* by rate or for lack of room */
};

/* dsn: SCHEME://KEY@HOST[:PORT][/PATH]/PROJECT. */
NODISCARD bool sentry_new(struct sentry **out, const char *dsn, double rate,
                          struct err *err);
void sentry_delete(struct sentry *sentry);

struct sentry_event {
    const char *what; /* "the backend could not be reached" */
    const char *server;
    const char *model; /* as configured, never what a client wrote */
    unsigned status;
};
/* Does nothing when the proxy has no sentry. */
void sentry_report(struct proxy *proxy, int64_t now_ns,
                   const struct sentry_event *event);

#endif
