/* SPDX-License-Identifier: Apache-2.0
 *
 * quantization.h: an engine that serves a model in fewer bits than its file says.
 */
#ifndef STACKSIM_SIM_QUANTIZATION_H
#define STACKSIM_SIM_QUANTIZATION_H

#include "base/conf.h"
#include "sim/facts.h"

/* Reads `compat`, `quantization` and `kv_cache_dtype` of an engine's map (may be NULL)
 * and changes the model by the last two; before anything reads its sizes. */
NODISCARD bool quantization_apply(struct model_spec *model, const struct gpu_spec *gpu,
                                  const struct conf_node *map, struct err *err);

#endif
