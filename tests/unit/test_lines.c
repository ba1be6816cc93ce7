/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines come whole, in order and numbered, whatever the packing and however long, and
 * damaged or endless input is refused.
 */
#include "base/lines.h"
#include "tests/harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static struct lines *open_bytes(const char *name, const void *bytes, size_t byte_count)
{
    struct lines *lines = NULL;
    struct err err;
    REQUIRE_OK(
        lines_open(&lines, harness_temp_file(name, bytes, byte_count), 1 << 20, &err),
        &err);
    return lines;
}

static void expect_line(struct lines *lines, const char *expected)
{
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    if (EXPECT_I64(lines_next(lines, &line, &byte_count, &err), LINES_LINE)) {
        EXPECT_STR(line, expected);
        EXPECT_U64(byte_count, strlen(expected));
    }
}

static void expect_end(struct lines *lines)
{
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    for (int i = 0; i < 2; i++) {
        EXPECT_I64(lines_next(lines, &line, &byte_count, &err), LINES_END);
    }
}

static void expect_error(struct lines *lines, const char *part)
{
    char *line = NULL;
    size_t byte_count = 0;
    for (int i = 0; i < 2; i++) {
        struct err err = {ERR_NONE, ""};
        EXPECT_I64(lines_next(lines, &line, &byte_count, &err), LINES_ERROR);
        EXPECT_HAS(err.text, part);
    }
}

static void ends_of_lines_may_be_mixed_or_missing(void)
{
    static const char text[] = "one\r\n\ntwo\n\r\nthr\ree";
    struct lines *lines = open_bytes("a", text, sizeof text - 1);
    expect_line(lines, "one");
    EXPECT_U64(lines_number(lines), 1);
    expect_line(lines, "");
    expect_line(lines, "two");
    expect_line(lines, "");
    expect_line(lines, "thr\ree");
    EXPECT_U64(lines_number(lines), 5);
    expect_end(lines);
    EXPECT_U64(lines_bytes_read(lines), sizeof text - 1);
    EXPECT_U64(lines_bytes_total(lines), sizeof text - 1);
    lines_close(lines);
}

static void empty_file_has_no_line(void)
{
    struct lines *lines = open_bytes("empty", "", 0);
    expect_end(lines);
    lines_close(lines);
    lines = open_bytes("newline", "\n", 1);
    expect_line(lines, "");
    expect_end(lines);
    lines_close(lines);
    lines_close(NULL);
}

static void byte_order_mark_is_no_content(void)
{
    struct lines *lines = open_bytes("bom", "\xef\xbb\xbfid,n\n", 8);
    expect_line(lines, "id,n");
    expect_end(lines);
    lines_close(lines);
}

static void nul_bytes_are_counted(void)
{
    struct lines *lines = open_bytes("nul", "a\0b\n", 4);
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    EXPECT_I64(lines_next(lines, &line, &byte_count, &err), LINES_LINE);
    EXPECT_U64(byte_count, 3);
    lines_close(lines);
}

/* Lines of many lengths, so that the buffer's end falls everywhere in a line. */
static size_t make_text(char **out)
{
    enum { LINES = 40000 };
    char *text = malloc((size_t)LINES * 64);
    size_t length = 0;
    for (int i = 0; i < LINES; i++) {
        length += (size_t)snprintf(text + length, 64, "%d:%*s\n", i, i % 47, "x");
    }
    *out = text;
    return length;
}

static void expect_text(struct lines *lines)
{
    char expected[64];
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    int i = 0;
    enum lines_result result = LINES_END;
    while ((result = lines_next(lines, &line, &byte_count, &err)) == LINES_LINE) {
        (void)snprintf(expected, sizeof expected, "%d:%*s", i, i % 47, "x");
        if (strcmp(line, expected) != 0 || byte_count != strlen(expected)) {
            EXPECT_STR(line, expected);
            return;
        }
        i++;
    }
    EXPECT_I64(result, LINES_END);
    EXPECT_I64(i, 40000);
}

