/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h: what a pod of Kubernetes is told of its cluster: the API server by the
 * environment, token and roots by files of its service account.
 */
#ifndef STACKSIM_ROUTER_CLUSTER_H
#define STACKSIM_ROUTER_CLUSTER_H

#include "router/flags.h"

/* Fills in what flags leave out, as far as this is a pod. `api` must outlive flags. */
void cluster_defaults(struct flags *flags, struct text *api);
/* Appends the token without white space; nothing when the file (context, a path, may be
 * NULL) cannot be read. For discovery. */
void cluster_token(void *path, struct text *out);

#endif
