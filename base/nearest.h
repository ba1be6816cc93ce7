/* SPDX-License-Identifier: Apache-2.0
 *
 * nearest.h: what a person probably meant to type.
 */
#ifndef STACKSIM_BASE_NEAREST_H
#define STACKSIM_BASE_NEAREST_H

#include <stddef.h>

/* Of `names` (NULL entries are skipped) the one with the smallest edit distance to word
 * (neighbours swapped count as one edit), the first of equals; NULL when none is within
 * a third of the word's length, or 1 for short words. */
const char *nearest_word(const char *word, const char *const *names, size_t count);

#endif
