/* SPDX-License-Identifier: Apache-2.0
 *
 * lines.h: lines of a text file, plain, gzip or zstd by magic bytes; "-" is stdin.
 *
 * Streams: memory is one buffer, whatever the file's length. LF and CRLF end a line,
 * the last one may lack it. A line above line_bytes_max is an error, as is a compressed
 * stream that ends early. Only user of <zlib.h> and <zstd.h>.
 */
#ifndef STACKSIM_BASE_LINES_H
#define STACKSIM_BASE_LINES_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct lines;

enum { LINE_BYTES_MAX = 64 * 1024 * 1024 };

NODISCARD bool lines_open(struct lines **out, const char *path, size_t line_bytes_max,
                          struct err *err);
void lines_close(struct lines *lines);

/* The file of that name, or, when there is none, its compressed twin: path.gz or
 * path.zst. False when none of the three is there; out then holds path as given. */
bool lines_find(const char *path, char *out, size_t out_bytes);

enum lines_result { LINES_LINE, LINES_END, LINES_ERROR };

/* Lends the next line without its end, NUL-terminated, until the next call. The caller
 * may change the bytes in place. */
enum lines_result lines_next(struct lines *lines, char **line, size_t *byte_count,
                             struct err *err);
/* Lends the first bytes of the file (decompressed, at most 64 KiB) without consuming
 * them: formats are told apart by content. */
NODISCARD bool lines_peek(struct lines *lines, const char **bytes, size_t *byte_count,
                          struct err *err);
/* 1-based number of the line last returned. */
uint64_t lines_number(const struct lines *lines);
const char *lines_path(const struct lines *lines);
/* Bytes of the file read so far and its size (0 when unknown), for progress. */
uint64_t lines_bytes_read(const struct lines *lines);
uint64_t lines_bytes_total(const struct lines *lines);

#endif
