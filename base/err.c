/* SPDX-License-Identifier: Apache-2.0
 *
 * err.c: see err.h. The text has a fixed size, so failing never allocates.
 */
#include "base/err.h"

#include <stdio.h>

bool err_set_va(struct err *err, enum err_kind kind, const char *format, va_list args)
{
    if (err != NULL) {
        /* The text may quote the err's own old text, so it is built beside it. */
        char text[ERR_TEXT_BYTES];
        (void)vsnprintf(text, sizeof text, format, args);
        err->kind = kind;
        (void)snprintf(err->text, sizeof err->text, "%s", text);
    }
    return false;
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)err_set_va(err, kind, format, args);
    va_end(args);
    return false;
}

int err_exit_code(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE:
        return 0;
    case ERR_USAGE:
    case ERR_INPUT:
        return 2;
    case ERR_BOUND:
        return 3;
    case ERR_IO:
    case ERR_RUN:
        break;
    }
    return 1;
}
