/* SPDX-License-Identifier: Apache-2.0
 *
 * options.h: the rows of option tables that say how a stack's files are to be read.
 */
#ifndef STACKSIM_CLI_HELM_OPTIONS_H
#define STACKSIM_CLI_HELM_OPTIONS_H

#include "cli/helm/deployment.h"

#include <stddef.h>

/* base: where in the command's arguments the struct helm_args lies. */
#define HELM_OPTIONS(base)                                                             \
    {"--compat",                                                                       \
     "LEVEL",                                                                          \
     OPT_STR,                                                                          \
     (base) + offsetof(struct helm_args, compat),                                      \
     "head",                                                                           \
     "Whose chart, operator and router read the file: tag (release 0.1.3, bug for "    \
     "bug) or head (August 2026). Example: --compat tag"},                             \
        {"--crd",                                                                      \
         "FILE.yaml",                                                                  \
         OPT_LIST,                                                                     \
         (base) + offsetof(struct helm_args, resources),                               \
         "none",                                                                       \
         "Custom resources beside the values: LoraAdapter, CacheServer, VLLMRouter, "  \
         "VLLMRuntime, StaticRoute; may be given several times. Example: --crd "       \
         "adapters.yaml"},                                                             \
        {"--nodes",                                                                    \
         "FILE.yaml",                                                                  \
         OPT_STR,                                                                      \
         (base) + offsetof(struct helm_args, nodes),                                   \
         "not looked at",                                                              \
         "The cluster's machines: a short list, or what 'kubectl get nodes -o yaml' "  \
         "prints (docs/production-stack.md). Example: --nodes nodes.yaml"},            \
        {"--gpu",                                                                      \
         "NAME",                                                                       \
         OPT_STR,                                                                      \
         (base) + offsetof(struct helm_args, gpu),                                     \
         "by node selectors and --nodes",                                              \
         "GPU of the engines for which nothing else tells it, a file of "              \
         "configs/gpus. Example: --gpu h100_sxm"},                                     \
        {"--release",                                                                  \
         "NAME",                                                                       \
         OPT_STR,                                                                      \
         (base) + offsetof(struct helm_args, release),                                 \
         "stack",                                                                      \
         "Name of the Helm release, with which names of objects begin. "               \
         "Example: --release demo"},                                                   \
    {                                                                                  \
        "--model-file", "URL=NAME", OPT_LIST,                                          \
            (base) + offsetof(struct helm_args, modelmaps), "by the URL's name",       \
            "Which file of configs/models stands for a modelURL; may be given "        \
            "several "                                                                 \
            "times. Example: --model-file acme/chat-8b=llama_3_1_8b"                   \
    }

#define HELM_MODEL_OPTION(base)                                                        \
    {                                                                                  \
        "--model", "NAME", OPT_STR, (base) + offsetof(struct helm_args, model),        \
            "the only one there is",                                                   \
            "Which model of a file with several is simulated: the name of its "        \
            "modelSpec item, or what it is served as. Example: --model chat8b"         \
    }

#endif
