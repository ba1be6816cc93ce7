/* SPDX-License-Identifier: Apache-2.0
 *
 * links.h: flows of bytes between engines over their network cards.
 *
 * Each node has one link out and one link in. The rate of a flow is its max-min fair
 * share: links are filled evenly until one is full, its flows keep that rate, the rest
 * goes on (progressive filling). Whenever a flow comes or goes all rates are worked out
 * anew. The fabric between the cards never binds.
 */
#ifndef STACKSIM_SIM_LINKS_H
#define STACKSIM_SIM_LINKS_H

#include <stdbool.h>
#include <stdint.h>

struct links;

/* bytes_per_s: of each node, in each direction; > 0. Copied. */
struct links *links_new(const double *bytes_per_s, uint32_t nodes);
void links_delete(struct links *links);

/* A flow of bytes > 0 starts; times must not go back from call to call. from != to. The
 * id is free again when the flow has ended or was removed. */
uint32_t links_add(struct links *links, int64_t now_ns, uint32_t from, uint32_t to,
                   double bytes);
/* It ends early: its source or its reader is gone. */
void links_remove(struct links *links, int64_t now_ns, uint32_t flow);

/* From now on the node's card has this bandwidth; 0: its flows stand still. */
void links_set(struct links *links, int64_t now_ns, uint32_t node, double bytes_per_s);

/* When the next flow ends, if nothing changes; INT64_MAX = there is none. Whole ns,
 * rounded up. */
int64_t links_next_ns(const struct links *links);
/* At links_next_ns: takes that flow out. Of several that end together the one that
 * started first. */
uint32_t links_end(struct links *links);

uint32_t links_count(const struct links *links); /* flows under way */

#endif
