/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.h: values that carry their unit, as people write them.
 *
 * A bare number is refused where a dimension is due ("90" is not a duration), because
 * nobody can tell 90 s from 90 ms by looking. All parsers want the whole string.
 */
#ifndef STACKSIM_BASE_UNIT_H
#define STACKSIM_BASE_UNIT_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* "250us", "1.5s", "90s", "15m", "2h", "7d", "0" -> ns; no sign; at most 292 years. */
NODISCARD bool unit_duration_ns(const char *text, int64_t *ns, struct err *err);
/* "80GiB", "3.35TB", "512MB", "16KiB", "100B", "0": KB/MB/GB/TB are powers of 1000,
 * KiB.. of 1024. Rounded to whole bytes. */
NODISCARD bool unit_bytes(const char *text, uint64_t *bytes, struct err *err);
/* "989T", "3.35e12", "1.2k", "42": a plain number with an optional SI letter k M G T P.
 */
NODISCARD bool unit_number(const char *text, double *value, struct err *err);
/* Whole decimal numbers, "_" allowed between digits: "1_000_000". */
NODISCARD bool unit_u64(const char *text, uint64_t *value, struct err *err);
NODISCARD bool unit_i64(const char *text, int64_t *value, struct err *err);

/* Writes ns for people: "950 ns", "1.23 ms", "4.56 s", "2 h 05 m"; needs 24 bytes. */
void unit_format_ns(char *out, size_t out_bytes, int64_t ns);
void unit_format_bytes(char *out, size_t out_bytes, uint64_t bytes);

#endif
