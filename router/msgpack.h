/* SPDX-License-Identifier: Apache-2.0
 *
 * msgpack.h: MessagePack, value by value (the only user of <mpack.h>).
 *
 * Reading allocates nothing, whatever lengths a message claims: bytes are lent, and
 * containers are announced by their length and followed by their values.
 */
#ifndef STACKSIM_ROUTER_MSGPACK_H
#define STACKSIM_ROUTER_MSGPACK_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct msgpack {
    const char *bytes;
    size_t byte_count;
};

enum msgpack_kind {
    MSGPACK_NIL,
    MSGPACK_BOOL,
    MSGPACK_UINT, /* any whole number >= 0 */
    MSGPACK_INT,  /* below 0 */
    MSGPACK_FLOAT,
    MSGPACK_STR,
    MSGPACK_BIN,
    MSGPACK_EXT,
    MSGPACK_ARRAY, /* `length` values follow */
    MSGPACK_MAP,   /* `length` pairs follow */
};
struct msgpack_item {
    enum msgpack_kind kind;
    uint64_t number;   /* UINT; INT as two's complement; BOOL 0 or 1 */
    uint32_t length;   /* of ARRAY and MAP; bytes of STR, BIN, EXT */
    const char *bytes; /* of STR, BIN and EXT; lent */
};

/* The next value, or false at the end and where the message breaks off. */
bool msgpack_next(struct msgpack *reader, struct msgpack_item *item);
/* Passes over one value with all that is in it; false when it is not whole, or nests
 * deeper than 32. */
bool msgpack_skip(struct msgpack *reader);
bool msgpack_is(const struct msgpack_item *item, const char *word); /* a STR */

void msgpack_put_nil(struct text *out);
void msgpack_put_uint(struct text *out, uint64_t value);
void msgpack_put_float(struct text *out, double value);
void msgpack_put_str(struct text *out, const char *value);
void msgpack_put_array(struct text *out, uint32_t length);
void msgpack_put_map(struct text *out, uint32_t length);

#endif
