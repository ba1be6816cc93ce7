/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a deployment, at both releases, or an error with a text and a place;
 * what was accepted has engines with names and arguments that can be printed.
 */
#include "base/check.h"
#include "stack/nodes.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void look(const struct stack *stack)
{
    struct text out = {0};
    for (size_t i = 0; i < stack->engine_count; i++) {
        const struct stack_engine *engine = &stack->engines[i];
        CHECK(engine->name[0] != '\0' && engine->object != NULL &&
                  stack_served_name(engine) != NULL,
              "an engine without a name");
        CHECK(engine->pods >= 1 && engine->cache.path != NULL,
              "an engine of no pod, or without a place for its model");
        args_print(&engine->args, &out);
    }
    for (size_t i = 0; i < stack->findings.count; i++) {
        CHECK(stack->findings.items[i].what[0] != '\0', "nothing was found");
        finding_print(&stack->findings.items[i], &out);
    }
    CHECK(stack->router.where == NULL || stack->router.args.count >= 2,
          "a router without flags");
    args_print(&stack->router.args, &out);
    text_fini(&out);
}

static void read_at(enum stack_release release, const char *text, size_t size)
{
    struct stack *stack = NULL;
    struct err err = {ERR_NONE, ""};
    const struct stack_options options = {.release = release};
    if (stack_parse(&stack, "input", text, size, &options, &err)) {
        look(stack);
        stack_delete(stack);
        return;
    }
    CHECK(err.text[0] != '\0' && err.kind == ERR_INPUT, "failed without a reason");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stack_nodes *nodes = NULL;
    struct err err = {ERR_NONE, ""};
    read_at(STACK_TAG, (const char *)data, size);
    read_at(STACK_HEAD, (const char *)data, size);
    if (stack_nodes_parse(&nodes, "input", (const char *)data, size, &err)) {
        CHECK(nodes->count > 0 && nodes->items[0].name != NULL, "no node");
        stack_nodes_delete(nodes);
    }
    return 0;
}
