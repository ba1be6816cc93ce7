/* SPDX-License-Identifier: Apache-2.0
 *
 * args.c: from arguments to a setup.
 */
#include "cli/args.h"

#include "base/unit.h"
#include "policies/policy_set.h"
#include "reports/warmup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool plugins_load(struct policy_set **out, const struct opt_list *paths,
                  struct err *err)
{
    *out = paths->count == 0 ? NULL : policy_set_new();
    for (size_t i = 0; i < paths->count; i++) {
        if (!policy_set_load(*out, paths->items[i], err)) {
            return false;
        }
    }
    return true;
}

void scenario_storage_fini(struct scenario_storage *storage)
{
    policy_set_delete(storage->policies);
    storage->policies = NULL;
    text_fini(&storage->helm_yaml);
    text_fini(&storage->notes);
}

bool scenario_args_may_lack(const struct scenario_args *args,
                            const struct opt_result *result, const char **path,
                            struct err *err)
{
    const struct helm_args *helm = &args->helm;
    *path = result->positional_count > 0 ? result->positional[0] : NULL;
    if (helm->values != NULL) {
        return *path == NULL ||
               err_set(err, ERR_USAGE,
                       "'%s' beside --helm %s: a run has one scenario; drop one", *path,
                       helm->values);
    }
    if (helm->nodes != NULL || helm->resources.count > 0 || helm->compat != NULL ||
        helm->release != NULL || helm->gpu != NULL || helm->model != NULL ||
        helm->modelmaps.count > 0) {
        return err_set(
            err, ERR_USAGE,
            "--compat, --crd, --nodes, --gpu, --release, --model and "
            "--model-file say how --helm VALUES.yaml is read; give it, or drop them");
    }
    return true;
}

bool scenario_args_given(const struct scenario_args *args,
                         const struct opt_command *command,
                         const struct opt_result *result, const char **path,
                         struct err *err)
{
    if (!scenario_args_may_lack(args, result, path, err)) {
        return false;
    }
    return *path != NULL || args->helm.values != NULL ||
           err_set(err, ERR_USAGE,
                   "missing argument: stacksim %s %s; try 'stacksim %s --help'",
                   command->name, command->usage, command->name);
}

/* The scenario of --helm as text. */
static bool helm_apply(const struct scenario_args *args,
                       struct scenario_storage *storage, struct runner_setup *setup,
                       struct err *err)
{
    struct helm *helm = NULL;
    const bool good =
        helm_open(&helm, &args->helm, args->config_dir, err) &&
        helm_scenario(helm, &args->helm, args->trace, &storage->helm_yaml, err);
    for (size_t i = 0; good && i < helm->stack->findings.count; i++) {
        const struct finding *finding = &helm->stack->findings.items[i];
        /* What changes no run is for `helm explain` to tell. */
        if (finding->level == FINDING_WARNING &&
            strcmp(finding->name, "not_simulated") != 0) {
            continue;
        }
        finding_print(finding, &storage->notes);
        text_add(&storage->notes, "\n");
    }
    helm_close(helm);
    storage->text = (struct runner_text){.name = args->helm.values,
                                         .yaml = text_str(&storage->helm_yaml),
                                         .folder = "."};
    setup->text = &storage->text;
    setup->trace_path = NULL;
    return good;
}

bool scenario_args_apply(const struct scenario_args *args, const char *scenario_path,
                         struct scenario_storage *storage, struct runner_setup *setup,
                         struct err *err)
{
    size_t count = 0;
    storage->policies = NULL;
    if (!plugins_load(&storage->policies, &args->plugins, err)) {
        return false;
    }
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
    if (args->warmup != NULL) {
        struct warmup_rule rule;
        struct err why = {0};
        if (strlen(args->warmup) > 60 || !warmup_parse(args->warmup, &rule, &why)) {
            return err_set(err, ERR_USAGE, "--warmup: %s",
                           why.kind == ERR_NONE ? "too long" : why.text);
        }
        snprintf(storage->warmup, sizeof storage->warmup, "warmup=%s", args->warmup);
        storage->overrides[count++] = storage->warmup;
    }
    setup->scenario_path = scenario_path;
    setup->policies = storage->policies;
    setup->config_dir = args->config_dir;
    setup->overrides = storage->overrides;
    setup->override_count = count;
    setup->trace_path = args->trace;
    return args->helm.values == NULL || helm_apply(args, storage, setup, err);
}
