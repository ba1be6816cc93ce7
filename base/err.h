/* SPDX-License-Identifier: Apache-2.0
 *
 * err.h: how the outside world says no (STYLE 4.1, second row).
 *
 * A function that can fail for a reason outside the program returns bool, is marked
 * NODISCARD and takes a `struct err *` last. On false the text is complete, fit for a
 * person, of the form "file:line: what; what to do", without the program's name. On
 * true the err is untouched. Libraries never print it; only cli/ does.
 */
#ifndef STACKSIM_BASE_ERR_H
#define STACKSIM_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(text_at, first_at)                                                 \
    __attribute__((__format__(__printf__, text_at, first_at)))

enum err_kind {
    ERR_NONE,
    ERR_USAGE, /* the command line is wrong: exit 2 */
    ERR_INPUT, /* an input file is wrong: exit 2 */
    ERR_IO,    /* the machine refused: disk full, no permission: exit 1 */
    ERR_RUN,   /* the run itself failed: exit 1 */
    ERR_BOUND, /* a compared bound was missed: exit 3 */
};

enum { ERR_TEXT_BYTES = 768 };

struct err {
    enum err_kind kind;
    char text[ERR_TEXT_BYTES];
};

/* Fills err (NULL: does nothing) and returns false, so that a failing function can
 * end with `return err_set(...)`. Text beyond ERR_TEXT_BYTES is cut. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool err_set_va(struct err *err, enum err_kind kind, const char *format, va_list args)
    PRINTF_LIKE(3, 0);

/* Exit code of ARCHITECTURE 7 for a kind: 0, 1, 2 or 3. */
int err_exit_code(enum err_kind kind);

#endif
