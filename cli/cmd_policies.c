/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_policies.c: `stacksim policies`: every policy of every kind, from their tables.
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "cli/policies_page.h"
#include "cli/say.h"
#include "policies/catalog.h"
#include "reports/table.h"

#include <stdio.h>
#include <string.h>

enum { NAMES_MAX = 256 };

struct policies_args {
    const char *format;
    const char *kind;
    const char *page;
};

static const struct opt POLICIES_OPTIONS[] = {
    {"--kind", "KIND", OPT_STR, offsetof(struct policies_args, kind), "all kinds",
     "Only policies of this kind: route, admit, order, pair or scale. "
     "Example: --kind admit"},
    {"--format", "FORMAT", OPT_STR, offsetof(struct policies_args, format),
     "text for people",
     "json: an array of all that is known of them, with parameters and failure modes; "
     "table, csv or md: one row each. Example: --format json"},
    {"--page", "FILE.md", OPT_STR, offsetof(struct policies_args, page), "none",
     "Print this page with the tables between its marks renewed, and nothing else. "
     "Example: stacksim policies --page docs/policies.md"},
    {0},
};

/* Which entries are asked for. */
struct filter {
    const char *name; /* NULL = any */
    bool one_kind;
    enum policy_kind kind;
};

/* The next entry at or after *index that passes; moves *index behind it. */
static bool next_entry(const struct filter *filter, size_t *index,
                       struct policy_entry *entry)
{
    while (policy_catalog_at(NULL, (*index)++, entry)) {
        if ((filter->name == NULL ||
             policy_answers_to(entry->name, entry->aliases, filter->name)) &&
            (!filter->one_kind || entry->kind == filter->kind)) {
            return true;
        }
    }
    return false;
}

static void needs_text(unsigned needs, struct text *out)
{
    const char *name = NULL;
    unsigned bit = 0;
    for (size_t i = 0; (name = policy_need_name(i, &bit)) != NULL; i++) {
        if ((needs & bit) != 0) {
            text_printf(out, "%s%s", out->length > 0 ? ", " : "", name);
        }
    }
    text_add(out, out->length > 0 ? "" : "nothing");
}

static void aliases_text(const char *const *aliases, struct text *out)
{
    for (size_t i = 0; aliases != NULL && aliases[i] != NULL; i++) {
        text_printf(out, "%s%s", i == 0 ? "" : ", ", aliases[i]);
    }
}

/* ---- for people -------------------------------------------------------------------
 */

static void print_param(const struct policy_param *param, struct text *out)
{
    char given[POLICY_DEFAULT_BYTES];
    policy_default_text(param, given);
    text_printf(out, "    %s  %s (default %s", param->name, param->help, given);
    if (param->kind != PARAM_BOOL) {
        text_printf(out, ", %.16g to %.16g", param->min, param->max);
    }
    text_add(out, ")\n");
}

static void print_entry(const struct policy_entry *entry, struct text *out)
{
    struct text aliases = {0};
    struct text needs = {0};
    aliases_text(entry->aliases, &aliases);
    needs_text(entry->needs, &needs);
    text_printf(out, "%s%s (%s)\n  %s\n  reads: %s\n", out->length > 0 ? "\n" : "",
                entry->name, policy_kind_name(entry->kind), entry->help,
                text_str(&needs));
    if (aliases.length > 0) {
        text_printf(out, "  also called: %s\n", text_str(&aliases));
    }
    if (entry->source != NULL) {
        text_printf(out, "  source: %s\n", entry->source);
    }
    if (entry->breaks != NULL) {
        text_printf(out, "  breaks: %s\n", entry->breaks);
    }
    const size_t count = policy_param_count(entry->params);
    if (count > 0) {
        text_printf(out, "  parameters (%s in a scenario):\n",
                    policy_kind_params_key(entry->kind));
    }
    for (size_t i = 0; i < count; i++) {
        print_param(&entry->params[i], out);
    }
    text_fini(&needs);
    text_fini(&aliases);
}

static void print_text(const struct filter *filter, struct text *out)
{
    struct policy_entry entry;
    for (size_t i = 0; next_entry(filter, &i, &entry);) {
        print_entry(&entry, out);
    }
}

/* ---- for programs ------------------------------------------------------------------
 */

static void print_table(const struct filter *filter, enum table_format format,
                        struct text *out)
{
    const struct table_column columns[] = {
        {.name = "kind", .is_text = true},    {.name = "policy", .is_text = true},
        {.name = "aliases", .is_text = true}, {.name = "reads", .is_text = true},
        {.name = "help", .is_text = true},
    };
    struct table *table = table_new(columns, sizeof columns / sizeof columns[0]);
    struct policy_entry entry;
    for (size_t i = 0; next_entry(filter, &i, &entry);) {
        struct text aliases = {0};
        struct text needs = {0};
        aliases_text(entry.aliases, &aliases);
        needs_text(entry.needs, &needs);
        table_put_text(table, policy_kind_name(entry.kind));
        table_put_text(table, entry.name);
        table_put_text(table, text_str(&aliases));
        table_put_text(table, text_str(&needs));
        table_put_text(table, entry.help);
        text_fini(&needs);
        text_fini(&aliases);
    }
    table_write(table, format, out);
    table_delete(table);
}

static void put_value(struct json *object, const char *key,
                      const struct policy_param *param, double value)
{
    if (param->kind == PARAM_BOOL) {
        json_put_bool(object, key, value > 0.5);
    } else {
        json_put_f64(object, key, value);
    }
}

