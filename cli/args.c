/* SPDX-License-Identifier: Apache-2.0
 *
 * args.c: from arguments to a setup.
 */
#include "cli/args.h"

#include "base/unit.h"

#include <inttypes.h>
#include <stdio.h>

bool scenario_args_apply(const struct scenario_args *args, const char *scenario_path,
                         struct scenario_storage *storage, struct runner_setup *setup,
                         struct err *err)
{
    size_t count = 0;
    while (count < args->sets.count) {
        storage->overrides[count] = args->sets.items[count];
        count++;
    }
    if (args->seed != NULL) {
        uint64_t seed = 0;
        struct err why = {0};
        if (!unit_u64(args->seed, &seed, &why)) {
            return err_set(err, ERR_USAGE, "--seed: %s", why.text);
        }
        snprintf(storage->seed, sizeof storage->seed, "seed=%" PRIu64, seed);
        storage->overrides[count++] = storage->seed;
    }
    setup->scenario_path = scenario_path;
    setup->config_dir = args->config_dir;
    setup->overrides = storage->overrides;
    setup->override_count = count;
    setup->trace_path = args->trace;
    return true;
}
