/* SPDX-License-Identifier: Apache-2.0
 *
 * Pods as backends, event by event (spec/production-stack.md 2.3).
 */
#include "router/pods.h"
#include "tests/harness.h"

#include <string.h>

static struct pods *make(enum compat compat)
{
    return pods_new(&(struct pods_setup){.compat = compat, .port = 8000});
}

/* One event of a pod; rest: more of its metadata. */
/* NOLINTNEXTLINE(readability-function-size): a row of what is said */
static void event(struct pods *pods, const char *type, const char *name,
                  const char *address, bool ready, const char *rest)
{
    struct text line = {0};
    struct err err = {0};
    enum pods_watch watch = PODS_WATCH_IS_OVER;
    text_printf(&line,
                "{\"type\":\"%s\",\"object\":{\"metadata\":{\"name\":\"%s\"%s},"
                "\"status\":{\"podIP\":\"%s\",\"containerStatuses\":[{\"ready\":true},"
                "{\"ready\":%s}]}}}",
                type, name, rest, address, ready ? "true" : "false");
    EXPECT_OK(pods_event(pods, line.bytes, line.length, &watch, &err), &err);
    EXPECT_I64(watch, PODS_WATCH_GOES_ON);
    text_fini(&line);
}

/* Everybody who is to be asked answers with this model, NULL: not at all. */
static int answer(struct pods *pods, const char *model)
{
    struct pods_question question;
    int asked = 0;
    while (pods_ask(pods, &question)) {
        asked++;
        pods_told(pods, question.pod, question.serial, &model, model != NULL ? 1 : 0);
    }
    return asked;
}

/* "name@url name@url" in order. */
static void expect_backends(const struct pods *pods, const char *expected)
{
    struct config_backend backends[8];
    struct text got = {0};
    const size_t count = pods_backends(pods, backends, 8);
    for (size_t i = 0; i < count; i++) {
        text_printf(&got, "%s%s=%s@%s", i > 0 ? " " : "", backends[i].pod,
                    backends[i].model, backends[i].url);
    }
    EXPECT_STR(text_str(&got), expected);
    text_fini(&got);
}

static void list(struct pods *pods, const char *items)
{
    struct text json = {0};
    struct text next = {0};
    struct err err = {0};
    text_printf(&json,
                "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"9\"},"
                "\"items\":[%s]}",
                items);
    pods_list_begin(pods);
    EXPECT_OK(pods_list_page(pods, json.bytes, json.length, &next, &err), &err);
    EXPECT_U64(next.length, 0);
    pods_list_end(pods);
    text_fini(&json);
    text_fini(&next);
}

static void order_is_that_of_becoming_a_backend(void)
{
    struct pods *pods = make(COMPAT_HEAD);
    event(pods, "ADDED", "a", "10.0.0.1", false, "");
    event(pods, "ADDED", "b", "10.0.0.2", true, "");
    EXPECT_I64(answer(pods, "m"), 1);
    event(pods, "MODIFIED", "a", "10.0.0.1", true, "");
    EXPECT_I64(answer(pods, "m"), 1);
    expect_backends(pods, "b=m@http://10.0.0.2:8000 a=m@http://10.0.0.1:8000");
    EXPECT(pods_changed(pods));
    EXPECT(!pods_changed(pods));
    /* Replaced: keeps its place. Gone and back: the last. */
    event(pods, "MODIFIED", "b", "10.0.0.2", true, "");
    EXPECT_I64(answer(pods, "n"), 1);
    expect_backends(pods, "b=n@http://10.0.0.2:8000 a=m@http://10.0.0.1:8000");
    event(pods, "MODIFIED", "b", "10.0.0.2", false, "");
    expect_backends(pods, "a=m@http://10.0.0.1:8000");
    event(pods, "MODIFIED", "b", "10.0.0.2", true, "");
    EXPECT_I64(answer(pods, "n"), 1);
    expect_backends(pods, "a=m@http://10.0.0.1:8000 b=n@http://10.0.0.2:8000");
    event(pods, "DELETED", "a", "10.0.0.1", true, "");
    expect_backends(pods, "b=n@http://10.0.0.2:8000");
    pods_delete(pods);
}

static void a_new_address_is_a_new_engine(void)
{
    struct pods *pods = make(COMPAT_HEAD);
    event(pods, "ADDED", "a", "10.0.0.1", true, "");
    EXPECT_I64(answer(pods, "m"), 1);
    event(pods, "MODIFIED", "a", "fd00::7", true, "");
    expect_backends(pods, "");
    EXPECT_I64(answer(pods, "m"), 1);
    expect_backends(pods, "a=m@http://[fd00::7]:8000");
    pods_delete(pods);
}

static void an_answer_about_an_older_state_is_dropped(void)
{
    struct pods *pods = make(COMPAT_HEAD);
    struct pods_question question;
    const char *model = "m";
    event(pods, "ADDED", "a", "10.0.0.1", true, "");
    REQUIRE(pods_ask(pods, &question));
    const uint64_t old = question.serial;
    event(pods, "MODIFIED", "a", "10.0.0.1", false, "");
    pods_told(pods, "a", old, &model, 1);
    expect_backends(pods, "");
    pods_told(pods, "nobody", old, &model, 1);
    EXPECT(!pods_changed(pods));
    pods_delete(pods);
}

