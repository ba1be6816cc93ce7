/* SPDX-License-Identifier: Apache-2.0
 *
 * lines.c: one buffer between the file and the caller.
 *
 * Plain files are read straight into the buffer; compressed ones go through a second,
 * fixed buffer. Ends of lines are found with memchr and overwritten with NUL in place,
 * so a line is never copied, except for the piece at the buffer's end that moves to its
 * front before the next read.
 */
#include "base/lines.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    BUFFER_BYTES_MIN = 256 * 1024,
    RAW_BYTES = 128 * 1024,
    PEEK_BYTES = 64 * 1024,
};

enum packing { PACK_PLAIN, PACK_GZIP, PACK_ZSTD };

struct lines {
    int file;
    char *path; /* as shown in messages */
    size_t line_bytes_max;
    uint64_t number;
    uint64_t bytes_read;
    uint64_t bytes_total;
    struct err failure; /* sticky: kind is ERR_NONE while all is well */

    char *buffer; /* text: [start, end) not yet lent, one byte more for a NUL */
    size_t capacity;
    size_t start;
    size_t end;
    size_t searched; /* no line feed in [start, searched) */
    bool text_ended;

    enum packing packing;
    unsigned char *raw; /* compressed bytes: [raw_start, raw_end) */
    size_t raw_start;
    size_t raw_end;
    bool file_ended;
    bool frame_open; /* a compressed frame has begun and not ended */
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static bool fail(struct lines *lines, enum err_kind kind, const char *what)
{
    return err_set(&lines->failure, kind, "%s: %s", lines->path, what);
}

/* --- bytes from the file -------------------------------------------------------- */

/* *count is 0 at the end. */
static bool read_some(struct lines *lines, void *into, size_t room, size_t *count)
{
    ssize_t got = 0;
    do {
        got = read(lines->file, into, room);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return fail(lines, errno == EISDIR ? ERR_INPUT : ERR_IO, strerror(errno));
    }
    *count = (size_t)got;
    lines->bytes_read += (uint64_t)got;
    return true;
}

static bool refill_raw(struct lines *lines)
{
    lines->raw_start = 0;
    lines->raw_end = 0;
    if (!lines->file_ended) {
        if (!read_some(lines, lines->raw, RAW_BYTES, &lines->raw_end)) {
            return false;
        }
        lines->file_ended = lines->raw_end == 0;
    }
    return true;
}

static bool inflate_gzip(struct lines *lines, char *into, size_t room, size_t *count)
{
    z_stream *const gzip = &lines->gzip;
    if (!lines->frame_open) {
        /* Members may follow one another, and tapes padded them with zeros. */
        if (lines->number > 0 || lines->end > 0) {
            while (lines->raw_start < lines->raw_end &&
                   lines->raw[lines->raw_start] == 0) {
                lines->raw_start++;
            }
        }
        if (lines->raw_start == lines->raw_end) {
            return true;
        }
        (void)inflateReset(gzip);
        lines->frame_open = true;
    }
    gzip->next_in = lines->raw + lines->raw_start;
    gzip->avail_in = (uInt)(lines->raw_end - lines->raw_start);
    gzip->next_out = (unsigned char *)into;
    gzip->avail_out = (uInt)room;
    const int result = inflate(gzip, Z_NO_FLUSH);
    lines->raw_start = lines->raw_end - gzip->avail_in;
    *count = room - gzip->avail_out;
    if (result == Z_STREAM_END) {
        lines->frame_open = false;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return fail(lines, ERR_INPUT,
                    "damaged gzip data; copy or download the file again");
    }
    return true;
}

static bool inflate_zstd(struct lines *lines, char *into, size_t room, size_t *count)
{
    if (!lines->frame_open && lines->raw_start == lines->raw_end) {
        return true;
    }
    ZSTD_inBuffer source = {lines->raw, lines->raw_end, lines->raw_start};
    ZSTD_outBuffer target = {.size = room};
    target.dst = into;
    const size_t result = ZSTD_decompressStream(lines->zstd, &target, &source);
    if (ZSTD_isError(result)) {
        struct err what;
        (void)err_set(&what, ERR_INPUT,
                      "damaged zstd data (%s); copy or download the file again",
                      ZSTD_getErrorName(result));
        return fail(lines, ERR_INPUT, what.text);
    }
    lines->raw_start = source.pos;
    lines->frame_open = result != 0;
    *count = target.pos;
    return true;
}

/* Some bytes of text; *count is 0 only at the end of the text. */
static bool read_text(struct lines *lines, char *into, size_t room, size_t *count)
{
    *count = 0;
    if (lines->packing == PACK_PLAIN) {
        return read_some(lines, into, room, count);
    }
    for (;;) {
        const bool held = lines->packing == PACK_GZIP
                              ? inflate_gzip(lines, into, room, count)
                              : inflate_zstd(lines, into, room, count);
        if (!held || *count > 0) {
            return held;
        }
        if (lines->raw_start < lines->raw_end) {
            continue;
        }
        if (!refill_raw(lines)) {
            return false;
        }
        if (lines->file_ended && lines->frame_open) {
            return fail(lines, ERR_INPUT,
                        "the compressed file ends early; copy or download it again");
        }
        if (lines->file_ended) {
            return true;
        }
    }
}

/* --- the text buffer ------------------------------------------------------------ */

/* Room for at least one more byte and the NUL after it. False: the line is too long. */
static bool make_room(struct lines *lines)
{
    if (lines->start > 0) {
        const size_t kept = lines->end - lines->start;
        memmove(lines->buffer, lines->buffer + lines->start, kept);
        lines->searched -= lines->start;
        lines->start = 0;
        lines->end = kept;
    }
    /* A line of the largest length, its CR LF, and the NUL. */
    const size_t most = lines->line_bytes_max < PEEK_BYTES
                            ? BUFFER_BYTES_MIN
                            : lines->line_bytes_max + BUFFER_BYTES_MIN;
    if (lines->end + 1 < lines->capacity) {
        return true;
    }
    void *buffer = lines->buffer;
    const bool grown =
        mem_grow(&buffer, &lines->capacity, lines->capacity + 1, 1, most);
    lines->buffer = buffer;
    return grown;
}

static bool fill(struct lines *lines)
{
    size_t count = 0;
    if (!read_text(lines, lines->buffer + lines->end, lines->capacity - lines->end - 1,
                   &count)) {
        return false;
    }
    lines->end += count;
    lines->text_ended = count == 0;
    return true;
}

/* By the magic bytes in `raw`. */
static bool choose_packing(struct lines *lines)
{
    static const unsigned char gzip_magic[] = {0x1f, 0x8b};
    const unsigned char *raw = lines->raw;
    const size_t count = lines->raw_end;
    const bool zstd_frame = count >= 4 && raw[0] == 0x28 && raw[1] == 0xb5 &&
                            raw[2] == 0x2f && raw[3] == 0xfd;
    const bool zstd_skip = count >= 4 && (raw[0] & 0xf0) == 0x50 && raw[1] == 0x2a &&
                           raw[2] == 0x4d && raw[3] == 0x18;
    if (count >= 2 && memcmp(raw, gzip_magic, sizeof gzip_magic) == 0) {
        enum { WINDOW_MAX_GZIP_ONLY = 15 + 16 };
        if (inflateInit2(&lines->gzip, WINDOW_MAX_GZIP_ONLY) != Z_OK) {
            return fail(lines, ERR_IO, "out of memory for gzip");
        }
        lines->packing = PACK_GZIP;
    } else if (zstd_frame || zstd_skip) {
        lines->zstd = ZSTD_createDStream();
        if (lines->zstd == NULL) {
            return fail(lines, ERR_IO, "out of memory for zstd");
        }
        lines->packing = PACK_ZSTD;
    }
    return true;
}

/* Reads until the packing is known; plain text moves on into the buffer. */
static bool begin(struct lines *lines)
{
    size_t count = 0;
    do {
        if (!read_some(lines, lines->raw + lines->raw_end, RAW_BYTES - lines->raw_end,
                       &count)) {
            return false;
        }
        lines->raw_end += count;
    } while (count > 0 && lines->raw_end < 4);
    if (!choose_packing(lines)) {
        return false;
    }
    if (lines->packing == PACK_PLAIN) {
        memcpy(lines->buffer, lines->raw, lines->raw_end);
        lines->end = lines->raw_end;
        return true;
    }
    return fill(lines);
}

/* UTF-8's byte order mark says nothing and would stick to the first column's name. */
static bool skip_byte_order_mark(struct lines *lines)
{
    while (lines->end < 3 && !lines->text_ended) {
        if (!fill(lines)) {
            return false;
        }
    }
    if (lines->end >= 3 && memcmp(lines->buffer, "\xef\xbb\xbf", 3) == 0) {
        lines->start = 3;
        lines->searched = 3;
    }
    return true;
}

static bool open_file(struct lines *lines, const char *path)
{
    if (strcmp(path, "-") == 0) {
        lines->file = STDIN_FILENO;
        lines->path = mem_strdup("stdin");
    } else {
        lines->path = mem_strdup(path);
        lines->file = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (lines->file < 0) {
        return fail(lines, ERR_INPUT, strerror(errno));
    }
    struct stat status;
    if (fstat(lines->file, &status) == 0 && S_ISREG(status.st_mode)) {
        lines->bytes_total = (uint64_t)status.st_size;
    }
    return true;
}

bool lines_open(struct lines **out, const char *path, size_t line_bytes_max,
                struct err *err)
{
    struct lines *lines = mem_alloc(1, sizeof *lines);
    lines->file = -1;
    lines->line_bytes_max = line_bytes_max;
    lines->raw = mem_alloc(RAW_BYTES, 1);
    lines->capacity = BUFFER_BYTES_MIN;
    lines->buffer = mem_alloc(lines->capacity, 1);
    if (!open_file(lines, path) || !begin(lines) || !skip_byte_order_mark(lines)) {
        (void)err_set(err, lines->failure.kind, "%s", lines->failure.text);
        lines_close(lines);
        return false;
    }
    *out = lines;
    return true;
}

bool lines_find(const char *path, char *out, size_t out_bytes)
{
    static const char *const endings[] = {"", ".gz", ".zst"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const int length = snprintf(out, out_bytes, "%s%s", path, endings[i]);
        if (length > 0 && (size_t)length < out_bytes && access(out, F_OK) == 0) {
            return true;
        }
    }
    (void)snprintf(out, out_bytes, "%s", path);
    return false;
}

void lines_close(struct lines *lines)
{
    if (lines == NULL) {
        return;
    }
    if (lines->packing == PACK_GZIP) {
        (void)inflateEnd(&lines->gzip);
    }
    (void)ZSTD_freeDStream(lines->zstd);
    if (lines->file > STDIN_FILENO) {
        (void)close(lines->file);
    }
    mem_free(lines->path);
    mem_free(lines->raw);
    mem_free(lines->buffer);
    mem_free(lines);
}

static enum lines_result lend(struct lines *lines, size_t length, char **line,
                              size_t *byte_count, struct err *err)
{
    char *const text = lines->buffer + lines->start;
    const size_t left = lines->end - lines->start;
    lines->number++;
    lines->start += length < left ? length + 1 : left; /* the last may lack its end */
    lines->searched = lines->start;
    if (length > 0 && text[length - 1] == '\r') {
        length--;
    }
    if (length > lines->line_bytes_max) {
        (void)err_set(&lines->failure, ERR_INPUT,
                      "%s:%" PRIu64
                      ": line of more than %zu bytes; is this a text file?",
                      lines->path, lines->number, lines->line_bytes_max);
        (void)err_set(err, lines->failure.kind, "%s", lines->failure.text);
        return LINES_ERROR;
    }
    text[length] = '\0';
    *line = text;
    *byte_count = length;
    return LINES_LINE;
}

enum lines_result lines_next(struct lines *lines, char **line, size_t *byte_count,
                             struct err *err)
{
    while (lines->failure.kind == ERR_NONE) {
        char *const from = lines->buffer + lines->searched;
        const char *const feed = memchr(from, '\n', lines->end - lines->searched);
        const size_t rest = lines->end - lines->start;
        if (feed != NULL) {
            return lend(lines, (size_t)(feed - lines->buffer) - lines->start, line,
                        byte_count, err);
        }
        if (lines->text_ended || rest > lines->line_bytes_max + 1) {
            return rest > 0 ? lend(lines, rest, line, byte_count, err) : LINES_END;
        }
        lines->searched = lines->end;
        if (!make_room(lines)) {
            return lend(lines, rest, line, byte_count, err);
        }
        (void)fill(lines);
    }
    (void)err_set(err, lines->failure.kind, "%s", lines->failure.text);
    return LINES_ERROR;
}

bool lines_peek(struct lines *lines, const char **bytes, size_t *byte_count,
                struct err *err)
{
    while (!lines->text_ended && lines->end - lines->start < PEEK_BYTES &&
           lines->failure.kind == ERR_NONE) {
        (void)(make_room(lines) && fill(lines));
    }
    if (lines->failure.kind != ERR_NONE) {
        return err_set(err, lines->failure.kind, "%s", lines->failure.text);
    }
    const size_t held = lines->end - lines->start;
    *bytes = lines->buffer + lines->start;
    *byte_count = held < PEEK_BYTES ? held : PEEK_BYTES;
    return true;
}

uint64_t lines_number(const struct lines *lines)
{
    return lines->number;
}

const char *lines_path(const struct lines *lines)
{
    return lines->path;
}

uint64_t lines_bytes_read(const struct lines *lines)
{
    return lines->bytes_read;
}

uint64_t lines_bytes_total(const struct lines *lines)
{
    return lines->bytes_total;
}
