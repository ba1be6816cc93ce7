/* SPDX-License-Identifier: Apache-2.0
 *
 * Hashes agree with the vectors of the stack's router (prefix trie: XXH64 with seed 0;
 * session ring: MD5), and our own mixers keep their values for ever: digests depend on
 * them.
 */
#include "base/hash.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

static uint64_t xxh64(const char *text)
{
    return hash_xxh64(text, strlen(text), 0);
}

static void xxh64_agrees_with_the_prefix_trie(void)
{
    EXPECT_U64(xxh64(""), UINT64_C(0xef46db3751d8e999));
    EXPECT_U64(xxh64("a"), UINT64_C(0xd24ec4f1a98c6e5b));
    EXPECT_U64(xxh64("abc"), UINT64_C(0x44bc2cf5ad770999));
    char text[257] = "";
    memset(text, 'x', 128);
    EXPECT_U64(xxh64(text), UINT64_C(0x84bd6dccfa47bcec));
    for (size_t i = 0; i < 128; i++) {
        text[i] = "hi "[i % 3];
    }
    EXPECT_U64(xxh64(text), UINT64_C(0x380de794396a43ea));
    for (size_t i = 0; i < 256; i++) {
        text[i] = "\xc3\xa9"[i % 2];
    }
    EXPECT_U64(xxh64(text), UINT64_C(0x9b2210ff98cf44b0));
}

static void md5_agrees_with_the_session_ring(void)
{
    const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"http://10.0.0.1:8000-0", "1c0d20f6f6b9476108fe0b74efcdc287"},
        {"abc123", "e99a18c428cb38d5f260853678922e03"},
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[16];
        hash_md5(cases[i].text, strlen(cases[i].text), digest);
        char hex[33] = "";
        for (size_t j = 0; j < 16; j++) {
            (void)snprintf(hex + 2 * j, 3, "%02x", digest[j]);
        }
        EXPECT_STR(hex, cases[i].hex);
    }
}

static void pair_depends_on_order(void)
{
    EXPECT(hash_pair(1, 2) != hash_pair(2, 1));
    EXPECT(hash_pair(0, 0) != 0);
    EXPECT(hash_mix(1) != hash_mix(2));
}

/* First outputs of the reference splitmix64 started at 0. */
static void mix_is_the_finaliser_of_splitmix64(void)
{
    EXPECT_U64(hash_mix(UINT64_C(0x9e3779b97f4a7c15)), UINT64_C(0xe220a8397b1dcdaf));
    EXPECT_U64(hash_mix(2 * UINT64_C(0x9e3779b97f4a7c15)),
               UINT64_C(0x6e789e6aa1b965f4));
}

static void digest_tells_order_and_length_apart(void)
{
    struct digest a;
    struct digest b;
    digest_init(&a);
    digest_init(&b);
    EXPECT_U64(digest_value(&a), digest_value(&b));
    digest_word(&a, 1);
    digest_word(&a, 2);
    digest_word(&b, 2);
    digest_word(&b, 1);
    EXPECT(digest_value(&a) != digest_value(&b));
    digest_init(&b);
    digest_word(&b, 1);
    EXPECT(digest_value(&a) != digest_value(&b));
    digest_word(&b, 2);
    EXPECT_U64(digest_value(&a), digest_value(&b));
}

static void digest_of_records_tells_their_words_and_order_apart(void)
{
    static const uint64_t words[][3] = {
        {1, 2, 3}, {3, 2, 1}, {1, 2, 4}, {0, 0, 0}, {UINT64_MAX, 0, 1}};
    enum { RECORDS = sizeof(words) / sizeof(words[0]) };
    uint64_t values[RECORDS + 2] = {0};
    for (size_t i = 0; i < RECORDS + 2; i++) {
        struct digest digest;
        digest_init(&digest);
        if (i < RECORDS) {
            digest_record(&digest, words[i], 3);
        } else { /* two records, in both orders */
            digest_record(&digest, words[i - RECORDS], 3);
            digest_record(&digest, words[RECORDS - i + 1], 3);
        }
        values[i] = digest_value(&digest);
        for (size_t j = 0; j < i; j++) {
            EXPECT(values[i] != values[j]);
        }
    }
}

HARNESS_MAIN("hash", TEST(xxh64_agrees_with_the_prefix_trie),
             TEST(md5_agrees_with_the_session_ring), TEST(pair_depends_on_order),
             TEST(mix_is_the_finaliser_of_splitmix64),
             TEST(digest_tells_order_and_length_apart),
             TEST(digest_of_records_tells_their_words_and_order_apart))
