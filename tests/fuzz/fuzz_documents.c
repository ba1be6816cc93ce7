/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are documents of YAML or an error with a text; every node of what was
 * accepted knows its place.
 */
#include "base/check.h"
#include "base/conf.h"
#include "tests/fuzz/fuzz.h"

enum { DEPTH_MAX = 33 };

static void look(const struct conf_node *node, uint32_t depth)
{
    CHECK(depth <= DEPTH_MAX, "deeper than the limit");
    CHECK(conf_line(node) > 0, "a node of no line");
}

static void walk(const struct conf_node *root)
{
    const struct conf_node *open[DEPTH_MAX + 1] = {root};
    size_t next[DEPTH_MAX + 1] = {0};
    uint32_t depth = 0;
    look(root, 0);
    for (;;) {
        const struct conf_node *child = conf_at(open[depth], next[depth]++);
        if (child != NULL) {
            look(child, depth + 1);
            open[++depth] = child;
            next[depth] = 0;
        } else if (depth-- == 0) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct err err = {ERR_NONE, ""};
    if (!conf_parse_documents(&conf, "input", (const char *)data, size, &err)) {
        CHECK(err.text[0] != '\0' && err.kind == ERR_INPUT, "failed without a reason");
        return 0;
    }
    const struct conf_node *root = conf_root(conf);
    walk(root);
    size_t unknown = 0;
    for (const struct conf_node *at = conf_next_unknown(root, NULL, &err); at != NULL;
         at = conf_next_unknown(root, at, &err)) {
        unknown++;
    }
    CHECK(unknown == 0 || !conf_done(root, &err), "%zu keys are unknown, and are not",
          unknown);
    conf_delete(conf);
    return 0;
}