static void long_plain_text_comes_whole(void)
{
    char *text = NULL;
    const size_t length = make_text(&text);
    struct lines *lines = open_bytes("long", text, length);
    expect_text(lines);
    lines_close(lines);
    free(text);
}

static size_t pack_gzip(const char *text, size_t length, char *packed, size_t room)
{
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) ==
            Z_OK);
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    stream.next_in = (unsigned char *)copy;
    stream.avail_in = (unsigned)length;
    stream.next_out = (unsigned char *)packed;
    stream.avail_out = (unsigned)room;
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    const size_t packed_bytes = room - stream.avail_out;
    (void)deflateEnd(&stream);
    free(copy);
    return packed_bytes;
}

static void gzip_is_seen_by_content(void)
{
    char *text = NULL;
    const size_t length = make_text(&text);
    char *packed = malloc(length + 1000);
    /* Two members and the zeros of a tape. */
    size_t packed_bytes = pack_gzip(text, length / 2, packed, length);
    packed_bytes += pack_gzip(text + length / 2, length - length / 2,
                              packed + packed_bytes, length - packed_bytes);
    memset(packed + packed_bytes, 0, 512);
    struct lines *lines = open_bytes("no-suffix", packed, packed_bytes + 512);
    expect_text(lines);
    EXPECT_U64(lines_bytes_read(lines), packed_bytes + 512);
    lines_close(lines);

    lines = open_bytes("cut", packed, packed_bytes - 5);
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    enum lines_result result = LINES_LINE;
    while (result == LINES_LINE) {
        result = lines_next(lines, &line, &byte_count, &err);
    }
    EXPECT_I64(result, LINES_ERROR);
    expect_error(lines, "cut: the compressed file ends early");
    lines_close(lines);

    packed[packed_bytes / 4] ^= 0x55;
    packed[packed_bytes / 4 + 1] ^= 0x55;
    lines = open_bytes("damaged", packed, packed_bytes);
    result = LINES_LINE;
    while (result == LINES_LINE) {
        result = lines_next(lines, &line, &byte_count, &err);
    }
    expect_error(lines, "damaged: damaged gzip data");
    lines_close(lines);
    free(packed);
    free(text);
}

static void zstd_is_seen_by_content(void)
{
    char *text = NULL;
    const size_t length = make_text(&text);
    const size_t room = ZSTD_compressBound(length);
    char *packed = malloc(room);
    const size_t packed_bytes = ZSTD_compress(packed, room, text, length, 3);
    REQUIRE(!ZSTD_isError(packed_bytes));
    struct lines *lines = open_bytes("z", packed, packed_bytes);
    expect_text(lines);
    lines_close(lines);

    lines = open_bytes("z-cut", packed, packed_bytes - 1);
    char *line = NULL;
    size_t byte_count = 0;
    struct err err;
    enum lines_result result = LINES_LINE;
    while (result == LINES_LINE) {
        result = lines_next(lines, &line, &byte_count, &err);
    }
    expect_error(lines, "z-cut: the compressed file ends early");
    lines_close(lines);

    struct lines *none = NULL;
    packed[4] = (char)0xff;
    packed[5] = (char)0xff;
    const char *path = harness_temp_file("z-damaged", packed, packed_bytes);
    if (lines_open(&none, path, 1 << 20, &err)) {
        while (lines_next(none, &line, &byte_count, &err) == LINES_LINE) {
        }
        lines_close(none);
    }
    EXPECT_HAS(err.text, "z-damaged: damaged zstd data");
    free(packed);
    free(text);
}

