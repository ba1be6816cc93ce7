/* SPDX-License-Identifier: Apache-2.0
 *
 * pages.c: plot_write and report_write_html in their order.
 */
#include "cli/pages.h"

#include "base/mem.h"
#include "cli/say.h"
#include "reports/report.h"

#include <stdio.h>
#include <string.h>

static void say_plots(const struct plot_set *plots)
{
    for (size_t i = 0; i < plots->count; i++) {
        const struct plot_file *file = &plots->files[i];
        if (file->drawn) {
            fprintf(stderr, "wrote %s (also .png, .csv, .gp)\n", file->svg_path);
        } else {
            fprintf(stderr, "wrote %s (also .gp)\n", file->csv_path);
        }
    }
    say_notes(plots->note);
}

bool pages_write(const struct pages *pages, struct err *err)
{
    struct plot_set *plots = mem_alloc(1, sizeof *plots);
    struct text path = {0};
    /* Of a sweep's many runs nobody wants to see the first ones. */
    const struct plot_input input = {.runs = pages->runs,
                                     .run_count =
                                         pages->load != NULL ? 0 : pages->run_count,
                                     .seeds = pages->load != NULL ? NULL : pages->seeds,
                                     .load = pages->load};
    bool ok = plot_write(&input, pages->stem, plots, err);
    if (ok) {
        say_plots(plots);
        text_printf(&path, "%s.html", pages->stem);
        const struct report report = {
            .runs = pages->runs,
            .run_count = pages->run_count,
            .plots = plots,
            .command = pages->command,
            .verdict = pages->verdict,
            .seeds = pages->seeds,
            .load = pages->load,
            .title = pages->title,
            .store_path = pages->store_path,
        };
        ok = report_write_html(&report, text_str(&path), err);
    }
    if (ok) {
        say_wrote(text_str(&path));
    }
    text_fini(&path);
    mem_free(plots);
    return ok;
}

static bool ends_with_db(const char *path)
{
    const size_t length = strlen(path);
    return length > 3 && strcmp(path + length - 3, ".db") == 0;
}

void pages_paths(const char *out_option, const char *name, struct text *store_path,
                 struct text *stem)
{
    if (ends_with_db(out_option)) {
        text_add(store_path, out_option);
        text_add_bytes(stem, out_option, strlen(out_option) - 3);
        return;
    }
    size_t length = strlen(out_option);
    while (length > 1 && out_option[length - 1] == '/') {
        length--;
    }
    text_add_bytes(stem, out_option, length);
    text_printf(stem, "/%s", name);
    text_printf(store_path, "%s.db", text_str(stem));
}

void pages_folder(const char *path, struct text *folder)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        text_add(folder, ".");
    } else if (slash == path) {
        text_add(folder, "/");
    } else {
        text_add_bytes(folder, path, (size_t)(slash - path));
    }
}
