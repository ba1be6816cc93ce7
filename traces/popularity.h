/* SPDX-License-Identifier: Apache-2.0
 *
 * popularity.h: which LoRA adapter a request asks for (spec/traces.md 4.4).
 *
 * An overlay on any workload: requests that name no adapter get one. A session keeps
 * the adapter of its first request. Each draw comes from a stream of its own, named by
 * session or request, so that nothing else a workload draws moves, nor does one
 * request's adapter depend on another's.
 */
#ifndef STACKSIM_TRACES_POPULARITY_H
#define STACKSIM_TRACES_POPULARITY_H

#include "base/conf.h"
#include "base/text.h"
#include "traces/record.h"

struct popularity;

enum { POPULARITY_ADAPTERS_MAX = 1 << 14 };

/* Reads an `adapters:` map of a workload (docs/workloads.md). */
NODISCARD bool popularity_open(struct popularity **out, const struct conf_node *map,
                               uint64_t seed, struct err *err);
void popularity_close(struct popularity *popularity); /* NULL is legal */

/* The adapter's name, NULL for the base model. Valid until the next call. */
const char *popularity_draw(struct popularity *popularity,
                            const struct trace_record *record);

/* Appends a few words: "100 adapters, zipf 1". */
void popularity_describe(const struct popularity *popularity, struct text *out);

#endif
