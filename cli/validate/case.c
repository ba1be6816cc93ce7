/* SPDX-License-Identifier: Apache-2.0
 *
 * case.c: reads the folder; what belongs together must agree, row by row.
 */
#include "cli/validate/case.h"

#include "base/lines.h"
#include "base/mem.h"
#include "cli/validate/gpu_find.h"
#include "sim/config_path.h"
#include "sim/scenario.h"
#include "sim/times/op_table.h"
#include "sim/times/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the file, or of its compressed twin. */
static void path_of(struct text *path, const struct validate_case *run,
                    const char *name)
{
    char found[PATH_MAX];
    text_fini(path);
    text_printf(path, "%s/%s", run->dir, name);
    if (lines_find(text_str(path), found, sizeof found)) {
        text_fini(path);
        text_add(path, found);
    }
}

static bool folder_check(const struct validate_case *run, struct err *err)
{
    struct stat about;
    if (stat(run->dir, &about) != 0) {
        return err_set(err, ERR_INPUT, "%s: %s", run->dir, strerror(errno));
    }
    if (!S_ISDIR(about.st_mode)) {
        return err_set(err, ERR_INPUT,
                       "%s: is not a folder; give the one that holds facts.json",
                       run->dir);
    }
    return true;
}

static bool supported(const struct validate_case *run, const char *facts_path,
                      struct err *err)
{
    if (run->facts.experts > 0 && strcmp(run->model, "affine") != 0) {
        return err_set(err, ERR_INPUT,
                       "%s: model_shape.experts: --model %s knows no experts; use "
                       "--model affine",
                       facts_path, run->model);
    }
    if (run->facts.data_parallel > SCENARIO_REPLICAS_MAX) {
        return err_set(err, ERR_INPUT, "%s: engine.data_parallel: at most %d ranks",
                       facts_path, SCENARIO_REPLICAS_MAX);
    }
    return true;
}

bool validate_case_workload(const struct validate_case *run, struct workload **out,
                            struct err *err)
{
    struct text path = {0};
    const struct trace_options options = {
        .format = "llmservingsim",
        .block_tokens = run->facts.engine.block_tokens,
        .tick_ns = TRACE_TICK_KEEP,
    };
    path_of(&path, run, "workload.jsonl");
    const bool ok = workload_open_trace(out, text_str(&path), &options, err);
    text_fini(&path);
    return ok;
}

static bool record_check(struct validate_case *run, const struct trace_record *record,
                         struct err *err)
{
    if (record->id >= run->measured.count) {
        return err_set(err, ERR_INPUT,
                       "%s: workload.jsonl has more requests than the %zu of "
                       "vllm_requests.jsonl",
                       run->dir, run->measured.count);
    }
    const struct measured_request *measured = &run->measured.requests[record->id];
    if (record->prompt_tokens != measured->prompt_tokens ||
        record->output_tokens != measured->output_tokens) {
        return err_set(err, ERR_INPUT,
                       "%s/vllm_requests.jsonl: request %" PRIu64 ": %" PRIu32
                       " + %" PRIu32 " tokens, but workload.jsonl has %" PRIu32
                       " + %" PRIu32 " there; both files must have the same order",
                       run->dir, record->id, measured->prompt_tokens,
                       measured->output_tokens, record->prompt_tokens,
                       record->output_tokens);
    }
    const uint64_t tokens = (uint64_t)record->prompt_tokens + record->output_tokens;
    if (tokens > run->facts.engine.max_model_len) {
        return err_set(err, ERR_INPUT,
                       "%s/workload.jsonl: request %" PRIu64 ": %" PRIu64
                       " tokens are more than engine.max_model_len %" PRIu32
                       " of facts.json",
                       run->dir, record->id, tokens, run->facts.engine.max_model_len);
    }
    run->arrival_ns[record->id] = record->arrival_ns;
    return true;
}

/* The two files must tell of the same requests. */
static bool workload_check(struct validate_case *run, struct err *err)
{
    struct workload *workload = NULL;
    if (!validate_case_workload(run, &workload, err)) {
        return false;
    }
    run->arrival_ns = mem_alloc(run->measured.count, sizeof(int64_t));
    size_t count = 0;
    bool ok = true;
    const struct trace_record *record = NULL;
    enum workload_result result = workload_next(workload, &record, err);
    while (ok && result == WORKLOAD_RECORD) {
        ok = record_check(run, record, err);
        count++;
        result = ok ? workload_next(workload, &record, err) : result;
    }
    ok = ok && result == WORKLOAD_END;
    workload_close(workload);
    if (ok && count != run->measured.count) {
        return err_set(err, ERR_INPUT,
                       "%s: workload.jsonl has %zu requests, vllm_requests.jsonl %zu",
                       run->dir, count, run->measured.count);
    }
    return ok;
}

/* A model with experts and no times of them would come out far too fast. */
static bool experts_check(const struct validate_case *run,
                          const struct kernel_profile *profile, const char *path,
                          struct err *err)
{
    return run->facts.experts == 0 || profile->moe_count > 0 ||
           err_set(err, ERR_INPUT,
                   "%s/moe.csv: is missing or empty, but model_shape.experts of "
                   "facts.json is %" PRIu32,
                   path, run->facts.experts);
}

/* A folder without kernel times can be compared all the same, with others' times. */
static bool profile_check(const char *path, struct err *err)
{
    struct stat about;
    return (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) ||
           err_set(err, ERR_INPUT,
                   "%s: is no folder of kernel times; give one, or --fit NAME, or "
                   "--model roofline",
                   path);
}

