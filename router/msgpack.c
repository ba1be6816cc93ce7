/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack.c: libmpack's tokens, which it reads and writes one at a time.
 */
#include "router/msgpack.h"

#include <mpack.h>
#include <string.h>

enum { DEPTH_MAX = 32, TOKEN_BYTES_MAX = 16 };

static bool take_bytes(struct msgpack *reader, struct msgpack_item *item)
{
    if (item->length > reader->byte_count) {
        return false;
    }
    item->bytes = reader->bytes;
    reader->bytes += item->length;
    reader->byte_count -= item->length;
    return true;
}

static void take_signed(mpack_token_t token, struct msgpack_item *item)
{
    const int64_t value = mpack_unpack_sint(token);
    item->kind = value < 0 ? MSGPACK_INT : MSGPACK_UINT;
    item->number = (uint64_t)value;
}

bool msgpack_next(struct msgpack *reader, struct msgpack_item *item)
{
    mpack_tokbuf_t buffer;
    mpack_token_t token;
    mpack_tokbuf_init(&buffer);
    *item = (struct msgpack_item){0};
    if (reader->byte_count == 0 || /* the library reads one byte in any case */
        mpack_read(&buffer, &reader->bytes, &reader->byte_count, &token) != MPACK_OK) {
        return false;
    }
    item->length = token.length;
    switch (token.type) {
    case MPACK_TOKEN_NIL:
        item->kind = MSGPACK_NIL;
        return true;
    case MPACK_TOKEN_BOOLEAN:
        item->kind = MSGPACK_BOOL;
        item->number = mpack_unpack_boolean(token) ? 1 : 0;
        return true;
    case MPACK_TOKEN_UINT:
        item->kind = MSGPACK_UINT;
        item->number = mpack_unpack_uint(token);
        return true;
    case MPACK_TOKEN_SINT:
        take_signed(token, item);
        return true;
    case MPACK_TOKEN_FLOAT:
        item->kind = MSGPACK_FLOAT;
        return true;
    case MPACK_TOKEN_ARRAY:
        item->kind = MSGPACK_ARRAY;
        return true;
    case MPACK_TOKEN_MAP:
        item->kind = MSGPACK_MAP;
        return true;
    case MPACK_TOKEN_BIN:
        item->kind = MSGPACK_BIN;
        return take_bytes(reader, item);
    case MPACK_TOKEN_STR:
        item->kind = MSGPACK_STR;
        return take_bytes(reader, item);
    case MPACK_TOKEN_EXT:
        item->kind = MSGPACK_EXT;
        return take_bytes(reader, item);
    case MPACK_TOKEN_CHUNK:
        break; /* only where we would read bytes as tokens */
    }
    return false;
}

bool msgpack_skip(struct msgpack *reader)
{
    uint64_t left[DEPTH_MAX] = {1};
    int depth = 0;
    while (depth >= 0) {
        struct msgpack_item item;
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        left[depth]--;
        if (!msgpack_next(reader, &item)) {
            return false;
        }
        if (item.kind == MSGPACK_ARRAY || item.kind == MSGPACK_MAP) {
            if (++depth == DEPTH_MAX) {
                return false;
            }
            left[depth] =
                item.kind == MSGPACK_MAP ? UINT64_C(2) * item.length : item.length;
        }
    }
    return true;
}

bool msgpack_is(const struct msgpack_item *item, const char *word)
{
    return item->kind == MSGPACK_STR && item->length == strlen(word) &&
           memcmp(item->bytes, word, item->length) == 0;
}

/* --- writing ---------------------------------------------------------------------- */

static void put(struct text *out, mpack_token_t token)
{
    char bytes[TOKEN_BYTES_MAX];
    char *at = bytes;
    size_t left = sizeof bytes;
    mpack_tokbuf_t buffer;
    mpack_tokbuf_init(&buffer);
    (void)mpack_write(&buffer, &at, &left, &token); /* there is room for any */
    text_add_bytes(out, bytes, sizeof bytes - left);
}

void msgpack_put_nil(struct text *out)
{
    put(out, mpack_pack_nil());
}

void msgpack_put_uint(struct text *out, uint64_t value)
{
    put(out, mpack_pack_uint(value));
}

void msgpack_put_float(struct text *out, double value)
{
    put(out, mpack_pack_float_compat(value));
}

void msgpack_put_str(struct text *out, const char *value)
{
    const size_t length = strlen(value);
    put(out, mpack_pack_str((mpack_uint32_t)length));
    text_add_bytes(out, value, length);
}

void msgpack_put_array(struct text *out, uint32_t length)
{
    put(out, mpack_pack_array(length));
}

void msgpack_put_map(struct text *out, uint32_t length)
{
    put(out, mpack_pack_map(length));
}
