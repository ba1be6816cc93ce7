/* SPDX-License-Identifier: Apache-2.0
 *
 * nearest.c: optimal string alignment distance (Damerau 1964, without moving a pair
 * twice), three rows at a time. Words above WORD_MAX are nobody's typing error.
 */
#include "base/nearest.h"

#include <string.h>

enum { WORD_MAX = 63 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *row = rows[2];
    memset(rows, 0, sizeof rows);
    for (size_t j = 0; j <= b_length; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = smaller(replaced, smaller(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = smaller(row[j], before[j - 2] + 1);
            }
        }
        size_t *const oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *nearest_word(const char *word, const char *const *names, size_t count)
{
    const size_t length = strlen(word);
    if (length == 0 || length > WORD_MAX) {
        return NULL;
    }
    const char *nearest = NULL;
    size_t limit = length / 3 > 0 ? length / 3 : 1;
    for (size_t i = 0; i < count; i++) {
        const size_t name_length = names[i] != NULL ? strlen(names[i]) : 0;
        if (name_length == 0 || name_length > WORD_MAX) {
            continue;
        }
        const size_t edits = distance(word, length, names[i], name_length);
        /* A name with no letter in common is not what was meant. */
        if (edits <= limit && edits < length) {
            nearest = names[i];
            limit = edits > 0 ? edits - 1 : 0;
            if (edits == 0) {
                break;
            }
        }
    }
    return nearest;
}
