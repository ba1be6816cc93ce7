/* SPDX-License-Identifier: Apache-2.0
 *
 * dynamic.h: the configuration file that may change while the router runs.
 *
 * At start the command line wins and the file gives what it does not; afterwards the
 * file wins and the command line gives what the file leaves out, so that no flag is
 * lost by a reload. The file is read when its content changed, and what is wrong with
 * it is said at every poll until it is mended.
 */
#ifndef STACKSIM_ROUTER_DYNAMIC_H
#define STACKSIM_ROUTER_DYNAMIC_H

#include "router/config.h"

struct dynamic;

/* path NULL: no file. The strings of `flags` must outlive it. */
struct dynamic *dynamic_new(const char *path, const struct config_text *flags,
                            const struct config_world *world);
void dynamic_delete(struct dynamic *dynamic);
/* The caller owns *out. */
NODISCARD bool dynamic_first(struct dynamic *dynamic, struct config **out,
                             struct err *err);
/* A new configuration, which the caller owns; NULL when the file is as it was, or with
 * *failed and *err when it is of no use. context is the struct dynamic. */
struct config *dynamic_poll(void *context, bool *failed, struct err *err);

/* The configuration in force with these pods, which later ones have, too (copied); the
 * caller owns it. NULL: see *err. context is the struct dynamic. */
struct config *dynamic_with_pods(void *context, const struct config_backend *pods,
                                 size_t count, struct err *err);

#endif
