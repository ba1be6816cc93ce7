/* SPDX-License-Identifier: Apache-2.0
 *
 * config_path.h: where configs/ lies (ARCHITECTURE 7): an explicit folder, else
 * $STACKSIM_CONFIGS, else the install prefix, else the source tree.
 */
#ifndef STACKSIM_SIM_CONFIG_PATH_H
#define STACKSIM_SIM_CONFIG_PATH_H

#include <limits.h>
#include <stdbool.h>

/* A file that can be read, no folder. */
bool config_path_readable(const char *path);

/* The first of the configs folders that holds folder/name.yaml. config_dir: the
 * explicit one, or NULL. */
bool config_path_find(const char *config_dir, const char *folder, const char *name,
                      char path[PATH_MAX]);

#endif
