/* SPDX-License-Identifier: Apache-2.0
 *
 * Configurations of the router: lists that must fit, names, files.
 */
#include "router/config.h"
#include "router/dynamic.h"
#include "router/flags.h"
#include "tests/harness.h"

#include <string.h>

static const struct config_world HEAD = {.compat = COMPAT_HEAD};
static const struct config_world TAG = {.compat = COMPAT_TAG};

static struct config_text plain(void)
{
    return (struct config_text){.static_backends = "http://a:1,http://b:1",
                                .static_models = "m,n",
                                .routing_logic = "roundrobin"};
}

static void expect_refused(const struct config_text *text,
                           const struct config_world *world, const char *part)
{
    struct config *config = NULL;
    struct err err = {0};
    EXPECT_FAILS(config_new(&config, text, world, &err), &err, part);
    config_delete(config);
}

static void lists_become_backends_in_their_order(void)
{
    struct config_text text = plain();
    struct config *config = NULL;
    struct err err = {0};
    text.static_model_labels = "p,d";
    text.static_model_types = "chat,score";
    text.static_aliases = "x:m,y:n";
    REQUIRE_OK(config_new(&config, &text, &HEAD, &err), &err);
    EXPECT_U64(config->backend_count, 2);
    EXPECT_STR(config->backends[1].url, "http://b:1");
    EXPECT_STR(config->backends[1].model, "n");
    EXPECT_STR(config->backends[1].label, "d");
    EXPECT(config->backends[1].type == MODEL_TYPE_SCORE);
    EXPECT_STR(config_alias(config, "y"), "n");
    EXPECT_STR(config_alias(config, "z"), "z");
    EXPECT_STR(config->policy->name, "round_robin");
    config_delete(config);
}

static void what_does_not_fit_is_refused_by_name(void)
{
    struct config_text text = plain();
    text.static_models = "m";
    expect_refused(&text, &HEAD, "--static-models names 1 models for 2 backends");
    text = plain();
    text.static_model_types = "chat,poetry";
    expect_refused(&text, &HEAD,
                   "unknown type 'poetry'; one of chat, completion, embeddings");
    text.static_model_types = "chat";
    expect_refused(&text, &HEAD, "--static-model-types names 1 for 2 backends");
    text = plain();
    text.static_aliases = "a:b:c";
    expect_refused(&text, &HEAD, "'a:b:c' is not ALIAS:MODEL");
    text.static_aliases = "a";
    expect_refused(&text, &HEAD, "'a' is not ALIAS:MODEL");
    text = plain();
    text.routing_logic = "roundrobbin";
    expect_refused(&text, &HEAD, "did you mean");
    text.routing_logic = "session";
    expect_refused(&text, &HEAD, "needs --session-key");
    text.routing_logic = "oracle";
    expect_refused(&text, &HEAD, "a router has none");
    text.routing_logic = "disaggregated_prefill";
    expect_refused(&text, &HEAD, "needs --prefill-model-labels");
    text = plain();
    text.health_checks = true;
    expect_refused(&text, &HEAD, "needs --static-model-types");
    text = plain();
    text.service_discovery = "k8s";
    expect_refused(&text, &HEAD, "watches no pods");
    text = plain();
    text.routing_params = "shared_counter=2";
    expect_refused(&text, &HEAD, "shared_counter");
}

static void urls_are_checked(void)
{
    static const char *const BAD[] = {
        "a:1",        "ftp://a",     "http://",     "http://a:0", "http://a:70000",
        "http://u@a", "http://a/?q", "http://[::1", "http://a b", "http://a:"};
    struct config_text text = plain();
    text.static_models = "m";
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        harness_note("%s", BAD[i]);
        text.static_backends = BAD[i];
        expect_refused(&text, &HEAD, "--static-backends");
    }
    text.static_backends = "https://[::1]:8000/base/";
    struct origin *origin = NULL;
    struct err err = {0};
    REQUIRE_OK(origin_new(&origin, text.static_backends, &err), &err);
    EXPECT_STR(origin->host, "::1");
    EXPECT_STR(origin->host_field, "[::1]:8000");
    EXPECT_STR(origin->base, "/base");
    EXPECT(origin->tls && origin->port == 8000);
    origin_give(origin);
}

