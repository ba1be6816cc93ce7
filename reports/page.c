/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c: head, end and inline pictures.
 *
 * The content policy forbids every load, so that a page sent by mail stays what it was.
 */
#include "reports/page.h"

#include "reports/html.h"
#include "reports/page_style.h"
#include "reports/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* gnuplot's point symbols, which its files define each for themselves: once a page. */
static const char symbols[] =
    "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" "
    "style=\"position:absolute\"><defs>"
    "<g id=\"gpPt6\"><circle r=\"1\" fill=\"currentColor\"/></g>"
    "<g id=\"gpPt4\"><rect x=\"-1\" y=\"-1\" width=\"2\" height=\"2\" "
    "fill=\"currentColor\"/></g>"
    "<g id=\"gpPt8\"><path d=\"M0,-1.33 L-1.33,0.67 L1.33,0.67 z\" "
    "fill=\"currentColor\"/></g></defs></svg>\n";

void page_begin(struct text *out, const char *title)
{
    text_add(out,
             "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, "
             "initial-scale=1\">\n"
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
             "'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src "
             "data:\">\n<title>");
    html_add(out, title);
    text_add(out, "</title>\n<style>\n");
    page_add_style(out);
    text_add(out, "</style>\n</head>\n<body>\n");
    text_add(out, symbols);
    text_add(out, "<main>\n");
}

void page_end(struct text *out)
{
    text_add(out, "</main>\n<script>\n");
    page_add_script(out);
    text_add(out, "</script>\n</body>\n</html>\n");
}

void page_add_table(struct text *out, const struct table *table, const char *label)
{
    text_printf(out,
                "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                "aria-label=\"%s\">\n",
                label);
    table_write(table, TABLE_HTML, out);
    text_add(out, "</div>\n");
}

static bool read_file(const char *path, struct text *out, struct err *err)
{
    enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        return err_set(err, ERR_IO, "%s: %s; draw the plots again", path,
                       strerror(errno));
    }
    char buffer[1 << 14];
    size_t got = sizeof buffer;
    while (got == sizeof buffer && out->length < FILE_BYTES_MAX) {
        got = fread(buffer, 1, sizeof buffer, file);
        text_add_bytes(out, buffer, got);
    }
    const bool fine = ferror(file) == 0 && out->length < FILE_BYTES_MAX;
    (void)fclose(file);
    return fine || err_set(err, ERR_IO, "%s: cannot be read, or larger than %d bytes",
                           path, FILE_BYTES_MAX);
}

/* Behind an element that the page does not want and that begins here, or `at`. */
static const char *skip_unwanted(const char *at)
{
    static const char *const unwanted[][2] = {
        {"<title>", "</title>"}, {"<desc>", "</desc>"}, {"<defs>", "</defs>"}};
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        if (strncmp(at, unwanted[i][0], strlen(unwanted[i][0])) == 0) {
            const char *const end = strstr(at, unwanted[i][1]);
            return end == NULL ? at : end + strlen(unwanted[i][1]);
        }
    }
    return at;
}

/* at: an id attribute begins here with its blank. */
static const char *skip_id(const char *at)
{
    const char quote = at[4];
    const char *const end = strchr(at + 5, quote);
    return end == NULL ? at : end + 1;
}

static void add_svg_body(struct text *out, const char *svg)
{
    const char *from = svg;
    const char *at = svg;
    while (*at != '\0') {
        const char *next = at;
        if (*at == '<') {
            next = skip_unwanted(at);
        } else if (strncmp(at, " id=\"", 5) == 0 || strncmp(at, " id='", 5) == 0) {
            next = skip_id(at);
        }
        if (next == at) {
            at++;
            continue;
        }
        text_add_bytes(out, from, (size_t)(at - from));
        from = at = next;
    }
    text_add_bytes(out, from, (size_t)(at - from));
}

bool page_add_svg(struct text *out, const char *path, const char *label,
                  const char *class_name, struct err *err)
{
    struct text file = {0};
    if (!read_file(path, &file, err)) {
        text_fini(&file);
        return false;
    }
    const char *const svg = strstr(text_str(&file), "<svg");
    if (svg == NULL) {
        text_fini(&file);
        return err_set(err, ERR_INPUT, "%s: not an SVG file; draw the plots again",
                       path);
    }
    text_printf(out, "<svg class=\"%s\" role=\"img\" aria-label=\"", class_name);
    html_add(out, label);
    text_add(out, "\"");
    add_svg_body(out, svg + strlen("<svg"));
    text_fini(&file);
    return true;
}
