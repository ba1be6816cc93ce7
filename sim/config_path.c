/* SPDX-License-Identifier: Apache-2.0
 *
 * config_path.c: looks a name up in the configs folders.
 */
#include "sim/config_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool config_path_readable(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode) &&
           access(path, R_OK) == 0;
}

bool config_path_find(const char *config_dir, const char *folder, const char *name,
                      char path[PATH_MAX])
{
    const char *roots[] = {config_dir, getenv("STACKSIM_CONFIGS"),
                           STACKSIM_INSTALL_CONFIGS, STACKSIM_SOURCE_CONFIGS};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (roots[i] == NULL || roots[i][0] == '\0') {
            continue;
        }
        const int length =
            snprintf(path, PATH_MAX, "%s/%s/%s.yaml", roots[i], folder, name);
        if (length < PATH_MAX && config_path_readable(path)) {
            return true;
        }
    }
    return false;
}
