/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_parity.c: `stacksim parity`: simulator and router decide alike, or where not.
 */
#include "base/mem.h"
#include "cli/args.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/live/parity.h"
#include "cli/say.h"
#include "policies/policy_set.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parity_args {
    const char *policies;
    struct opt_list plugins;
    const char *router;
    const char *model;
    const char *gpu;
    const char *config_dir;
    const char *keep;
    const char *record;
    const char *decisions;
    uint64_t engines;
    uint64_t limit;
    uint64_t seed;
    double time_scale;
    bool quiet;
};

static const struct opt PARITY_OPTIONS[] = {
    {"--policies", "NAMES", OPT_STR, offsetof(struct parity_args, policies),
     "all that a router can run",
     "Routing policies, separated by commas, and disaggregated_prefill or "
     "disaggregated_prefill_orchestrated. "
     "Example: --policies round_robin,prefix_aware"},
    {"--engines", "N", OPT_U64, offsetof(struct parity_args, engines), "3",
     "Mock engines behind the router. Example: --engines 4"},
    {"--limit", "N", OPT_U64, offsetof(struct parity_args, limit), "300",
     "Requests of the trace that are sent for each policy; 0 = all. "
     "Example: --limit 0"},
    {"--time-scale", "X", OPT_F64, offsetof(struct parity_args, time_scale), "20",
     "Trace and engines run this many times as fast. Example: --time-scale 1"},
    {"--seed", "N", OPT_U64, offsetof(struct parity_args, seed), "1",
     "Seed of the policies' own chance. Example: --seed 7"},
    {"--model", "NAME", OPT_STR, offsetof(struct parity_args, model), "llama_3_1_8b",
     "Model that the mock engines play. Example: --model qwen3_8b"},
    {"--gpu", "NAME", OPT_STR, offsetof(struct parity_args, gpu), "h100_sxm",
     "GPU that they play it on. Example: --gpu l4"},
    {"--router", "FILE", OPT_STR, offsetof(struct parity_args, router),
     "stackrouter beside this program",
     "The router to be tried. Example: --router /usr/local/bin/stackrouter"},
    {"--policy-plugin", "FILE.so", OPT_LIST, offsetof(struct parity_args, plugins),
     NULL,
     "Load the policies of this shared object into both programs; may be given several "
     "times. Example: --policy-plugin ./mine.so --policies mine"},
    {"--keep", "DIR", OPT_STR, offsetof(struct parity_args, keep),
     "a temporary folder, removed when all are equal",
     "Existing folder for records, decision logs and logs of the servers. "
     "Example: --keep out"},
    {"--record", "FILE", OPT_STR, offsetof(struct parity_args, record), "none",
     "Start nothing: take this record of a router (stackrouter --record) ... "
     "Example: --record r.jsonl --decisions d.csv"},
    {"--decisions", "FILE", OPT_STR, offsetof(struct parity_args, decisions), "none",
     "... and its decision log (--decision-log with --decision-scores). "
     "Example: --record r.jsonl --decisions d.csv"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct parity_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/, models/ and scenarios/. Example: --config-dir ./my-configs"},
    {"--quiet", NULL, OPT_FLAG, offsetof(struct parity_args, quiet), "off",
     "Show no progress. Example: --quiet"},
    {0},
};

static bool check(const struct parity_args *args, size_t positionals, struct err *err)
{
    const bool offline = args->record != NULL || args->decisions != NULL;
    if (offline &&
        (args->record == NULL || args->decisions == NULL || positionals > 0)) {
        return err_set(err, ERR_USAGE,
                       "--record and --decisions belong together, without a trace");
    }
    if (!offline && positionals == 0) {
        return err_set(err, ERR_USAGE,
                       "which trace or scenario? For example: stacksim "
                       "parity demo");
    }
    if (args->engines < 2 || args->engines > PARITY_ENGINES_MAX) {
        return err_set(err, ERR_USAGE, "--engines: %" PRIu64 "; from 2 to %d",
                       args->engines, PARITY_ENGINES_MAX);
    }
    if (!(args->time_scale >= 0.001 && args->time_scale <= 1e6)) {
        return err_set(err, ERR_USAGE, "--time-scale: %g; from 0.001 to 1000000",
                       args->time_scale);
    }
    return true;
}

/* --- the folder ------------------------------------------------------------------- */

static bool folder_make(const struct parity_args *args, char *out, size_t out_bytes,
                        struct err *err)
{
    const char *temp = getenv("TMPDIR");
    if (args->keep != NULL) {
        (void)snprintf(out, out_bytes, "%s", args->keep);
        return access(out, W_OK) == 0 ||
               err_set(err, ERR_USAGE, "--keep: %s: %s", out, strerror(errno));
    }
    (void)snprintf(out, out_bytes, "%s/stacksim-parity-XXXXXX",
                   temp != NULL && temp[0] != '\0' ? temp : "/tmp");
    return mkdtemp(out) != NULL || err_set(err, ERR_IO, "%s: %s", out, strerror(errno));
}

static void folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    (void)closedir(folder);
    (void)rmdir(path);
}

