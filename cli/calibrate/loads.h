/* SPDX-License-Identifier: Apache-2.0
 *
 * loads.h: load tests with a fixed number of requests in flight, and the factors on
 * step times that bring simulated ones closest.
 */
#ifndef STACKSIM_CLI_CALIBRATE_LOADS_H
#define STACKSIM_CLI_CALIBRATE_LOADS_H

#include "cli/calibrate/calibrate.h"
#include "cli/calibrate/factors.h"
#include "cli/validate/closed_rows.h"

struct load {
    uint32_t prompt_tokens;
    uint32_t output_tokens;
    uint32_t users;
    uint32_t requests_per_user;
    uint32_t tensor_parallel;
    uint32_t budget; /* tokens of a step; 0 = the engine's default */
    double jitter;   /* lengths are uniform in [1 - jitter, 1] of these */
    double ttft_ms;  /* means; as measured */
    double tpot_ms;
};

struct loads {
    struct gpu_spec gpu;
    struct model_spec model;
    struct conf *fit;    /* NULL: the data sheet's roofline; owned */
    struct conf *engine; /* more flags of the engine, or NULL; owned */
    double request_s;    /* front end, per request, in TTFT alone */
    int64_t step_ns;     /* host work; < 0: the engine's default */
    int64_t sequence_ns;
    bool overlaps;
    bool prefill_first;
    bool weigh_ttft; /* TTFT is a residual, too */
    struct load *items;
    size_t count;
    const char *what; /* for people: "84 load tests" */
};

/* --gpu and --model, else the names given here (may be NULL); --fit; --engine; host
 * times of configs/hosts/BACKEND.yaml, else default.yaml. */
NODISCARD bool loads_prepare(struct loads *loads, const struct calibrate_args *args,
                             const char *gpu_name, const char *model_name,
                             const char *backend, struct err *err);
void loads_fini(struct loads *loads);

/* Finds both factors and writes file and report. */
NODISCARD bool loads_fit(struct calibrate_result *result, struct loads *loads,
                         struct err *err);

#endif
