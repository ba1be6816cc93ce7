/* SPDX-License-Identifier: Apache-2.0
 *
 * calibrate.h: what the sources of `stacksim calibrate` have in common.
 *
 * A source turns measurements into one YAML file (`yaml`) and a report for people
 * (`report`). Which source a path is follows from what lies there.
 */
#ifndef STACKSIM_CLI_CALIBRATE_CALIBRATE_H
#define STACKSIM_CLI_CALIBRATE_CALIBRATE_H

#include "base/text.h"
#include "sim/calibrate/calibrate.h"

/* X(ID, name, what it is recognised by). */
#define CALIBRATE_SOURCES(X)                                                           \
    X(PROFILE, "profile", "a folder with attention.csv (kernel times)")                \
    X(OPS, "ops", "a folder with SYSTEM.BACKEND-VERSION.gemm_perf.csv (op tables)")    \
    X(ITERATIONS, "iterations",                                                        \
      "a CSV file with prompt_time and token_time (whole iterations)")                 \
    X(RUN, "run", "a folder with vllm_requests.jsonl (a measured run)")                \
    X(BENCH, "bench", "a JSON file of `vllm bench serve --save-result`")               \
    X(CLOSED_LOOP, "closed-loop",                                                      \
      "a CSV file with silicon_ttft_ms and silicon_tpot_ms (load tests)")

enum calibrate_source {
#define X(id, name, help) CALIBRATE_##id,
    CALIBRATE_SOURCES(X)
#undef X
        CALIBRATE_SOURCE_COUNT
};

struct calibrate_args {
    const char *from; /* name of a source; NULL: find out */
    const char *facts;
    const char *gpu;
    const char *model;
    const char *config_dir;
    const char *out;
    const char *origin;    /* of the measurements, for the fit's source line */
    const char *table_gpu; /* as an iteration table calls them */
    const char *table_model;
    const char *fit;    /* base of a run: a name of configs/fits, or a path */
    const char *terms;  /* "scales" or "groups" */
    const char *filter; /* of closed-loop rows */
    const char *engine; /* YAML map of engine flags, for bench and closed loops */
    uint64_t tensor_parallel;
    uint64_t sm_count;
    uint64_t l2_bytes;
    const char *system; /* of op tables, as their files' names have it */
    const char *backend;
};

struct calibrate_result {
    struct text yaml;
    struct text report;
};

const char *calibrate_source_name(enum calibrate_source source);

/* By --from, else by what is there; an error lists what is recognised. */
NODISCARD bool calibrate_source_find(const struct calibrate_args *args,
                                     const char *path, enum calibrate_source *source,
                                     struct err *err);

/* A name of configs/FOLDER, or a path, into path[PATH_MAX]. */
NODISCARD bool calibrate_fact_find(const struct calibrate_args *args,
                                   const char *folder, const char *name, char *path,
                                   struct err *err);

/* GPU and model as --facts (or `beside`, if that is readable), --gpu, --model and the
 * single figures say, the later ones over the earlier. */
NODISCARD bool calibrate_subject_load(const struct calibrate_args *args,
                                      const char *beside, struct model_spec *model,
                                      struct calibrate_gpu *gpu, struct err *err);

/* The sources. `path` as given. */
NODISCARD bool calibrate_from_profile(struct calibrate_result *result,
                                      const struct calibrate_args *args,
                                      const char *path, struct err *err);
NODISCARD bool calibrate_from_ops(struct calibrate_result *result,
                                  const struct calibrate_args *args, const char *path,
                                  struct err *err);
NODISCARD bool calibrate_from_iterations(struct calibrate_result *result,
                                         const struct calibrate_args *args,
                                         const char *path, struct err *err);
NODISCARD bool calibrate_from_run(struct calibrate_result *result,
                                  const struct calibrate_args *args, const char *path,
                                  struct err *err);
NODISCARD bool calibrate_from_closed(struct calibrate_result *result,
                                     const struct calibrate_args *args,
                                     const char *path, struct err *err);
NODISCARD bool calibrate_from_bench(struct calibrate_result *result,
                                    const struct calibrate_args *args, const char *path,
                                    struct err *err);

#endif