static struct json *param_json(const struct policy_param *param)
{
    static const char *const types[] = {
        [PARAM_U64] = "integer", [PARAM_F64] = "number", [PARAM_BOOL] = "boolean"};
    struct json *object = json_object();
    json_put_str(object, "name", param->name);
    json_put_str(object, "type", types[param->kind]);
    put_value(object, "default", param, param->default_value);
    if (param->kind != PARAM_BOOL) {
        put_value(object, "min", param, param->min);
        put_value(object, "max", param, param->max);
    }
    if (param->defect) { /* a defect of the stack: on in its release, off as repaired */
        struct json *levels = json_object();
        json_put_bool(levels, "tag", true);
        json_put_bool(levels, "tag-fixed", false);
        json_put_bool(levels, "head", param->default_value > 0.5);
        json_put(object, "default_by_compat", levels);
    }
    json_put_str(object, "help", param->help);
    return object;
}

static struct json *entry_json(const struct policy_entry *entry)
{
    struct json *object = json_object();
    json_put_str(object, "kind", policy_kind_name(entry->kind));
    json_put_str(object, "name", entry->name);
    struct json *aliases = json_array();
    for (size_t i = 0; entry->aliases != NULL && entry->aliases[i] != NULL; i++) {
        json_push_str(aliases, entry->aliases[i]);
    }
    json_put(object, "aliases", aliases);
    json_put_str(object, "help", entry->help);
    json_put_str(object, "source", entry->source != NULL ? entry->source : "");
    struct json *needs = json_array();
    const char *name = NULL;
    unsigned bit = 0;
    for (size_t i = 0; (name = policy_need_name(i, &bit)) != NULL; i++) {
        if ((entry->needs & bit) != 0) {
            json_push_str(needs, name);
        }
    }
    json_put(object, "needs", needs);
    json_put_str(object, "key", policy_kind_key(entry->kind));
    struct json *params = json_array();
    for (size_t i = 0; i < policy_param_count(entry->params); i++) {
        json_push(params, param_json(&entry->params[i]));
    }
    json_put(object, "parameters", params);
    json_put_str(object, "failure_modes", entry->breaks != NULL ? entry->breaks : "");
    return object;
}

static void print_json(const struct filter *filter, struct text *out)
{
    struct json *array = json_array();
    struct policy_entry entry;
    for (size_t i = 0; next_entry(filter, &i, &entry);) {
        json_push(array, entry_json(&entry));
    }
    char *bytes = json_print(array, true);
    text_printf(out, "%s\n", bytes);
    mem_free(bytes);
    json_delete(array);
}

/* ---- arguments ---------------------------------------------------------------------
 */

static bool kind_parse(struct filter *filter, const char *kind, struct err *err)
{
    filter->one_kind = kind != NULL;
    for (unsigned i = 0; kind != NULL && i < POLICY_KIND_COUNT; i++) {
        if (strcmp(policy_kind_name((enum policy_kind)i), kind) == 0) {
            filter->kind = (enum policy_kind)i;
            return true;
        }
    }
    return kind == NULL ||
           err_set(err, ERR_USAGE,
                   "--kind: '%s' is none of route, admit, order, pair, scale", kind);
}

static bool name_known(const struct filter *filter, struct err *err)
{
    struct policy_entry entry;
    size_t index = 0;
    if (filter->name == NULL || next_entry(filter, &index, &entry)) {
        return true;
    }
    const struct filter any = {.one_kind = filter->one_kind, .kind = filter->kind};
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; count < NAMES_MAX && next_entry(&any, &i, &entry);) {
        names[count++] = entry.name;
    }
    const char *nearest = nearest_word(filter->name, names, count);
    if (nearest != NULL) {
        return err_set(err, ERR_USAGE, "unknown policy '%s'; did you mean '%s'?",
                       filter->name, nearest);
    }
    return err_set(err, ERR_USAGE,
                   "unknown policy '%s'; 'stacksim policies' lists them", filter->name);
}

static bool print_format(const struct filter *filter, const char *format,
                         struct text *out, struct err *err)
{
    enum table_format parsed = TABLE_TEXT;
    if (format == NULL) {
        print_text(filter, out);
        return true;
    }
    if (!table_format_parse(format, &parsed, err)) {
        return false;
    }
    if (parsed == TABLE_JSON) {
        print_json(filter, out);
    } else {
        print_table(filter, parsed, out);
    }
    return true;
}

static int policies_run(int argc, char *const *argv)
{
    struct policies_args args = {0};
    struct command_call call = {0};
    if (!command_parse(&command_policies, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    struct filter filter = {0};
    struct text out = {0};
    struct err err = {0};
    if (call.result.positional_count == 1) {
        filter.name = call.result.positional[0];
    }
    if (args.page != NULL) {
        if (!policies_page_renew(args.page, &out, &err)) {
            text_fini(&out);
            return say_error(&err);
        }
    } else if (!kind_parse(&filter, args.kind, &err) || !name_known(&filter, &err) ||
               !print_format(&filter, args.format, &out, &err)) {
        text_fini(&out);
        return say_error(&err);
    }
    fputs(text_str(&out), stdout);
    text_fini(&out);
    return EXIT_DONE;
}

const struct command command_policies = {
    .options =
        {
            .name = "policies",
            .usage = "[NAME] [--kind KIND] [--format FORMAT] [--page FILE.md]",
            .summary = "list the policies with their parameters and failure modes",
            .description = "Policies are of five kinds: route (which endpoint gets a "
                           "request), admit (who may come in),\norder (in which order "
                           "an engine admits), pair (whether two engines share a "
                           "request)\nand scale (how many replicas a pool should "
                           "have).\n\n"
                           "Examples:\n"
                           "  stacksim policies\n"
                           "  stacksim policies prefix_aware\n"
                           "  stacksim policies --kind admit --format json\n"
                           "  stacksim run demo --policy prefix_aware",
            .options = POLICIES_OPTIONS,
            .positional_max = 1,
        },
    .run = policies_run,
};
