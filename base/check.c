/* SPDX-License-Identifier: Apache-2.0
 *
 * check.c: the last words of a program with a bug.
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_fail(const char *file, int line, const char *expression, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%s:%d: CHECK(%s) failed: ", file, line, expression);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    abort();
}
