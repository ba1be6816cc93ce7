/* SPDX-License-Identifier: Apache-2.0
 *
 * loads.c: each load is simulated as validate's closed loops are (sim/closed_loop.h),
 * on an engine of vLLM's defaults with prefix caching off, because prompts of such
 * tests are random.
 */
#include "cli/calibrate/loads.h"

#include "base/mem.h"
#include "cli/calibrate/scaled.h"
#include "sim/closed_loop.h"
#include "sim/config_path.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS_MAX = 10, SLOTS_MAX = 1024, COSTS_MAX = 64 };

struct load_search {
    const struct loads *loads;
    struct err *err;
    double *predicted; /* TTFT and TPOT of each load, ms */
};

/* ---- one load */

static void flags_print(const struct loads *loads, const struct load *load,
                        struct text *yaml)
{
    text_printf(yaml,
                "tensor_parallel: %" PRIu32 "\nmax_model_len: %" PRIu32
                "\nprefix_caching: false\nasync_scheduling: %s\n",
                load->tensor_parallel, load->prompt_tokens + load->output_tokens,
                loads->overlaps ? "true" : "false");
    if (load->budget > 0) {
        text_printf(yaml,
                    "max_num_batched_tokens: %" PRIu32 "\nmax_num_seqs: %" PRIu32 "\n",
                    load->budget, load->budget < SLOTS_MAX ? load->budget : SLOTS_MAX);
    }
    if (loads->step_ns >= 0) {
        text_printf(yaml, "cpu_step: %" PRId64 "ns\ncpu_sequence: %" PRId64 "ns\n",
                    loads->step_ns, loads->sequence_ns);
    }
}

/* --engine replaces all of the above but the parallel size. */
static bool engine_make(const struct loads *loads, const struct load *load,
                        struct engine_config *engine, uint32_t *kv_blocks,
                        struct err *err)
{
    struct text yaml = {0};
    struct conf *map = NULL;
    flags_print(loads, load, &yaml);
    bool ok = conf_parse(&map, "engine", text_str(&yaml), yaml.length, err) &&
              engine_config_load(engine,
                                 loads->engine != NULL ? conf_root(loads->engine)
                                                       : conf_root(map),
                                 &loads->gpu, &loads->model, err);
    ok = ok && (loads->engine == NULL || conf_done(conf_root(loads->engine), err));
    if (ok && engine->tensor_parallel != load->tensor_parallel) {
        ok = err_set(err, ERR_USAGE,
                     "--engine: tensor_parallel %" PRIu32
                     ", but the load ran on %" PRIu32 " GPUs; name it in --engine",
                     engine->tensor_parallel, load->tensor_parallel);
    }
    if (ok && load->prompt_tokens + load->output_tokens > engine->max_model_len) {
        ok = err_set(err, ERR_INPUT,
                     "a request of %" PRIu32 " + %" PRIu32
                     " tokens is longer than max_model_len %" PRIu32,
                     load->prompt_tokens, load->output_tokens, engine->max_model_len);
    }
    ok = ok &&
         engine_kv_blocks(engine, &loads->gpu, &loads->model, NULL, kv_blocks, err);
    conf_delete(map);
    text_fini(&yaml);
    return ok;
}

static bool cost_make(const struct loads *loads, const struct engine_config *engine,
                      const double *values, struct cost **out, struct err *err)
{
    struct text yaml = {0};
    struct conf *map = NULL;
    text_printf(&yaml, "model: %s\nscale_decode: %.17g\nscale_mixed: %.17g\n",
                loads->fit != NULL ? "affine" : "roofline", values[0], values[1]);
    bool ok = conf_parse(&map, "cost model", text_str(&yaml), yaml.length, err);
    if (ok) {
        const struct cost_setup setup = {
            .gpu = &loads->gpu,
            .model = &loads->model,
            .engine = engine,
            .map = conf_root(map),
            .fit = loads->fit == NULL ? NULL : conf_root(loads->fit),
        };
        ok = cost_new(out, &setup, err);
    }
    conf_delete(map);
    text_fini(&yaml);
    return ok;
}

/* Cost models of one pair of factors; making one takes longer than a load. */
struct costs {
    const double *values;
    struct {
        uint32_t tensor_parallel;
        uint32_t budget;
        struct cost *cost;
    } items[COSTS_MAX];
    size_t count;
};

static void costs_fini(struct costs *costs)
{
    for (size_t i = 0; i < costs->count; i++) {
        cost_delete(costs->items[i].cost);
    }
}

