/* SPDX-License-Identifier: Apache-2.0
 *
 * population.h: one population of a generated workload as a source of records.
 *
 * Everything that a population draws comes from streams named after it and its number,
 * so adding a population leaves the draws of the others as they were. Its number is
 * also in the upper bits of its record ids, sessions and texts: two populations never
 * share any.
 */
#ifndef STACKSIM_TRACES_GENERATORS_POPULATION_H
#define STACKSIM_TRACES_GENERATORS_POPULATION_H

#include "base/conf.h"
#include "traces/source.h"

enum { POPULATIONS_MAX = 200, POPULATION_SHIFT = 48 };

/* What all programs have in common. */
struct population {
    uint64_t seed;
    uint64_t number;
    uint64_t requests_max; /* 0 = no bound */
    int64_t duration_ns;   /* no arrivals at or after; INT64_MAX = no bound */
    int32_t priority;
    char *model;    /* NULL = the only one */
    char *tenant;   /* NULL = none */
    char *adapter;  /* LoRA; NULL = the base model */
    bool predicted; /* the gateway is told the output length */
    bool capped;    /* the client asks for that many tokens at most */
    bool session;   /* requests carry their session's key */
};

/* Reads `program` and all that belongs to it from one map of `generate:`. */
NODISCARD bool population_open(struct source **out, const struct conf_node *map,
                               uint64_t seed, uint64_t number, struct err *err);

/* For programs. The node's common keys; on false nothing is owned. */
NODISCARD bool population_read(struct population *population,
                               const struct conf_node *map, struct err *err);
void population_fini(struct population *population);
/* What every program's record gets at last: `capped` and `session`. */
void population_finish(const struct population *population,
                       struct trace_record *record);
static inline uint64_t population_id(const struct population *population, uint64_t id)
{
    return (population->number << POPULATION_SHIFT) | id;
}

/* The programs. They take what the population owns when they succeed. */
NODISCARD bool single_open(struct source **out, const struct conf_node *map,
                           const struct population *population, struct err *err);
NODISCARD bool chat_open(struct source **out, const struct conf_node *map,
                         const struct population *population, struct err *err);
NODISCARD bool multi_round_qa_open(struct source **out, const struct conf_node *map,
                                   const struct population *population,
                                   struct err *err);

#endif
