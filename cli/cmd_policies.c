/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_policies.c: `stacksim policies`: what can stand behind --policy.
 */
#include "cli/command.h"
#include "cli/policy_list.h"
#include "cli/say.h"
#include "policies/policy.h"
#include "reports/table.h"

#include <stdio.h>

struct policies_args {
    const char *format;
};

static const struct opt POLICIES_OPTIONS[] = {
    {"--format", "FORMAT", OPT_STR, offsetof(struct policies_args, format),
     "text for people", "table, csv, json or md instead. Example: --format json"},
    {0},
};

static const struct {
    unsigned bit;
    const char *name;
} NEEDS[] = {
    {NEED_SESSION_KEY, "session key"},          {NEED_CHUNK_HASHES, "prompt text"},
    {NEED_BLOCK_HASHES, "prompt blocks"},       {NEED_METRICS, "engine metrics"},
    {NEED_REQUEST_STATS, "request statistics"}, {NEED_ADAPTERS, "loaded adapters"},
};

static void needs_text(unsigned needs, struct text *out)
{
    for (size_t i = 0; i < sizeof NEEDS / sizeof NEEDS[0]; i++) {
        if ((needs & NEEDS[i].bit) != 0) {
            text_printf(out, "%s%s", out->length > 0 ? ", " : "", NEEDS[i].name);
        }
    }
    text_add(out, out->length > 0 ? "" : "nothing");
}

static void aliases_text(const struct route_policy *policy, struct text *out)
{
    for (size_t i = 0; policy->aliases != NULL && policy->aliases[i] != NULL; i++) {
        text_printf(out, "%s%s", i == 0 ? "" : ", ", policy->aliases[i]);
    }
}

static void print_param(const struct policy_param *param, struct text *out)
{
    if (param->kind == PARAM_BOOL) {
        text_printf(out, "    %s  %s (default %s)\n", param->name, param->help,
                    param->default_value > 0.5 ? "true" : "false");
        return;
    }
    text_printf(out, "    %s  %s (default %.16g, %.16g to %.16g)\n", param->name,
                param->help, param->default_value, param->min, param->max);
}

static void print_policy(const struct route_policy *policy, struct text *out)
{
    struct text aliases = {0};
    struct text needs = {0};
    aliases_text(policy, &aliases);
    needs_text(policy->needs, &needs);
    text_printf(out, "%s%s\n  %s\n  reads: %s\n", out->length > 0 ? "\n" : "",
                policy->name, policy->help, text_str(&needs));
    if (aliases.length > 0) {
        text_printf(out, "  also called: %s\n", text_str(&aliases));
    }
    if (policy->source != NULL) {
        text_printf(out, "  source: %s\n", policy->source);
    }
    if (policy->params != NULL && policy->params[0].name != NULL) {
        text_add(out, "  parameters (routing.params in a scenario):\n");
        for (size_t i = 0; policy->params[i].name != NULL; i++) {
            print_param(&policy->params[i], out);
        }
    }
    text_fini(&needs);
    text_fini(&aliases);
}

static void print_table(enum table_format format, struct text *out)
{
    const struct table_column columns[] = {
        {.name = "policy", .is_text = true},
        {.name = "aliases", .is_text = true},
        {.name = "reads", .is_text = true},
        {.name = "help", .is_text = true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    const struct route_policy *policy = NULL;
    for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
        struct text aliases = {0};
        struct text needs = {0};
        aliases_text(policy, &aliases);
        needs_text(policy->needs, &needs);
        table_put_text(table, policy->name);
        table_put_text(table, text_str(&aliases));
        table_put_text(table, text_str(&needs));
        table_put_text(table, policy->help);
        text_fini(&needs);
        text_fini(&aliases);
    }
    table_write(table, format, out);
    table_delete(table);
}

static int policies_run(int argc, char *const *argv)
{
    struct policies_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_policies, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct text out = {0};
    struct err err = {0};
    if (call.result.positional_count == 1) {
        struct policy_list list;
        if (!policy_list_parse(&list, NULL, call.result.positional[0], &err)) {
            return say_error(&err);
        }
        for (size_t i = 0; i < list.count; i++) {
            print_policy(route_policy_find(list.choices[i].policy), &out);
        }
    } else if (args.format != NULL) {
        enum table_format format = TABLE_TEXT;
        if (!table_format_parse(args.format, &format, &err)) {
            return say_error(&err);
        }
        print_table(format, &out);
    } else {
        const struct route_policy *policy = NULL;
        for (size_t i = 0; (policy = route_policy_at(i)) != NULL; i++) {
            print_policy(policy, &out);
        }
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return EXIT_DONE;
}

const struct command command_policies = {
    .options =
        {
            .name = "policies",
            .usage = "[NAME] [--format FORMAT]",
            .summary = "list the routing policies with their parameters",
            .description = "Examples:\n"
                           "  stacksim policies\n"
                           "  stacksim policies prefix_aware\n"
                           "  stacksim run demo --policy prefix_aware",
            .options = POLICIES_OPTIONS,
            .positional_max = 1,
        },
    .run = policies_run,
};
