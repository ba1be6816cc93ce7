/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h: what a fuzz target defines. tests/fuzz/fuzz_NAME.c is linked with libFuzzer
 * in the fuzz preset and with replay.c in all others; its corpus is
 * tests/fuzz/corpus/NAME.
 */
#ifndef STACKSIM_TESTS_FUZZ_FUZZ_H
#define STACKSIM_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. Finds a bug by dying: CHECK, abort or a sanitizer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts the input into a file in memory and returns its path, which is valid until the
 * next call: for parsers that want a file. */
const char *fuzz_file(const uint8_t *data, size_t size);

#endif