/* Release 0.1.3 knows no hosts without a dot; the URL goes, the model stays. */
static void the_release_skips_short_hosts(void)
{
    struct config_text text = plain();
    expect_refused(&text, &TAG, "names 2 models for 0 backends");
    EXPECT(origin_fits_tag("http://localhost:8000"));
    EXPECT(origin_fits_tag("http://10.0.0.1:8000/x"));
    EXPECT(origin_fits_tag("https://engine.example.com"));
    EXPECT(!origin_fits_tag("http://vllm:8000"));
    EXPECT(!origin_fits_tag("http://[::1]:8000"));
}

static void twice_the_same_counts_once(void)
{
    struct config_text text = plain();
    struct config *config = NULL;
    struct err err = {0};
    text.static_backends = "http://a:1,http://a:1,http://a:1";
    text.static_models = "m,m,n";
    REQUIRE_OK(config_new(&config, &text, &HEAD, &err), &err);
    EXPECT_U64(config->backend_count, 2);
    EXPECT_HAS(config->warnings, "is given twice");
    config_delete(config);
}

static void labels_are_whole_words_except_at_the_release(void)
{
    struct config head = {.compat = COMPAT_HEAD};
    struct config tag = {.compat = COMPAT_TAG};
    EXPECT(config_label_in(&head, "a,llama-prefill", "llama-prefill"));
    EXPECT(!config_label_in(&head, "a,llama-prefill", "llama"));
    EXPECT(!config_label_in(&head, NULL, "a"));
    EXPECT(config_label_in(&tag, "llama-prefill", "llama"));
}

/* --- files ------------------------------------------------------------------------ */

static const char *file(const char *text)
{
    return harness_temp_file("dynamic.json", text, strlen(text));
}

#define FILE_BASE                                                                      \
    "\"service_discovery\":\"static\",\"static_backends\":\"http://a:1\","             \
    "\"static_models\":\"m\""

static void the_file_gives_what_the_flags_do_not(void)
{
    const char *path = file("{" FILE_BASE ",\"routing_logic\":\"session\","
                            "\"session_key\":\"u\",\"k8s_port\":null}");
    const struct config_text flags = {.routing_logic = "roundrobin"};
    struct dynamic *dynamic = dynamic_new(path, &flags, &HEAD);
    struct config *config = NULL;
    struct err err = {0};
    bool failed = false;
    REQUIRE_OK(dynamic_first(dynamic, &config, &err), &err);
    EXPECT_STR(config->policy->name, "round_robin");
    EXPECT_STR(config->session_key, "u");
    config_delete(config);
    EXPECT(dynamic_poll(dynamic, &failed, &err) == NULL && !failed);
    (void)file("{" FILE_BASE ",\"routing_logic\":\"session\",\"session_key\":\"v\"}");
    config = dynamic_poll(dynamic, &failed, &err);
    REQUIRE(config != NULL);
    EXPECT_STR(config->policy->name, "session");
    EXPECT_STR(config->session_key, "v");
    config_delete(config);
    EXPECT(dynamic_poll(dynamic, &failed, &err) == NULL && !failed);
    dynamic_delete(dynamic);
}

/* The stack's reload forgets labels, types and health checks. */
static void flags_survive_a_reload_as_far_as_they_fit(void)
{
    const char *path = file("{" FILE_BASE ",\"routing_logic\":\"roundrobin\"}");
    const struct config_text flags = {
        .static_model_types = "chat",
        .static_model_labels = "p",
        .health_checks = true,
        .health_checks_given = true,
        .health_interval_s = 7,
        .session_key = "u",
        .static_aliases = "x:m",
    };
    struct dynamic *dynamic = dynamic_new(path, &flags, &HEAD);
    struct config *config = NULL;
    struct err err = {0};
    bool failed = false;
    REQUIRE_OK(dynamic_first(dynamic, &config, &err), &err);
    EXPECT(config->health_checks && config->backends[0].type == MODEL_TYPE_CHAT);
    config_delete(config);
    (void)file("{" FILE_BASE ",\"routing_logic\":\"session\"}");
    config = dynamic_poll(dynamic, &failed, &err);
    REQUIRE(config != NULL);
    EXPECT_STR(config->session_key, "u");
    EXPECT_STR(config->backends[0].label, "p");
    EXPECT_STR(config_alias(config, "x"), "m");
    EXPECT(config->health_checks);
    EXPECT_I64(config->health_interval_ns, 7000000000);
    config_delete(config);
    (void)file("{\"routing_logic\":\"roundrobin\",\"static_backends\":\"http://a:1,"
               "http://b:1\",\"static_models\":\"m,m\"}");
    config = dynamic_poll(dynamic, &failed, &err);
    REQUIRE(config != NULL);
    EXPECT(!config->health_checks && config->backends[1].type == MODEL_TYPE_NONE);
    EXPECT_STR(config->backends[1].label, "default");
    config_delete(config);
    dynamic_delete(dynamic);
}

