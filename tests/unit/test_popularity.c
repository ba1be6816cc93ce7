/* SPDX-License-Identifier: Apache-2.0
 *
 * test_popularity.c: who asks for which adapter: shares, sessions, drift, tenants,
 * keys.
 */
#include "base/mem.h"
#include "tests/trace_fixture.h"
#include "traces/popularity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 40000 };

static struct popularity *open_map(const char *text, uint64_t seed)
{
    struct conf *conf = NULL;
    struct popularity *popularity = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    REQUIRE_OK(popularity_open(&popularity, conf_root(conf), seed, &err), &err);
    conf_delete(conf);
    return popularity;
}

static void refuses(const char *text, const char *part)
{
    struct conf *conf = NULL;
    struct popularity *popularity = NULL;
    struct err err = {0};
    REQUIRE_OK(conf_parse(&conf, "test.yaml", text, strlen(text), &err), &err);
    EXPECT(!popularity_open(&popularity, conf_root(conf), 1, &err));
    EXPECT_HAS(err.text, part);
    conf_delete(conf);
}

/* Shares of adapter-0, adapter-1, ... among DRAWS requests; [count] of the base. */
static void draw_shares(const char *text, uint32_t count, double *shares)
{
    struct popularity *popularity = open_map(text, 7);
    memset(shares, 0, (count + 1) * sizeof(double));
    for (uint64_t id = 0; id < DRAWS; id++) {
        const struct trace_record record = {.id = id};
        const char *name = popularity_draw(popularity, &record);
        uint32_t at = count;
        if (name != NULL) {
            REQUIRE(strncmp(name, "adapter-", 8) == 0);
            at = (uint32_t)strtoul(name + 8, NULL, 10);
            REQUIRE(at < count);
        }
        shares[at] += 1.0 / DRAWS;
    }
    popularity_close(popularity);
}

/* Within five standard deviations of a binomial share. */
static bool near(double share, double expected)
{
    return fabs(share - expected) < 5 * sqrt(expected * (1 - expected) / DRAWS);
}

static void shares_are_those_of_the_law(void)
{
    double shares[5];
    draw_shares("{popularity: uniform, count: 4}", 4, shares);
    for (int i = 0; i < 4; i++) {
        EXPECT(near(shares[i], 0.25));
    }
    /* 1 + 1/2 + 1/3 + 1/4 = 25/12 */
    draw_shares("{popularity: zipf, count: 4}", 4, shares);
    EXPECT(near(shares[0], 12.0 / 25));
    EXPECT(near(shares[1], 6.0 / 25));
    EXPECT(near(shares[3], 3.0 / 25));
    /* S-LoRA: (1/4)^0.5 = 0.5 of the first of four, sqrt(2)/2 of the first two */
    draw_shares("{popularity: power, count: 4, exponent: 0.5}", 4, shares);
    EXPECT(near(shares[0], 0.5));
    EXPECT(near(shares[1], sqrt(0.5) - 0.5));
    draw_shares("{popularity: zipf, count: 4, base_ratio: 0.6}", 4, shares);
    EXPECT(near(shares[4], 0.6));
    EXPECT(near(shares[0], 0.4 * 12 / 25));
}

static void sessions_keep_their_adapter(void)
{
    struct popularity *popularity =
        open_map("{popularity: uniform, count: 1000, rotate: 1s}", 3);
    uint32_t moved = 0;
    for (uint64_t session = 1; session <= 50; session++) {
        struct trace_record record = {.id = session, .session = session};
        char *first = mem_strdup(popularity_draw(popularity, &record));
        record.id += 1000;
        record.arrival_ns = INT64_C(5500000000); /* the ranks have moved by five */
        EXPECT_STR(popularity_draw(popularity, &record), first);
        /* A new session of the same luck would have got another one. */
        struct popularity *late =
            open_map("{popularity: uniform, count: 1000, rotate: 1s}", 3);
        const char *shifted = popularity_draw(late, &record);
        const unsigned long from = strtoul(first + 8, NULL, 10);
        EXPECT_U64(strtoul(shifted + 8, NULL, 10), (from + 5) % 1000);
        moved += strcmp(shifted, first) != 0 ? 1 : 0;
        popularity_close(late);
        mem_free(first);
    }
    EXPECT_U64(moved, 50);
    popularity_close(popularity);
}

static void tenants_have_their_own(void)
{
    struct popularity *popularity = open_map("{popularity: tenant, prefix: lora-}", 1);
    struct trace_record record = {.id = 1, .tenant = "acme"};
    EXPECT_STR(popularity_draw(popularity, &record), "lora-acme");
    record.tenant = NULL;
    EXPECT(popularity_draw(popularity, &record) == NULL);
    popularity_close(popularity);
}

static void overlays_fill_what_names_none(void)
{
    struct fixture *drawn = fixture_conf("generate:\n"
                                         "  - {arrival: {kind: poisson, rate_per_s: 10}"
                                         ", input: 10, output: 2, requests: 25}\n"
                                         "  - {arrival: {kind: poisson, rate_per_s: 10}"
                                         ", input: 10, output: 2, requests: 25"
                                         ", adapter: own}\n"
                                         "rate_factor: 2\n"
                                         "adapters: {popularity: zipf, count: 5}\n",
                                         1);
    REQUIRE(drawn->count == 50);
    uint32_t own = 0;
    for (size_t i = 0; i < drawn->count; i++) {
        const char *adapter = drawn->rows[i].adapter;
        REQUIRE(adapter[0] != '\0');
        own += strcmp(adapter, "own") == 0 ? 1 : 0;
    }
    EXPECT_U64(own, 25);
    EXPECT_HAS(workload_origin(drawn->workload), "5 adapters, zipf 1");
    fixture_free(drawn);
}

static void wrong_keys_are_told(void)
{
    refuses("{popularity: zipf}", "count: how many adapters");
    refuses("{popularity: tenant, count: 3}", "count: with popularity: tenant");
    refuses("{popularity: uniform, count: 3, exponent: 2}",
            "only popularity: zipf and power");
    refuses("{popularity: power, count: 3, exponent: 0}", "above 0");
    refuses("{popularity: often, count: 3}", "popularity");
    refuses("{count: 3, share: 2}", "share");
}

HARNESS_MAIN("popularity", TEST(shares_are_those_of_the_law),
             TEST(sessions_keep_their_adapter), TEST(tenants_have_their_own),
             TEST(overlays_fill_what_names_none), TEST(wrong_keys_are_told))
