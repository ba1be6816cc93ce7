/* SPDX-License-Identifier: Apache-2.0
 *
 * match.h: which machines an engine's pods may go to.
 */
#ifndef STACKSIM_STACK_MATCH_H
#define STACKSIM_STACK_MATCH_H

#include "stack/nodes.h"

/* By name or selector alone; what is free there is not asked. */
bool stack_node_matches(const struct stack_node *node,
                        const struct stack_engine *engine);
/* Fails with the line of nodeName or of the selector when no node matches. */
NODISCARD bool stack_match_check(const struct stack_nodes *nodes,
                                 const struct stack_engine *engine, struct err *err);

#endif
