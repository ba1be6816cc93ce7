/* SPDX-License-Identifier: Apache-2.0
 *
 * page_html.c: the page for a browser: what is left of the goodput as bars, the table,
 * the words.
 */
#include "cli/defects/page.h"
#include "reports/html.h"
#include "reports/page.h"

#include <math.h>

/* A cost is no best value; bars are of the goodput without the defect. */
static const char style[] =
    "<style>.costs td.best{color:var(--warn);background:var(--warnback)}\n"
    ".left{display:grid;grid-template-columns:max-content 1fr max-content;"
    "gap:.2rem .8rem;align-items:center;font-size:.875rem;margin:1rem 0;"
    "font-variant-numeric:tabular-nums}\n"
    ".left div{background:var(--warnback);border:1px solid var(--line);"
    "border-radius:4px;height:.9rem;overflow:hidden}\n"
    ".left i{display:block;height:100%;background:var(--accent)}</style>\n";

static void add_bar(const struct study_row *row, struct text *out)
{
    const struct study_figure *goodput = &row->figures[STUDY_GOODPUT];
    const double left = fmin(goodput->with / goodput->without, 1);
    if (isnan(left)) {
        return;
    }
    text_add(out, "<span>");
    html_add(out, row->defect->id);
    text_printf(out,
                "</span><div role=\"img\" aria-label=\"%.0f %% left\"><i "
                "style=\"width:%.1f%%\"></i></div><span>%.0f&nbsp;%%</span>\n",
                left * 100, left * 100, left * 100);
}

static void add_item(const char *id, const char *where, const char *what,
                     const char *says, struct text *out)
{
    text_add(out, "<li><strong>");
    html_add(out, id);
    text_add(out, "</strong> (");
    html_add(out, where);
    text_add(out, "): ");
    html_add(out, what);
    text_add(out, ". <em>");
    html_add(out, says);
    text_add(out, ".</em></li>\n");
}

static void add_words(const struct defects_page *page, struct text *out)
{
    text_add(out, "<h2>In words</h2>\n<ul>\n");
    for (size_t i = 0; i < page->count; i++) {
        const struct study_row *row = &page->rows[i];
        struct text verdict = {0};
        if (row->misfit.kind == ERR_NONE) {
            defects_verdict(row, page->seeds, &verdict);
        } else {
            text_printf(&verdict, "Not to be had in this fleet: %s", row->misfit.text);
        }
        add_item(row->defect->id, row->defect->where, row->defect->what,
                 text_str(&verdict), out);
        text_fini(&verdict);
    }
    text_add(out, "</ul>\n");
}

static void add_unshown(struct text *out)
{
    const struct defect_unshown *unshown = NULL;
    text_add(out, "<details>\n<summary>Marked in the specification, and shown by no "
                  "run</summary>\n<ul>\n");
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        add_item(unshown->id, unshown->where, unshown->what, unshown->why, out);
    }
    text_add(out, "</ul>\n</details>\n");
}

void defects_page_html(const struct defects_page *page, const char *command,
                       struct text *out)
{
    struct text note = {0};
    page_begin(out, "What defects of the Production Stack cost");
    text_add(out, style);
    text_add(out, "<header>\n<p class=\"kicker\">stacksim defects</p>\n<h1>What "
                  "defects of the Production Stack cost</h1>\n</header>\n"
                  "<h2>Goodput that is left</h2>\n<div class=\"left\">\n");
    for (size_t i = 0; i < page->count; i++) {
        if (defects_is_told(page, &page->rows[i])) {
            add_bar(&page->rows[i], out);
        }
    }
    text_add(out, "</div>\n<h2>Figures</h2>\n");
    struct table *table = defects_figures(page);
    if (table_rows(table) > 0) {
        text_add(out, "<div class=\"costs\">\n");
        page_add_table(out, table, "Figures");
        text_add(out, "</div>\n");
    }
    table_delete(table);
    defects_note(page, &note);
    text_add(out, "<p class=\"soft\">");
    html_add(out, text_str(&note));
    text_add(out, " A heading sorts.</p>\n");
    text_fini(&note);
    add_words(page, out);
    add_unshown(out);
    text_add(out, "<p class=\"soft\">Made by <code>");
    html_add(out, command);
    text_add(out, "</code></p>\n");
    page_end(out);
}
