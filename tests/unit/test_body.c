/* SPDX-License-Identifier: Apache-2.0
 *
 * What the router reads out of request bodies of every API.
 */
#include "router/body.h"
#include "tests/harness.h"

#include <string.h>

struct expected {
    const char *body;
    const char *text;
};

static void the_text_is_found_in_every_api(void)
{
    static const struct expected CASES[] = {
        {"{\"model\":\"m\",\"prompt\":\"abc\"}", "abc"},
        {"{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}", "a\nb"},
        {"{\"model\":\"m\",\"input\":\"in\"}", "in"},
        {"{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"d\"]}", "q"},
        {"{\"model\":\"m\",\"text_1\":\"t\",\"text_2\":\"u\"}", "t"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
         "{\"role\":\"user\",\"content\":\"u\"}]}",
         "s\nu"},
        {"{\"model\":\"m\",\"messages\":[{\"content\":[{\"type\":\"text\",\"text\":"
         "\"a\"},{\"type\":\"image_url\"},{\"type\":\"text\",\"text\":\"b\"}]},"
         "{\"content\":null},{\"content\":\"c\"}]}",
         "a b\nc"},
        {"{\"model\":\"m\",\"messages\":[],\"prompt\":\"not this\"}", ""},
        {"{\"model\":\"m\",\"prompt\":\"\\u00e9\\ud83d\\ude00\\n\\\"\\ud800\"}",
         "\xc3\xa9\xf0\x9f\x98\x80\n\"\xef\xbf\xbd"},
        {"{\"model\":\"m\"}", ""},
        {"{\"model\":\"m\",\"prompt\":7}", ""},
    };
    struct body_reader *reader = body_reader_new();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct body_facts facts;
        harness_note("%s", CASES[i].body);
        body_read(reader, CASES[i].body, strlen(CASES[i].body), NULL, &facts);
        EXPECT(facts.state == BODY_OK);
        EXPECT_STR(facts.text, CASES[i].text);
        EXPECT_U64(facts.text_bytes, strlen(CASES[i].text));
        EXPECT(facts.prompt_tokens >= 1);
    }
    body_reader_delete(reader);
}

static void token_ids_are_counted_exactly(void)
{
    static const char ONE[] = "{\"model\":\"m\",\"prompt\":[1,2,300000]}";
    static const char MANY[] = "{\"model\":\"m\",\"prompt\":[[1,2],[3]]}";
    struct body_reader *reader = body_reader_new();
    struct body_facts facts;
    body_read(reader, ONE, sizeof ONE - 1, NULL, &facts);
    EXPECT(facts.of_ids);
    EXPECT_U64(facts.prompt_tokens, 3);
    EXPECT_U64(facts.ids[2], 300000);
    body_read(reader, MANY, sizeof MANY - 1, NULL, &facts);
    EXPECT_U64(facts.prompt_tokens, 3);
    body_reader_delete(reader);
}

static void what_is_no_object_is_told_apart(void)
{
    static const struct {
        const char *body;
        enum body_state state;
    } CASES[] = {{"", BODY_NOT_JSON},           {"{", BODY_NOT_JSON},
                 {"{\"a\":}", BODY_NOT_JSON},   {"[1]", BODY_NOT_OBJECT},
                 {" \"a\"", BODY_NOT_OBJECT},   {"{} x", BODY_NOT_JSON},
                 {"{\"a\":1,}", BODY_NOT_JSON}, {"{}", BODY_OK}};
    struct body_reader *reader = body_reader_new();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct body_facts facts;
        harness_note("%s", CASES[i].body);
        body_read(reader, CASES[i].body, strlen(CASES[i].body), NULL, &facts);
        EXPECT(facts.state == CASES[i].state);
        EXPECT(!facts.has_model);
    }
    body_reader_delete(reader);
}

/* The engine's reader takes the last of equal keys and unescapes them: so must we, or a
 * request is routed by one model and answered by another. */