/* Engines of one size and budget differ in max_model_len alone, which costs nothing. */
static bool cost_of(struct costs *costs, const struct loads *loads,
                    const struct engine_config *engine, struct cost **out,
                    struct err *err)
{
    size_t i = 0;
    while (i < costs->count &&
           (costs->items[i].tensor_parallel != engine->tensor_parallel ||
            costs->items[i].budget != engine->max_num_batched_tokens)) {
        i++;
    }
    if (i == COSTS_MAX) {
        cost_delete(costs->items[--i].cost);
        costs->count--;
    }
    if (i == costs->count) {
        if (!cost_make(loads, engine, costs->values, &costs->items[i].cost, err)) {
            return false;
        }
        costs->items[i].tensor_parallel = engine->tensor_parallel;
        costs->items[i].budget = engine->max_num_batched_tokens;
        costs->count++;
    }
    *out = costs->items[i].cost;
    return true;
}

static bool load_predict(const struct loads *loads, const struct load *load,
                         struct costs *costs, double predicted[2], struct err *err)
{
    struct engine_config engine;
    struct cost *cost = NULL;
    uint32_t kv_blocks = 0;
    if (!engine_make(loads, load, &engine, &kv_blocks, err) ||
        !cost_of(costs, loads, &engine, &cost, err)) {
        return false;
    }
    struct closed_loop_result result;
    closed_loop_run(&result, &(struct closed_loop){
                                 .engine = &engine,
                                 .cost = cost,
                                 .kv_blocks = kv_blocks,
                                 .prefill_first = loads->prefill_first,
                                 .users = load->users,
                                 .requests_per_user = load->requests_per_user,
                                 .prompt_tokens = load->prompt_tokens,
                                 .output_tokens = load->output_tokens,
                                 .jitter = load->jitter,
                                 .seed = 1,
                             });
    predicted[0] = (result.ttft_mean_s + loads->request_s) * 1e3;
    predicted[1] = result.tpot_mean_s * 1e3;
    return true;
}

/* ---- the search */

static double log_ratio(double simulated, double measured)
{
    return simulated > 0.0 && measured > 0.0 ? factors_soften(log(simulated / measured))
                                             : 0.0;
}

static bool residuals_of(void *context, const double *values, double *out)
{
    struct load_search *search = context;
    const struct loads *loads = search->loads;
    const size_t figures = loads->weigh_ttft ? 2 : 1;
    struct costs costs = {.values = values};
    bool ok = true;
    for (size_t i = 0; i < loads->count && ok; i++) {
        const struct load *load = &loads->items[i];
        double *predicted = &search->predicted[2 * i];
        ok = load_predict(loads, load, &costs, predicted, search->err);
        if (!ok) {
            break;
        }
        out[figures * i] = log_ratio(predicted[1], load->tpot_ms);
        if (loads->weigh_ttft) {
            out[figures * i + 1] = log_ratio(predicted[0], load->ttft_ms);
        }
    }
    costs_fini(&costs);
    return ok;
}

/* Mean of |simulated / measured - 1|, of TTFT (0) or TPOT (1). */
static double mape(const struct load_search *search, size_t figure)
{
    double sum = 0.0;
    for (size_t i = 0; i < search->loads->count; i++) {
        const struct load *load = &search->loads->items[i];
        const double measured = figure == 0 ? load->ttft_ms : load->tpot_ms;
        sum += fabs(search->predicted[2 * i + figure] / measured - 1.0);
    }
    return 100.0 * sum / (double)search->loads->count;
}

static bool report_write(struct load_search *search, const struct factor_search *found,
                         double *scratch, struct text *out)
{
    static const double ones[] = {1.0, 1.0};
    const double values[] = {found->factors[0].value, found->factors[1].value};
    double before[2];
    if (!residuals_of(search, ones, scratch)) {
        return false;
    }
    before[0] = mape(search, 0);
    before[1] = mape(search, 1);
    if (!residuals_of(search, values, scratch)) {
        return false;
    }
    text_printf(out, "%s x %s, %s; base: %s\n", search->loads->gpu.name,
                search->loads->model.name, search->loads->what,
                search->loads->fit != NULL ? "the fit" : "roofline of the data sheet");
    factors_report(found, out);
    text_printf(out,
                "TPOT: mean error %.1f %% before, %.1f %% after; TTFT%s: %.1f %%, %.1f "
                "%%\n",
                before[1], mape(search, 1),
                search->loads->weigh_ttft ? "" : " (not fitted)", before[0],
                mape(search, 0));
    return true;
}

