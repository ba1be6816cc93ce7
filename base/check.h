/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: our own bugs end the program at once (STYLE 4.1, first row; 4.3).
 *
 * CHECK stays on in every build and is for cheap facts of the domain. DCHECK is on in
 * dev and fuzz builds (STACKSIM_DCHECK) and may walk structures.
 */
#ifndef STACKSIM_BASE_CHECK_H
#define STACKSIM_BASE_CHECK_H

#include "base/err.h"

/* Prints "file:line: CHECK(expression) failed: text" to stderr and aborts. */
_Noreturn void check_fail(const char *file, int line, const char *expression,
                          const char *format, ...) PRINTF_LIKE(4, 5);

/* CHECK(fact, "printf text with the values that matter", ...) */
#define CHECK(fact, ...)                                                               \
    do {                                                                               \
        if (__builtin_expect(!(fact), 0)) {                                            \
            check_fail(__FILE__, __LINE__, #fact, __VA_ARGS__);                        \
        }                                                                              \
    } while (0)

#ifdef STACKSIM_DCHECK
#define DCHECK(fact, ...) CHECK(fact, __VA_ARGS__)
#else
#define DCHECK(fact, ...)                                                              \
    do {                                                                               \
        (void)sizeof((fact) ? 1 : 0);                                                  \
    } while (0)
#endif

#endif
