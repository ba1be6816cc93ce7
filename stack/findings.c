/* SPDX-License-Identifier: Apache-2.0
 *
 * findings.c: a list of sentences with places.
 */
#include "stack/findings.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void findings_fini(struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        mem_free(findings->items[i].what);
        mem_free(findings->items[i].remedy);
    }
    mem_free(findings->items);
    *findings = (struct findings){0};
}

/* The next free finding with its place, or NULL when the list is full. */
static struct finding *add(struct findings *findings, enum finding_level level,
                           const char *name, const struct conf_node *where)
{
    void *items = findings->items;
    if (!mem_grow(&items, &findings->capacity, findings->count + 1,
                  sizeof *findings->items, FINDINGS_MAX)) {
        findings->dropped++;
        return NULL;
    }
    findings->items = items;
    struct finding *finding = &findings->items[findings->count++];
    *finding = (struct finding){
        .level = level,
        .name = name,
        .file = where != NULL ? conf_path(where) : NULL,
        .line = where != NULL ? conf_line(where) : 0,
    };
    return finding;
}

void findings_add(struct findings *findings, enum finding_level level, const char *name,
                  const struct conf_node *where, const char *format, ...)
{
    struct err text = {ERR_NONE, ""};
    struct finding *finding = add(findings, level, name, where);
    if (finding == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)err_set_va(&text, ERR_INPUT, format, args);
    va_end(args);
    char *last = NULL;
    for (char *at = strstr(text.text, "; "); at != NULL; at = strstr(at + 1, "; ")) {
        last = at;
    }
    if (last != NULL) {
        *last = '\0';
    }
    finding->what = mem_strdup(text.text);
    finding->remedy = mem_strdup(last != NULL ? last + 2 : "");
}

void findings_add_unknown(struct findings *findings, const struct conf_node *where,
                          const struct err *what)
{
    /* The place stands in the text already: "file:line: path: unknown key; ..." */
    const char *text = strstr(what->text, ": ");
    findings_add(findings, FINDING_WARNING, "unknown_key", where, "%s",
                 text != NULL ? text + 2 : what->text);
}

bool findings_have(const struct findings *findings, const char *name)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool stands_before(const struct finding *a, const struct finding *b)
{
    const int files =
        strcmp(a->file != NULL ? a->file : "", b->file != NULL ? b->file : "");
    return files != 0 ? files < 0 : a->line < b->line;
}

void findings_sort(struct findings *findings)
{
    /* At most FINDINGS_MAX, nearly in order: readers go through a file from its top. */
    for (size_t i = 1; i < findings->count; i++) {
        const struct finding moved = findings->items[i];
        size_t at = i;
        while (at > 0 && stands_before(&moved, &findings->items[at - 1])) {
            findings->items[at] = findings->items[at - 1];
            at--;
        }
        findings->items[at] = moved;
    }
}

const char *finding_level_name(enum finding_level level)
{
    static const char *const names[] = {[FINDING_NOTE] = "note",
                                        [FINDING_WARNING] = "warning",
                                        [FINDING_TRAP] = "trap"};
    return names[level];
}

void finding_print(const struct finding *finding, struct text *out)
{
    if (finding->file != NULL && finding->line > 0) {
        text_printf(out, "%s:%" PRIu32 ": ", finding->file, finding->line);
    } else if (finding->file != NULL) {
        text_printf(out, "%s: ", finding->file);
    }
    text_add(out, finding->what);
    if (finding->remedy[0] != '\0') {
        text_printf(out, "; %s", finding->remedy);
    }
}
