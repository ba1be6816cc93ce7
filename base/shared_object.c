/* SPDX-License-Identifier: Apache-2.0
 *
 * shared_object.c: dlopen. All symbols are bound at once, so that a missing function is
 * an error here and not a crash in mid-run.
 */
#include "base/shared_object.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

struct shared_object {
    void *handle;
};

/* dlopen repeats the path; the message below begins with it already. */
static const char *without_path(const char *message, const char *path)
{
    const size_t length = strlen(path);
    if (strncmp(message, path, length) == 0 && message[length] == ':') {
        message += length + 1;
        return *message == ' ' ? message + 1 : message;
    }
    return message;
}

bool shared_object_open(struct shared_object **out, const char *path, struct err *err)
{
    /* A path without a slash would be looked for in the system's folders. */
    char *real = realpath(path, NULL);
    if (real == NULL) {
        return err_set(err, ERR_INPUT, "%s: cannot be read; check the path", path);
    }
    void *handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        err_set(err, ERR_INPUT, "%s: cannot be loaded: %s", path,
                why == NULL ? "no reason given" : without_path(why, real));
        free(real);
        return false;
    }
    free(real);
    *out = mem_alloc(1, sizeof **out);
    (*out)->handle = handle;
    return true;
}

const void *shared_object_find(const struct shared_object *object, const char *symbol)
{
    return dlsym(object->handle, symbol);
}

void shared_object_close(struct shared_object *object)
{
    if (object != NULL) {
        (void)dlclose(object->handle);
        mem_free(object);
    }
}
