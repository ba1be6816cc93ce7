/* SPDX-License-Identifier: Apache-2.0
 *
 * replay.c: main() of a fuzz target in builds without libFuzzer: feeds it every file of
 * a folder, whole, cut at every byte, and with single bytes changed.
 *
 * Each input ends directly before a page that may not be touched, so reading one byte
 * too far dies here even without a sanitizer.
 */
#include "base/rng.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 1 << 20, CUTS_MAX = 512, CHANGES = 256 };

static void broken(const char *what)
{
    (void)fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
    exit(1);
}

struct guarded {
    uint8_t *end; /* the guard page begins here */
};

static struct guarded guarded_new(void)
{
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory = mmap(NULL, INPUT_BYTES_MAX + page_bytes, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED ||
        mprotect(memory + INPUT_BYTES_MAX, page_bytes, PROT_NONE) != 0) {
        broken("guard page");
    }
    return (struct guarded){memory + INPUT_BYTES_MAX};
}

static void feed(const struct guarded *guarded, const uint8_t *bytes, size_t byte_count)
{
    uint8_t *input = guarded->end - byte_count;
    if (byte_count > 0) {
        memcpy(input, bytes, byte_count);
    }
    (void)LLVMFuzzerTestOneInput(input, byte_count);
}

static void feed_variants(const struct guarded *guarded, uint8_t *bytes,
                          size_t byte_count)
{
    feed(guarded, bytes, byte_count);
    const size_t step = byte_count / CUTS_MAX + 1;
    for (size_t cut = 0; cut < byte_count; cut += step) {
        feed(guarded, bytes, cut);
    }
    struct rng rng;
    rng_init(&rng, 1, "fuzz.replay", byte_count);
    for (int i = 0; byte_count > 0 && i < CHANGES; i++) {
        const size_t at = rng_below(&rng, byte_count);
        const uint8_t old = bytes[at];
        bytes[at] = (uint8_t)rng_next(&rng);
        feed(guarded, bytes, byte_count);
        bytes[at] = old;
    }
}

static void feed_file(const struct guarded *guarded, const char *folder,
                      const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    if (file == NULL || bytes == NULL) {
        broken(path);
    }
    const size_t byte_count = fread(bytes, 1, INPUT_BYTES_MAX, file);
    (void)fclose(file);
    (void)fprintf(stderr, "%s: %zu bytes\n", path, byte_count);
    feed_variants(guarded, bytes, byte_count);
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries = NULL;
    const int count = scandir(argv[1], &entries, NULL, alphasort);
    if (count < 0) {
        broken(argv[1]);
    }
    const struct guarded guarded = guarded_new();
    int files = 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            feed_file(&guarded, argv[1], entries[i]->d_name);
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    if (files == 0) {
        (void)fprintf(stderr, "replay: %s: an empty corpus tests nothing\n", argv[1]);
        return 1;
    }
    (void)printf("%d files, each whole, cut and changed\n", files);
    return 0;
}
