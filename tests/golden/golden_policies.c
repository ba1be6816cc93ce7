/* SPDX-License-Identifier: Apache-2.0
 *
 * The vectors of the stack's specification, sections 1.1 to 1.3: what its router does
 * with the same urls, keys and texts.
 */
#include "base/hash.h"
#include "policies/prefix_trie.h"
#include "tests/policy_fixture.h"

#include <stdlib.h>

/* --- round robin ------------------------------------------------------------------ */

static struct gateway *two_models(enum compat compat)
{
    struct gateway *gateway = fixture_plain("roundrobin", compat);
    (void)gateway_join(gateway, "http://a1", "A", 1);
    (void)gateway_join(gateway, "http://a2", "A", 1);
    (void)gateway_join(gateway, "http://b1", "B", 1);
    (void)gateway_join(gateway, "http://b2", "B", 1);
    return gateway;
}

static void expect_alternating(enum compat compat, const char *const expected[4])
{
    struct gateway *gateway = two_models(compat);
    for (uint64_t i = 0; i < 8; i++) {
        const struct request_view request = {.request_id = i,
                                             .model = i % 2 == 0 ? "A" : "B"};
        const uint32_t id = fixture_send(gateway, 0, &request);
        EXPECT_STR(gateway_endpoint(gateway, id)->url, expected[i % 4]);
    }
    gateway_delete(gateway);
}

static void tag_shares_one_counter_and_starves_half_of_two_models(void)
{
    expect_alternating(COMPAT_TAG, (const char *const[]){"http://a1", "http://b2",
                                                         "http://a1", "http://b2"});
}

static void head_and_tag_fixed_count_per_set_of_endpoints(void)
{
    const char *const expected[4] = {"http://a1", "http://b1", "http://a2",
                                     "http://b2"};
    expect_alternating(COMPAT_HEAD, expected);
    expect_alternating(COMPAT_TAG_FIXED, expected);
}

static void round_robin_follows_the_byte_order_of_urls(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_TAG);
    (void)gateway_join(gateway, "http://e:9:x", NULL, 1);
    (void)gateway_join(gateway, "http://e:10:x", NULL, 1);
    const struct request_view request = {.request_id = 1};
    EXPECT_U64(fixture_send(gateway, 0, &request), 1);
    EXPECT_U64(fixture_send(gateway, 0, &request), 0);
    gateway_delete(gateway);
}

static void tag_jumps_and_head_starts_over_when_the_set_changes(void)
{
    const struct request_view request = {.request_id = 1};
    const enum compat levels[] = {COMPAT_TAG, COMPAT_HEAD};
    const uint32_t expected[] = {1, 0}; /* 3 mod 2; a fresh counter */
    for (size_t i = 0; i < 2; i++) {
        struct gateway *gateway = fixture_plain("round_robin", levels[i]);
        fixture_join(gateway, 3);
        for (int turn = 0; turn < 3; turn++) {
            (void)fixture_send(gateway, 0, &request);
        }
        gateway_set_accepting(gateway, 2, false);
        EXPECT_U64(fixture_send(gateway, 0, &request), expected[i]);
        gateway_delete(gateway);
    }
}

/* Each subset of 11 endpoints is a set: 2046 of them with two members or more. */
static void set_accepting_by_mask(struct gateway *gateway, uint32_t mask)
{
    for (uint32_t id = 0; id < 11; id++) {
        gateway_set_accepting(gateway, id, (mask >> id & 1) != 0);
    }
}

