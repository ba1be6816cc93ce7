/* SPDX-License-Identifier: Apache-2.0
 *
 * args.h: options that several subcommands share, as rows of their tables.
 */
#ifndef STACKSIM_CLI_ARGS_H
#define STACKSIM_CLI_ARGS_H

#include "base/opt.h"
#include "cli/helm/options.h"
#include "cli/runner.h"

#include <stddef.h>

enum { ARGS_OVERRIDES_MAX = OPT_LIST_MAX + 2 };

/* Which scenario, and what of it is to be changed. */
struct scenario_args {
    struct opt_list sets;
    const char *seed;
    const char *warmup;
    const char *config_dir;
    const char *trace;
    struct opt_list plugins;
    struct helm_args helm; /* in place of a scenario; of commands that offer it */
};

#define SCENARIO_OPTIONS(type, member)                                                 \
    {"--set",                                                                          \
     "KEY=VALUE",                                                                      \
     OPT_LIST,                                                                         \
     offsetof(struct type, member) + offsetof(struct scenario_args, sets),             \
     NULL,                                                                             \
     "Change one key of the scenario; may be given several times. Items of lists are " \
     "addressed by number. Example: --set cluster.pools.0.replicas=16"},               \
        {"--seed",                                                                     \
         "N",                                                                          \
         OPT_STR,                                                                      \
         offsetof(struct type, member) + offsetof(struct scenario_args, seed),         \
         "the scenario's",                                                             \
         "Seed of every random stream. Equal seeds give equal results. "               \
         "Example: --seed 7"},                                                         \
        {"--policy-plugin",                                                            \
         "FILE.so",                                                                    \
         OPT_LIST,                                                                     \
         offsetof(struct type, member) + offsetof(struct scenario_args, plugins),      \
         NULL,                                                                         \
         "Load the policies of this shared object (docs/policies.md); may be given "   \
         "several times. Example: --policy-plugin ./mine.so --policy mine"},           \
        {"--trace",                                                                    \
         "FILE",                                                                       \
         OPT_STR,                                                                      \
         offsetof(struct type, member) + offsetof(struct scenario_args, trace),        \
         "the scenario's workload",                                                    \
         "Replay this trace instead of the scenario's workload; its format is told "   \
         "by its content, gzip and zstd are read as they are. "                        \
         "Example: --trace traffic.jsonl.zst"},                                        \
    {                                                                                  \
        "--config-dir", "DIR", OPT_STR,                                                \
            offsetof(struct type, member) +                                            \
                offsetof(struct scenario_args, config_dir),                            \
            "$STACKSIM_CONFIGS, else the installed one",                               \
            "Folder with gpus/, models/ and scenarios/. "                              \
            "Example: --config-dir ./my-configs"                                       \
    }

/* Of commands that show metrics. */
#define WARMUP_OPTION(type, member)                                                    \
    {                                                                                  \
        "--warmup", "RULE", OPT_STR,                                                   \
            offsetof(struct type, member) + offsetof(struct scenario_args, warmup),    \
            "the scenario's, else none",                                               \
            "Requests that arrive before this do not count in the metrics: 'auto' "    \
            "finds the end of the warm-up by MSER-5, 30s counts from the first "       \
            "arrival, '1000 requests' counts arrivals, 'none' leaves nothing out. "    \
            "Rows are kept. Example: --warmup auto"                                    \
    }

/* The rows of --helm, for commands whose scenario may come from a deployment's files.
 */
#define SCENARIO_HELM_OPTIONS(type, member)                                            \
    {"--helm",                                                                         \
     "VALUES.yaml",                                                                    \
     OPT_STR,                                                                          \
     offsetof(struct type, member) + offsetof(struct scenario_args, helm) +            \
         offsetof(struct helm_args, values),                                           \
     "none",                                                                           \
     "Instead of SCENARIO: values of the vLLM Production Stack's Helm chart, or its "  \
     "custom resources (docs/production-stack.md). Example: --helm values.yaml"},      \
        HELM_OPTIONS(offsetof(struct type, member) +                                   \
                     offsetof(struct scenario_args, helm)),                            \
        HELM_MODEL_OPTION(offsetof(struct type, member) +                              \
                          offsetof(struct scenario_args, helm))

/* What was made from the arguments; lives as long as a setup or a run that points into
 * it. */
struct scenario_storage {
    struct policy_set *policies; /* NULL without plug-ins */
    char seed[40];
    char warmup[80];
    const char *overrides[ARGS_OVERRIDES_MAX];
    struct text helm_yaml; /* the scenario that --helm came to */
    struct text notes;     /* what was assumed on the way, one line each */
    struct runner_text text;
};

/* SCENARIO or --helm, and not both: *path is the argument, NULL with --helm. */
NODISCARD bool scenario_args_given(const struct scenario_args *args,
                                   const struct opt_command *command,
                                   const struct opt_result *result, const char **path,
                                   struct err *err);

/* The same for commands that do something without both: then *path is NULL, too. */
NODISCARD bool scenario_args_may_lack(const struct scenario_args *args,
                                      const struct opt_result *result,
                                      const char **path, struct err *err);

/* Fills scenario_path (or text), config_dir, overrides, policies and trace_path of
 * setup. Storage is to be released in every case. */
NODISCARD bool scenario_args_apply(const struct scenario_args *args,
                                   const char *scenario_path,
                                   struct scenario_storage *storage,
                                   struct runner_setup *setup, struct err *err);
void scenario_storage_fini(struct scenario_storage *storage);

/* The given plug-ins and the registry; NULL without plug-ins. */
NODISCARD bool plugins_load(struct policy_set **out, const struct opt_list *paths,
                            struct err *err);

#endif