/* --- policies --------------------------------------------------------------------- */

struct policy_names {
    const char *items[OPT_LIST_MAX];
    size_t count;
};

static bool names_add(struct policy_names *names, const struct policy_set *set,
                      const char *name, struct err *err)
{
    const struct route_policy *policy = policy_set_find(set, name);
    if (names->count == OPT_LIST_MAX) {
        return err_set(err, ERR_USAGE, "--policies: more than %d", OPT_LIST_MAX);
    }
    if (parity_is_disaggregated(name)) {
        names->items[names->count++] = strcmp(name, PARITY_DISAGGREGATED) == 0
                                           ? PARITY_DISAGGREGATED
                                           : "disaggregated_prefill";
        return true;
    }
    if (policy == NULL || (policy->needs & NEED_ORACLE) != 0) {
        return err_set(
            err, ERR_USAGE,
            policy == NULL
                ? "--policies: '%s' is no routing policy; `stacksim policies` "
                  "lists them"
                : "--policies: %s asks the simulator for the truth; a router "
                  "has none",
            name);
    }
    names->items[names->count++] = policy->name;
    return true;
}

static bool names_fill(struct policy_names *names, const struct policy_set *set,
                       const char *list, struct err *err)
{
    if (list == NULL) {
        const struct route_policy *policy = policy_set_at(set, 0);
        for (size_t i = 1; policy != NULL; policy = policy_set_at(set, i++)) {
            if ((policy->needs & NEED_ORACLE) == 0 &&
                !names_add(names, set, policy->name, err)) {
                return false;
            }
        }
        return names_add(names, set, PARITY_DISAGGREGATED, err);
    }
    char *copy = mem_strdup(list);
    char *rest = NULL;
    bool good = true;
    for (char *name = strtok_r(copy, ",", &rest); good && name != NULL;
         name = strtok_r(NULL, ",", &rest)) {
        good = names_add(names, set, name, err);
    }
    mem_free(copy);
    return good;
}

/* --- running ---------------------------------------------------------------------- */

static int print_result(const char *policy, const struct parity_result *result)
{
    if (result->equal && result->decisions > 0) {
        printf("%-34s %6" PRIu64 " decisions  equal", policy, result->decisions);
        if (result->failed > 0) {
            printf("  (%" PRIu64 " of %" PRIu64 " requests failed)", result->failed,
                   result->requests);
        }
        printf("\n");
        return EXIT_DONE;
    }
    if (result->equal) {
        printf("%-34s no decision was made\n", policy);
    } else {
        printf("%-34s %6" PRIu64 " decisions  DIFFERENT, first here:\n%s", policy,
               result->decisions, text_str(&result->difference));
    }
    return EXIT_FAILED;
}

