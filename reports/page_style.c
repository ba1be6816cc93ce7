/* SPDX-License-Identifier: Apache-2.0
 *
 * page_style.c: colours for light, dark and paper; a phone first gets names, then
 * figures.
 *
 * gnuplot writes colours as attributes, which any rule of a style sheet overrides: dark
 * screens get colours of their own, rather than inverted ones, without a second
 * picture. Heat maps are bitmaps and are inverted. Every plot is there twice, wide and
 * narrow, because a picture that is scaled to a phone has words that nobody can read.
 */
#include "reports/page_style.h"

#include "reports/plot_kind.h"

#include <stdio.h>

static const char *const style[] = {
    ":root{color-scheme:light dark;--ink:#18202c;--soft:#566171;--line:#dde2e9;"
    "--back:#fff;--card:#f6f8fa;--accent:#0b5cad;--best:#0b6e4f;--bestback:#e3f4ec;"
    "--warn:#7a4f00;--warnback:#fff5dc}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9ba7b6;"
    "--line:#2f3743;--back:#11151b;--card:#191f28;--accent:#78b7f2;--best:#6fd3a8;"
    "--bestback:#16332a;--warn:#f0c869;--warnback:#30270f}}\n"
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}\n"
    "body{margin:0;background:var(--back);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif}\n"
    "main{max-width:1320px;margin:0 auto;padding:2.25rem 1.5rem 4rem}\n"
    "h1{font-size:2rem;line-height:1.15;letter-spacing:-.015em;margin:.1rem 0 .35rem;"
    "overflow-wrap:anywhere}\n"
    "h2{font-size:1.35rem;letter-spacing:-.01em;margin:3rem 0 .9rem;"
    "padding-top:1.1rem;border-top:1px solid var(--line)}\n"
    "h3{font-size:1.05rem;margin:1.5rem 0 .5rem}figure h3{margin:0 0 .5rem}\n"
    "p{margin:.5rem 0;max-width:72ch}\n"
    ".soft,figcaption{color:var(--soft);font-size:.875rem}\n"
    ".kicker{color:var(--accent);font-size:.8125rem;font-weight:650;"
    "letter-spacing:.06em;text-transform:uppercase;margin:0}\n"
    ".verdict{font-size:1.3rem;line-height:1.4;max-width:56ch;margin:1.4rem 0 1.2rem;"
    "border-left:4px solid var(--accent);padding:.15rem 0 .15rem 1rem}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));"
    "gap:.9rem;margin:1.2rem 0}\n"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;"
    "padding:.8rem 1rem .85rem;min-width:0}\n"
    ".tile .what{color:var(--soft);font-size:.8125rem;margin:0}\n"
    ".tile .value{font-size:1.7rem;font-weight:650;line-height:1.25;margin:.1rem 0;"
    "letter-spacing:-.02em;font-variant-numeric:tabular-nums}\n"
    ".tile .value small{font-size:.95rem;font-weight:500;letter-spacing:0;"
    "color:var(--soft)}\n"
    ".tile .who{font-weight:650;margin:0;color:var(--best);overflow-wrap:anywhere;"
    "line-height:1.3}\n"
    ".tile .gap{color:var(--soft);font-size:.8125rem;margin:.15rem 0 0;"
    "line-height:1.4;overflow-wrap:anywhere}\n",
    "ul{margin:.5rem 0;padding-left:1.2rem;max-width:80ch}li{margin:.35rem 0}\n"
    ".caution{background:var(--warnback);color:var(--warn);font-size:.9rem;"
    "margin:.5rem 0;padding:.55rem .8rem;border-radius:8px;max-width:80ch}\n"
    ".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:10px}\n"
    ".scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}\n"
    ".scroll.more{box-shadow:inset -14px 0 12px -12px rgba(90,105,125,.55)}\n"
    "table{border-collapse:collapse;width:100%;font-size:.875rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.42rem .55rem;border-bottom:1px solid var(--line);"
    "text-align:right;white-space:nowrap}\n"
    "th.text,td.text{text-align:left}\n"
    "tbody tr:last-child>*{border-bottom:0}wbr{display:none}\n"
    "tbody tr:hover>td:not(.best){background:var(--card)}\n"
    "thead th{background:var(--card);vertical-align:bottom;padding:0}\n"
    "thead button{all:unset;display:block;width:100%;cursor:pointer;font-weight:600;"
    "padding:.5rem .55rem;line-height:1.25;box-sizing:border-box;"
    "white-space:normal}\n"
    "thead button:hover{color:var(--accent)}\n"
    "thead button:focus-visible{outline:2px solid var(--accent);outline-offset:-2px}\n"
    "thead .unit{display:block;font-weight:400;color:var(--soft);font-size:.8em;"
    "white-space:nowrap}\n"
    "thead .unit::after{content:' \\2195';opacity:.55}\n"
    "th[aria-sort=ascending] .unit::after{content:' \\25B2';opacity:1}\n"
    "th[aria-sort=descending] .unit::after{content:' \\25BC';opacity:1}\n"
    "tbody th,thead th:first-child{position:sticky;left:0;background:var(--card);"
    "font-weight:600;border-right:1px solid var(--line)}\n"
    ".best{color:var(--best);background:var(--bestback);font-weight:700}\n"
    "figure{margin:0;border:1px solid var(--line);border-radius:10px;padding:1.1rem;"
    "break-inside:avoid}\n"
    "figure svg{display:block;width:100%;height:auto;max-width:860px;margin:0 auto}\n"
    "figure svg g{font-family:inherit}\n"
    "figure image{image-rendering:pixelated}\n"
    "figure svg.narrow{display:none;max-width:430px}\n"
    "figcaption{margin-top:.75rem;max-width:75ch}\n"
    "figcaption code{white-space:nowrap}\n"
    ".plots{display:grid;gap:1.25rem;grid-template-columns:minmax(0,1fr)}\n",
    "dl{display:grid;grid-template-columns:minmax(8rem,max-content) minmax(0,1fr);"
    "gap:.4rem 1.25rem;margin:.5rem 0;font-size:.9375rem}\n"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;white-space:pre-line}\n"
    "details{border:1px solid var(--line);border-radius:10px;margin:.5rem 0}\n"
    "summary{cursor:pointer;padding:.6rem .9rem;font-weight:600;"
    "overflow-wrap:anywhere}\n"
    "details>ul,details>p{padding:0 1rem 0 2.1rem}\n"
    "details>.scroll{border-width:1px 0 0;border-radius:0}\n"
    "pre{margin:0;padding:.9rem;overflow-x:auto;background:var(--card);"
    "border-top:1px solid var(--line);font-size:.8125rem;line-height:1.45}\n"
    "code{font-size:.9em;overflow-wrap:anywhere}\n"
    "details.plain{border:0;margin:0}details.plain>summary{padding:0 0 .35rem;"
    "font-weight:400}\n"
    "summary:focus-visible,pre:focus-visible{outline:2px solid var(--accent)}\n"
    "footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line)}\n"
    "@media(max-width:600px){main{padding:1.25rem .9rem 3rem}h1{font-size:1.5rem}"
    "h2{margin:2.2rem 0 .7rem;font-size:1.2rem}.verdict{font-size:1.08rem}"
    ".tiles{grid-template-columns:repeat(2,minmax(0,1fr));gap:.6rem}"
    ".tile{padding:.6rem .7rem}.tile .value{font-size:1.3rem}"
    ".tile .who{font-size:.9rem}figure{padding:.6rem}"
    "tbody th,thead th:first-child{min-width:7rem;max-width:9rem;"
    "white-space:normal;overflow-wrap:anywhere}wbr{display:inline}th,td{padding:.4rem "
    ".5rem}"
    "thead button{padding:.45rem .5rem}"
    "figure svg.wide{display:none}figure svg.narrow{display:block}"
    "dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}\n"
    "@media print{@page{margin:14mm}:root{color-scheme:light;--ink:#000;--soft:#444;"
    "--line:#bbb;--back:#fff;--card:#fff;--accent:#000;--best:#000;--bestback:#fff;"
    "--warn:#000;--warnback:#fff}body{font-size:10pt}main{max-width:none;padding:0}"
    ".scroll{overflow:visible;border:0}.scroll.more{box-shadow:none}"
    "table{font-size:6.5pt}th,td{padding:.15rem .25rem;white-space:normal}"
    "thead button{padding:.15rem .25rem}thead .unit::after{content:''}"
    "tbody th,thead th:first-child{position:static;border-right:0}"
    "tr,.tile,.caution{break-inside:avoid}pre{white-space:pre-wrap;font-size:7pt}"
    "figure svg.wide{display:block;max-width:165mm}figure svg.narrow{display:none}"
    "h2,h3{break-after:avoid}}\n",
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
    "});\n"
    /* A shadow where a table goes on beyond its frame. */
    "document.querySelectorAll('.scroll').forEach(function(frame){\n"
    "  function mark(){frame.classList.toggle('more',\n"
    "    frame.scrollLeft+frame.clientWidth<frame.scrollWidth-1);}\n"
    "  frame.addEventListener('scroll',mark,{passive:true});\n"
    "  window.addEventListener('resize',mark);\n"
    "  frame.closest('details')&&frame.closest('details')\n"
    "    .addEventListener('toggle',mark);\n"
    "  mark();\n"
    "});\n"
    /* Paper cannot be clicked. */
    "window.addEventListener('beforeprint',function(){\n"
    "  document.querySelectorAll('details:not([open])').forEach(function(each){\n"
    "    each.open=true;each.dataset.closed='';});\n"
    "});\n"
    "window.addEventListener('afterprint',function(){\n"
    "  document.querySelectorAll('details[data-closed]').forEach(function(each){\n"
    "    each.open=false;delete each.dataset.closed;});\n"
    "});\n";

