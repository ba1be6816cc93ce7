/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_pods.c: an API server that answers anything: the first line as a page of a list,
 * the others as a watch. Whoever becomes a backend has a URL that is one.
 */
#include "base/check.h"
#include "router/origin.h"
#include "router/pods.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check(const struct pods *pods)
{
    struct config_backend backends[64];
    const size_t count = pods_backends(pods, backends, 64);
    for (size_t i = 0; i < count; i++) {
        struct origin *origin = NULL;
        struct err err = {0};
        const bool good = origin_new(&origin, backends[i].url, &err);
        CHECK(good, "a backend at '%s': %s", backends[i].url, err.text);
        origin_give(origin);
    }
}

static void answer(struct pods *pods)
{
    static const char *const MODELS[] = {"m", "n"};
    struct pods_question question;
    for (size_t i = 0; pods_ask(pods, &question); i++) {
        pods_told(pods, question.pod, question.serial, MODELS, i % 3);
    }
}

static void read_list(struct pods *pods, const char *text, size_t length)
{
    struct text next = {0};
    struct err err;
    pods_list_begin(pods);
    if (pods_list_page(pods, text, length, &next, &err)) {
        pods_list_end(pods);
    }
    text_fini(&next);
}

static void read_event(struct pods *pods, const char *text, size_t length)
{
    struct err err = {0};
    enum pods_watch watch;
    const bool good = pods_event(pods, text, length, &watch, &err);
    CHECK(good || err.text[0] != '\0', "a failure without a word");
}

static void read_all(struct pods *pods, const char *text, size_t size)
{
    bool first = true;
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        const size_t length = end != NULL ? (size_t)(end - text) : size;
        if (first) {
            read_list(pods, text, length);
        } else {
            read_event(pods, text, length);
        }
        first = false;
        answer(pods);
        check(pods);
        text += length + (end != NULL ? 1 : 0);
        size -= length + (end != NULL ? 1 : 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int compat = COMPAT_TAG; compat <= COMPAT_HEAD; compat++) {
        struct pods *pods =
            pods_new(&(struct pods_setup){.compat = (enum compat)compat, .port = 8000});
        read_all(pods, (const char *)data, size);
        pods_ask_again(pods);
        answer(pods);
        (void)pods_changed(pods);
        pods_delete(pods);
    }
    return 0;
}
