/* SPDX-License-Identifier: Apache-2.0
 *
 * Command lines: every kind of value, both spellings, and refusals that help.
 */
#include "base/opt.h"
#include "base/text.h"
#include "tests/harness.h"

#include <stdio.h>
#include <string.h>

struct args {
    bool quiet;
    const char *out;
    struct opt_list set;
    uint64_t seed;
    double rate;
    int64_t duration_ns;
    uint64_t memory_bytes;
};

static const struct opt options[] = {
    {"--quiet", NULL, OPT_FLAG, offsetof(struct args, quiet), NULL, "Say nothing."},
    {"--out", "FILE", OPT_STR, offsetof(struct args, out), "-", "Where to write."},
    {"--set", "KEY=VALUE", OPT_LIST, offsetof(struct args, set), NULL, "Override."},
    {"--seed", "N", OPT_U64, offsetof(struct args, seed), "1", "Seed of all chance."},
    {"--rate", "X", OPT_F64, offsetof(struct args, rate), NULL, "Requests per second."},
    {"--duration", "TIME", OPT_DURATION, offsetof(struct args, duration_ns), "10m",
     "Simulated time, with a unit: 500ms, 90s, 15m or 2h. This sentence is long enough "
     "to "
     "be broken into lines of help text."},
    {"--memory", "BYTES", OPT_BYTES, offsetof(struct args, memory_bytes), NULL,
     "Room."},
    {NULL, NULL, OPT_FLAG, 0, NULL, NULL},
};

static const struct opt_command command = {
    .name = "run",
    .usage = "SCENARIO.yaml [options]",
    .summary = "Simulate one scenario.",
    .description = "Examples follow.",
    .options = options,
    .positional_min = 1,
    .positional_max = 2,
};

enum { WORDS_MAX = 140 };

static bool parse(const char *const *words, struct args *args,
                  struct opt_result *result, struct err *err)
{
    static char storage[WORDS_MAX][64];
    char *argv[WORDS_MAX];
    int argc = 0;
    memset(args, 0, sizeof *args);
    for (; words[argc] != NULL; argc++) {
        (void)snprintf(storage[argc], sizeof storage[argc], "%s", words[argc]);
        argv[argc] = storage[argc];
    }
    return opt_parse(&command, argc, argv, args, result, err);
}

static void every_kind_is_read_in_both_spellings(void)
{
    const char *const words[] = {"a.yaml",         "--quiet", "--out",      "-",
                                 "--set=a=1",      "--set",   "b=2",        "--seed=7",
                                 "--rate",         "1.5k",    "--duration", "90s",
                                 "--memory=80GiB", "--",      "--seed",     NULL};
    struct args args;
    struct opt_result result;
    struct err err;
    REQUIRE_OK(parse(words, &args, &result, &err), &err);
    EXPECT(args.quiet);
    EXPECT_STR(args.out, "-");
    EXPECT_U64(args.set.count, 2);
    EXPECT_STR(args.set.items[0], "a=1");
    EXPECT_STR(args.set.items[1], "b=2");
    EXPECT_U64(args.seed, 7);
    EXPECT_NEAR(args.rate, 1500, 0);
    EXPECT_I64(args.duration_ns, INT64_C(90000000000));
    EXPECT_U64(args.memory_bytes, UINT64_C(80) << 30);
    EXPECT_U64(result.positional_count, 2);
    EXPECT_STR(result.positional[0], "a.yaml");
    EXPECT_STR(result.positional[1], "--seed");
    EXPECT(!result.help);
}

static void minus_alone_is_a_file_name(void)
{
    const char *const words[] = {"-", NULL};
    struct args args;
    struct opt_result result;
    struct err err;
    REQUIRE_OK(parse(words, &args, &result, &err), &err);
    EXPECT_STR(result.positional[0], "-");
}

static void refusals_name_the_option_and_help(void)
{
    const struct {
        const char *words[5];
        const char *why;
    } cases[] = {
        {{NULL}, "missing argument: stacksim run SCENARIO.yaml [options]; see"},
        {{"a", "b", "c", NULL}, "unexpected argument 'c'; see 'stacksim run --help'"},
        {{"a", "--durration=5s", NULL},
         "unknown option --durration; did you mean "
         "--duration?"},
        {{"a", "--hlep", NULL}, "did you mean --help?"},
        {{"a", "--policies", "x", NULL}, "unknown option --policies; see"},
        {{"a", "-v", NULL}, "unknown option -v"},
        {{"a", "--seed", NULL}, "option --seed needs a value: --seed N"},
        {{"a", "--seed=x", NULL}, "option --seed: \"x\" is not a whole number"},
        {{"a", "--seed=", NULL}, "option --seed: \"\" is not a whole number"},
        {{"a", "--duration=90", NULL}, "option --duration: \"90\" has no unit"},
        {{"a", "--quiet=no", NULL}, "option --quiet takes no value; drop '=no'"},
        {{"a", "--sead", "1", NULL}, "unknown option --sead; did you mean --seed?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct args args;
        struct opt_result result;
        struct err err;
        harness_note("case %zu", i);
        EXPECT_FAILS(parse(cases[i].words, &args, &result, &err), &err, cases[i].why);
        EXPECT_I64(err.kind, ERR_USAGE);
    }
}

static void help_wins_over_errors(void)
{
    const char *const words[] = {"--bogus", "--help", NULL};
    struct args args;
    struct opt_result result;
    struct err err;
    REQUIRE_OK(parse(words, &args, &result, &err), &err);
    EXPECT(result.help);
    const char *const after[] = {"a", "--", "--help", NULL};
    REQUIRE_OK(parse(after, &args, &result, &err), &err);
    EXPECT(!result.help);
}

static void lists_have_a_ceiling(void)
{
    const char *words[WORDS_MAX];
    words[0] = "a";
    for (int i = 0; i < OPT_LIST_MAX + 1; i++) {
        words[1 + i] = "--set=x=1";
    }
    words[OPT_LIST_MAX + 2] = NULL;
    struct args args;
    struct opt_result result;
    struct err err;
    EXPECT_FAILS(parse(words, &args, &result, &err), &err,
                 "option --set: given more than 64 times");
    words[OPT_LIST_MAX + 1] = NULL;
    EXPECT_OK(parse(words, &args, &result, &err), &err);
    EXPECT_U64(args.set.count, OPT_LIST_MAX);
}

static void help_shows_every_option_within_its_width(void)
{
    struct text help = {NULL, 0, 0};
    opt_help(&command, "stacksim", &help);
    const char *text = text_str(&help);
    EXPECT_HAS(text, "usage: stacksim run SCENARIO.yaml [options]\n\nSimulate one");
    EXPECT_HAS(text, "Examples follow.");
    EXPECT_HAS(text, "  --duration TIME (default: 10m)\n        Simulated time");
    EXPECT_HAS(text, "  --help\n");
    for (const struct opt *opt = options; opt->name != NULL; opt++) {
        EXPECT_HAS(text, opt->name);
    }
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        EXPECT(length <= 80);
        text += length + 1;
    }
    text_fini(&help);
}

HARNESS_MAIN("opt", TEST(every_kind_is_read_in_both_spellings),
             TEST(minus_alone_is_a_file_name), TEST(refusals_name_the_option_and_help),
             TEST(help_wins_over_errors), TEST(lists_have_a_ceiling),
             TEST(help_shows_every_option_within_its_width))