/* As gnuplot writes "#0072b2": for lines with padding, for text without. */
static void add_recolour(struct text *out, const char *from, const char *to)
{
    unsigned red = 0;
    unsigned green = 0;
    unsigned blue = 0;
    (void)sscanf(from, "#%2x%2x%2x", &red, &green, &blue); /* NOLINT(cert-err34-c) */
    static const char *const attributes[] = {"stroke", "fill", "color"};
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        text_printf(out,
                    "figure [%s=\"rgb(%3u, %3u, %3u)\"],figure "
                    "[%s=\"rgb(%u,%u,%u)\"]{%s:%s}",
                    attributes[i], red, green, blue, attributes[i], red, green, blue,
                    attributes[i], to);
    }
    text_add(out, "\n");
}

void page_add_style(struct text *out)
{
    for (size_t i = 0; i < sizeof style / sizeof style[0]; i++) {
        text_add(out, style[i]);
    }
    text_add(out, "@media screen and (prefers-color-scheme:dark){\n"
                  "figure [color=black]{color:var(--ink)}"
                  "figure [fill=black]{fill:var(--ink)}"
                  "figure image{filter:invert(.93) hue-rotate(180deg)}\n");
    add_recolour(out, "#000000", "var(--ink)");
    add_recolour(out, "#555555", "var(--soft)");
    add_recolour(out, "#cccccc", "#3a4350");
    for (size_t i = 0; i < PLOT_COLOURS; i++) {
        add_recolour(out, plot_colour(i), plot_colour_dark(i));
    }
    text_add(out, "}\n");
}

void page_add_script(struct text *out)
{
    text_add(out, script);
}
