/* SPDX-License-Identifier: Apache-2.0
 *
 * unit.c: decimal arithmetic in integers, so that "0.1s" is 100000000 ns and not what
 * the nearest double makes of it. Only unit_number goes through strtod, once, on a text
 * whose exponent already holds the SI letter: "3.35T" equals 3.35e12 to the last bit.
 */
#include "base/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128;

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"m", UINT64_C(60000000000)},
    {"min", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
    {"d", UINT64_C(86400000000000)},
    {NULL, 0},
};

static const struct unit byte_units[] = {
    {"B", 1},
    {"kB", UINT64_C(1000)},
    {"KB", UINT64_C(1000)},
    {"MB", UINT64_C(1000000)},
    {"GB", UINT64_C(1000000000)},
    {"TB", UINT64_C(1000000000000)},
    {"PB", UINT64_C(1000000000000000)},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"PiB", UINT64_C(1) << 50},
    {NULL, 0},
};

/* mantissa / scale, scale a power of ten. */
struct decimal {
    uint64_t mantissa;
    uint64_t scale;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads "12", "1.5" or ".5" of at most 18 digits; NULL when there is none or too many.
 * Returns what follows. */
static const char *decimal_read(const char *text, struct decimal *decimal)
{
    enum { DIGITS_MAX = 18 };
    int digits = 0;
    bool fraction = false;
    *decimal = (struct decimal){0, 1};
    for (;; text++) {
        if (*text == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (!is_digit(*text)) {
            break;
        }
        digits++;
        if (digits > DIGITS_MAX) {
            return NULL;
        }
        decimal->mantissa = decimal->mantissa * 10 + (uint64_t)(*text - '0');
        decimal->scale *= fraction ? 10 : 1;
    }
    return digits > 0 ? text : NULL;
}

/* Half a unit rounds up. False when above max. */
static bool decimal_times(const struct decimal *decimal, uint64_t factor, uint64_t max,
                          uint64_t *value)
{
    const uint128 product = (uint128)decimal->mantissa * factor;
    const uint128 rounded = (product + decimal->scale / 2) / decimal->scale;
    if (rounded > max) {
        return false;
    }
    *value = (uint64_t)rounded;
    return true;
}

struct dimension {
    const struct unit *units;
    uint64_t max;
    const char *what;     /* "a duration" */
    const char *examples; /* "250us, 1.5s, 15m, 2h" */
};

static bool parse_dimension(const struct dimension *dimension, const char *text,
                            uint64_t *value, struct err *err)
{
    struct decimal decimal;
    const char *rest = decimal_read(text, &decimal);
    if (rest == NULL) {
        return err_set(err, ERR_INPUT, "\"%s\" is not %s; write it like %s", text,
                       dimension->what, dimension->examples);
    }
    if (*rest == '\0') {
        if (decimal.mantissa == 0) {
            *value = 0;
            return true;
        }
        return err_set(err, ERR_INPUT, "\"%s\" has no unit; write it like %s", text,
                       dimension->examples);
    }
    rest += *rest == ' ' ? 1 : 0;
    const struct unit *unit = dimension->units;
    while (unit->name != NULL && strcmp(unit->name, rest) != 0) {
        unit++;
    }
    if (unit->name == NULL) {
        return err_set(err, ERR_INPUT,
                       "\"%s\" has an unknown unit \"%s\"; write it like "
                       "%s",
                       text, rest, dimension->examples);
    }
    if (!decimal_times(&decimal, unit->factor, dimension->max, value)) {
        return err_set(err, ERR_INPUT, "\"%s\" is too large for %s", text,
                       dimension->what);
    }
    return true;
}

bool unit_duration_ns(const char *text, int64_t *ns, struct err *err)
{
    static const struct dimension duration = {duration_units, INT64_MAX, "a duration",
                                              "250us, 1.5s, 15m or 2h"};
    uint64_t value = 0;
    if (!parse_dimension(&duration, text, &value, err)) {
        return false;
    }
    *ns = (int64_t)value;
    return true;
}

bool unit_bytes(const char *text, uint64_t *bytes, struct err *err)
{
    static const struct dimension size = {byte_units, UINT64_MAX, "a number of bytes",
                                          "100B, 16KiB, 80GiB or 3.35TB"};
    return parse_dimension(&size, text, bytes, err);
}

/* Power of ten of an SI letter, -1 for any other character. */
static int si_exponent(char letter)
{
    switch (letter) {
    case 'k':
        return 3;
    case 'M':
        return 6;
    case 'G':
        return 9;
    case 'T':
        return 12;
    case 'P':
        return 15;
    default:
        return -1;
    }
}

/* Length of the longest start that is [+-]digits[.digits], 0 when there is none. */
static size_t plain_length(const char *text)
{
    size_t at = text[0] == '-' || text[0] == '+' ? 1 : 0;
    size_t digits = 0;
    bool point = false;
    for (;; at++) {
        if (is_digit(text[at])) {
            digits++;
        } else if (text[at] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    return digits > 0 ? at : 0;
}

/* Reads "e-12" and then an SI letter into one exponent; false when more follows. */
static bool read_exponent(const char *text, int *exponent)
{
    *exponent = 0;
    if (*text == 'e' || *text == 'E') {
        text++;
        const bool negative = *text == '-';
        text += *text == '-' || *text == '+' ? 1 : 0;
        if (!is_digit(*text)) {
            return false;
        }
        for (; is_digit(*text); text++) {
            *exponent = *exponent < 1000 ? *exponent * 10 + (*text - '0') : *exponent;
        }
        *exponent = negative ? -*exponent : *exponent;
    }
    const int letter = si_exponent(*text);
    if (letter >= 0) {
        *exponent += letter;
        text++;
    }
    return *text == '\0';
}

bool unit_number(const char *text, double *value, struct err *err)
{
    enum { LENGTH_MAX = 60 };
    const size_t length = plain_length(text);
    int exponent = 0;
    if (length == 0 || length > LENGTH_MAX ||
        !read_exponent(text + length, &exponent)) {
        return err_set(err, ERR_INPUT,
                       "\"%s\" is not a number; write it like 42, 0.5, 3.35e12 or 989T",
                       text);
    }
    char whole[LENGTH_MAX + 16];
    (void)snprintf(whole, sizeof whole, "%.*se%d", (int)length, text, exponent);
    errno = 0;
    const double parsed = strtod(whole, NULL);
    /* Underflow to zero or a subnormal is harmless; infinity is not. */
    if (errno == ERANGE && (parsed > 1 || parsed < -1)) {
        return err_set(err, ERR_INPUT, "\"%s\" is too large for a number", text);
    }
    *value = parsed;
    return true;
}

static bool parse_whole(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t sum = 0;
    bool after_digit = false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '_' && after_digit) {
            after_digit = false;
            continue;
        }
        if (!is_digit(*at)) {
            return false;
        }
        const uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (max - digit) / 10) {
            return false;
        }
        sum = sum * 10 + digit;
        after_digit = true;
    }
    if (after_digit) {
        *value = sum;
    }
    return after_digit;
}

bool unit_u64(const char *text, uint64_t *value, struct err *err)
{
    if (!parse_whole(text, UINT64_MAX, value)) {
        return err_set(err, ERR_INPUT,
                       "\"%s\" is not a whole number from 0 to 18446744073709551615; "
                       "write it like 1000 or 1_000",
                       text);
    }
    return true;
}

bool unit_i64(const char *text, int64_t *value, struct err *err)
{
    const bool negative = text[0] == '-';
    uint64_t magnitude = 0;
    const uint64_t max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    if (!parse_whole(text + (negative ? 1 : 0), max, &magnitude)) {
        return err_set(err, ERR_INPUT,
                       "\"%s\" is not a whole number from -9223372036854775808 to "
                       "9223372036854775807; write it like -5 or 1_000",
                       text);
    }
    /* -(m - 1) - 1 stays in range for the smallest number too. */
    *value =
        negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return true;
}

/* Three significant digits. */
static void format_scaled(char *out, size_t out_bytes, double value, const char *unit)
{
    int decimals = 0;
    if (value < 9.995) {
        decimals = 2;
    } else if (value < 99.95) {
        decimals = 1;
    }
    (void)snprintf(out, out_bytes, "%.*f %s", decimals, value, unit);
}

static void format_long(char *out, size_t out_bytes, uint64_t seconds)
{
    const uint64_t minutes = seconds / 60;
    const uint64_t hours = minutes / 60;
    if (hours == 0) {
        (void)snprintf(out, out_bytes, "%" PRIu64 " m %02" PRIu64 " s", minutes,
                       seconds % 60);
    } else if (hours < 48) {
        (void)snprintf(out, out_bytes, "%" PRIu64 " h %02" PRIu64 " m", hours,
                       minutes % 60);
    } else {
        (void)snprintf(out, out_bytes, "%" PRIu64 " d %02" PRIu64 " h", hours / 24,
                       hours % 24);
    }
}

void unit_format_ns(char *out, size_t out_bytes, int64_t ns)
{
    const uint64_t size = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0 && out_bytes > 1) {
        *out = '-';
        out++;
        out_bytes--;
    }
    const double value = (double)size;
    if (size < 1000) {
        (void)snprintf(out, out_bytes, "%" PRIu64 " ns", size);
    } else if (value < 999.5e3) {
        format_scaled(out, out_bytes, value / 1e3, "us");
    } else if (value < 999.5e6) {
        format_scaled(out, out_bytes, value / 1e6, "ms");
    } else if (value < 59.95e9) {
        format_scaled(out, out_bytes, value / 1e9, "s");
    } else {
        format_long(out, out_bytes, (size + 500000000) / 1000000000);
    }
}

void unit_format_bytes(char *out, size_t out_bytes, uint64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        (void)snprintf(out, out_bytes, "%" PRIu64 " B", bytes);
        return;
    }
    double value = (double)bytes / 1024;
    size_t at = 0;
    while (value >= 1023.5) {
        value /= 1024;
        at++;
    }
    format_scaled(out, out_bytes, value, names[at]);
}
