/* SPDX-License-Identifier: Apache-2.0
 *
 * csv.h: rows of a CSV file (the only user of <csv.h>, libcsv).
 *
 * Reads through lines.h, so gzip, zstd and stdin work alike. A quoted field must end on
 * its line. Empty lines and lines that start with '#' are skipped.
 */
#ifndef STACKSIM_BASE_CSV_H
#define STACKSIM_BASE_CSV_H

#include "base/lines.h"

struct csv;

struct csv *csv_new(struct lines *lines); /* borrows lines */
void csv_delete(struct csv *csv);

/* Lends the fields of the next row (NUL-terminated, trimmed of blanks) until the next
 * call; lines_number() tells the row's line. */
enum lines_result csv_next(struct csv *csv, const char *const **fields, size_t *count,
                           struct err *err);

#endif
