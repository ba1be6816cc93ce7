/* SPDX-License-Identifier: Apache-2.0
 *
 * from.c: two lists of words become one. The options that name the file are looked for
 * before anything is parsed, since what stands in the file comes first.
 */
#include "router/from.h"

#include "base/mem.h"
#include "router/flags.h"
#include "stack/stack.h"

#include <string.h>

struct from {
    struct stack *stack;
    struct text warnings;
    struct text backends; /* of --engine-services */
    struct text models;
    struct text labels;
    char **words;
    size_t count;
};

/* What of the command line has to be known before it is parsed. */
struct wish {
    const char *helm;
    const char *crd;
    const char *compat;
    const char *release;
    const char *kube_namespace;
    bool services;
};

/* The value behind a name at this place of argv, or NULL. */
static const char *value_at(const char *name, int argc, char *const *argv, int at)
{
    const size_t length = strlen(name);
    if (strncmp(argv[at], name, length) != 0) {
        return NULL;
    }
    if (argv[at][length] == '=') {
        return argv[at] + length + 1;
    }
    return argv[at][length] == '\0' && at + 1 < argc ? argv[at + 1] : NULL;
}

static void wish_read(struct wish *wish, int argc, char *const *argv)
{
    const struct {
        const char *name;
        const char **out;
    } names[] = {{"--from-helm", &wish->helm},
                 {"--from-crd", &wish->crd},
                 {"--compat", &wish->compat},
                 {"--helm-release", &wish->release},
                 {"--k8s-namespace", &wish->kube_namespace}};
    for (int at = 0; at < argc; at++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *value = value_at(names[i].name, argc, argv, at);
            *names[i].out = value != NULL ? value : *names[i].out;
        }
        wish->services = wish->services || strcmp(argv[at], "--engine-services") == 0;
    }
}

/* ---- words -------------------------------------------------------------------------
 */

static void add_word(struct from *from, const char *word)
{
    /* opt_parse takes argv as main() has it, and writes to none of it. */
    union {
        const char *in;
        char *out;
    } same = {.in = word};
    from->words[from->count++] = same.out;
}

/* Of every engine its Service, by its full name: release 0.1.3 refuses shorter ones. */
static void services_add(struct from *from)
{
    const struct stack *stack = from->stack;
    for (size_t i = 0; i < stack->engine_count; i++) {
        const struct stack_engine *engine = &stack->engines[i];
        const char *comma = i == 0 ? "" : ",";
        text_printf(&from->backends, "%shttp://%s.%s.svc.cluster.local:%u", comma,
                    engine->service, stack->kube_namespace, engine->service_port);
        text_printf(&from->models, "%s%s", comma, stack_served_name(engine));
        text_printf(&from->labels, "%s%s", comma, engine->name);
    }
    const char *const words[] = {"--service-discovery",   "static",
                                 "--static-backends",     text_str(&from->backends),
                                 "--static-models",       text_str(&from->models),
                                 "--static-model-labels", text_str(&from->labels)};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        add_word(from, words[i]);
    }
}

static void words_make(struct from *from, const struct wish *wish, int argc,
                       char *const *argv)
{
    const struct args *args = &from->stack->router.args;
    enum { OF_SERVICES = 8 };
    from->words = mem_alloc(args->count + (size_t)argc + OF_SERVICES, sizeof(char *));
    for (size_t i = 0; i < args->count; i++) {
        add_word(from, args->items[i]);
    }
    if (wish->services && from->stack->engine_count > 0) {
        services_add(from);
    }
    for (int i = 0; i < argc; i++) {
        add_word(from, argv[i]);
    }
}

/* Whether each flag of the file is one of ours, so that one that is not is told with
 * its line: all together they are parsed later. */
static bool words_check(const struct from *from, struct err *err)
{
    const struct args *args = &from->stack->router.args;
    for (size_t i = 0; i < args->count; i++) {
        const bool has_value =
            i + 1 < args->count && strncmp(args->items[i + 1], "--", 2) != 0;
        const int count = has_value && strchr(args->items[i], '=') == NULL ? 2 : 1;
        struct flags flags;
        struct opt_result result = {0};
        struct err why = {ERR_NONE, ""};
        flags_defaults(&flags);
        if (!opt_parse(&flags_command, count, from->words + i, &flags, &result, &why)) {
            const struct conf_node *where = args->where[i];
            (void)conf_fail(where != NULL ? where : from->stack->router.where, err,
                            "%s", why.text);
            return false;
        }
        i += (size_t)count - 1;
    }
    return true;
}

