/* SPDX-License-Identifier: Apache-2.0
 *
 * file.c: one memory file per process, rewritten for every input; a file on disk would
 * make fuzzing ten times slower.
 */
#include "base/check.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int handle = -1;
    if (handle < 0) {
        handle = memfd_create("fuzz", 0);
        CHECK(handle >= 0, "no file in memory");
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
    }
    CHECK(ftruncate(handle, 0) == 0, "the file in memory cannot be emptied");
    CHECK(pwrite(handle, data, size, 0) == (ssize_t)size,
          "the file in memory cannot be written");
    return path;
}
