/* SPDX-License-Identifier: Apache-2.0
 *
 * gpu_find.c: driver names and ours differ only in what they leave out, so the parts of
 * our file names ("rtx", "4090") are looked for in theirs.
 */
#include "cli/validate/gpu_find.h"

#include "base/text.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct search {
    const char *full_name;
    char best[PATH_MAX];
    size_t best_length;
    struct text known;
};

/* A word, or its beginning where no digit follows: "80" is in "80GB", "l4" not in
 * "L40".
 */
static bool has_part(const char *full_name, const char *part, size_t length)
{
    for (const char *at = full_name; *at != '\0'; at++) {
        const bool inside_word =
            (at > full_name && isalnum((unsigned char)at[-1])) != 0;
        if (!inside_word && strncasecmp(at, part, length) == 0 &&
            isdigit((unsigned char)at[length]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_package(const char *part, size_t length)
{
    return (length == 3 && strncmp(part, "sxm", length) == 0) ||
           (length == 4 && strncmp(part, "pcie", length) == 0);
}

/* Letters of the stem that were found; 0 when a part is not there. */
static size_t match_length(const char *full_name, const char *stem, size_t stem_length)
{
    size_t found = 0;
    size_t start = 0;
    while (start < stem_length) {
        size_t end = start;
        while (end < stem_length && stem[end] != '_') {
            end++;
        }
        const bool here = has_part(full_name, stem + start, end - start);
        if (!here && !is_package(stem + start, end - start)) {
            return 0;
        }
        found += here ? end - start : 0;
        start = end + 1;
    }
    return found;
}

static void folder_search(struct search *search, const char *root)
{
    char folder[PATH_MAX];
    struct dirent **entries = NULL;
    snprintf(folder, sizeof folder, "%s/gpus", root);
    const int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        const char *dot = strstr(name, ".yaml");
        if (dot != NULL && dot != name) {
            const size_t stem = (size_t)(dot - name);
            const size_t length = match_length(search->full_name, name, stem);
            text_printf(&search->known, "%s%.*s", search->known.length > 0 ? ", " : "",
                        (int)stem, name);
            if (length > search->best_length &&
                snprintf(search->best, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) {
                search->best_length = length;
            }
        }
        free(entries[i]);
    }
    free(entries);
}

bool gpu_find(struct gpu_spec *gpu, const struct gpu_search *wanted, struct err *err)
{
    const char *roots[] = {wanted->config_dir, getenv("STACKSIM_CONFIGS"),
                           STACKSIM_INSTALL_CONFIGS, STACKSIM_SOURCE_CONFIGS};
    struct search search = {.full_name = wanted->full_name};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        if (search.best_length == 0 && roots[i] != NULL && roots[i][0] != '\0') {
            text_fini(&search.known);
            folder_search(&search, roots[i]);
        }
    }
    bool ok = true;
    if (wanted->found != NULL) {
        memcpy(wanted->found, search.best, sizeof search.best);
    }
    if (search.best_length > 0) {
        ok = gpu_spec_load(gpu, search.best, err);
    } else if (wanted->required) {
        ok = err_set(err, ERR_INPUT,
                     "gpu.name: no file in configs/gpus fits \"%s\" (there are %s); "
                     "add one, or use --model affine",
                     wanted->full_name, text_str(&search.known));
    }
    text_fini(&search.known);
    return ok;
}