static void line_length_has_an_exact_ceiling(void)
{
    enum { MOST = 300000 };
    char *text = malloc(MOST + 3);
    memset(text, 'y', MOST + 3);
    text[MOST] = '\r';
    text[MOST + 1] = '\n';
    const char *path = harness_temp_file("just", text, MOST + 2);
    struct lines *lines = NULL;
    struct err err;
    char *line = NULL;
    size_t byte_count = 0;
    REQUIRE_OK(lines_open(&lines, path, MOST, &err), &err);
    EXPECT_I64(lines_next(lines, &line, &byte_count, &err), LINES_LINE);
    EXPECT_U64(byte_count, MOST);
    expect_end(lines);
    lines_close(lines);
    text[MOST] = 'y';
    path = harness_temp_file("above", text, MOST + 2);
    REQUIRE_OK(lines_open(&lines, path, MOST, &err), &err);
    expect_error(lines, "above:1: line of more than 300000 bytes");
    lines_close(lines);
    memset(text, 'y', MOST + 3);
    path = harness_temp_file("endless", text, MOST + 3);
    REQUIRE_OK(lines_open(&lines, path, 10, &err), &err);
    expect_error(lines, "endless:1: line of more than 10 bytes");
    lines_close(lines);
    free(text);
}

static void peek_consumes_nothing(void)
{
    char *text = NULL;
    const size_t length = make_text(&text);
    struct lines *lines = open_bytes("peek", text, length);
    const char *bytes = NULL;
    size_t byte_count = 0;
    struct err err;
    REQUIRE_OK(lines_peek(lines, &bytes, &byte_count, &err), &err);
    EXPECT_U64(byte_count, 65536);
    EXPECT_BYTES(bytes, text, byte_count);
    expect_text(lines);
    REQUIRE_OK(lines_peek(lines, &bytes, &byte_count, &err), &err);
    EXPECT_U64(byte_count, 0);
    lines_close(lines);
    free(text);
}

static void minus_is_stdin(void)
{
    const char *path = harness_temp_file("in", "a\nb", 3);
    const int saved = dup(STDIN_FILENO);
    const int file = open(path, O_RDONLY);
    REQUIRE(file >= 0 && dup2(file, STDIN_FILENO) == STDIN_FILENO);
    struct lines *lines = NULL;
    struct err err;
    REQUIRE_OK(lines_open(&lines, "-", 100, &err), &err);
    EXPECT_STR(lines_path(lines), "stdin");
    expect_line(lines, "a");
    expect_line(lines, "b");
    expect_end(lines);
    lines_close(lines);
    (void)dup2(saved, STDIN_FILENO);
    (void)close(saved);
    (void)close(file);
}

static void files_that_cannot_be_read_are_named(void)
{
    struct lines *lines = NULL;
    struct err err;
    EXPECT_FAILS(lines_open(&lines, harness_temp("absent"), 10, &err), &err,
                 "absent: No such file or directory");
    EXPECT_I64(err.kind, ERR_INPUT);
    EXPECT_FAILS(lines_open(&lines, "/", 10, &err), &err, "/: Is a directory");
    EXPECT_I64(err.kind, ERR_INPUT);
}

static void file_is_found_by_its_name_or_its_twin(void)
{
    char found[4096];
    const char *plain = harness_temp_file("both.csv", "a\n", 2);
    (void)harness_temp_file("both.csv.gz", "b\n", 2);
    EXPECT(lines_find(plain, found, sizeof found));
    EXPECT_STR(found, plain);
    (void)harness_temp_file("twin.csv.zst", "c\n", 2);
    EXPECT(lines_find(harness_temp("twin.csv"), found, sizeof found));
    EXPECT_HAS(found, "twin.csv.zst");
    EXPECT(!lines_find(harness_temp("nobody.csv"), found, sizeof found));
    EXPECT_STR(found, harness_temp("nobody.csv"));
}

HARNESS_MAIN("lines", TEST(ends_of_lines_may_be_mixed_or_missing),
             TEST(empty_file_has_no_line), TEST(byte_order_mark_is_no_content),
             TEST(nul_bytes_are_counted), TEST(long_plain_text_comes_whole),
             TEST(gzip_is_seen_by_content), TEST(zstd_is_seen_by_content),
             TEST(line_length_has_an_exact_ceiling), TEST(peek_consumes_nothing),
             TEST(minus_is_stdin), TEST(files_that_cannot_be_read_are_named),
             TEST(file_is_found_by_its_name_or_its_twin))