static void who_names_no_models_is_asked_again_but_not_by_the_release(void)
{
    for (int compat = COMPAT_TAG; compat <= COMPAT_HEAD; compat++) {
        struct pods *pods = make((enum compat)compat);
        event(pods, "ADDED", "a", "10.0.0.1", true, "");
        EXPECT_I64(answer(pods, NULL), 1);
        EXPECT_I64(answer(pods, "m"), 0);
        pods_ask_again(pods);
        EXPECT_I64(answer(pods, "m"), compat == COMPAT_HEAD ? 1 : 0);
        expect_backends(pods, compat == COMPAT_HEAD ? "a=m@http://10.0.0.1:8000" : "");
        pods_delete(pods);
    }
}

/* #1091, #601: what the release does not notice. */
static void the_release_keeps_whom_it_should_forget(void)
{
    static const char TERMINATING[] = ",\"deletionTimestamp\":\"2025-05-01T00:00:00Z\"";
    for (int compat = COMPAT_TAG; compat <= COMPAT_HEAD; compat++) {
        const char *kept = compat == COMPAT_HEAD ? "" : "a=m@http://10.0.0.1:8000";
        struct pods *pods = make((enum compat)compat);
        event(pods, "ADDED", "a", "10.0.0.1", true, "");
        EXPECT_I64(answer(pods, "m"), 1);
        list(pods, "");
        expect_backends(pods, kept);
        event(pods, "ADDED", "a", "10.0.0.1", true, "");
        EXPECT_I64(answer(pods, "m"), 1);
        event(pods, "ADDED", "a", "10.0.0.1", false, "");
        expect_backends(pods, kept);
        event(pods, "ADDED", "a", "10.0.0.1", true, "");
        EXPECT_I64(answer(pods, "m"), 1);
        event(pods, "MODIFIED", "a", "10.0.0.1", true, TERMINATING);
        (void)answer(pods, "m");
        expect_backends(pods, kept);
        event(pods, "DELETED", "a", "10.0.0.1", true, TERMINATING);
        expect_backends(pods, "");
        pods_delete(pods);
    }
}

static void labels_and_pages_are_read(void)
{
    struct pods *pods = make(COMPAT_HEAD);
    struct text next = {0};
    struct err err = {0};
    struct config_backend backend;
    static const char PAGE[] =
        "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"12\",\"continue\":"
        "\"to+ken\"},\"items\":[{\"metadata\":{\"name\":\"a\",\"labels\":{\"model\":"
        "\"big\"}},\"status\":{\"podIP\":\"10.0.0.1\",\"containerStatuses\":[{"
        "\"ready\":"
        "true}]}}]}";
    pods_list_begin(pods);
    EXPECT_OK(pods_list_page(pods, PAGE, sizeof PAGE - 1, &next, &err), &err);
    EXPECT_STR(text_str(&next), "to+ken");
    EXPECT_STR(pods_version(pods), "12");
    EXPECT_I64(answer(pods, "m"), 1);
    EXPECT_U64(pods_backends(pods, &backend, 1), 1);
    EXPECT_STR(backend.label, "big");
    pods_list_end(pods);
    event(pods, "MODIFIED", "a", "10.0.0.1", true, ",\"labels\":{\"model\":\"small\"}");
    EXPECT(pods_changed(pods));
    EXPECT_U64(pods_backends(pods, &backend, 1), 1);
    EXPECT_STR(backend.label, "small");
    text_fini(&next);
    pods_delete(pods);
}

static void what_is_no_pod_is_refused_or_ignored(void)
{
    struct pods *pods = make(COMPAT_HEAD);
    struct text next = {0};
    struct err err = {0};
    enum pods_watch watch = PODS_WATCH_GOES_ON;
#define LINE(text) (text), sizeof(text) - 1, &watch, &err
    EXPECT_FAILS(pods_event(pods, LINE("<html>")), &err, "event of a pod");
    EXPECT_FAILS(pods_event(pods, LINE("{}")), &err, "without type or object");
    EXPECT_FAILS(pods_event(pods, LINE("{\"type\":\"ADDED\",\"object\":{}}")), &err,
                 "without a name");
    EXPECT_OK(pods_event(pods, LINE("{\"type\":\"ODD\",\"object\":{}}")), &err);
    EXPECT_OK(pods_event(pods, LINE("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{"
                                    "\"resourceVersion\":\"44\"}}}")),
              &err);
    EXPECT_STR(pods_version(pods), "44");
    EXPECT_I64(watch, PODS_WATCH_GOES_ON);
    EXPECT_OK(pods_event(pods, LINE("{\"type\":\"ERROR\",\"object\":{\"code\":410}}")),
              &err);
    EXPECT_I64(watch, PODS_WATCH_IS_OVER);
    EXPECT_FAILS(pods_list_page(pods, "[1]", 3, &next, &err), &err, "no list of pods");
    /* An address that is none must not become a URL. */
    event(pods, "ADDED", "a", "evil/path?x", true, "");
    EXPECT_I64(answer(pods, "m"), 0);
    text_fini(&next);
    pods_delete(pods);
}

HARNESS_MAIN("pods", TEST(order_is_that_of_becoming_a_backend),
             TEST(a_new_address_is_a_new_engine),
             TEST(an_answer_about_an_older_state_is_dropped),
             TEST(who_names_no_models_is_asked_again_but_not_by_the_release),
             TEST(the_release_keeps_whom_it_should_forget),
             TEST(labels_and_pages_are_read),
             TEST(what_is_no_pod_is_refused_or_ignored))
