/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_load.c: two campaigns are known.
 *
 * Files named after a date and database dumps hold a public benchmark's rows: lengths
 * uniform in 80 to 100 % (its --random-range-ratio 0.8), engines with their own
 * defaults. Files named after a model hold a load generator's rows with lengths of no
 * spread, against engines whose launch files were generated for the row: a token budget
 * of the prompt and 1,500. Which of the three descriptions holds is not written in the
 * rows; docs/validation.md has what each one costs on rows that it was not chosen by.
 */
#include "cli/validate/closed_load.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { BUDGET_MARGIN_TOKENS = 1500 };
static const double public_jitter = 0.2;

struct closed_load closed_load_of(enum closed_load_kind kind)
{
    static const struct closed_load loads[CLOSED_LOAD_COUNT] = {
        [CLOSED_LOAD_UNEVEN] = {public_jitter, 0},
        [CLOSED_LOAD_EVEN] = {0.0, 0},
        [CLOSED_LOAD_FITTED] = {0.0, BUDGET_MARGIN_TOKENS},
    };
    return loads[kind];
}

const char *closed_load_help(enum closed_load_kind kind)
{
    static const char *const help[CLOSED_LOAD_COUNT] = {
#define X(name, text) text,
        CLOSED_LOADS(X)
#undef X
    };
    return help[kind];
}

enum closed_load_kind closed_load_by_source(const char *source)
{
    const bool dump = strncmp(source, "db-dump/", strlen("db-dump/")) == 0;
    if (*source == '\0' || dump || isdigit((unsigned char)*source) != 0) {
        return CLOSED_LOAD_UNEVEN;
    }
    return CLOSED_LOAD_FITTED;
}
