/* SPDX-License-Identifier: Apache-2.0
 *
 * policies_page.c: copies a page line by line and puts tables where the marks are.
 */
#include "cli/policies_page.h"

#include "policies/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 512 };
static const char mark_start[] = "<!-- parameters: ";
static const char mark_end[] = "<!-- end -->\n";

static void put_table(const struct policy_entry *entry, struct text *out)
{
    const size_t count = policy_param_count(entry->params);
    if (count == 0) {
        text_add(out, "\nNo parameters.\n\n");
        return;
    }
    text_add(out, "\n| parameter | default | range | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++) {
        const struct policy_param *param = &entry->params[i];
        char given[POLICY_DEFAULT_BYTES];
        text_printf(out, "| `%s` | %s | ", param->name,
                    policy_default_text(param, given));
        if (param->kind == PARAM_BOOL) {
            text_add(out, "true, false");
        } else {
            text_printf(out, "%.16g to %.16g", param->min, param->max);
        }
        text_printf(out, " | %s |\n", param->help);
    }
    text_add(out, "\n");
}

/* "KIND NAME -->" behind the start of a mark. */
static bool entry_of_mark(const char *mark, struct policy_entry *entry, size_t *index)
{
    const size_t kind_length = strcspn(mark, " ");
    const char *name = mark + kind_length + (mark[kind_length] == ' ' ? 1 : 0);
    const size_t name_length = strcspn(name, " ");
    for (*index = 0; policy_catalog_at(NULL, *index, entry); ++*index) {
        const char *kind = policy_kind_name(entry->kind);
        if (strlen(kind) == kind_length && strncmp(kind, mark, kind_length) == 0 &&
            strlen(entry->name) == name_length &&
            strncmp(entry->name, name, name_length) == 0) {
            return true;
        }
    }
    return false;
}

struct page {
    const char *path;
    FILE *file;
    char *line;
    size_t line_bytes;
    unsigned number;
    bool seen[ENTRIES_MAX]; /* by place in the catalog */
};

static bool next_line(struct page *page)
{
    page->number++;
    return getline(&page->line, &page->line_bytes, page->file) > 0;
}

static bool renew_one(struct page *page, struct text *out, struct err *err)
{
    const unsigned number = page->number;
    struct policy_entry entry;
    size_t index = 0;
    if (!entry_of_mark(page->line + strlen(mark_start), &entry, &index) ||
        index >= ENTRIES_MAX) {
        return err_set(
            err, ERR_INPUT,
            "%s:%u: no such policy; write '%sKIND NAME -->' with a kind and a "
            "name that 'stacksim policies' lists",
            page->path, number, mark_start);
    }
    page->seen[index] = true;
    put_table(&entry, out);
    while (next_line(page)) {
        if (strcmp(page->line, mark_end) == 0) {
            text_add(out, page->line);
            return true;
        }
    }
    return err_set(err, ERR_INPUT, "%s:%u: the table has no end; add '<!-- end -->'",
                   page->path, number);
}

/* A section for every policy without a mark: its author moves and words it. */
static void put_unseen(const struct page *page, struct text *out)
{
    struct policy_entry entry;
    for (size_t i = 0; i < ENTRIES_MAX && policy_catalog_at(NULL, i, &entry); i++) {
        if (page->seen[i]) {
            continue;
        }
        text_printf(out, "\n## %s\n\n%s", entry.name, entry.help);
        if (entry.breaks != NULL) {
            text_printf(out, " Breaks under: %s.", entry.breaks);
        }
        text_printf(out, "\n\n%s%s %s -->\n", mark_start, policy_kind_name(entry.kind),
                    entry.name);
        put_table(&entry, out);
        text_add(out, mark_end);
    }
}

bool policies_page_renew(const char *path, struct text *out, struct err *err)
{
    struct page page = {.path = path, .file = fopen(path, "r")};
    if (page.file == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s", path, strerror(errno));
    }
    bool fine = true;
    while (fine && next_line(&page)) {
        text_add(out, page.line);
        if (strncmp(page.line, mark_start, strlen(mark_start)) == 0) {
            fine = renew_one(&page, out, err);
        }
    }
    if (fine) {
        put_unseen(&page, out);
    }
    free(page.line);
    (void)fclose(page.file);
    return fine;
}
