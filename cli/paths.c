/* SPDX-License-Identifier: Apache-2.0
 *
 * paths.c: two names are one file when the file system says so, or, for files that do
 * not exist yet, when they name the same entry of the same folder.
 */
#include "cli/paths.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool same_folder(const char *a, size_t a_length, const char *b, size_t b_length)
{
    char a_name[PATH_MAX] = ".";
    char b_name[PATH_MAX] = ".";
    struct stat a_stat;
    struct stat b_stat;
    if (a_length >= sizeof(a_name) || b_length >= sizeof(b_name)) {
        return false;
    }
    if (a_length > 0) {
        memcpy(a_name, a, a_length);
        a_name[a_length] = '\0';
    }
    if (b_length > 0) {
        memcpy(b_name, b, b_length);
        b_name[b_length] = '\0';
    }
    return stat(a_name, &a_stat) == 0 && stat(b_name, &b_stat) == 0 &&
           a_stat.st_dev == b_stat.st_dev && a_stat.st_ino == b_stat.st_ino;
}

static bool same_file(const char *a, const char *b)
{
    struct stat a_stat;
    struct stat b_stat;
    if (strcmp(a, b) == 0) {
        return true;
    }
    const bool a_exists = stat(a, &a_stat) == 0;
    const bool b_exists = stat(b, &b_stat) == 0;
    if (a_exists && b_exists) {
        return a_stat.st_dev == b_stat.st_dev && a_stat.st_ino == b_stat.st_ino;
    }
    if (a_exists || b_exists) {
        return false;
    }
    const char *a_slash = strrchr(a, '/');
    const char *b_slash = strrchr(b, '/');
    const char *a_entry = a_slash == NULL ? a : a_slash + 1;
    const char *b_entry = b_slash == NULL ? b : b_slash + 1;
    return strcmp(a_entry, b_entry) == 0 &&
           same_folder(a, (size_t)(a_entry - a), b, (size_t)(b_entry - b));
}

static bool is_file_name(const struct path_use *use)
{
    return use->path != NULL && strcmp(use->path, "-") != 0 &&
           strncmp(use->path, "/dev/", 5) != 0;
}

static bool clash(const struct path_use *a, const struct path_use *b)
{
    return (a->written || b->written) && is_file_name(a) && is_file_name(b) &&
           same_file(a->path, b->path);
}

bool paths_check(const struct path_use *uses, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (clash(&uses[i], &uses[j])) {
                return err_set(err, ERR_USAGE,
                               "%s: %s and %s are the same file; give one of them "
                               "another name",
                               uses[i].path, uses[j].name, uses[i].name);
            }
        }
    }
    return true;
}
