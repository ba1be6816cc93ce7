/* SPDX-License-Identifier: Apache-2.0
 *
 * plot.c: writes data and script of every plot of the registry and has them drawn.
 *
 * Scripts name their files without a folder and are run in it, so that a folder of
 * results can be moved and drawn again.
 */
#include "reports/plot.h"

#include "base/check.h"
#include "base/outfile.h"
#include "reports/gnuplot.h"
#include "reports/plot_kind.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct plot_kind *const kinds[] = {
#define PLOT(name) &plot_##name,
#include "reports/registry.def"
#undef PLOT
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };
_Static_assert((size_t)KIND_COUNT <= PLOTS_MAX, "plot_set has room for all plots");

const char *plot_colour(size_t index)
{
    static const char *const colours[PLOT_COLOURS] = {
        "#0072b2", "#d55e00", "#009e73", "#cc79a7",
        "#e69f00", "#56b4e9", "#444444", "#882255",
    };
    return colours[index % PLOT_COLOURS];
}

const char *plot_dash(size_t index)
{
    static const char *const dashes[] = {"1", "(14,5)", "(5,3)", "(14,3,3,3)"};
    return dashes[index % (sizeof dashes / sizeof dashes[0])];
}

double plot_step(double span, double count)
{
    const double rough = span / count;
    const double power = pow(10.0, floor(log10(rough)));
    const double factors[] = {1.0, 2.0, 5.0};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        if (factors[i] * power >= rough) {
            return factors[i] * power;
        }
    }
    return 10.0 * power;
}

unsigned plot_key_px(size_t entries, size_t longest_chars)
{
    /* Guessed wide: the SVG terminal does not know its font and guesses as well. */
    const size_t entry_px = 60 + 9 * longest_chars;
    const size_t fit = (PLOT_WIDTH_PX - 140) / entry_px;
    const size_t columns = fit > 0 ? fit : 1;
    return (unsigned)(12 + 20 * ((entries + columns - 1) / columns));
}

unsigned plot_runs_key_px(const struct plot_runs *runs)
{
    size_t longest = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const size_t length = strlen(runs->at[i]->info.name);
        longest = length > longest ? length : longest;
    }
    return plot_key_px(runs->count, longest);
}

void plot_add_place(struct text *out, const struct plot_script *script,
                    unsigned bottom_px, unsigned top_px)
{
    const double height_px = (double)script->height_px;
    text_printf(out, "set bmargin at screen %.4f\nset tmargin at screen %.4f\n",
                (double)bottom_px / height_px, (double)top_px / height_px);
}

void plot_add_quoted(struct text *out, const char *text)
{
    text_add(out, "'");
    for (const char *at = text; *at != '\0'; at++) {
        const bool is_control = (unsigned char)*at < 0x20;
        text_add_bytes(out, is_control ? " " : at, 1);
        text_add(out, *at == '\'' ? "'" : "");
    }
    text_add(out, "'");
}

void plot_add_field(struct text *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        text_add(out, text);
        return;
    }
    text_add(out, "\"");
    for (const char *at = text; *at != '\0'; at++) {
        text_add_bytes(out, *at == '\n' || *at == '\r' ? " " : at, 1);
        text_add(out, *at == '"' ? "\"" : "");
    }
    text_add(out, "\"");
}

/* The part after the last '/'. */
static const char *file_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Of file.csv, file.gp ...: the name without its ending. */
static void add_stem(struct text *out, const char *path)
{
    const char *const name = file_name(path);
    text_add_bytes(out, name, (size_t)(strrchr(name, '.') - name));
}

static void add_script(const struct plot_file *file, const struct plot_script *script,
                       struct text *out)
{
    struct text stem = {0};
    add_stem(&stem, file->csv_path);
    text_printf(out, "# %s. Draws itself: gnuplot ", file->title);
    text_add(out, file_name(file->gp_path));
    text_add(out, "\nset encoding utf8\nset datafile separator ','\n"
                  "set datafile missing 'nan'\nset style data lines\n"
                  "set border 3 lc rgb '#555555'\nset tics nomirror out scale 0.5\n"
                  "set grid lc rgb '#cccccc' lw 1 dt 1\n"
                  "set key samplen 2.5 spacing 1.1 horizontal Left reverse\nstem = ");
    plot_add_quoted(out, text_str(&stem));
    text_printf(out,
                "\ndata = stem . '.csv'\ndo for [kind in 'svg png'] {\n"
                "if (kind eq 'svg') { set terminal svg size %u,%u dynamic noenhanced "
                "font 'sans-serif,13' } else { set terminal pngcairo size %u,%u "
                "noenhanced font 'Sans,13' fontscale 1.5 linewidth 1.6 }\n"
                "set output stem . '.' . kind\nunset xlabel\nunset title\n",
                script->width_px, script->height_px, 2 * script->width_px,
                2 * script->height_px);
    text_add(out, text_str(&script->body));
    text_add(out, "unset output\n}\n");
    text_fini(&stem);
}