static void head_forgets_all_counters_when_set_1025_arrives(void)
{
    struct gateway *gateway = fixture_plain("round_robin", COMPAT_HEAD);
    const char *const urls[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
    for (size_t i = 0; i < 11; i++) {
        (void)gateway_join(gateway, urls[i], NULL, 1);
    }
    const struct request_view request = {.request_id = 1};
    for (uint32_t mask = 1; mask <= 1024; mask++) {
        set_accepting_by_mask(gateway, mask);
        (void)fixture_send(gateway, 0, &request);
    }
    set_accepting_by_mask(gateway, 3);
    EXPECT_U64(fixture_send(gateway, 0, &request), 1); /* the second turn of {a, b} */
    EXPECT_U64(fixture_send(gateway, 0, &request), 0); /* the third */
    set_accepting_by_mask(gateway, 1025);
    EXPECT_U64(fixture_send(gateway, 0, &request), 0); /* the first of set 1025 */
    set_accepting_by_mask(gateway, 3);
    EXPECT_U64(fixture_send(gateway, 0, &request), 0); /* forgotten: not the fourth */
    gateway_delete(gateway);
}

/* --- session ---------------------------------------------------------------------- */

static void expect_owner(struct gateway *gateway, const char *key, uint32_t host)
{
    const struct request_view request = {.request_id = 1, .session_key = key};
    harness_note("session key '%s'", key);
    EXPECT_U64(fixture_host(gateway, fixture_send(gateway, 0, &request)), host);
}

static const char *const session_keys[] = {"abc123", "user-1",   "1", "2",
                                           "42",     "session5", ""};
enum { SESSION_KEYS = sizeof session_keys / sizeof session_keys[0] };

static void expect_owners(int endpoints, const uint32_t hosts[SESSION_KEYS])
{
    struct gateway *gateway = fixture_plain("session", COMPAT_TAG);
    fixture_join(gateway, endpoints);
    for (size_t i = 0; i < SESSION_KEYS; i++) {
        expect_owner(gateway, session_keys[i], hosts[i]);
    }
    gateway_delete(gateway);
}

static void session_keys_land_where_uhashring_puts_them(void)
{
    expect_owners(2, (const uint32_t[]){1, 2, 1, 2, 1, 2, 1});
    expect_owners(3, (const uint32_t[]){3, 2, 1, 2, 1, 3, 1});
    expect_owners(8, (const uint32_t[]){7, 7, 1, 5, 1, 3, 4});
}

static void session_ring_of_the_candidates_alone_decides(void)
{
    struct gateway *gateway = fixture_plain("session", COMPAT_HEAD);
    fixture_join(gateway, 3);
    gateway_set_accepting(gateway, 2, false);
    expect_owner(gateway, "abc123", 1);
    expect_owner(gateway, "session5", 2);
    gateway_set_accepting(gateway, 2, true);
    expect_owner(gateway, "abc123", 3);
    gateway_leave(gateway, 2);
    expect_owner(gateway, "abc123", 1);
    gateway_delete(gateway);
}

static void expect_digest(const char *text, const uint8_t expected[16])
{
    uint8_t digest[16];
    hash_md5(text, strlen(text), digest);
    EXPECT_BYTES(digest, expected, 16);
}

static void ring_hashes_are_those_of_the_specification(void)
{
    expect_digest("http://10.0.0.1:8000-0",
                  (const uint8_t[]){0x1c, 0x0d, 0x20, 0xf6, 0xf6, 0xb9, 0x47, 0x61,
                                    0x08, 0xfe, 0x0b, 0x74, 0xef, 0xcd, 0xc2, 0x87});
    expect_digest("abc123",
                  (const uint8_t[]){0xe9, 0x9a, 0x18, 0xc4, 0x28, 0xcb, 0x38, 0xd5,
                                    0xf2, 0x60, 0x85, 0x36, 0x78, 0x92, 0x2e, 0x03});
}

static uint32_t owner_of_number(struct gateway *gateway, int number)
{
    char key[16];
    snprintf(key, sizeof key, "%d", number);
    const struct request_view request = {.request_id = 1, .session_key = key};
    return fixture_send(gateway, 0, &request);
}

static void ring_shares_are_as_uneven_as_in_the_stack(void)
{
    const uint64_t expected[8] = {90, 141, 100, 144, 118, 137, 131, 139};
    struct gateway *gateway = fixture_plain("session", COMPAT_TAG);
    fixture_join(gateway, 8);
    uint64_t count[8] = {0};
    for (int number = 0; number < 1000; number++) {
        count[owner_of_number(gateway, number)]++;
    }
    for (size_t i = 0; i < 8; i++) {
        EXPECT_U64(count[i], expected[i]);
    }
    gateway_delete(gateway);
}

static void fourth_node_moves_2391_of_10000_sessions(void)
{
    struct gateway *three = fixture_plain("session", COMPAT_TAG);
    struct gateway *four = fixture_plain("session", COMPAT_TAG);
    fixture_join(three, 3);
    fixture_join(four, 4);
    uint64_t moved = 0;
    for (int number = 0; number < 10000; number++) {
        moved += owner_of_number(three, number) != owner_of_number(four, number);
    }
    EXPECT_U64(moved, 2391);
    gateway_delete(three);
    gateway_delete(four);
}

/* --- prefix aware ----------------------------------------------------------------- */

static void *plain_resize(void *context, void *memory, size_t bytes)
{
    (void)context;
    if (bytes == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, bytes);
}

static void expect_length(const struct prefix_trie *trie, const char *text,
                          uint32_t characters)
{
    const uint32_t index_of_id[] = {0, 1};
    uint64_t hashes[FIXTURE_CHUNKS_MAX];
    const size_t count =
        text_chunk_hashes(text, strlen(text), hashes, FIXTURE_CHUNKS_MAX);
    const struct trie_match match =
        prefix_trie_match(trie, hashes, (uint32_t)count, index_of_id);
    harness_note("%zu bytes starting with '%c'", strlen(text), text[0]);
    EXPECT_U64((uint64_t)match.chunks * TEXT_CHUNK_CHARACTERS, characters);
    EXPECT_U64(match.id_count, characters > 0 ? 1 : 0);
    if (characters > 0) {
        EXPECT_U64(match.ids[0], 0);
    }
}

static const char *repeated(char *buffer, char byte, size_t count, const char *tail)
{
    memset(buffer, byte, count);
    strncpy(buffer + count, tail, 2);
    return buffer;
}

static void trie_matches_as_the_stack_does(void)
{
    char text[400];
    uint64_t hashes[FIXTURE_CHUNKS_MAX];
    const struct policy_memory memory = {.resize = plain_resize};
    struct prefix_trie *trie = prefix_trie_new(&memory);
    const size_t count = text_chunk_hashes(repeated(text, 'a', 300, ""), 300, hashes,
                                           FIXTURE_CHUNKS_MAX);
    prefix_trie_insert(trie, hashes, (uint32_t)count, 0);
    expect_length(trie, repeated(text, 'a', 300, ""), 384);
    expect_length(trie, repeated(text, 'a', 256, ""), 256);
    expect_length(trie, repeated(text, 'a', 299, ""), 256);
    expect_length(trie, repeated(text, 'a', 300, "b"), 256);
    expect_length(trie, repeated(text, 'a', 100, ""), 0);
    expect_length(trie, repeated(text, 'b', 128, ""), 0);
    prefix_trie_delete(trie);
}

static void chunk_hashes_are_xxh64_of_utf8(void)
{
    char text[300];
    uint64_t hash = 0;
    EXPECT_U64(hash_xxh64("", 0, 0), UINT64_C(0xef46db3751d8e999));
    EXPECT_U64(text_chunk_hashes("a", 1, &hash, 1), 1);
    EXPECT_U64(hash, UINT64_C(0xd24ec4f1a98c6e5b));
    EXPECT_U64(text_chunk_hashes("abc", 3, &hash, 1), 1);
    EXPECT_U64(hash, UINT64_C(0x44bc2cf5ad770999));
    EXPECT_U64(text_chunk_hashes(repeated(text, 'x', 128, ""), 128, &hash, 1), 1);
    EXPECT_U64(hash, UINT64_C(0x84bd6dccfa47bcec));
    for (size_t i = 0; i < 128; i++) {
        text[i] = "hi "[i % 3];
    }
    EXPECT_U64(text_chunk_hashes(text, 128, &hash, 1), 1);
    EXPECT_U64(hash, UINT64_C(0x380de794396a43ea));
    for (size_t i = 0; i < 256; i++) {
        text[i] = "\xc3\xa9"[i % 2];
    }
    EXPECT_U64(text_chunk_hashes(text, 256, &hash, 1), 1);
    EXPECT_U64(hash, UINT64_C(0x9b2210ff98cf44b0));
}

static uint64_t send_text(struct gateway *gateway, uint64_t number, const char *text)
{
    uint64_t hashes[FIXTURE_CHUNKS_MAX];
    struct request_view request = fixture_prompt(text, strlen(text), hashes);
    request.request_id = number;
    return fixture_send(gateway, (int64_t)number, &request);
}

/* All traffic with one system prompt converges on one engine. */
static void common_system_prompt_pins_all_traffic_to_one_engine(void)
{
    const enum compat levels[] = {COMPAT_TAG, COMPAT_HEAD};
    for (size_t level = 0; level < 2; level++) {
        struct gateway *gateway = fixture_plain("prefixaware", levels[level]);
        fixture_join(gateway, 8);
        char text[400];
        const uint64_t first = send_text(gateway, 0, repeated(text, 's', 200, ""));
        for (uint64_t i = 1; i < 50; i++) {
            memset(text, 's', 128);
            snprintf(text + 128, sizeof text - 128, " user %d asks", (int)i);
            EXPECT_U64(send_text(gateway, i, text), first);
        }
        gateway_delete(gateway);
    }
}

/* The example of the stack's own tutorial: the first prompt is a prefix of the second,
 * but both are shorter than a chunk. */
static void prompts_below_one_chunk_match_only_themselves(void)
{
    uint64_t together = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct gateway *gateway = fixture_gateway("prefix_aware", COMPAT_TAG, seed,
                                                  (struct fixture_param){.name = NULL});
        fixture_join(gateway, 2);
        const uint64_t first = send_text(gateway, 0, "What is the capital of France?");
        together += first == send_text(gateway, 1,
                                       "What is the capital of France? And what is "
                                       "its population");
        EXPECT_U64(send_text(gateway, 2, "What is the capital of France?"), first);
        gateway_delete(gateway);
    }
    /* A fair coin: 200 with a standard deviation of 10. */
    EXPECT(together > 150 && together < 250);
}

HARNESS_MAIN("golden.policies",
             TEST(tag_shares_one_counter_and_starves_half_of_two_models),
             TEST(head_and_tag_fixed_count_per_set_of_endpoints),
             TEST(round_robin_follows_the_byte_order_of_urls),
             TEST(tag_jumps_and_head_starts_over_when_the_set_changes),
             TEST(head_forgets_all_counters_when_set_1025_arrives),
             TEST(session_keys_land_where_uhashring_puts_them),
             TEST(session_ring_of_the_candidates_alone_decides),
             TEST(ring_hashes_are_those_of_the_specification),
             TEST(ring_shares_are_as_uneven_as_in_the_stack),
             TEST(fourth_node_moves_2391_of_10000_sessions),
             TEST(trie_matches_as_the_stack_does), TEST(chunk_hashes_are_xxh64_of_utf8),
             TEST(common_system_prompt_pins_all_traffic_to_one_engine),
             TEST(prompts_below_one_chunk_match_only_themselves))