static void a_bad_file_is_refused_whole_at_every_poll(void)
{
    static const struct {
        const char *text;
        const char *part;
    } CASES[] = {
        {"{" FILE_BASE ",\"routing_logic\":\"roundrobin\",\"extra\":1}",
         "unknown key 'extra'"},
        {"{" FILE_BASE "}", "--routing-logic is missing"},
        {"{" FILE_BASE ",\"routing_logic\":7}", "routing_logic is not a string"},
        {"{", "dynamic.json"},
        {"", "dynamic.json"},
        {"{" FILE_BASE ",\"routing_logic\":\"roundrobin\","
         "\"static_backend_health_check_interval\":-1}",
         "not a positive whole number"},
    };
    const struct config_text flags = {.routing_logic = NULL};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *path = file("{" FILE_BASE ",\"routing_logic\":\"roundrobin\"}");
        struct dynamic *dynamic = dynamic_new(path, &flags, &HEAD);
        struct config *config = NULL;
        struct err err = {0};
        REQUIRE_OK(dynamic_first(dynamic, &config, &err), &err);
        config_delete(config);
        (void)file(CASES[i].text);
        for (int poll = 0; poll < 2; poll++) {
            bool failed = false;
            harness_note("%s", CASES[i].text);
            EXPECT(dynamic_poll(dynamic, &failed, &err) == NULL);
            EXPECT(failed);
            EXPECT_HAS(err.text, CASES[i].part);
        }
        dynamic_delete(dynamic);
    }
}

/* --- flags ------------------------------------------------------------------------ */

static bool parse(struct flags *flags, size_t count, const char *const *words,
                  struct err *err)
{
    char *arguments[16];
    struct opt_result result = {0};
    for (size_t i = 0; i < count; i++) {
        memcpy(&arguments[i], &words[i], sizeof arguments[i]);
    }
    flags_defaults(flags);
    return opt_parse(&flags_command, (int)count, arguments, flags, &result, err) &&
           flags_check(flags, err);
}

static void the_stacks_flags_are_understood_or_refused_with_a_reason(void)
{
    static const struct {
        const char *words[2];
        const char *part; /* NULL = accepted */
    } CASES[] = {
        {{"--lmcache-controller-port", "9000"}, NULL},
        {{"--k8s-namespace", "x"}, NULL},
        {{"--feature-gates", "SemanticCache=false"}, NULL},
        {{"--feature-gates", "SemanticCache=true"}, "no semantic cache"},
        {{"--feature-gates", "x"}, "not NAME=true"},
        {{"--callbacks", "a.b"}, "Python"},
        {{"--otel-endpoint", "http://x"}, "no spans"},
        {{"--request-rewriter", "noop"}, NULL},
        {{"--request-rewriter", "other"}, "not one of noop"},
        {{"--engine-stats-interval", "0"}, "not between 1"},
        {{"--sentry-traces-sample-rate", "1.5"}, "not between 0 and 1"},
        {{"--port", "70000"}, "not between 0 and 65535"},
        {{"--root-path", "/x"}, NULL},
        {{"--root-path", "x/"}, "must begin with a slash"},
        {{"--compat", "tag"}, NULL},
        {{"--prot", "1"}, "did you mean --port"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct flags flags;
        struct err err = {0};
        harness_note("%s %s", CASES[i].words[0], CASES[i].words[1]);
        const bool good = parse(&flags, 2, CASES[i].words, &err);
        if (CASES[i].part == NULL) {
            EXPECT_OK(good, &err);
        } else {
            EXPECT_FAILS(good, &err, CASES[i].part);
        }
    }
}

HARNESS_MAIN("router_config", TEST(lists_become_backends_in_their_order),
             TEST(what_does_not_fit_is_refused_by_name), TEST(urls_are_checked),
             TEST(the_release_skips_short_hosts), TEST(twice_the_same_counts_once),
             TEST(labels_are_whole_words_except_at_the_release),
             TEST(the_file_gives_what_the_flags_do_not),
             TEST(flags_survive_a_reload_as_far_as_they_fit),
             TEST(a_bad_file_is_refused_whole_at_every_poll),
             TEST(the_stacks_flags_are_understood_or_refused_with_a_reason))
