/* SPDX-License-Identifier: Apache-2.0
 *
 * openai.c: see openai.h. Written as text and not as trees: an answer of a thousand
 * tokens is a thousand events.
 */
#include "cli/live/openai.h"

#include "router/body.h"

#include <inttypes.h>
#include <string.h>

static void add_string(struct text *out, const char *string)
{
    if (string == NULL) {
        text_add(out, "null");
    } else {
        body_add_string(out, string, strlen(string));
    }
}

static void add_head(struct text *out, const struct openai_answer *answer,
                     const char *object)
{
    text_add(out, "{\"id\":");
    add_string(out, answer->id);
    text_printf(out, ",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", object,
                answer->created_unix_s);
    add_string(out, answer->model);
}

static void add_usage(struct text *out, const struct openai_usage *usage)
{
    text_printf(out,
                ",\"usage\":{\"prompt_tokens\":%" PRIu32 ",\"total_tokens\":%" PRIu64
                ",\"completion_tokens\":%" PRIu32 ",\"prompt_tokens_details\":",
                usage->prompt_tokens,
                (uint64_t)usage->prompt_tokens + usage->output_tokens,
                usage->output_tokens);
    if (usage->cached_tokens > 0) {
        text_printf(out, "{\"cached_tokens\":%" PRIu32 "}}", usage->cached_tokens);
    } else {
        text_add(out, "null}");
    }
}

static void stream_begin(struct text *out, const struct openai_answer *answer)
{
    text_add(out, "data: ");
    add_head(out, answer, answer->chat ? "chat.completion.chunk" : "text_completion");
}

void openai_stream_role(struct text *out, const struct openai_answer *answer)
{
    stream_begin(out, answer);
    text_add(out, ",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                  "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
}

void openai_stream_text(struct text *out, const struct openai_answer *answer,
                        const struct openai_text *text)
{
    stream_begin(out, answer);
    text_add(out, ",\"choices\":[{\"index\":0,");
    text_add(out, answer->chat ? "\"delta\":{\"content\":" : "\"text\":");
    body_add_string(out, text->bytes, text->byte_count);
    text_add(out, answer->chat ? "},\"logprobs\":null,\"finish_reason\":"
                               : ",\"logprobs\":null,\"finish_reason\":");
    add_string(out, text->finish_reason);
    text_add(out, ",\"stop_reason\":null}]}\n\n");
}

void openai_stream_usage(struct text *out, const struct openai_answer *answer,
                         const struct openai_usage *usage)
{
    stream_begin(out, answer);
    text_add(out, ",\"choices\":[]");
    add_usage(out, usage);
    text_add(out, "}\n\n");
}

void openai_stream_done(struct text *out)
{
    text_add(out, "data: [DONE]\n\n");
}

void openai_whole(struct text *out, const struct openai_answer *answer,
                  const struct openai_text *text, const struct openai_usage *usage,
                  const char *kv_transfer_params)
{
    add_head(out, answer, answer->chat ? "chat.completion" : "text_completion");
    text_add(out, ",\"choices\":[{\"index\":0,");
    text_add(out, answer->chat ? "\"message\":{\"role\":\"assistant\",\"content\":"
                               : "\"text\":");
    body_add_string(out, text->bytes, text->byte_count);
    if (answer->chat) {
        text_add(out, ",\"reasoning_content\":null,\"tool_calls\":[]}");
    }
    text_add(out, ",\"logprobs\":null,\"finish_reason\":");
    add_string(out, text->finish_reason);
    text_add(out, ",\"stop_reason\":null");
    text_add(out, answer->chat ? "}]" : ",\"prompt_logprobs\":null}]");
    add_usage(out, usage);
    if (answer->chat) {
        text_add(out, ",\"prompt_logprobs\":null");
    }
    text_printf(out, ",\"kv_transfer_params\":%s}",
                kv_transfer_params != NULL ? kv_transfer_params : "null");
}

void openai_error(struct text *out, unsigned status, const char *type,
                  const char *message, bool wrapped)
{
    text_add(out, wrapped ? "{\"error\":{\"message\":"
                          : "{\"object\":\"error\",\"message\":");
    add_string(out, message);
    text_printf(out, ",\"type\":\"%s\",\"param\":null,\"code\":%u}%s", type, status,
                wrapped ? "}" : "");
}

void openai_model_card(struct text *out, const struct openai_card *card)
{
    text_add(out, "{\"id\":");
    add_string(out, card->id);
    text_printf(out,
                ",\"object\":\"model\",\"created\":%" PRId64
                ",\"owned_by\":\"vllm\",\"root\":",
                card->created_unix_s);
    add_string(out, card->root);
    text_add(out, ",\"parent\":");
    add_string(out, card->parent);
    text_add(out, ",\"max_model_len\":");
    if (card->max_model_len > 0) {
        text_printf(out, "%" PRIu32, card->max_model_len);
    } else {
        text_add(out, "null");
    }
    text_printf(out,
                ",\"permission\":[{\"id\":\"modelperm-%s\",\"object\":"
                "\"model_permission\",\"created\":%" PRId64
                ",\"allow_create_engine\":false,\"allow_sampling\":true,"
                "\"allow_logprobs\":true,\"allow_search_indices\":false,"
                "\"allow_view\":true,\"allow_fine_tuning\":false,\"organization\":"
                "\"*\",\"group\":null,\"is_blocking\":false}]}",
                "0", card->created_unix_s);
}
