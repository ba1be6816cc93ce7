/* SPDX-License-Identifier: Apache-2.0
 *
 * lock_file.h: at most one program at a time works on a file, also over many
 * transactions.
 *
 * The lock is the kernel's and lies on FILE.lock, so it ends with its holder, however
 * that ends; a FILE.lock that a killed program left means nothing. FILE itself is not
 * locked, since SQLite has locks of its own there, which closing any handle drops.
 */
#ifndef STACKSIM_CLI_LOCK_FILE_H
#define STACKSIM_CLI_LOCK_FILE_H

#include "base/err.h"

struct lock_file;

/* False at once when another program holds it. */
NODISCARD bool lock_file_take(struct lock_file **out, const char *path,
                              struct err *err);
void lock_file_release(struct lock_file *lock); /* NULL is legal */

#endif
