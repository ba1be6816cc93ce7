/* SPDX-License-Identifier: Apache-2.0
 *
 * engine_flags.c: a list of vLLM's flags by how many words they take, and a table of
 * those that mean something to us. From v0.8.5's engine/arg_utils.py,
 * entrypoints/openai/cli_args.py and their successors until August 2026.
 */
#include "stack/engine_flags.h"

#include "base/json.h"
#include "base/nearest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 64 };

/* Take no word, and have a --no- form. */
static const char *const bare_flags[] = {
#define BARE(name) name,
#include "stack/engine_flags.def"
    NULL};

/* Take one. */
static const char *const value_flags[] = {
#define VALUE(name) name,
#include "stack/engine_flags.def"
    NULL};

/* Take as many as come. */
static const char *const list_flags[] = {
#define LIST(name) name,
#include "stack/engine_flags.def"
    NULL};

static const struct {
    const char *letter;
    const char *name;
} letters[] = {{"-tp", "tensor-parallel-size"},
               {"-pp", "pipeline-parallel-size"},
               {"-dp", "data-parallel-size"},
               {"-q", "quantization"},
               {"-n", "nnodes"},
               {"-r", "node-rank"},
               {"-O", "compilation-config"},
               {"-asc", "api-server-count"},
               {"-ep", "enable-expert-parallel"},
               {"-sc", "speculative-config"},
               {"-ac", "attention-config"}};

/* One flag as it stands. */
struct word {
    const char *given;     /* as written, for messages */
    char name[NAME_BYTES]; /* without dashes, "_" as "-" */
    const char *value;     /* NULL = none */
    const struct conf_node *where;
    bool negated;
};

struct reader {
    struct engine_flags *flags;
    const struct args *args;
    struct arena *arena;
    struct findings *findings;
    struct err *err;
    size_t at;
};

static bool stands_in(const char *name, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- values ---------------------------------------------------------------------- */

static bool refuse(const struct reader *reader, const struct word *word,
                   const char *wanted)
{
    return conf_fail(word->where, reader->err,
                     "%s: \"%.60s\" is not %s; vLLM refuses "
                     "to start",
                     word->given, word->value != NULL ? word->value : "", wanted);
}

/* "32768", "32k" (thousands), "32K" (1024s), as vLLM's human_readable_int. */
static bool read_whole(const struct reader *reader, const struct word *word,
                       uint32_t *out, uint32_t min)
{
    char *rest = NULL;
    const double value = word->value != NULL ? strtod(word->value, &rest) : -1;
    double scale = 1;
    if (rest != NULL && rest[0] != '\0') {
        const char *units = "kKmMgG";
        static const double scales[] = {1e3, 1024, 1e6, 1048576, 1e9, 1073741824};
        const char *unit = strchr(units, rest[0]);
        if (unit == NULL || rest[1] != '\0') {
            return refuse(reader, word, "a whole number");
        }
        scale = scales[unit - units];
    }
    const double result = value * scale;
    if (rest == word->value || !(result >= min && result <= 2e9) ||
        result > floor(result)) {
        return refuse(reader, word,
                      min > 0 ? "a whole number above 0" : "a whole number");
    }
    *out = (uint32_t)result;
    return true;
}

static bool read_real(const struct reader *reader, const struct word *word, double *out,
                      double max)
{
    char *rest = NULL;
    const double value = word->value != NULL ? strtod(word->value, &rest) : -1;
    if (rest == NULL || rest == word->value || *rest != '\0' ||
        !(value > 0 && value <= max)) {
        return refuse(reader, word,
                      max <= 1 ? "a part above 0 and at most 1" : "a number above 0");
    }
    *out = value;
    return true;
}

/* Which connector, and on which side. */
static bool read_kv_transfer(const struct reader *reader, const struct word *word)
{
    struct json *value = NULL;
    struct err why = {ERR_NONE, ""};
    const char *text = word->value != NULL ? word->value : "";
    if (!json_parse(&value, word->given, text, strlen(text), &why)) {
        return conf_fail(word->where, reader->err, "%s: not JSON: %.200s", word->given,
                         text);
    }
    const char *connector = json_str(json_get(value, "kv_connector"));
    const char *role = json_str(json_get(value, "kv_role"));
    reader->flags->kv_transfer = text;
    reader->flags->kv_connector =
        connector != NULL ? arena_strdup(reader->arena, connector) : NULL;
    reader->flags->kv_role = role != NULL ? arena_strdup(reader->arena, role) : NULL;
    json_delete(value);
    return true;
}

/* {"method": "ngram", "num_speculative_tokens": 5} */
static bool read_speculation(const struct reader *reader, const struct word *word)
{
    struct json *value = NULL;
    struct err why = {ERR_NONE, ""};
    const char *text = word->value != NULL ? word->value : "";
    int64_t tokens = 0;
    if (!json_parse(&value, word->given, text, strlen(text), &why)) {
        return conf_fail(word->where, reader->err, "%s: not JSON: %.200s", word->given,
                         text);
    }
    const char *method = json_str(json_get(value, "method"));
    struct engine_flags *flags = reader->flags;
    flags->speculative = text;
    flags->draft_method = method != NULL ? arena_strdup(reader->arena, method) : NULL;
    if (json_i64(json_get(value, "num_speculative_tokens"), &tokens) && tokens > 0 &&
        tokens <= UINT16_MAX) {
        flags->draft_tokens = (uint32_t)tokens;
    }
    json_delete(value);
    return true;
}

static bool read_switch(const struct word *word, enum switch_state *out)
{
    bool on = !word->negated;
    if (word->value != NULL &&
        (strcmp(word->value, "false") == 0 || strcmp(word->value, "False") == 0)) {
        on = !on;
    }
    *out = on ? SWITCH_ON : SWITCH_OFF;
    return true;
}

/* ---- what means something ---------------------------------------------------------
 */

static bool take_number(const struct reader *reader, const struct word *word,
                        bool *taken)
{
    struct engine_flags *flags = reader->flags;
    const struct {
        const char *name;
        uint32_t *out;
        uint32_t min;
    } numbers[] = {
        {"tensor-parallel-size", &flags->tensor_parallel, 1},
        {"pipeline-parallel-size", &flags->pipeline_parallel, 1},
        {"data-parallel-size", &flags->data_parallel, 1},
        {"max-num-seqs", &flags->max_num_seqs, 1},
        {"max-num-batched-tokens", &flags->max_num_batched_tokens, 1},
        {"block-size", &flags->block_size, 1},
        {"num-gpu-blocks-override", &flags->num_gpu_blocks_override, 1},
        {"long-prefill-token-threshold", &flags->long_prefill_token_threshold, 0},
        {"max-loras", &flags->max_loras, 1},
        {"max-lora-rank", &flags->max_lora_rank, 1},
        {"max-cpu-loras", &flags->max_cpu_loras, 1},
        {"port", &flags->port, 1},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(word->name, numbers[i].name) == 0) {
            *taken = true;
            return read_whole(reader, word, numbers[i].out, numbers[i].min);
        }
    }
    if (strcmp(word->name, "max-model-len") == 0) {
        *taken = true;
        const bool fitted = word->value != NULL && (strcmp(word->value, "auto") == 0 ||
                                                    strcmp(word->value, "-1") == 0);
        return fitted || read_whole(reader, word, &flags->max_model_len, 1);
    }
    return true;
}

