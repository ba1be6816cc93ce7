/* SPDX-License-Identifier: Apache-2.0
 *
 * single.c: requests that know nothing of one another, but may share a prefix.
 *
 * The work of a draw is the exponential and the logarithms of the two lengths; nothing
 * is allocated. With `prefix`, a request belongs to one of the groups (a client, a
 * system prompt): its prompt starts with the group's text, and the group is its
 * session.
 */
#include "base/mem.h"
#include "base/rng.h"
#include "traces/generators/arrival.h"
#include "traces/generators/length.h"
#include "traces/generators/population.h"

enum { GROUPS_MAX = 1 << 20 };

struct single {
    struct source base;
    struct population population;
    struct arrival *arrival;
    struct length prompt;
    struct length output;
    struct dist *group;      /* NULL: no prefix groups */
    uint32_t *prefix_tokens; /* of every group */
    uint32_t groups;
    uint32_t prompts; /* texts behind each prefix; 0: every request has its own */
    struct rng arrival_bits;
    struct rng prompt_bits;
    struct rng output_bits;
    struct rng group_bits;
    uint64_t drawn;
    struct trace_record record;
    struct segment segments[2];
};

static void single_close(struct source *source)
{
    struct single *const single = (struct single *)source;
    population_fini(&single->population);
    arrival_close(single->arrival);
    length_close(&single->prompt);
    length_close(&single->output);
    dist_delete(single->group);
    mem_free(single->prefix_tokens);
    text_fini(&single->base.origin);
    mem_free(single);
}

static void add_prefix(struct single *single)
{
    struct trace_record *const record = &single->record;
    const size_t group = (size_t)dist_draw(single->group, &single->group_bits);
    record->session = population_id(&single->population, group + 1);
    single->segments[1] = single->segments[0];
    if (single->prompts > 0) {
        const uint64_t text = single->groups + group * single->prompts +
                              rng_below(&single->group_bits, single->prompts);
        single->segments[1].stream =
            segment_stream(SEGMENT_TEXT, population_id(&single->population, text));
    }
    single->segments[0] = (struct segment){
        .stream =
            segment_stream(SEGMENT_TEXT, population_id(&single->population, group)),
        .tokens = single->prefix_tokens[group],
    };
    record->segment_count = 2;
    record->prompt_tokens += single->prefix_tokens[group];
}

static enum workload_result
single_next(struct source *source, const struct trace_record **out, struct err *err)
{
    (void)err;
    struct single *const single = (struct single *)source;
    const struct population *const population = &single->population;
    if (population->requests_max > 0 && single->drawn >= population->requests_max) {
        return WORKLOAD_END;
    }
    struct trace_record *const record = &single->record;
    record->arrival_ns = arrival_next(single->arrival, &single->arrival_bits);
    if (record->arrival_ns >= population->duration_ns) {
        return WORKLOAD_END;
    }
    record->id = population_id(population, single->drawn++);
    record->prompt_tokens = length_draw(&single->prompt, &single->prompt_bits);
    record->output_tokens = length_draw(&single->output, &single->output_bits);
    record->output_tokens_guess = population->predicted ? record->output_tokens : 0;
    single->segments[0] = (struct segment){
        .stream = segment_stream(SEGMENT_UNIQUE, record->id),
        .tokens = record->prompt_tokens,
    };
    if (single->group != NULL) {
        add_prefix(single);
    }
    population_finish(population, record);
    *out = record;
    return WORKLOAD_RECORD;
}

static uint64_t single_expected(const struct source *source)
{
    const struct single *const single = (const struct single *)source;
    const uint64_t max = single->population.requests_max;
    return max > single->drawn ? max - single->drawn : 0;
}

static double single_progress(const struct source *source)
{
    const struct single *const single = (const struct single *)source;
    const struct population *const population = &single->population;
    if (population->requests_max > 0) {
        return (double)single->drawn / (double)population->requests_max;
    }
    return (double)single->record.arrival_ns / (double)population->duration_ns;
}

