/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h: the fixed parts of the report page, and its way with SVG files.
 */
#ifndef STACKSIM_REPORTS_PAGE_H
#define STACKSIM_REPORTS_PAGE_H

#include "base/err.h"
#include "base/text.h"

struct table;

/* From <!doctype> to the opening of <main>, with the style. */
void page_begin(struct text *out, const char *title);
/* To the end, with the script that sorts tables. */
void page_end(struct text *out);

/* A table in a frame that scrolls by itself, with keys as well. */
void page_add_table(struct text *out, const struct table *table, const char *label);

/* Adds an SVG file of gnuplot as an element of the page: no prologue, no ids (several
 * pictures would share them), no tool tips, labelled for screen readers.
 * class_name: of the element. */
NODISCARD bool page_add_svg(struct text *out, const char *path, const char *label,
                            const char *class_name, struct err *err);

#endif
