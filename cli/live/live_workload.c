/* SPDX-License-Identifier: Apache-2.0
 *
 * live_workload.c: see live_workload.h.
 */
#include "cli/live/live_workload.h"

#include "sim/scenario.h"
#include "traces/workload.h"

#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name);
    const size_t end_length = strlen(end);
    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* A bare word that is no file here is a scenario's name. */
static bool is_scenario(const char *name)
{
    struct stat facts;
    if (ends_with(name, ".yaml")) {
        return true;
    }
    const bool is_file = stat(name, &facts) == 0 && !S_ISDIR(facts.st_mode);
    return !is_file && strcmp(name, "-") != 0 && strpbrk(name, "./") == NULL;
}

bool live_workload_open(struct live_workload *out, const char *name,
                        const char *config_dir, struct err *err)
{
    *out = (struct live_workload){0};
    if (!is_scenario(name)) {
        const struct trace_options options = {0};
        return workload_open_trace(&out->workload, name, &options, err);
    }
    const struct scenario_options options = {.config_dir = config_dir};
    if (!scenario_load(&out->scenario, name, &options, err)) {
        return false;
    }
    const struct scenario *scenario = out->scenario;
    if (!workload_open_conf(&out->workload, scenario->workload, scenario->seed,
                            scenario->base_dir, err)) {
        live_workload_close(out);
        return false;
    }
    return true;
}

void live_workload_close(struct live_workload *workload)
{
    workload_close(workload->workload);
    scenario_delete(workload->scenario);
    *workload = (struct live_workload){0};
}
