/* SPDX-License-Identifier: Apache-2.0
 *
 * closed_load.h: what a measured row does not say about its load, by the campaign that
 * it comes from (column `source`).
 */
#ifndef STACKSIM_CLI_VALIDATE_CLOSED_LOAD_H
#define STACKSIM_CLI_VALIDATE_CLOSED_LOAD_H

#include <stdint.h>

#define CLOSED_LOADS(X)                                                                \
    X(UNEVEN, "lengths vary by a fifth, the engine's own token budget")                \
    X(EVEN, "equal lengths, the engine's own token budget")                            \
    X(FITTED, "equal lengths, a token budget of one prompt and a margin")

enum closed_load_kind {
#define X(name, help) CLOSED_LOAD_##name,
    CLOSED_LOADS(X)
#undef X
        CLOSED_LOAD_COUNT,
};

struct closed_load {
    double jitter;          /* lengths are uniform in [1 - jitter, 1] of the row's */
    uint32_t budget_margin; /* token budget = prompt + this; 0 = the engine's default */
};

struct closed_load closed_load_of(enum closed_load_kind kind);
const char *closed_load_help(enum closed_load_kind kind);

/* Of the row's `source`, which may be empty. */
enum closed_load_kind closed_load_by_source(const char *source);

#endif