static bool take_text(const struct reader *reader, const struct word *word)
{
    struct engine_flags *flags = reader->flags;
    const struct {
        const char *name;
        const char **out;
    } texts[] = {
        {"model", &flags->model},
        {"dtype", &flags->dtype},
        {"quantization", &flags->quantization},
        {"kv-cache-dtype", &flags->kv_cache_dtype},
        {"download-dir", &flags->download_dir},
        {"distributed-executor-backend", &flags->executor},
        {"scheduling-policy", &flags->scheduling_policy},
        {"speculative-model", &flags->speculative},
        {"spec-model", &flags->speculative},
        {"served-model-name", &flags->served_name},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(word->name, texts[i].name) == 0) {
            *texts[i].out = word->value;
            return true;
        }
    }
    if (strcmp(word->name, "gpu-memory-utilization") == 0) {
        return read_real(reader, word, &flags->gpu_memory_utilization, 1);
    }
    if (strcmp(word->name, "kv-offloading-size") == 0) {
        return read_real(reader, word, &flags->kv_offloading_gib, 1e9);
    }
    if (strcmp(word->name, "speculative-config") == 0) {
        return read_speculation(reader, word);
    }
    return strcmp(word->name, "kv-transfer-config") != 0 ||
           read_kv_transfer(reader, word);
}

static bool take_switch(const struct reader *reader, const struct word *word)
{
    struct engine_flags *flags = reader->flags;
    const struct {
        const char *name;
        enum switch_state *out;
    } switches[] = {
        {"enable-prefix-caching", &flags->prefix_caching},
        {"enable-chunked-prefill", &flags->chunked_prefill},
        {"async-scheduling", &flags->async_scheduling},
        {"enable-lora", &flags->lora},
        {"enforce-eager", &flags->enforce_eager},
        {"enable-sleep-mode", &flags->sleep_mode},
        {"enable-expert-parallel", &flags->expert_parallel},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        if (strcmp(word->name, switches[i].name) == 0) {
            return read_switch(word, switches[i].out);
        }
    }
    return true;
}

/* ---- words ----------------------------------------------------------------------- */

static bool is_flag(const char *word)
{
    return word[0] == '-' && word[1] != '\0' &&
           strspn(word, "-0123456789.") < strlen(word);
}