static void the_last_model_counts_however_its_key_is_written(void)
{
    static const char BODY[] = "{\"model\":\"a\",\"x\":{\"model\":\"c\"},"
                               "\"mod\\u0065l\":\"b\"}";
    struct body_reader *reader = body_reader_new();
    struct body_facts facts;
    body_read(reader, BODY, sizeof BODY - 1, NULL, &facts);
    EXPECT_STR(facts.model, "b");
    body_reader_delete(reader);
}

static void a_session_is_written_as_python_writes_it(void)
{
    static const struct {
        const char *body;
        const char *session; /* NULL = absent */
    } CASES[] = {
        {"{\"u\":\"x\"}", "x"},     {"{\"u\":7}", "7"},
        {"{\"u\":true}", "True"},   {"{\"u\":1.0}", "1.0"},
        {"{\"u\":false}", "False"}, {"{\"u\":null}", NULL},
        {"{\"u\":\"\"}", ""},       {"{}", NULL},
        {"{\"U\":\"x\"}", NULL},
    };
    struct body_reader *reader = body_reader_new();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct body_facts facts;
        harness_note("%s", CASES[i].body);
        body_read(reader, CASES[i].body, strlen(CASES[i].body), "u", &facts);
        if (CASES[i].session == NULL) {
            EXPECT(facts.session_key == NULL);
        } else {
            EXPECT_STR(facts.session_key, CASES[i].session);
        }
    }
    body_reader_delete(reader);
}

static void only_the_name_changes_when_an_alias_is_replaced(void)
{
    static const char BODY[] = "{ \"n\": 12345678901234567890, \"model\" : \"gpt\","
                               " \"prompt\":\"h\xc3\xa9llo\" }";
    struct body_reader *reader = body_reader_new();
    struct body_facts facts;
    struct text out = {0};
    body_read(reader, BODY, sizeof BODY - 1, NULL, &facts);
    body_with_model(BODY, sizeof BODY - 1, &facts, "a\"b", &out);
    EXPECT_STR(text_str(&out), "{ \"n\": 12345678901234567890, \"model\" : \"a\\\"b\","
                               " \"prompt\":\"h\xc3\xa9llo\" }");
    text_fini(&out);
    body_reader_delete(reader);
}

static void options_are_read(void)
{
    static const char BODY[] = "{\"model\":\"m\",\"stream\":true,\"max_tokens\":5,"
                               "\"priority\":-3}";
    static const char CHAT[] = "{\"model\":\"m\",\"max_tokens\":5,"
                               "\"max_completion_tokens\":9,\"stream\":\"true\"}";
    struct body_reader *reader = body_reader_new();
    struct body_facts facts;
    body_read(reader, BODY, sizeof BODY - 1, NULL, &facts);
    EXPECT(facts.stream);
    EXPECT_U64(facts.output_tokens_max, 5);
    EXPECT_I64(facts.priority, -3);
    body_read(reader, CHAT, sizeof CHAT - 1, NULL, &facts);
    EXPECT(!facts.stream);
    EXPECT_U64(facts.output_tokens_max, 9);
    body_reader_delete(reader);
}

static void a_form_names_its_model(void)
{
    static const char FORM[] =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n"
        "\x01\x02\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"
        "whisper\r\n--b--\r\n";
    struct body_reader *reader = body_reader_new();
    const char *type = "multipart/form-data; boundary=b";
    EXPECT_STR(body_read_form_model(reader, type, FORM, sizeof FORM - 1), "whisper");
    EXPECT(body_read_form_model(reader, "application/json", FORM, 9) == NULL);
    for (size_t cut = 0; cut < sizeof FORM - 12; cut++) {
        EXPECT(body_read_form_model(reader, type, FORM, cut) == NULL);
    }
    body_reader_delete(reader);
}

HARNESS_MAIN("body", TEST(the_text_is_found_in_every_api),
             TEST(token_ids_are_counted_exactly), TEST(what_is_no_object_is_told_apart),
             TEST(the_last_model_counts_however_its_key_is_written),
             TEST(a_session_is_written_as_python_writes_it),
             TEST(only_the_name_changes_when_an_alias_is_replaced),
             TEST(options_are_read), TEST(a_form_names_its_model))