/* ---- the file ----------------------------------------------------------------------
 */

static bool router_check(const struct from *from, const struct wish *wish,
                         const char *path, struct err *err)
{
    const struct stack_router *router = &from->stack->router;
    if (wish->crd != NULL && !router->of_operator) {
        return err_set(err, ERR_INPUT,
                       "%s: no VLLMRouter in it; for chart values give --from-helm",
                       path);
    }
    if (router->where == NULL) {
        return err_set(err, ERR_INPUT,
                       "%s: no router in it; --from-helm wants a "
                       "routerSpec with enableRouter, or a VLLMRouter",
                       path);
    }
    if (wish->services && from->stack->engine_count == 0) {
        return err_set(err, ERR_INPUT,
                       "%s: --engine-services, but there is no engine "
                       "in it",
                       path);
    }
    return true;
}

/* What concerns the router; `stacksim helm explain` tells the rest. */
static void warnings_make(struct from *from)
{
    const struct findings *findings = &from->stack->findings;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        if (finding->of_router || strcmp(finding->name, "unknown_key") == 0) {
            text_printf(&from->warnings, "%s: ", finding_level_name(finding->level));
            finding_print(finding, &from->warnings);
            text_add(&from->warnings, "\n");
        }
    }
}

bool from_read(struct from **out, int argc, char *const *argv, struct err *err)
{
    struct wish wish = {0};
    wish_read(&wish, argc, argv);
    const char *path = wish.helm != NULL ? wish.helm : wish.crd;
    if (path == NULL) {
        return true;
    }
    if (wish.helm != NULL && wish.crd != NULL) {
        return err_set(err, ERR_USAGE, "--from-helm and --from-crd: give one of them");
    }
    struct from *from = mem_alloc(1, sizeof *from);
    const bool tag = wish.compat != NULL && strncmp(wish.compat, "tag", 3) == 0;
    const struct stack_options options = {.release = tag ? STACK_TAG : STACK_HEAD,
                                          .name = wish.release,
                                          .kube_namespace = wish.kube_namespace};
    if (!stack_load(&from->stack, path, &options, err) ||
        !router_check(from, &wish, path, err)) {
        from_delete(from);
        return false;
    }
    words_make(from, &wish, argc, argv);
    warnings_make(from);
    if (!words_check(from, err)) {
        from_delete(from);
        return false;
    }
    *out = from;
    return true;
}

void from_delete(struct from *from)
{
    if (from != NULL) {
        stack_delete(from->stack);
        text_fini(&from->warnings);
        text_fini(&from->backends);
        text_fini(&from->models);
        text_fini(&from->labels);
        mem_free(from->words);
        mem_free(from);
    }
}

int from_argc(const struct from *from)
{
    return (int)from->count;
}

char *const *from_argv(const struct from *from)
{
    return from->words;
}

const char *from_warnings(const struct from *from)
{
    return text_str(&from->warnings);
}

/* Whether a word, or the one behind it, only said where flags come from. */
static int words_to_skip(const char *word)
{
    static const char *const names[] = {"--from-helm", "--from-crd", "--helm-release",
                                        NULL};
    if (strcmp(word, "--print-flags") == 0 || strcmp(word, "--engine-services") == 0) {
        return 1;
    }
    for (size_t i = 0; names[i] != NULL; i++) {
        const size_t length = strlen(names[i]);
        if (strncmp(word, names[i], length) == 0) {
            return word[length] == '=' ? 1 : word[length] == '\0' ? 2 : 0;
        }
    }
    return 0;
}

void from_print(const struct from *from, int argc, char *const *argv, struct text *out)
{
    struct args args;
    args_init(&args, NULL);
    const int count = from != NULL ? from_argc(from) : argc;
    char *const *words = from != NULL ? from_argv(from) : argv;
    for (int i = 0; i < count; i++) {
        const int skip = words_to_skip(words[i]);
        if (skip == 0) {
            args_add(&args, NULL, words[i]);
        }
        i += skip > 0 ? skip - 1 : 0;
    }
    args_print(&args, out);
    text_add(out, "\n");
    args_fini(&args);
}
