/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.h: which of our model and GPU files a deployment means: the stack names models
 * as huggingface.co does, and GPUs by the label of NVIDIA's feature discovery.
 */
#ifndef STACKSIM_CLI_HELM_FACTS_H
#define STACKSIM_CLI_HELM_FACTS_H

#include "base/err.h"

#include <limits.h>
#include <stddef.h>

enum { FACT_FILE_BYTES = 128 };

/* "meta-llama/Llama-3.1-8B-Instruct" -> "llama_3_1_8b": the longest name of a file in
 * configs/models that is left when vendors, versions and kinds of tuning are taken
 * away. False when there is none. */
bool helm_model_find(const char *config_dir, const char *url,
                     char name[FACT_FILE_BYTES]);
/* "NVIDIA-H100-80GB-HBM3", "h100_sxm" or "H100" -> "h100_sxm". */
bool helm_gpu_find(const char *config_dir, const char *product,
                   char name[FACT_FILE_BYTES]);

/* The scenario's `quantization` of weights, by vLLM's flag (NULL = not given), else by
 * words of the model's name, which follow what vLLM finds in its files: "" for 16 bits,
 * NULL for a method that the simulator does not know. */
const char *helm_format_find(const char *flag, const char *url);

/* The file of configs/nodes for machines with this GPU (a file's name): "hgx_h100" for
 * "h100_sxm". False when there is none. */
NODISCARD bool helm_node_find(const char *config_dir, const char *gpu,
                              char name[FACT_FILE_BYTES]);

#endif
