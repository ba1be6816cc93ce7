/* SPDX-License-Identifier: Apache-2.0
 *
 * facts.c: names, taken apart. Looking for files and not in a list, so that a user's
 * own model file is found by its name.
 */
#include "cli/helm/facts.h"

#include "sim/config_path.h"

#include <stdio.h>
#include <string.h>

/* A small letter or digit; "_" for whatever else. */
static char plain(char given)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyz";
    const char *capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *capital = strchr(capitals, given);
    if (capital != NULL) {
        return letters[capital - capitals];
    }
    return (char)(strchr(letters, given) != NULL || (given >= '0' && given <= '9')
                      ? given
                      : '_');
}

/* One "_" for whatever stands between words. */
static void words_of(const char *text, char out[FACT_FILE_BYTES])
{
    size_t length = 0;
    for (; *text != '\0' && length + 1 < FACT_FILE_BYTES; text++) {
        const char letter = plain(*text);
        if (letter != '_' || (length > 0 && out[length - 1] != '_')) {
            out[length++] = letter;
        }
    }
    while (length > 0 && out[length - 1] == '_') {
        length--;
    }
    out[length] = '\0';
}

static bool is_number(const char *word, size_t length)
{
    return length > 0 && strspn(word, "0123456789") >= length;
}

static bool is_word(const char *word, size_t length, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strlen(words[i]) == length && memcmp(word, words[i], length) == 0) {
            return true;
        }
    }
    return false;
}

/* Words that say how a model was tuned or packed, not how large it is. */
static bool says_nothing(const char *word, size_t length)
{
    static const char *const words[] = {
        "instruct", "chat", "hf",        "it",    "base", "meta",     "dynamic",
        "awq",      "gptq", "int4",      "w4a16", "hub",  "thinking", "v0",
        "v1",       "v2",   "v3",        "4k",    "8k",   "32k",      "128k",
        "preview",  "sft",  "reasoning", NULL};
    return is_word(word, length, words) ||
           (length == 4 && is_number(word, 4)); /* 2407: a month */
}

/* Words of a format that has model files of its own, where somebody wrote them. */
static bool says_format(const char *word, size_t length)
{
    static const char *const words[] = {"fp8",   "int8",      "w8a8",    "nvfp4",
                                        "fp4",   "quantized", "dynamic", "static",
                                        "w8a16", NULL};
    return is_word(word, length, words);
}

/* The name without such words; behind a version ("v0_3") its number goes, too. */
static void strip(const char *given, bool formats, char out[FACT_FILE_BYTES])
{
    size_t length = 0;
    bool version = false;
    while (*given != '\0') {
        const size_t word = strcspn(given, "_");
        const bool number = is_number(given, word);
        if (!says_nothing(given, word) && !(formats && says_format(given, word)) &&
            !(version && number)) {
            length += (size_t)snprintf(out + length, FACT_FILE_BYTES - length, "%s%.*s",
                                       length > 0 ? "_" : "", (int)word, given);
            version = false;
        } else {
            version = word == 2 && given[0] == 'v';
        }
        given += word + (given[word] == '_' ? 1 : 0);
    }
    out[length] = '\0';
}

bool helm_model_find(const char *config_dir, const char *url,
                     char name[FACT_FILE_BYTES])
{
    char path[PATH_MAX];
    char whole[FACT_FILE_BYTES];
    size_t end = strlen(url);
    while (end > 0 && url[end - 1] == '/') {
        end--;
    }
    size_t start = end;
    while (start > 0 && url[start - 1] != '/') {
        start--;
    }
    if (end - start >= FACT_FILE_BYTES) {
        return false;
    }
    char last[FACT_FILE_BYTES];
    memcpy(last, url + start, end - start);
    last[end - start] = '\0';
    words_of(last, whole);
    (void)snprintf(name, FACT_FILE_BYTES, "%s", whole);
    if (whole[0] != '\0' && config_path_find(config_dir, "models", whole, path)) {
        return true;
    }
    for (int formats = 0; formats <= 1; formats++) {
        strip(whole, formats == 1, name);
        if (name[0] != '\0' && config_path_find(config_dir, "models", name, path)) {
            return true;
        }
    }
    return false;
}

