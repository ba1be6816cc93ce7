/* SPDX-License-Identifier: Apache-2.0
 *
 * plot.c: writes data and script of every plot of the registry and has them drawn.
 *
 * Scripts name their files without a folder and are run in it, so that a folder of
 * results can be moved and drawn again.
 */
#include "reports/plot.h"

#include "base/check.h"
#include "base/mem.h"
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

const char *plot_colour_dark(size_t index)
{
    static const char *const colours[PLOT_COLOURS] = {
        "#4aa8e0", "#ff8c42", "#2fc79a", "#e59cc4",
        "#f0b83a", "#8fd0f5", "#b5bcc6", "#d06a9d",
    };
    return colours[index % PLOT_COLOURS];
}

const char *plot_dash(size_t index)
{
    static const char *const dashes[] = {"1", "(14,5)", "(5,3)", "(14,3,3,3)"};
    return dashes[index % (sizeof dashes / sizeof dashes[0])];
}

struct plot_span plot_span_empty(void)
{
    return (struct plot_span){(double)INFINITY, -(double)INFINITY};
}

void plot_span_widen(struct plot_span *span, double value)
{
    if (!isnan(value)) {
        span->low = fmin(span->low, value);
        span->high = fmax(span->high, value);
    }
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

size_t plot_longest_name(const struct plot_runs *runs)
{
    size_t longest = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const size_t length = strlen(runs->names[i]);
        longest = length > longest ? length : longest;
    }
    return longest;
}

void plot_add_below(struct plot_script *script, size_t entries, size_t longest_chars)
{
    text_printf(&script->below, "%d", PLOT_AXIS_PX);
    if (entries > 0) {
        text_printf(&script->below, " + key_px(%zu, %zu)", entries, longest_chars);
    }
}

void plot_add_runs_below(struct plot_script *script, const struct plot_runs *runs)
{
    plot_add_below(script, runs->count, plot_longest_name(runs));
}

void plot_add_place(struct text *out, unsigned bottom_px, unsigned top_px)
{
    text_printf(out,
                "set bmargin at screen (below + %u.)/H\n"
                "set tmargin at screen (below + %u.)/H\n",
                bottom_px, top_px);
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
    /* A legend's columns are guessed wide: the SVG terminal does not know its font
     * and guesses as well. */
    text_printf(out,
                "\ndata = stem . '.csv'\n"
                "columns(chars) = (W - 90)/(70 + 17*chars/2)\n"
                "key_rows(n, c) = c < 1 ? n : (n + c - 1)/c\n"
                "panel_rows(n, c) = W > 500 ? (n + c - 1)/c : n\n"
                "key_px(n, chars) = 10 + 21*key_rows(n, columns(chars))\n"
                "do for [kind in 'svg narrow png'] {\n"
                "W = kind eq 'narrow' ? %d : %d\nbelow = ",
                PLOT_NARROW_PX, PLOT_WIDE_PX);
    text_add(out, text_str(&script->below));
    text_add(out, "\nH = below + ");
    text_add(out, text_str(&script->above));
    text_add(out,
             "\nif (kind eq 'png') { set terminal pngcairo size 2*W,2*H noenhanced "
             "font 'Sans,13' fontscale 1.5 linewidth 1.6 } else { set terminal svg "
             "size W,H dynamic noenhanced font 'sans-serif,13' }\n"
             "set output stem . (kind eq 'narrow' ? '_narrow.svg' : '.' . kind)\n"
             "unset xlabel\nunset title\n");
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
        {file->svg_path, ".svg"}, {file->narrow_path, "_narrow.svg"},
        {file->png_path, ".png"}, {file->csv_path, ".csv"},
        {file->gp_path, ".gp"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const int length = snprintf(names[i].path, PLOT_PATH_BYTES, "%s_%s%s", stem,
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
        (void)unlink(file->narrow_path);
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
    text_fini(&script.below);
    text_fini(&script.above);
    text_fini(&script.body);
    return fine;
}

/* Lines of more runs cannot be told apart: the first one, by which others are measured,
 * and those of the lowest mean TTFT, in their own order. */
static bool is_chosen(const struct plot_input *input, size_t run)
{
    if (run == 0 || input->run_count <= PLOT_RUNS_MAX) {
        return true;
    }
    size_t better = 0;
    const double mine = input->runs[run]->metrics.value[METRIC_TTFT_MS_MEAN];
    for (size_t i = 1; i < input->run_count; i++) {
        const double other = input->runs[i]->metrics.value[METRIC_TTFT_MS_MEAN];
        better += other < mine || (other <= mine && i < run);
    }
    return !isnan(mine) && better < PLOT_RUNS_CHOSEN - 1;
}

static bool write_all(const struct plot_input *input, const char *const *names,
                      const char *stem, struct plot_set *out, struct err *err)
{
    const struct plot_runs all = {input->runs, input->run_count, names, input->seeds,
                                  input->load};
    const struct run_record *at[PLOT_RUNS_MAX];
    const char *few_names[PLOT_RUNS_MAX];
    struct plot_runs few = {at, 0, few_names, NULL, NULL};
    for (size_t i = 0; i < input->run_count; i++) {
        if (is_chosen(input, i)) {
            few_names[few.count] = names[i];
            at[few.count++] = input->runs[i];
        }
    }
    for (size_t i = 0; i < KIND_COUNT; i++) {
        const struct plot_runs *drawn = kinds[i]->all_runs ? &all : &few;
        if (!write_plot(kinds[i], drawn, stem, out, err)) {
            return false;
        }
    }
    return true;
}

bool plot_write(const struct plot_input *input, const char *stem, struct plot_set *out,
                struct err *err)
{
    CHECK(input->run_count > 0 || input->load != NULL, "nothing to draw");
    const char **names = mem_alloc(input->run_count, sizeof *names);
    for (size_t i = 0; i < input->run_count; i++) {
        names[i] =
            input->seeds != NULL ? input->seeds->names[i] : input->runs[i]->info.name;
    }
    out->count = 0;
    out->note[0] = '\0';
    const bool fine = write_all(input, names, stem, out, err);
    mem_free(names);
    return fine;
}