/* The worst exit code. */
static int run_policies(struct parity *parity, const struct policy_names *names)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < names->count; i++) {
        struct parity_result result = {0};
        struct err err = {0};
        if (!parity_policy(parity, names->items[i], &result, &err)) {
            text_fini(&result.difference);
            return say_error(&err);
        }
        if (result.interrupted) {
            char so_far[64];
            (void)snprintf(so_far, sizeof so_far, "%zu policies compared", i);
            return say_interrupted(so_far, NULL);
        }
        const int one = print_result(names->items[i], &result);
        (void)fflush(stdout);
        code = one > code ? one : code;
        text_fini(&result.difference);
    }
    return code;
}

static int run_live(const struct parity_args *args, const char *source,
                    const struct policy_set *set, const char *folder)
{
    struct err err = {0};
    struct policy_names names = {0};
    struct parity *parity = NULL;
    const struct parity_setup setup = {
        .source = source,
        .config_dir = args->config_dir,
        .router = args->router,
        .folder = folder,
        .model = args->model,
        .gpu = args->gpu,
        .engines = (uint32_t)args->engines,
        .time_scale = args->time_scale,
        .requests_max = args->limit,
        .seed = args->seed,
        .quiet = args->quiet,
        .policies = set,
        .plugins = args->plugins.items,
        .plugin_count = args->plugins.count,
    };
    if (!names_fill(&names, set, args->policies, &err) ||
        !parity_new(&parity, &setup, &err)) {
        return say_error(&err);
    }
    const int code = run_policies(parity, &names);
    if (!parity_end(parity, &err) && code == EXIT_DONE) {
        return say_error(&err);
    }
    return code;
}

static int run_offline(const struct parity_args *args, const struct policy_set *set)
{
    struct err err = {0};
    struct parity_result result = {0};
    const struct parity_files files = {args->record, args->decisions, set};
    int code = EXIT_DONE;
    if (!parity_compare(&files, &result, &err)) {
        code = say_error(&err);
    } else {
        code = print_result(args->record, &result);
    }
    text_fini(&result.difference);
    return code;
}

static int execute(const struct parity_args *args, const char *source,
                   const struct policy_set *set)
{
    struct err err = {0};
    char folder[512];
    if (source == NULL) {
        return run_offline(args, set);
    }
    if (!folder_make(args, folder, sizeof folder, &err)) {
        return say_error(&err);
    }
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = run_live(args, source, set, folder);
    interrupt_release(&interrupt);
    if (args->keep == NULL && code != EXIT_FAILED) {
        folder_remove(folder);
    } else {
        (void)fprintf(stderr, "note: records and logs are in %s\n", folder);
    }
    return code;
}

static int run_parity(int argc, char *const *argv)
{
    struct parity_args args = {
        .model = "llama_3_1_8b",
        .gpu = "h100_sxm",
        .engines = 3,
        .limit = 300,
        .seed = 1,
        .time_scale = 20,
    };
    struct command_call call = {0};
    struct err err = {0};
    if (!command_parse(&command_parity, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct policy_set *set = policy_set_new();
    bool good = check(&args, call.result.positional_count, &err);
    for (size_t i = 0; good && i < args.plugins.count; i++) {
        good = policy_set_load(set, args.plugins.items[i], &err);
    }
    const int code =
        good ? execute(&args, args.record != NULL ? NULL : call.result.positional[0],
                       set)
             : say_error(&err);
    policy_set_delete(set);
    return code;
}

const struct command command_parity = {
    .options =
        {
            .name = "parity",
            .usage = "SCENARIO|TRACE [OPTIONS]",
            .summary = "the router and the simulator decide alike, or where not",
            .description =
                "Starts mock engines and stackrouter on loopback and sends the trace "
                "through them, once for each\npolicy. The router's record of policy "
                "inputs is then fed to the simulator's policy host, and\nboth decision "
                "logs must be equal byte for byte. Exit code 1 and the first decision "
                "that differs,\nif one does. See docs/live.md.\n\n"
                "Examples:\n"
                "  stacksim parity demo\n"
                "  stacksim parity traffic.csv --policies prefix_aware,cache_aware "
                "--engines 4 --keep out\n"
                "  stacksim parity --record router.jsonl --decisions router.csv",
            .options = PARITY_OPTIONS,
            .positional_max = 1,
        },
    .run = run_parity,
};
