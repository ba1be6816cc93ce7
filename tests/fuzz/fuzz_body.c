/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_body.c: request bodies. A replaced model is found again under its new name, and
 * a rebuilt body is an object.
 */
#include "base/check.h"
#include "router/body.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void replace(struct body_reader *reader, const char *bytes, size_t byte_count,
                    const struct body_facts *facts)
{
    struct text out = {0};
    struct body_facts again;
    body_with_model(bytes, byte_count, facts, "a \"new\" name", &out);
    body_read(reader, out.bytes, out.length, "user", &again);
    CHECK(again.state == BODY_OK && again.has_model, "no model after its replacement");
    CHECK(strcmp(again.model, "a \"new\" name") == 0, "the model is %s", again.model);
    text_fini(&out);
}

static void rebuild(struct body_reader *reader, const char *bytes, size_t byte_count)
{
    static const char *const DROPPED[] = {"stream", "model", NULL};
    struct text body = {0};
    struct text out = {0};
    struct body_facts facts;
    text_add_bytes(&body, bytes, byte_count);
    CHECK(body_rebuild(reader, &body, DROPPED, "\"model\":\"x\"", &out),
          "an object is none any more");
    body_read(reader, out.bytes, out.length, NULL, &facts);
    CHECK(facts.state == BODY_OK && strcmp(facts.model, "x") == 0, "rebuilt: %s",
          out.bytes);
    text_fini(&body);
    text_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct body_reader *reader = body_reader_new();
    struct body_facts facts;
    body_read(reader, text, size, "user", &facts);
    if (facts.state == BODY_OK) {
        if (facts.has_model) {
            replace(reader, text, size, &facts);
        }
        rebuild(reader, text, size);
    }
    (void)body_read_form_model(reader, "multipart/form-data; boundary=b", text, size);
    body_reader_delete(reader);
    return 0;
}
