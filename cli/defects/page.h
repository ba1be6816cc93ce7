/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h: the one page about defects: for a terminal, a document, a browser, a program.
 */
#ifndef STACKSIM_CLI_DEFECTS_PAGE_H
#define STACKSIM_CLI_DEFECTS_PAGE_H

#include "base/text.h"
#include "cli/defects/study.h"
#include "reports/table.h"

struct defects_page {
    const struct study_row *rows;
    size_t count;
    size_t seeds;
    const char *fleet; /* another scenario; NULL = each defect's own */
    bool with_unshown; /* the list of those that no run shows, too */
};

void defects_page_write(const struct defects_page *page, enum table_format format,
                        struct text *out);
/* A whole HTML page; command: as it was typed. */
void defects_page_html(const struct defects_page *page, const char *command,
                       struct text *out);

/* The catalog, without runs: what there is, where, and which keys switch it. */
void defects_list_write(enum table_format format, struct text *out);

/* Parts that both pages have. Of another fleet the defects are told that it feels. */
bool defects_is_told(const struct defects_page *page, const struct study_row *row);
struct table *defects_figures(const struct defects_page *page);
void defects_note(const struct defects_page *page, struct text *out);

/* "91 % of the requests fail; goodput falls by 40 %", without a full stop. */
void defects_verdict(const struct study_row *row, size_t seeds, struct text *out);

#endif
