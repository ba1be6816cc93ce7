/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c: style, script and inline pictures.
 *
 * The content policy forbids every load, so that a page sent by mail stays what it was.
 * Pictures are inverted rather than drawn twice for dark screens; turning the hue back
 * keeps the colours of the lines.
 */
#include "reports/page.h"

#include "base/mem.h"
#include "reports/html.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const style[] = {
    ":root{color-scheme:light dark;--ink:#1c2330;--soft:#5a6472;--line:#d9dee5;"
    "--back:#fff;--card:#f6f8fa;--best:#0b6e4f;--bestback:#e3f4ec;--warn:#8a5a00;"
    "--warnback:#fff6e0}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e8ee;--soft:#9aa5b3;"
    "--line:#343c48;--back:#12161c;--card:#1a2029;--best:#6fd3a8;--bestback:#17362b;"
    "--warn:#f0c060;--warnback:#33290f}figure svg{filter:invert(.9) "
    "hue-rotate(180deg)}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--back);color:var(--ink);"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:2rem 1.25rem 4rem}\n"
    "h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}\n"
    "h2{font-size:1.25rem;margin:2.5rem 0 .75rem}\n"
    "h3{font-size:1.05rem;margin:1.25rem 0 .5rem}figure h3{margin-top:0}\n"
    "p{margin:.5rem 0;max-width:75ch}\n"
    ".soft,figcaption{color:var(--soft);font-size:.9rem}\n"
    ".verdict{font-size:1.25rem;line-height:1.4;border-left:4px solid var(--best);"
    "padding:.25rem 0 .25rem 1rem;margin:1.25rem 0 1rem}\n"
    "ul{margin:.5rem 0;padding-left:1.25rem;max-width:80ch}li{margin:.3rem 0}\n"
    ".caution{list-style:none;background:var(--warnback);color:var(--warn);"
    "margin:.5rem 0 .5rem -1.25rem;padding:.5rem .75rem;border-radius:6px}\n",
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}\n"
    ".scroll:focus-visible{outline:2px solid var(--best);outline-offset:2px}\n"
    "table{border-collapse:collapse;width:100%;font-size:.875rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.4rem .65rem;border-bottom:1px solid var(--line);"
    "text-align:right;white-space:nowrap}\n"
    "th.text,td.text{text-align:left}\n"
    "tbody tr:last-child>*{border-bottom:0}\n"
    "thead th{background:var(--card);vertical-align:bottom;padding:0}\n"
    "thead button{all:unset;display:block;width:100%;cursor:pointer;font-weight:600;"
    "padding:.45rem .65rem;line-height:1.25;box-sizing:border-box;white-space:normal}\n"
    "thead button:focus-visible{outline:2px solid var(--best);outline-offset:-2px}\n"
    "thead .unit{display:block;font-weight:400;color:var(--soft);font-size:.8em}\n"
    "th[aria-sort=ascending] button::after{content:' \\25B2';font-size:.7em}\n"
    "th[aria-sort=descending] button::after{content:' \\25BC';font-size:.7em}\n"
    "tbody th,thead th:first-child{position:sticky;left:0;background:var(--card);"
    "font-weight:600}\n"
    ".best{color:var(--best);background:var(--bestback);font-weight:700}\n"
    "figure{margin:0;border:1px solid var(--line);border-radius:8px;padding:1rem;"
    "break-inside:avoid}\n"
    "figure svg{display:block;width:100%;height:auto;max-width:860px;margin:0 auto}\n"
    "figure image{image-rendering:pixelated}\n"
    "figcaption{margin-top:.75rem;max-width:75ch}\n"
    ".plots{display:grid;gap:1.25rem;grid-template-columns:minmax(0,1fr)}\n"
    "dl{display:grid;grid-template-columns:minmax(7rem,max-content) minmax(0,1fr);"
    "gap:.35rem 1.25rem;margin:.5rem 0;font-size:.9375rem}\n"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;white-space:pre-line}\n"
    "details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0}\n"
    "summary{cursor:pointer;padding:.6rem .9rem;font-weight:600}\n"
    "pre{margin:0;padding:.9rem;overflow-x:auto;background:var(--card);"
    "border-top:1px solid var(--line);font-size:.8125rem;line-height:1.45}\n"
    "code{font-size:.9em;overflow-wrap:anywhere}\n",
    "details.plain{border:0;margin:0}details.plain>summary{padding:0 0 .35rem;"
    "font-weight:400}\n"
    "summary:focus-visible,pre:focus-visible{outline:2px solid var(--best)}\n"
    /* A picture shrinks with its page; its words must not. */
    "@media(max-width:600px){figure svg g[font-size]{font-size:19px}"
    "tbody th{min-width:8.5rem;max-width:9.5rem;white-space:normal;"
    "overflow-wrap:anywhere}main{padding:1.25rem .8rem 3rem}h1{font-size:1.4rem}"
    ".verdict{font-size:1.1rem}figure{padding:.5rem}"
    "dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}\n"
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;"
    "--back:#fff;--card:#fff;--best:#000;--bestback:#fff;--warn:#000;"
    "--warnback:#fff}main{max-width:none;padding:0}.scroll{overflow:visible;border:0}"
    "table{font-size:6.5pt}th,td{padding:.15rem .25rem;white-space:normal}"
    "thead button{padding:.15rem .25rem}tbody th,thead th:first-child{position:static}"
    "figure svg{filter:none;max-width:170mm}h2{break-after:avoid}"
    ".verdict{border-color:#000}}\n",
};

static const char script[] =
    "document.querySelectorAll('table.sortable').forEach(function(table){\n"
    "  var heads=table.tHead.rows[0].cells,body=table.tBodies[0];\n"
    "  Array.prototype.forEach.call(heads,function(head,at){\n"
    "    head.firstChild.addEventListener('click',function(){\n"
    "      var up=head.getAttribute('aria-sort')!=='ascending';\n"
    "      var text=head.className==='text';\n"
    "      Array.prototype.forEach.call(heads,function(other){\n"
    "        other.setAttribute('aria-sort','none');});\n"
    "      head.setAttribute('aria-sort',up?'ascending':'descending');\n"
    "      var rows=Array.prototype.slice.call(body.rows);\n"
    "      rows.sort(function(left,right){\n"
    "        var a=left.cells[at].dataset.value,b=right.cells[at].dataset.value;\n"
    "        if(a===''||b===''){return a===b?0:a===''?1:-1;}\n"
    "        var order=text?a.localeCompare(b):a-b;\n"
    "        return up?order:-order;});\n"
    "      rows.forEach(function(row){body.appendChild(row);});\n"
    "    });\n"
    "  });\n"
    "});\n";

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
    for (size_t i = 0; i < sizeof style / sizeof style[0]; i++) {
        text_add(out, style[i]);
    }
    text_add(out, "</style>\n</head>\n<body>\n<main>\n");
}

void page_end(struct text *out)
{
    text_add(out, "</main>\n<script>\n");
    text_add(out, script);
    text_add(out, "</script>\n</body>\n</html>\n");
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
                  struct err *err)
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
    text_add(out, "<svg role=\"img\" aria-label=\"");
    html_add(out, label);
    text_add(out, "\"");
    add_svg_body(out, svg + strlen("<svg"));
    text_fini(&file);
    return true;
}
