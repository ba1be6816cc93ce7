/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.c: hashes of bytes, from libxxhash and libmd.
 */
#include "base/hash.h"

#include <md5.h>
#include <sha1.h>
#include <sha2.h>
#include <xxhash.h>

uint64_t hash_xxh64(const void *bytes, size_t byte_count, uint64_t seed)
{
    return XXH64(bytes, byte_count, seed);
}

void hash_md5(const void *bytes, size_t byte_count, uint8_t digest[16])
{
    MD5_CTX context;
    MD5Init(&context);
    MD5Update(&context, bytes, byte_count);
    MD5Final(digest, &context);
}

void hash_sha1(const void *bytes, size_t byte_count, uint8_t digest[20])
{
    SHA1_CTX context;
    SHA1Init(&context);
    SHA1Update(&context, bytes, byte_count);
    SHA1Final(digest, &context);
}

void hash_sha256(const void *bytes, size_t byte_count, uint8_t digest[32])
{
    SHA2_CTX context;
    SHA256Init(&context);
    SHA256Update(&context, bytes, byte_count);
    SHA256Final(digest, &context);
}
