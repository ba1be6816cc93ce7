/* SPDX-License-Identifier: Apache-2.0
 *
 * page.h: the fixed parts of the report page, and its way with SVG files.
 */
#ifndef STACKSIM_REPORTS_PAGE_H
#define STACKSIM_REPORTS_PAGE_H

#include "base/err.h"
#include "base/text.h"

/* From <!doctype> to the opening of <main>, with the style. */
void page_begin(struct text *out, const char *title);
/* To the end, with the script that sorts tables. */
void page_end(struct text *out);

/* Adds an SVG file of gnuplot as an element of the page: no prologue, no ids (several
 * pictures would share them), no tool tips, labelled for screen readers. */
NODISCARD bool page_add_svg(struct text *out, const char *path, const char *label,
                            struct err *err);

#endif
