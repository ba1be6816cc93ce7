/* SPDX-License-Identifier: Apache-2.0
 *
 * number.c: decimal digits into integers, with every overflow refused.
 */
#include "traces/number.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A cursor over bytes that need not end with NUL. */
struct scan {
    const char *at;
    const char *end;
};

static bool scan_is(const struct scan *scan, char wanted)
{
    return scan->at < scan->end && *scan->at == wanted;
}

static bool scan_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* At least one digit; the value must fit 63 bits. */
static bool scan_whole(struct scan *scan, int64_t *out)
{
    const char *const begin = scan->at;
    uint64_t value = 0;
    for (; scan_digit(scan); scan->at++) {
        const uint64_t digit = (uint64_t)(*scan->at - '0');
        if (value > ((uint64_t)INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = (int64_t)value;
    return scan->at > begin;
}

/* Whether the sign was a minus; moves past it. */
static bool scan_minus(struct scan *scan)
{
    const bool minus = scan_is(scan, '-');
    if (minus || scan_is(scan, '+')) {
        scan->at++;
    }
    return minus;
}

/* Rare spellings (exponents) go through strtod; false when that is no finite number. */
static bool slow_number(const char *bytes, size_t byte_count, double *out)
{
    char copy[64];
    if (byte_count == 0 || byte_count >= sizeof(copy)) {
        return false;
    }
    /* strtod also knows hexadecimal, inf and nan; trace files must not. */
    if (memchr(bytes, 'x', byte_count) != NULL ||
        memchr(bytes, 'n', byte_count) != NULL) {
        return false;
    }
    memcpy(copy, bytes, byte_count);
    copy[byte_count] = '\0';
    char *end = NULL;
    *out = strtod(copy, &end);
    return end == copy + byte_count && isfinite(*out) &&
           (copy[0] < '\t' || copy[0] > ' ');
}

bool number_count(const char *bytes, size_t byte_count, int64_t *out)
{
    struct scan scan = {bytes, bytes + byte_count};
    const bool minus = scan_minus(&scan);
    int64_t value = 0;
    bool whole = scan_whole(&scan, &value);
    if (whole && scan_is(&scan, '.')) {
        for (scan.at++; scan_is(&scan, '0'); scan.at++) {
        }
    }
    whole = whole && scan.at == scan.end;
    if (whole) {
        *out = minus ? -value : value;
        return true;
    }
    double slow = 0;
    if (!slow_number(bytes, byte_count, &slow) || fabs(slow) > 9.0e15 ||
        slow != floor(slow)) {
        return false;
    }
    *out = (int64_t)slow;
    return true;
}

/* The digits after a point, as ns of a unit that is a power of ten. */
static int64_t scan_fraction_ns(struct scan *scan, int64_t unit_ns)
{
    int64_t ns = 0;
    int64_t unit = unit_ns;
    for (; scan_digit(scan); scan->at++) {
        unit /= 10;
        ns += (*scan->at - '0') * unit;
    }
    return ns;
}

bool number_time_ns(const char *bytes, size_t byte_count, int64_t unit_ns, int64_t *out)
{
    struct scan scan = {bytes, bytes + byte_count};
    const bool minus = scan_minus(&scan);
    int64_t units = 0;
    int64_t ns = 0;
    if (scan_whole(&scan, &units)) {
        int64_t fraction = 0;
        if (scan_is(&scan, '.')) {
            scan.at++;
            fraction = scan_fraction_ns(&scan, unit_ns);
        }
        if (scan.at == scan.end && !__builtin_mul_overflow(units, unit_ns, &ns) &&
            !__builtin_add_overflow(ns, fraction, &ns)) {
            *out = minus ? -ns : ns;
            return true;
        }
    }
    double slow = 0;
    if (!slow_number(bytes, byte_count, &slow) ||
        fabs(slow * (double)unit_ns) > 9.2e18) {
        return false;
    }
    *out = (int64_t)llrint(slow * (double)unit_ns);
    return true;
}

/* Exactly `digits` digits in [min, max], then `after` ('\0': nothing is expected). */
static bool scan_field(struct scan *scan, int digits, const int64_t range[2],
                       char after, int64_t *out)
{
    if (scan->end - scan->at < digits) {
        return false;
    }
    struct scan field = {scan->at, scan->at + digits};
    if (!scan_whole(&field, out) || field.at != field.end || *out < range[0] ||
        *out > range[1]) {
        return false;
    }
    scan->at += digits;
    if (after == '\0') {
        return true;
    }
    const bool follows = scan_is(scan, after);
    scan->at += follows ? 1 : 0;
    return follows;
}

/* Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    const int64_t shifted = month <= 2 ? year - 1 : year;
    const int64_t era = shifted / 400;
    const int64_t year_of_era = shifted - era * 400;
    const int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* Nothing, 'Z' or "+hh:mm"; the offset in seconds east of UTC. */
static bool scan_zone(struct scan *scan, int64_t *east_s)
{
    static const int64_t hours[2] = {0, 14};
    static const int64_t minutes[2] = {0, 59};
    *east_s = 0;
    if (scan->at == scan->end) {
        return true;
    }
    if (scan_is(scan, 'Z')) {
        scan->at++;
        return scan->at == scan->end;
    }
    if (!scan_is(scan, '+') && !scan_is(scan, '-')) {
        return false;
    }
    const bool minus = scan_minus(scan);
    int64_t hour = 0;
    int64_t minute = 0;
    if (!scan_field(scan, 2, hours, ':', &hour) ||
        !scan_field(scan, 2, minutes, '\0', &minute)) {
        return false;
    }
    *east_s = (minus ? -1 : 1) * (hour * 3600 + minute * 60);
    return scan->at == scan->end;
}

bool number_date_ns(const char *bytes, size_t byte_count, int64_t *out)
{
    static const int64_t ranges[6][2] = {{1970, 2200}, {1, 12}, {1, 31},
                                         {0, 23},      {0, 59}, {0, 60}};
    static const int64_t second_ns = 1000000000;
    struct scan scan = {bytes, bytes + byte_count};
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    if (!scan_field(&scan, 4, ranges[0], '-', &year) ||
        !scan_field(&scan, 2, ranges[1], '-', &month) ||
        !scan_field(&scan, 2, ranges[2], '\0', &day) ||
        (!scan_is(&scan, ' ') && !scan_is(&scan, 'T'))) {
        return false;
    }
    scan.at++;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    if (!scan_field(&scan, 2, ranges[3], ':', &hour) ||
        !scan_field(&scan, 2, ranges[4], ':', &minute) ||
        !scan_field(&scan, 2, ranges[5], '\0', &second)) {
        return false;
    }
    int64_t fraction_ns = 0;
    if (scan_is(&scan, '.')) {
        scan.at++;
        fraction_ns = scan_fraction_ns(&scan, second_ns);
    }
    int64_t east_s = 0;
    if (!scan_zone(&scan, &east_s)) {
        return false;
    }
    const int64_t day_s = hour * 3600 + minute * 60 + second - east_s;
    *out = (days_of_date(year, month, day) * 86400 + day_s) * second_ns + fraction_ns;
    return true;
}

uint64_t number_identity(const char *bytes, size_t byte_count)
{
    struct scan scan = {bytes, bytes + byte_count};
    const bool minus = scan_is(&scan, '-');
    scan.at += minus ? 1 : 0;
    const char *const begin = scan.at;
    uint64_t value = 0;
    for (; scan_digit(&scan); scan.at++) {
        const uint64_t digit = (uint64_t)(*scan.at - '0');
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return hash_xxh64(bytes, byte_count, 0);
        }
    }
    if (scan.at == begin || scan.at != scan.end) {
        return hash_xxh64(bytes, byte_count, 0);
    }
    return minus ? 0 - value : value;
}