/* Name and, behind "=", value of the word at the cursor. */
static void word_split(struct reader *reader, struct word *word)
{
    const char *given = reader->args->items[reader->at];
    word->given = given;
    word->where = reader->args->where[reader->at];
    reader->at++;
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        const size_t length = strlen(letters[i].letter);
        if (strncmp(given, letters[i].letter, length) == 0 &&
            (given[length] == '\0' || given[length] == '=')) {
            (void)strncpy(word->name, letters[i].name, NAME_BYTES - 1);
            word->value = given[length] == '=' ? given + length + 1 : NULL;
            return;
        }
    }
    if (given[0] == '-' && given[1] == 'O') { /* -O3 */
        (void)strncpy(word->name, "compilation-config", NAME_BYTES - 1);
        word->value = given + 2;
        return;
    }
    given += strspn(given, "-");
    const size_t length = strcspn(given, "=");
    for (size_t i = 0; i < length && i < NAME_BYTES - 1; i++) {
        word->name[i] = (char)(given[i] == '_' ? '-' : given[i]);
    }
    word->value = given[length] == '=' ? given + length + 1 : NULL;
    /* --compilation-config.level 3 sets a part of a JSON value. */
    word->name[strcspn(word->name, ".")] = '\0';
    if (strncmp(word->name, "no-", 3) == 0 && stands_in(word->name + 3, bare_flags)) {
        memmove(word->name, word->name + 3, strlen(word->name + 3) + 1);
        word->negated = true;
    }
}

static void word_unknown(struct reader *reader, const struct word *word)
{
    const char *near =
        nearest_word(word->name, bare_flags, sizeof bare_flags / sizeof bare_flags[0]);
    if (near == NULL) {
        near = nearest_word(word->name, value_flags,
                            sizeof value_flags / sizeof value_flags[0]);
    }
    if (strchr(word->given, ' ') != NULL) {
        findings_add(reader->findings, FINDING_TRAP, "flag_and_value_in_one",
                     word->where,
                     "\"%.80s\" is one word to vLLM, which knows no such flag and does "
                     "not start; write flag and value as two items, or with \"=\"",
                     word->given);
        return;
    }
    findings_add(reader->findings, FINDING_WARNING, "unknown_engine_flag", word->where,
                 "%.80s: no flag of vLLM that we know; %s%s%s", word->given,
                 near != NULL ? "did you mean --"
                              : "an engine that does not know it "
                                "does not start",
                 near != NULL ? near : "", near != NULL ? "?" : "");
}

static bool next_is_value(const struct reader *reader)
{
    return reader->at < reader->args->count &&
           !is_flag(reader->args->items[reader->at]);
}

static bool next_is_truth(const struct reader *reader)
{
    static const char *const truths[] = {"true", "false", "True", "False", NULL};
    return reader->at < reader->args->count &&
           stands_in(reader->args->items[reader->at], truths);
}

static bool read_one(struct reader *reader)
{
    struct word word = {0};
    word_split(reader, &word);
    if (stands_in(word.name, bare_flags)) {
        if (word.value == NULL && next_is_truth(reader)) {
            word.value = reader->args->items[reader->at++];
        }
        return take_switch(reader, &word);
    }
    if (stands_in(word.name, list_flags)) {
        while (next_is_value(reader)) {
            word.value =
                word.value == NULL ? reader->args->items[reader->at] : word.value;
            reader->at++;
        }
        return take_text(reader, &word);
    }
    if (!stands_in(word.name, value_flags)) {
        word_unknown(reader, &word);
        if (word.value == NULL && next_is_value(reader)) {
            reader->at++;
        }
        return true;
    }
    if (word.value == NULL && reader->at < reader->args->count) {
        word.value = reader->args->items[reader->at++];
    }
    if (word.value == NULL) {
        return conf_fail(word.where, reader->err,
                         "%s: its value is missing; vLLM refuses to start", word.given);
    }
    bool taken = false;
    return take_number(reader, &word, &taken) && (taken || take_text(reader, &word));
}

bool engine_flags_read(struct engine_flags *flags, const struct args *args,
                       struct arena *arena, struct findings *findings, struct err *err)
{
    struct reader reader = {
        .flags = flags, .args = args, .arena = arena, .findings = findings, .err = err};
    *flags = (struct engine_flags){0};
    while (reader.at < args->count) {
        const char *word = args->items[reader.at];
        if (!is_flag(word)) {
            findings_add(findings, FINDING_WARNING, "stray_engine_argument",
                         args->where[reader.at],
                         "\"%.80s\" belongs to no flag of vLLM; drop it or name its "
                         "flag before it",
                         word);
            reader.at++;
        } else if (!read_one(&reader)) {
            return false;
        }
    }
    return true;
}
