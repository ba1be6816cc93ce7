/* SPDX-License-Identifier: Apache-2.0
 *
 * shared_object.h: code loaded at run time (the only user of <dlfcn.h>).
 */
#ifndef STACKSIM_BASE_SHARED_OBJECT_H
#define STACKSIM_BASE_SHARED_OBJECT_H

#include "base/err.h"

struct shared_object;

/* Runs the object's constructors: load only what the user named. path: a file, not a
 * name to be looked up. */
NODISCARD bool shared_object_open(struct shared_object **out, const char *path,
                                  struct err *err);
/* Address of a data symbol; NULL when there is none. Valid until close. */
const void *shared_object_find(const struct shared_object *object, const char *symbol);
void shared_object_close(struct shared_object *object); /* NULL is legal */

#endif
