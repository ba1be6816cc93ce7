/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a configuration or an error with a text; what was accepted prints as
 * YAML that is accepted again and prints the same.
 */
#include "base/check.h"
#include "base/conf.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void use_getters(const struct conf_node *root)
{
    struct err err = {ERR_NONE, ""};
    for (size_t i = 0; i < conf_count(root); i++) {
        const char *key = conf_kind(root) == CONF_MAP ? conf_key_at(root, i) : "x";
        uint32_t u32 = 0;
        int64_t ns = 0;
        double f64 = 0;
        uint64_t bytes = 0;
        const struct conf_node *child = NULL;
        (void)!conf_u32(root, key, &u32, 0, 100, &err);
        (void)!conf_duration_ns(root, key, &ns, &err);
        (void)!conf_f64(root, key, &f64, -1, 1, &err);
        (void)!conf_bytes(root, key, &bytes, &err);
        (void)!conf_map(root, key, &child, &err);
    }
    (void)!conf_done(root, &err);
}

/* libyaml replaces what it cannot print, so the first print may differ from the input;
 * from then on it must not change. */
static void check_print(const struct conf *conf)
{
    struct text once = {NULL, 0, 0};
    struct text twice = {NULL, 0, 0};
    struct text thrice = {NULL, 0, 0};
    struct err err = {ERR_NONE, ""};
    struct conf *again = NULL;
    conf_print(conf, &once);
    CHECK(conf_parse(&again, "once", once.bytes, once.length, &err),
          "own YAML refused: %s\n%s", err.text, text_str(&once));
    conf_print(again, &twice);
    conf_delete(again);
    CHECK(conf_parse(&again, "twice", twice.bytes, twice.length, &err),
          "own YAML refused: %s\n%s", err.text, text_str(&twice));
    conf_print(again, &thrice);
    conf_delete(again);
    CHECK(strcmp(text_str(&twice), text_str(&thrice)) == 0, "%s\nbecame\n%s",
          text_str(&twice), text_str(&thrice));
    text_fini(&once);
    text_fini(&twice);
    text_fini(&thrice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct err err = {ERR_NONE, ""};
    if (!conf_parse(&conf, "input", (const char *)data, size, &err)) {
        CHECK(err.text[0] != '\0' && err.kind == ERR_INPUT, "failed without a reason");
        return 0;
    }
    check_print(conf);
    use_getters(conf_root(conf));
    (void)!conf_override(conf, "a.b.0.c={x: [1, 2]}", &err);
    (void)!conf_override(conf, "a=1", &err);
    conf_delete(conf);
    return 0;
}
