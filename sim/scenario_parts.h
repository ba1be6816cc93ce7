/* SPDX-License-Identifier: Apache-2.0
 *
 * scenario_parts.h: readers of single keys of a fleet that changes, for
 * scenario_control.c alone.
 */
#ifndef STACKSIM_SIM_SCENARIO_PARTS_H
#define STACKSIM_SIM_SCENARIO_PARTS_H

#include "sim/scenario_control.h"

/* `nodes`. */
NODISCARD bool scenario_nodes_read(struct scenario_control *control,
                                   const struct conf_node *root, struct err *err);
/* `gpu`, `gpus`, `cpu`, `memory` of this map, which may be NULL. */
NODISCARD bool scenario_pod_size_read(const struct conf_node *map,
                                      struct pod_request *request, struct err *err);
/* `request`, `node_name`, `node_selector`, `tolerations` of a deployment. */
NODISCARD bool scenario_pod_request_read(const struct conf_node *map,
                                         struct pod_request *request, struct err *err);
/* `autoscale` of the pools, after the deployments; raises their slots to what it needs.
 */
NODISCARD bool scenario_autoscale_read(struct scenario_control *control,
                                       const struct scenario *scenario,
                                       const struct conf_node *root, struct err *err);
/* `timeline`, after the deployments; raises the pools' slots to what it needs. */
NODISCARD bool scenario_timeline_read(struct scenario_control *control,
                                      const struct scenario *scenario,
                                      const struct conf_node *root, struct err *err);

#endif