static bool write_file(const char *path, const struct text *content, struct err *err)
{
    struct outfile *file;
    if (!outfile_open(&file, path, err)) {
        return false;
    }
    (void)fwrite(text_str(content), 1, content->length, outfile_stream(file));
    return outfile_commit(file, err);
}

static bool name_files(struct plot_file *file, const char *stem, struct err *err)
{
    struct {
        char *path;
        const char *ending;
    } const names[] = {
        {file->svg_path, "svg"},
        {file->png_path, "png"},
        {file->csv_path, "csv"},
        {file->gp_path, "gp"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const int length = snprintf(names[i].path, PLOT_PATH_BYTES, "%s_%s.%s", stem,
                                    file->name, names[i].ending);
        if (length < 0 || length >= PLOT_PATH_BYTES) {
            return err_set(err, ERR_USAGE,
                           "%.80s...: the name is too long; use a "
                           "shorter one",
                           stem);
        }
    }
    return true;
}

static void folder_of(const char *path, char out[static PLOT_PATH_BYTES])
{
    const size_t length = (size_t)(file_name(path) - path);
    memcpy(out, path, length);
    out[length] = '\0';
    if (length == 0) {
        memcpy(out, "./", sizeof "./");
    }
}

static bool draw(struct plot_file *file, struct plot_set *set, struct err *err)
{
    char folder[PLOT_PATH_BYTES];
    folder_of(file->gp_path, folder);
    const enum gnuplot_result result =
        gnuplot_run(folder, file_name(file->gp_path), err);
    file->drawn = result == GNUPLOT_DRAWN;
    if (!file->drawn) {
        /* Of an earlier run, or half of this one: not what the data file says. */
        (void)unlink(file->svg_path);
        (void)unlink(file->png_path);
    }
    if (result == GNUPLOT_ABSENT) {
        (void)snprintf(
            set->note, sizeof set->note,
            "no pictures: gnuplot was not found in $PATH; install it "
            "(Debian: apt-get install gnuplot-nox) and run 'gnuplot %.100s' in "
            "%.400s, or make the report again",
            file_name(file->gp_path), folder);
    }
    return result != GNUPLOT_FAILED;
}

/* Adds one plot to the set, or nothing when there is no data for it. */
static bool write_plot(const struct plot_kind *kind, const struct plot_runs *runs,
                       const char *stem, struct plot_set *set, struct err *err)
{
    struct plot_file *const file = &set->files[set->count];
    *file = (struct plot_file){
        .name = kind->name, .title = kind->title, .caption = kind->caption};
    struct text csv = {0};
    struct text gp = {0};
    struct plot_script script = {0};
    bool fine = name_files(file, stem, err);
    if (fine && kind->make(runs, &csv, &script)) {
        add_script(file, &script, &gp);
        fine = write_file(file->csv_path, &csv, err) &&
               write_file(file->gp_path, &gp, err) && draw(file, set, err);
        set->count++;
    }
    text_fini(&csv);
    text_fini(&gp);
    text_fini(&script.body);
    return fine;
}

bool plot_write(const struct run_record *const *runs, size_t count, const char *stem,
                struct plot_set *out, struct err *err)
{
    CHECK(count > 0, "no runs");
    const struct plot_runs all = {runs, count};
    const struct plot_runs first = {runs,
                                    count < PLOT_RUNS_MAX ? count : PLOT_RUNS_MAX};
    out->count = 0;
    out->note[0] = '\0';
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct plot_runs *drawn = kinds[i]->all_runs ? &all : &first;
        if (!write_plot(kinds[i], drawn, stem, out, err)) {
            return false;
        }
    }
    return true;
}