static void note_clamps(const char *what, const struct length *length, struct text *out)
{
    if (length->clamped > 0) {
        text_printf(out, "%s lengths: %.2f %% clamped to [%u, %u]\n", what,
                    100.0 * (double)length->clamped / (double)length->drawn,
                    length->min, length->max);
    }
}

static void single_notes(const struct source *source, struct text *out)
{
    const struct single *const single = (const struct single *)source;
    note_clamps("prompt", &single->prompt, out);
    note_clamps("output", &single->output, out);
}

static const struct source_type single_type = {
    .name = "single",
    .next = single_next,
    .close = single_close,
    .expected = single_expected,
    .progress = single_progress,
    .notes = single_notes,
};

/* `prefix: {groups, tokens, zipf, prompts}`; a distribution of tokens is drawn once per
 * group.
 */
static bool read_prefix(struct single *single, const struct conf_node *map,
                        struct err *err)
{
    const struct conf_node *prefix = NULL;
    double zipf = 0;
    struct length tokens = {0};
    if (!conf_map(map, "prefix", &prefix, err)) {
        return false;
    }
    if (prefix == NULL) {
        return true;
    }
    if (!conf_require(prefix, "groups", err) || !conf_require(prefix, "tokens", err) ||
        !conf_u32(prefix, "groups", &single->groups, 1, GROUPS_MAX, err) ||
        !conf_u32(prefix, "prompts", &single->prompts, 0, GROUPS_MAX, err) ||
        !conf_f64(prefix, "zipf", &zipf, 0, 10, err) ||
        !length_open(&tokens, conf_get(prefix, "tokens"), err)) {
        length_close(&tokens);
        return false;
    }
    const struct dist_spec spec = {
        .kind = DIST_ZIPF, .first = zipf, .second = single->groups};
    struct rng bits;
    rng_init(&bits, single->population.seed, "single.prefix",
             single->population.number);
    single->prefix_tokens = mem_alloc(single->groups, sizeof(uint32_t));
    for (uint32_t i = 0; i < single->groups; i++) {
        single->prefix_tokens[i] = length_draw(&tokens, &bits);
    }
    length_close(&tokens);
    return dist_new(&single->group, &spec, err);
}

static bool read_lengths(struct single *single, const struct conf_node *map,
                         struct err *err)
{
    return conf_require(map, "input", err) && conf_require(map, "output", err) &&
           length_open(&single->prompt, conf_get(map, "input"), err) &&
           length_open(&single->output, conf_get(map, "output"), err);
}

static bool read_arrival(struct single *single, const struct conf_node *map,
                         struct err *err)
{
    const struct conf_node *arrival = NULL;
    return conf_require(map, "arrival", err) &&
           conf_map(map, "arrival", &arrival, err) &&
           arrival_open(&single->arrival, arrival, 0, err);
}

static void seed_streams(struct single *single)
{
    const uint64_t seed = single->population.seed;
    const uint64_t number = single->population.number;
    rng_init(&single->arrival_bits, seed, "single.arrival", number);
    rng_init(&single->prompt_bits, seed, "single.prompt", number);
    rng_init(&single->output_bits, seed, "single.output", number);
    rng_init(&single->group_bits, seed, "single.group", number);
}

bool single_open(struct source **out, const struct conf_node *map,
                 const struct population *population, struct err *err)
{
    struct single *const single = mem_alloc(1, sizeof(*single));
    single->base.type = &single_type;
    single->population = *population;
    if (!read_arrival(single, map, err) || !read_lengths(single, map, err) ||
        !read_prefix(single, map, err)) {
        single->population = (struct population){0}; /* still the caller's */
        single_close(&single->base);
        return false;
    }
    seed_streams(single);
    single->record = (struct trace_record){
        .priority = population->priority,
        .think_ns = TRACE_THINK_NONE,
        .segment_count = 1,
        .segments = single->segments,
        .model = population->model,
        .tenant = population->tenant,
        .adapter = population->adapter,
    };
    text_add(&single->base.origin, "single, ");
    arrival_describe(single->arrival, &single->base.origin);
    if (single->group != NULL) {
        text_add(&single->base.origin, ", prefix groups");
    }
    *out = &single->base;
    return true;
}
