/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: stackrouter: reads its command line and runs.
 */
#include "router/dynamic.h"
#include "router/flags.h"

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

static bool run(struct flags *flags, struct err *err)
{
    struct server_setup setup;
    struct dynamic *dynamic = NULL;
    struct config_text text;
    flags_config_text(flags, &text);
    flags_server_setup(flags, &setup);
    setup.proxy.api_key = getenv("VLLM_API_KEY");
    dynamic = dynamic_new(flags->dynamic_config_json, &text, flags->compat);
    if (!dynamic_first(dynamic, &setup.config, err)) {
        dynamic_delete(dynamic);
        return false;
    }
    (void)fputs(setup.config->warnings, stderr);
    if (flags->dynamic_config_json != NULL) {
        setup.reload = dynamic_poll;
        setup.reload_context = dynamic;
    }
    raise_descriptor_limit();
    const bool good = server_run(&setup, err);
    dynamic_delete(dynamic);
    return good;
}

int main(int argc, char **argv)
{
    struct flags flags;
    struct opt_result result = {0};
    struct err err = {0};
    flags_defaults(&flags);
    if (!opt_parse(&flags_command, argc - 1, argv + 1, &flags, &result, &err)) {
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
    if (!flags_check(&flags, &err) || !run(&flags, &err)) {
        return fail(&err);
    }
    return 0;
}
