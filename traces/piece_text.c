/* SPDX-License-Identifier: Apache-2.0
 *
 * piece_text.c: writing and reading the notation of piece_text.h.
 */
#include "traces/piece_text.h"

#include <inttypes.h>

static bool kind_known(char letter)
{
#define X(name, kind, help) || letter == (kind)
    return false SEGMENT_KINDS(X);
#undef X
}

static void write_blocks(struct text *out, const struct segment *piece,
                         uint32_t block_tokens, bool is_last)
{
    const uint64_t blocks = ((uint64_t)piece->tokens + block_tokens - 1) / block_tokens;
    text_printf(out, "b%" PRIu64, piece->offset / block_tokens);
    if (blocks > 1) {
        text_printf(out, "+%" PRIu64, blocks);
    }
    if (piece->tokens % block_tokens != 0 && !is_last) {
        text_printf(out, ":%" PRIu32, piece->tokens);
    }
}

void piece_text_write(struct text *out, const struct segment *segments, size_t count,
                      uint32_t block_tokens)
{
    for (size_t i = 0; i < count; i++) {
        const struct segment *const piece = &segments[i];
        if (i > 0) {
            text_add_bytes(out, ";", 1);
        }
        const bool in_blocks = block_tokens > 0 &&
                               piece->stream == segment_stream(SEGMENT_BLOCK, 0) &&
                               piece->offset % block_tokens == 0;
        if (in_blocks) {
            write_blocks(out, piece, block_tokens, i + 1 == count);
            continue;
        }
        const enum segment_kind kind = segment_kind_of(piece->stream);
        text_printf(out, "%c%" PRIu64, (char)kind, segment_id_of(piece->stream));
        /* A block stream always shows its offset, or it would read as blocks. */
        if (piece->offset > 0 || kind == SEGMENT_BLOCK) {
            text_printf(out, "@%" PRIu64, piece->offset);
        }
        text_printf(out, "+%" PRIu32, piece->tokens);
    }
}

static bool read_number(const char **at, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    const char *const begin = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        const uint64_t digit = (uint64_t)(**at - '0');
        if (value > (max - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return *at > begin && value <= max;
}

/* After an optional mark: a number. Without the mark *out stays. */
static bool read_marked(const char **at, char mark, uint64_t max, uint64_t *out)
{
    if (**at != mark) {
        return true;
    }
    (*at)++;
    return read_number(at, max, out);
}

static bool end_piece(const char **at)
{
    if (**at == ';') {
        (*at)++;
        return **at != '\0';
    }
    return **at == '\0';
}

/* "14+3:1100" after the letter b, or "0@7+5". */
static bool read_blocks(const char **at, uint32_t block_tokens, uint64_t first,
                        struct segment *piece)
{
    uint64_t blocks = 1;
    if (block_tokens == 0 ||
        !read_marked(at, '+', UINT32_MAX / block_tokens, &blocks)) {
        return false;
    }
    uint64_t tokens = blocks * block_tokens;
    if (!read_marked(at, ':', tokens, &tokens)) {
        return false;
    }
    *piece = (struct segment){.stream = segment_stream(SEGMENT_BLOCK, 0),
                              .offset = first * block_tokens,
                              .tokens = (uint32_t)tokens};
    return first <= (UINT64_MAX >> 1) / block_tokens && end_piece(at);
}

bool piece_text_read(const char **at, uint32_t block_tokens, struct segment *piece)
{
    const char letter = **at;
    uint64_t id = 0;
    uint64_t offset = 0;
    uint64_t tokens = 0;
    if (!kind_known(letter)) {
        return false;
    }
    (*at)++;
    if (!read_number(at, SEGMENT_ID_MAX, &id)) {
        return false;
    }
    if (letter == (char)SEGMENT_BLOCK && **at != '@') {
        return read_blocks(at, block_tokens, id, piece);
    }
    if (!read_marked(at, '@', UINT64_MAX >> 1, &offset) || **at != '+' ||
        !read_marked(at, '+', UINT32_MAX, &tokens)) {
        return false;
    }
    *piece = (struct segment){.stream = segment_stream((enum segment_kind)letter, id),
                              .offset = offset,
                              .tokens = (uint32_t)tokens};
    return end_piece(at);
}
