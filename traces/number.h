/* SPDX-License-Identifier: Apache-2.0
 *
 * number.h: numbers as trace files write them.
 *
 * Counts come as 12, 12.0 or "12"; times as whole or decimal numbers of some unit, or
 * as dates. All of it is read without going through a double, so that a time of 100 ns
 * steps since 1970 stays exact.
 */
#ifndef STACKSIM_TRACES_NUMBER_H
#define STACKSIM_TRACES_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "12", "-3", "12.000", "1.2e4" when it is whole. False: not a whole number of 63 bits.
 */
bool number_count(const char *bytes, size_t byte_count, int64_t *out);

/* Decimal number of units -> ns, digits beyond a nanosecond cut. False: not a number,
 * or beyond 292 years. */
bool number_time_ns(const char *bytes, size_t byte_count, int64_t unit_ns,
                    int64_t *out);

/* "2023-11-16 18:15:46.6805900", 'T' as separator, 0 to 9 digits of fraction, then
 * nothing, 'Z' or an offset like +00:00 -> ns since 1970 UTC. */
bool number_date_ns(const char *bytes, size_t byte_count, int64_t *out);

/* An identity: unsigned or negative decimal of 64 bits as it is, anything else by XXH64
 * of its bytes. */
uint64_t number_identity(const char *bytes, size_t byte_count);

#endif