const char *helm_format_find(const char *flag, const char *url)
{
    static const struct {
        const char *word;
        const char *format;
    } of_flag[] = {{"fp8", "fp8"},           {"awq", "awq"},
                   {"awq_marlin", "awq"},    {"gptq", "gptq"},
                   {"gptq_marlin", "gptq"},  {"modelopt", "fp8"},
                   {"modelopt_fp4", "nvfp4"}},
      of_name[] = {{"awq", "awq"},   {"gptq", "gptq"},   {"w4a16", "gptq"},
                   {"int4", "gptq"}, {"nvfp4", "nvfp4"}, {"fp4", "nvfp4"},
                   {"fp8", "fp8"},   {"w8a8", "int8"},   {"int8", "int8"}};
    char words[FACT_FILE_BYTES];
    for (size_t i = 0; flag != NULL && i < sizeof of_flag / sizeof of_flag[0]; i++) {
        if (strcmp(flag, of_flag[i].word) == 0) {
            return of_flag[i].format;
        }
    }
    words_of(url, words);
    for (size_t i = 0; i < sizeof of_name / sizeof of_name[0]; i++) {
        const char *at = strstr(words, of_name[i].word);
        const size_t length = strlen(of_name[i].word);
        if (at != NULL && (at == words || at[-1] == '_') &&
            (at[length] == '_' || at[length] == '\0')) {
            return of_name[i].format;
        }
    }
    return flag == NULL ? "" : NULL;
}

bool helm_gpu_find(const char *config_dir, const char *product,
                   char name[FACT_FILE_BYTES])
{
    /* By what the label says: family, then memory or slot. */
    static const struct {
        const char *family;
        const char *and;
        const char *file;
    } gpus[] = {{"h100", "pcie", ""},     {"h100", "", "h100_sxm"},
                {"h200", "", "h200_sxm"}, {"b200", "", "b200_sxm"},
                {"a100", "40gb", ""},     {"a100", "", "a100_80_sxm"},
                {"l40s", "", "l40s"},     {"l4", "", "l4"},
                {"4090", "", "rtx_4090"}, {"rtx_pro_6000", "", "rtx_pro_6000"}};
    char words[FACT_FILE_BYTES];
    char path[PATH_MAX];
    words_of(product, words);
    (void)snprintf(name, FACT_FILE_BYTES, "%s", words);
    if (words[0] != '\0' && config_path_find(config_dir, "gpus", words, path)) {
        return true;
    }
    for (size_t i = 0; i < sizeof gpus / sizeof gpus[0]; i++) {
        const char *at = strstr(words, gpus[i].family);
        const size_t length = strlen(gpus[i].family);
        if (at == NULL || (at > words && at[-1] != '_') ||
            (at[length] != '_' && at[length] != '\0') ||
            strstr(words, gpus[i].and) == NULL) {
            continue;
        }
        (void)snprintf(name, FACT_FILE_BYTES, "%s", gpus[i].file);
        return gpus[i].file[0] != '\0' &&
               config_path_find(config_dir, "gpus", name, path);
    }
    return false;
}

bool helm_node_find(const char *config_dir, const char *gpu, char name[FACT_FILE_BYTES])
{
    static const char *const kinds[] = {"hgx", "pcie", NULL};
    char path[PATH_MAX];
    const int family = (int)strcspn(gpu, "_");
    for (size_t i = 0; kinds[i] != NULL; i++) {
        (void)snprintf(name, FACT_FILE_BYTES, "%s_%.*s", kinds[i], family, gpu);
        if (config_path_find(config_dir, "nodes", name, path)) {
            return true;
        }
    }
    return false;
}
