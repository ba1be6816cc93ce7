/* SPDX-License-Identifier: Apache-2.0
 *
 * gpu_find.h: the file in configs/gpus that describes the GPU of a measured run.
 */
#ifndef STACKSIM_CLI_VALIDATE_GPU_FIND_H
#define STACKSIM_CLI_VALIDATE_GPU_FIND_H

#include "sim/facts.h"

struct gpu_search {
    const char *full_name;
    const char *config_dir; /* --config-dir or NULL */
    bool required;
    char *found; /* PATH_MAX bytes for the file's path, or NULL; "" when none */
};

/* full_name as the driver says it: "NVIDIA GeForce RTX 4090". The file whose name has
 * the most parts in it wins; parts that tell packages apart (sxm, pcie) may be absent.
 * None: fails with the known ones when required, else *gpu stays as it is. */
NODISCARD bool gpu_find(struct gpu_spec *gpu, const struct gpu_search *search,
                        struct err *err);

#endif