static bool fit_make(struct validate_case *run, struct err *err)
{
    struct text path = {0};
    struct text name = {0};
    struct text yaml = {0};
    struct kernel_profile *profile = NULL;
    path_of(&path, run, "profile");
    text_printf(&name, "fit of %s", text_str(&path));
    const bool ok =
        profile_check(text_str(&path), err) &&
        kernel_profile_load(&profile, text_str(&path), err) &&
        experts_check(run, profile, text_str(&path), err) &&
        calibrate_profile(&yaml, profile, &run->facts.model, &run->facts.gpu, err) &&
        conf_parse(&run->fit, text_str(&name), text_str(&yaml), yaml.length, err);
    kernel_profile_delete(profile);
    text_fini(&yaml);
    text_fini(&name);
    text_fini(&path);
    return ok;
}

/* The run's own op tables, else the shipped fit of its GPU. */
static bool ops_prepare(struct validate_case *run,
                        const struct validate_case_setup *setup, const char *gpu_path,
                        struct err *err)
{
    struct text path = {0};
    char name[NAME_MAX];
    char fit_path[PATH_MAX];
    path_of(&path, run, "ops");
    run->op_system = op_table_system(text_str(&path));
    text_fini(&path);
    if (run->op_system != NULL) {
        return true;
    }
    const char *slash = strrchr(gpu_path, '/');
    const char *stem = slash == NULL ? gpu_path : slash + 1;
    (void)snprintf(name, sizeof name, "%.*s.vllm.ops", (int)strcspn(stem, "."), stem);
    if (config_path_find(setup->config_dir, "fits", name, fit_path)) {
        return conf_load(&run->fit, fit_path, err);
    }
    return err_set(err, ERR_INPUT,
                   "%s: no op tables in ops/ and no %s.yaml in configs/fits; make one "
                   "with stacksim calibrate, or use --model roofline",
                   run->dir, name);
}

/* The facts tell little of the GPU. What our own file knows beyond them is all that the
 * roofline has; for the others it is the collectives, which no profile holds. */
static bool gpu_prepare(struct validate_case *run,
                        const struct validate_case_setup *setup, struct err *err)
{
    char path[PATH_MAX];
    const bool ops = strcmp(run->model, "ops") == 0;
    const bool whole = ops || strcmp(run->model, "roofline") == 0;
    const struct gpu_search search = {
        .full_name = run->facts.gpu.name,
        .config_dir = setup->config_dir,
        .required = whole,
        .found = path,
    };
    if (!gpu_find(&run->gpu, &search, err)) {
        return false;
    }
    if (!whole) {
        memcpy(run->gpu.name, run->facts.gpu.name, sizeof run->gpu.name);
        run->gpu.memory_bytes_per_s = run->facts.gpu.memory_bytes_per_s;
    }
    return !ops || setup->fit_path != NULL || ops_prepare(run, setup, path, err);
}

static bool model_prepare(struct validate_case *run,
                          const struct validate_case_setup *setup, struct err *err)
{
    if (!gpu_prepare(run, setup, err)) {
        return false;
    }
    if (setup->fit_path != NULL) {
        return conf_load(&run->fit, setup->fit_path, err);
    }
    return strcmp(run->model, "affine") != 0 || fit_make(run, err);
}

static bool files_read(struct validate_case *run, struct err *err)
{
    struct text path = {0};
    path_of(&path, run, "facts.json");
    bool ok = run_facts_load(&run->facts, text_str(&path), err) &&
              supported(run, text_str(&path), err);
    path_of(&path, run, "vllm_requests.jsonl");
    ok = ok && measured_run_load(&run->measured, text_str(&path), err) &&
         workload_check(run, err);
    path_of(&path, run, "vllm_timeseries.csv");
    if (ok && access(text_str(&path), F_OK) == 0) {
        ok = measured_series_load(&run->series, text_str(&path), err);
    }
    text_fini(&path);
    return ok;
}

/* LLMServingSim 2.0 forms a step when the one before has ended and hands out every
 * block, the one that vLLM reserves included. */
static void llmservingsim_loop(struct run_facts *facts)
{
    facts->engine.async_scheduling = false;
    facts->kv_blocks++;
}

bool validate_case_load(struct validate_case **out,
                        const struct validate_case_setup *setup, struct err *err)
{
    struct validate_case *run = mem_alloc(1, sizeof *run);
    size_t length = strlen(setup->dir);
    while (length > 1 && setup->dir[length - 1] == '/') {
        length--;
    }
    run->dir = mem_strdup(setup->dir);
    run->dir[length] = '\0';
    run->model = setup->model;
    run->ring = setup->ring;
    if (!folder_check(run, err) || !files_read(run, err) ||
        !model_prepare(run, setup, err)) {
        validate_case_delete(run);
        return false;
    }
    if (setup->as_llmservingsim) {
        llmservingsim_loop(&run->facts);
    }
    *out = run;
    return true;
}

void validate_case_delete(struct validate_case *run)
{
    if (run == NULL) {
        return;
    }
    measured_run_fini(&run->measured);
    measured_series_fini(&run->series);
    conf_delete(run->fit);
    mem_free(run->op_system);
    mem_free(run->arrival_ns);
    mem_free(run->dir);
    mem_free(run);
}
