/* SPDX-License-Identifier: Apache-2.0
 *
 * pages.h: plots and the HTML page of some runs, with the names of the files said.
 */
#ifndef STACKSIM_CLI_PAGES_H
#define STACKSIM_CLI_PAGES_H

#include "base/err.h"
#include "base/text.h"

#include <stddef.h>

struct load_curves;
struct replicated;
struct run_record;

struct pages {
    const struct run_record *const *runs;
    size_t run_count;
    const char *stem;       /* "out/demo" gives out/demo.html, out/demo_ttft_cdf.svg */
    const char *store_path; /* shown on the page */
    const char *command;    /* that repeats it, shown on the page */
    const char *title;      /* NULL: the scenario's name */
    const char *verdict;    /* lines; NULL = what follows from these runs alone */
    const struct replicated *seeds; /* NULL: one; else `runs` are of the first seed */
    const struct load_curves *load; /* of a sweep, or NULL */
};

NODISCARD bool pages_write(const struct pages *pages, struct err *err);

/* Of --out: "x/y.db" is a store with its pages beside it; anything else is a folder in
 * which everything is called `name`. Appends to store_path and stem. */
void pages_paths(const char *out_option, const char *name, struct text *store_path,
                 struct text *stem);

/* The folder part of a path, "." when there is none. */
void pages_folder(const char *path, struct text *folder);

#endif
