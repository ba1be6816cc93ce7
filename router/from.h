/* SPDX-License-Identifier: Apache-2.0
 *
 * from.h: command lines out of a deployment's files: --from-helm values.yaml starts
 * with the flags that the chart would give its router, --from-crd router.yaml with
 * those of the operator; flags that are given beside them come behind, and so win.
 */
#ifndef STACKSIM_ROUTER_FROM_H
#define STACKSIM_ROUTER_FROM_H

#include "base/text.h"

struct from;

/* *out stays NULL when argv names no file. Fails on a file that makes no router, and on
 * flags of it that we refuse, with file and line. */
NODISCARD bool from_read(struct from **out, int argc, char *const *argv,
                         struct err *err);
void from_delete(struct from *from); /* NULL is legal */

/* Borrowed. All words behind the program's name: of the file, then given. */
int from_argc(const struct from *from);
char *const *from_argv(const struct from *from);
/* What is odd in the file, a line each; "" = nothing. */
const char *from_warnings(const struct from *from);
/* The words in one line, as a shell needs them. argv: without a file, those given. */
void from_print(const struct from *from, int argc, char *const *argv, struct text *out);

#endif
