/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: stackrouter: reads its command line and runs.
 */
#include "base/mem.h"
#include "router/cluster.h"
#include "router/dynamic.h"
#include "router/flags.h"
#include "router/from.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static int fail(const struct err *err)
{
    (void)fprintf(stderr, "stackrouter: %s\n", err->text);
    return err_exit_code(err->kind);
}

/* Every stream takes two descriptors; the usual soft limit of 1024 is far below what
 * the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool load_plugins(const struct flags *flags, struct policy_set *policies,
                         struct err *err)
{
    for (size_t i = 0; i < flags->policy_plugins.count; i++) {
        if (!policy_set_load(policies, flags->policy_plugins.items[i], err)) {
            return false;
        }
    }
    return true;
}

struct parts {
    struct dynamic *dynamic;
    struct sentry *sentry;       /* NULL = none */
    struct discovery *discovery; /* NULL = none */
};

static bool serve(const struct flags *flags, const struct parts *parts, struct err *err)
{
    struct server_setup setup;
    flags_server_setup(flags, &setup);
    setup.proxy.sentry = parts->sentry;
    setup.proxy.discovery = parts->discovery;
    setup.proxy.api_key = getenv("VLLM_API_KEY");
    if (!dynamic_first(parts->dynamic, &setup.config, err)) {
        return false;
    }
    (void)fputs(setup.config->warnings, stderr);
    if (flags->dynamic_config_json != NULL) {
        setup.reload = dynamic_poll;
        setup.reload_context = parts->dynamic;
    }
    raise_descriptor_limit();
    return server_run(&setup, err);
}

static bool make_sentry(const struct flags *flags, struct parts *parts, struct err *err)
{
    return flags->sentry_dsn == NULL ||
           sentry_new(&parts->sentry, flags->sentry_dsn,
                      flags->sentry_error_sample_rate, err);
}

static bool make_discovery(const struct flags *flags, char *token_path,
                           struct parts *parts, struct err *err)
{
    if (!flags_want_pods(flags)) {
        return true;
    }
    if (flags->k8s_api == NULL) {
        return err_set(err, ERR_USAGE,
                       "--service-discovery k8s: this is no pod of a cluster "
                       "(KUBERNETES_SERVICE_HOST is not set); name the API server with "
                       "--k8s-api, or take the Services of chart values with "
                       "--engine-services");
    }
    struct discovery_setup setup;
    flags_discovery_setup(flags, &setup);
    setup.context = parts->dynamic;
    setup.configure = dynamic_with_pods;
    setup.token = cluster_token;
    setup.token_context = token_path;
    return discovery_new(&parts->discovery, &setup, err);
}

static bool run(const struct flags *flags, struct err *err)
{
    struct config_text text;
    struct policy_set *policies = policy_set_new();
    const struct config_world world = {
        .compat = flags->compat,
        .policies = policies,
        .watches_pods = flags_want_pods(flags),
    };
    flags_config_text(flags, &text);
    struct parts parts = {
        .dynamic = dynamic_new(flags->dynamic_config_json, &text, &world),
    };
    char *token_path = flags->k8s_token != NULL ? mem_strdup(flags->k8s_token) : NULL;
    const bool good =
        load_plugins(flags, policies, err) && make_sentry(flags, &parts, err) &&
        make_discovery(flags, token_path, &parts, err) && serve(flags, &parts, err);
    discovery_delete(parts.discovery);
    sentry_delete(parts.sentry);
    dynamic_delete(parts.dynamic);
    mem_free(token_path);
    policy_set_delete(policies);
    return good;
}

/* Warnings of the file are printed when it is run, and not when it is looked at. */
static int print_flags(const struct from *from, int argc, char *const *argv)
{
    struct text line = {0};
    from_print(from, argc, argv, &line);
    (void)fputs(text_str(&line), stdout);
    text_fini(&line);
    return 0;
}

/* Of the words of the file, if there is one, and those given. */
static int start(const struct from *from, int argc, char *const *argv)
{
    struct flags flags;
    struct opt_result result = {0};
    struct err err = {0};
    flags_defaults(&flags);
    const int count = from != NULL ? from_argc(from) : argc;
    char *const *words = from != NULL ? from_argv(from) : argv;
    if (!opt_parse(&flags_command, count, words, &flags, &result, &err)) {
        return fail(&err);
    }
    if (result.help) {
        struct text help = {0};
        opt_help(&flags_command, "stackrouter", &help);
        (void)fputs(text_str(&help), stdout);
        text_fini(&help);
        return 0;
    }
    if (flags.version) {
        (void)printf("stackrouter %s\n", STACKSIM_VERSION);
        return 0;
    }
    struct text api = {0};
    cluster_defaults(&flags, &api);
    int code = 0;
    if (!flags_check(&flags, &err)) {
        code = fail(&err);
    } else if (flags.print_flags) {
        code = print_flags(from, argc, argv);
    } else {
        (void)fputs(from != NULL ? from_warnings(from) : "", stderr);
        code = run(&flags, &err) ? 0 : fail(&err);
    }
    text_fini(&api);
    return code;
}

int main(int argc, char **argv)
{
    struct from *from = NULL;
    struct err err = {0};
    if (!from_read(&from, argc - 1, argv + 1, &err)) {
        return fail(&err);
    }
    const int code = start(from, argc - 1, argv + 1);
    from_delete(from);
    return code;
}