bool loads_fit(struct calibrate_result *result, struct loads *loads, struct err *err)
{
    struct load_search search = {.loads = loads, .err = err};
    const size_t figures = loads->weigh_ttft ? 2 : 1;
    const size_t blocks = loads->count < BLOCKS_MAX ? loads->count : BLOCKS_MAX;
    struct factor_search found = {
        .factors = {{.name = "scale_decode", .help = "steps that only decode"},
                    {.name = "scale_mixed", .help = "steps with prefill"}},
        .count = 2,
        .rows = figures * loads->count,
        .block_count = loads->count >= 4 ? (uint32_t)blocks : 0,
        .context = &search,
        .residuals = residuals_of,
    };
    if (found.rows < found.count) {
        return err_set(err, ERR_INPUT,
                       "one TPOT cannot tell two factors apart; more loads are due");
    }
    uint32_t *of = mem_alloc(found.rows, sizeof *of);
    double *scratch = mem_alloc(found.rows, sizeof *scratch);
    search.predicted = mem_alloc(2 * loads->count, sizeof(double));
    for (size_t i = 0; i < found.rows; i++) {
        of[i] = (uint32_t)(i / figures % blocks);
    }
    found.blocks = of;
    const struct scaled scaled = {.gpu = loads->gpu.name,
                                  .model = loads->model.name,
                                  .what = loads->what,
                                  .fit = loads->fit};
    const bool ok = factors_find(&found) &&
                    report_write(&search, &found, scratch, &result->report) &&
                    scaled_write(&scaled, &found, &result->yaml, err);
    mem_free(of);
    mem_free(scratch);
    mem_free(search.predicted);
    return ok;
}

/* ---- what is behind it */

static bool host_read(struct loads *loads, const struct calibrate_args *args,
                      const char *backend, struct err *err)
{
    static const char *const schedulers[] = {"vllm", "prefill_first", NULL};
    char path[PATH_MAX];
    struct conf *conf = NULL;
    int64_t request_ns = 0;
    uint32_t scheduler = 0;
    loads->step_ns = -1;
    loads->overlaps = true;
    const bool named = backend != NULL && *backend != '\0' &&
                       strchr(backend, '/') == NULL &&
                       config_path_find(args->config_dir, "hosts", backend, path);
    if (!named && !config_path_find(args->config_dir, "hosts", "default", path)) {
        return true;
    }
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    const struct conf_node *map = conf_root(conf);
    const bool ok = conf_duration_ns(map, "cpu_step", &loads->step_ns, err) &&
                    conf_duration_ns(map, "cpu_sequence", &loads->sequence_ns, err) &&
                    conf_bool(map, "async_scheduling", &loads->overlaps, err) &&
                    conf_duration_ns(map, "request", &request_ns, err) &&
                    conf_enum(map, "scheduler", schedulers, &scheduler, err);
    loads->request_s = (double)request_ns / 1e9;
    loads->prefill_first = scheduler == 1;
    conf_delete(conf);
    return ok;
}

static bool facts_load(struct loads *loads, const struct calibrate_args *args,
                       const char *gpu_name, const char *model_name, struct err *err)
{
    char path[PATH_MAX];
    const char *gpu = args->gpu != NULL ? args->gpu : gpu_name;
    const char *model = args->model != NULL ? args->model : model_name;
    if (gpu == NULL || model == NULL) {
        return err_set(err, ERR_USAGE,
                       "the result does not say which GPU it ran on, and of the model "
                       "only a name; give --gpu NAME and --model NAME");
    }
    return calibrate_fact_find(args, "gpus", gpu, path, err) &&
           gpu_spec_load(&loads->gpu, path, err) &&
           calibrate_fact_find(args, "models", model, path, err) &&
           model_spec_load(&loads->model, path, err);
}

/* GPU, model, backend and where they come from: one thought. */
/* NOLINTNEXTLINE(readability-function-size) */
bool loads_prepare(struct loads *loads, const struct calibrate_args *args,
                   const char *gpu_name, const char *model_name, const char *backend,
                   struct err *err)
{
    char path[PATH_MAX];
    return facts_load(loads, args, gpu_name, model_name, err) &&
           host_read(loads, args, backend, err) &&
           (args->engine == NULL || conf_parse(&loads->engine, "--engine", args->engine,
                                               strlen(args->engine), err)) &&
           (args->fit == NULL ||
            (calibrate_fact_find(args, "fits", args->fit, path, err) &&
             conf_load(&loads->fit, path, err)));
}

void loads_fini(struct loads *loads)
{
    conf_delete(loads->fit);
    conf_delete(loads->engine);
    mem_free(loads->items);
}
