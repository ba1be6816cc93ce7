/* SPDX-License-Identifier: Apache-2.0
 *
 * population.c: from a map of `generate:` to a program.
 */
#include "traces/generators/population.h"

#include "base/mem.h"

enum { PROGRAM_MULTI_ROUND_QA = 2 };

bool population_read(struct population *population, const struct conf_node *map,
                     struct err *err)
{
    const char *name = NULL; /* for people only */
    const char *model = NULL;
    const char *tenant = NULL;
    const char *adapter = NULL;
    double priority = 0;
    population->duration_ns = INT64_MAX;
    population->session = true;
    if (!conf_str(map, "name", &name, err) ||
        !conf_u64(map, "requests", &population->requests_max, err) ||
        !conf_duration_ns(map, "duration", &population->duration_ns, err) ||
        !conf_f64(map, "priority", &priority, -32768, 32767, err) ||
        !conf_str(map, "model", &model, err) ||
        !conf_str(map, "tenant", &tenant, err) ||
        !conf_str(map, "adapter", &adapter, err) ||
        !conf_bool(map, "predicted", &population->predicted, err) ||
        !conf_bool(map, "capped", &population->capped, err) ||
        !conf_bool(map, "session", &population->session, err)) {
        return false;
    }
    if (population->requests_max >= UINT64_C(1) << POPULATION_SHIFT) {
        return conf_fail(map, err, "requests: fewer than 2^%d are possible",
                         POPULATION_SHIFT);
    }
    population->priority = (int32_t)priority;
    population->model = model != NULL ? mem_strdup(model) : NULL;
    population->tenant = tenant != NULL ? mem_strdup(tenant) : NULL;
    population->adapter = adapter != NULL ? mem_strdup(adapter) : NULL;
    return true;
}

void population_finish(const struct population *population, struct trace_record *record)
{
    if (population->capped) {
        record->output_tokens_max = record->output_tokens;
    }
    if (!population->session) {
        record->session = 0;
    }
}

void population_fini(struct population *population)
{
    mem_free(population->model);
    mem_free(population->tenant);
    mem_free(population->adapter);
}

/* Runs of a benchmark end by themselves. */
static bool has_end(const struct population *population, const struct conf_node *map,
                    uint32_t program, struct err *err)
{
    return program == PROGRAM_MULTI_ROUND_QA || population->requests_max > 0 ||
           population->duration_ns < INT64_MAX ||
           conf_fail(map, err,
                     "a population without end; give requests: N or duration: TIME");
}

bool population_open(struct source **out, const struct conf_node *map, uint64_t seed,
                     uint64_t number, struct err *err)
{
    static const char *const programs[] = {"single", "chat", "multi_round_qa", NULL};
    static bool (*const open[])(struct source **, const struct conf_node *,
                                const struct population *, struct err *) = {
        single_open, chat_open, multi_round_qa_open};
    uint32_t program = 0;
    struct population population = {.seed = seed, .number = number};
    if (conf_kind(map) != CONF_MAP) {
        return conf_fail(map, err, "a population is a map; see docs/workloads.md");
    }
    if (!conf_enum(map, "program", programs, &program, err) ||
        !population_read(&population, map, err)) {
        return false;
    }
    const bool opened = has_end(&population, map, program, err) &&
                        open[program](out, map, &population, err);
    if (!opened) {
        population_fini(&population);
    }
    return opened;
}
