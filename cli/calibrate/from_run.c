/* SPDX-License-Identifier: Apache-2.0
 *
 * from_run.c: a measured run, request by request: factors on the step times of a base
 * that bring the simulated run closest to it.
 *
 * Base: --fit, else a fit of the run's own profile/, else the data sheet. Residuals,
 * three for each request: the logarithm of simulated over measured TPOT and E2E, and
 * the difference of TTFT over the mean measured TTFT, because single TTFTs are small
 * and hang on step boundaries. Tenths of the requests, in order, are the blocks.
 */
#include "base/mem.h"
#include "cli/calibrate/calibrate.h"
#include "cli/calibrate/scaled.h"
#include "cli/paths.h"
#include "cli/validate/score.h"
#include "sim/calibrate/step_fit.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FIGURES = 3, BLOCKS = 10 };

struct run_search {
    struct validate_case *run;
    bool groups;
    struct step_fit base; /* groups */
    double ttft_mean_ns;
    struct err *err;
};

/* ---- the parts of a fit */

static void terms_scale(struct step_fit *fit, enum step_regime regime, double factor)
{
    for (size_t i = 0; i < step_term_count(regime); i++) {
        struct fit_coefficient *at = &fit->regimes[regime].coefficients[i];
        at->value *= factor;
        at->low *= factor;
        at->high *= factor;
    }
}

static void curve_scale(struct profile_curve *curve, double factor)
{
    for (size_t i = 0; i < curve->count; i++) {
        curve->us[i] *= factor;
    }
}

/* dense layers, attention of decodes, attention of mixed batches */
static void parts_scale(struct step_fit *fit, const double *values)
{
    curve_scale(&fit->dense_us, values[0]);
    curve_scale(&fit->rows_us, values[0]);
    terms_scale(fit, STEP_SPLIT, values[1]);
    terms_scale(fit, STEP_UNSPLIT, values[1]);
    if (fit->semi.known) {
        fit->semi.constant_us *= values[1];
        fit->semi.per_decode_us *= values[1];
        fit->semi.efficiency /= values[1];
        fit->semi.sm_tokens_per_us /= values[1];
    }
    terms_scale(fit, STEP_MIXED, values[2]);
}

/* *run->fit with these factors; the base stays as it is. */
static bool fit_replace(struct run_search *search, const double *values)
{
    struct text yaml = {0};
    struct conf *conf = NULL;
    const double back[] = {1.0 / values[0], 1.0 / values[1], 1.0 / values[2]};
    parts_scale(&search->base, values);
    step_fit_write(&search->base, &yaml);
    parts_scale(&search->base, back);
    const bool ok =
        conf_parse(&conf, "scaled fit", text_str(&yaml), yaml.length, search->err);
    if (ok) {
        conf_delete(search->run->fit);
        search->run->fit = conf;
    }
    text_fini(&yaml);
    return ok;
}

/* ---- residuals */

static double log_ratio(double simulated, double measured)
{
    return simulated > 0.0 && measured > 0.0 ? factors_soften(log(simulated / measured))
                                             : 0.0;
}

static void figures_of(const struct run_search *search,
                       const struct simulated *simulated, double *out)
{
    for (size_t i = 0; i < simulated->count; i++) {
        const struct measured_request *there = &search->run->measured.requests[i];
        const struct request_outcome *here = &simulated->outcomes[i];
        const double ttft = (double)(here->first_token_ns - here->queued_ns) -
                            (double)(there->first_token_ns - there->queued_ns);
        out[FIGURES * i] =
            log_ratio((double)(here->end_ns - here->first_token_ns),
                      (double)(there->last_token_ns - there->first_token_ns));
        out[FIGURES * i + 1] =
            log_ratio((double)(here->end_ns - here->queued_ns),
                      (double)(there->last_token_ns - there->queued_ns));
        out[FIGURES * i + 2] = factors_soften(ttft / search->ttft_mean_ns);
    }
}

static bool residuals_of(void *context, const double *values, double *out)
{
    struct run_search *search = context;
    struct simulate_options options = {.scales = {1.0, 1.0}};
    struct simulated simulated;
    if (search->groups) {
        if (!fit_replace(search, values)) {
            return false;
        }
    } else {
        options.scales = (struct validate_scales){values[0], values[1]};
    }
    if (!simulate_case(&simulated, search->run, &options, search->err)) {
        return false;
    }
    figures_of(search, &simulated, out);
    simulated_fini(&simulated);
    return true;
}

static double ttft_mean_ns(const struct measured_run *measured)
{
    double sum = 0.0;
    for (size_t i = 0; i < measured->count; i++) {
        sum += (double)(measured->requests[i].first_token_ns -
                        measured->requests[i].queued_ns);
    }
    return fmax(1.0, sum / (double)measured->count);
}

/* ---- what comes out */

static bool scored(const struct run_search *search,
                   const struct validate_scales *scales, struct score *score,
                   struct text *cost)
{
    const struct simulate_options options = {.scales = *scales};
    struct simulated simulated;
    if (!simulate_case(&simulated, search->run, &options, search->err)) {
        return false;
    }
    score_of(score, search->run, &simulated);
    text_add(cost, text_str(&simulated.cost));
    simulated_fini(&simulated);
    return true;
}

/* Before and after, as `stacksim validate` would say it. */
static bool report_write(struct run_search *search, const struct factor_search *found,
                         struct text *out)
{
    static const double ones[] = {1.0, 1.0, 1.0};
    const struct validate_scales none = {1.0, 1.0};
    const struct validate_scales scales =
        search->groups ? none
                       : (struct validate_scales){found->factors[0].value,
                                                  found->factors[1].value};
    const double values[] = {found->factors[0].value, found->factors[1].value,
                             found->count > 2 ? found->factors[2].value : 1.0};
    struct score before;
    struct score after;
    struct text base = {0};
    struct text scaled = {0};
    const bool ok = (!search->groups || fit_replace(search, ones)) &&
                    scored(search, &none, &before, &base) &&
                    (!search->groups || fit_replace(search, values)) &&
                    scored(search, &scales, &after, &scaled);
    if (ok) {
        text_printf(out, "%s: %zu requests\nbase: %s\n", search->run->facts.name,
                    search->run->measured.count, text_str(&base));
        factors_report(found, out);
        text_printf(out,
                    "worst of 15 errors: %.2f %% before, %.2f %% after; single "
                    "requests' E2E: %.2f %%, %.2f %%\nthis run was fitted, not "
                    "predicted: judge by another one (stacksim validate)\n",
                    before.worst_abs_error_pct, after.worst_abs_error_pct,
                    before.rows[SCORE_E2E].mape_pct, after.rows[SCORE_E2E].mape_pct);
    }
    text_fini(&base);
    text_fini(&scaled);
    return ok;
}

/* ---- reading */

static bool holds_profile(const char *path)
{
    char name[PATH_MAX];
    struct stat about;
    const int length = snprintf(name, sizeof name, "%s/profile", path);
    return length < PATH_MAX && stat(name, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool run_load(struct run_search *search, const struct calibrate_args *args,
                     const char *path)
{
    char fit_path[PATH_MAX];
    const bool fitted = args->fit != NULL;
    if (fitted &&
        !calibrate_fact_find(args, "fits", args->fit, fit_path, search->err)) {
        return false;
    }
    const struct validate_case_setup setup = {
        .dir = path,
        .model = fitted || holds_profile(path) ? "affine" : "roofline",
        .config_dir = args->config_dir,
        .fit_path = fitted ? fit_path : NULL,
    };
    if (!validate_case_load(&search->run, &setup, search->err)) {
        return false;
    }
    search->ttft_mean_ns = ttft_mean_ns(&search->run->measured);
    if (!search->groups) {
        return true;
    }
    return search->run->fit != NULL
               ? step_fit_read(&search->base, conf_root(search->run->fit), search->err)
               : err_set(search->err, ERR_USAGE,
                         "--terms groups: the data sheet has no such parts; give "
                         "--fit FILE or a profile/ in %s",
                         path);
}

static bool found_write(struct calibrate_result *result, struct run_search *search,
                        const struct factor_search *found)
{
    char what[64];
    snprintf(what, sizeof what, "a run of %zu requests", search->run->measured.count);
    if (!report_write(search, found, &result->report)) {
        return false;
    }
    const struct scaled scaled = {.gpu = search->run->gpu.name,
                                  .model = search->run->facts.model.name,
                                  .what = what,
                                  .fit = search->run->fit,
                                  .in_fit = search->groups};
    return scaled_write(&scaled, found, &result->yaml, search->err);
}

static bool run_fit(struct calibrate_result *result, struct run_search *search)
{
    const size_t count = search->run->measured.count;
    struct factor_search found = {
        .factors = {{.name = "scale_decode", .help = "steps that only decode"},
                    {.name = "scale_mixed", .help = "steps with prefill"}},
        .count = 2,
        .rows = FIGURES * count,
        .block_count = count / 2 >= BLOCKS ? BLOCKS : 0,
        .context = search,
        .residuals = residuals_of,
    };
    if (search->groups) {
        found.count = 3;
        found.factors[0] = (struct factor){.name = "dense", .help = "products, norms"};
        found.factors[1] =
            (struct factor){.name = "decode", .help = "attention of decodes alone"};
        found.factors[2] =
            (struct factor){.name = "mixed", .help = "attention beside prefill"};
    }
    uint32_t *blocks = mem_alloc(found.rows, sizeof *blocks);
    for (size_t i = 0; i < found.rows; i++) {
        blocks[i] = (uint32_t)(i / FIGURES * BLOCKS / count);
    }
    found.blocks = blocks;
    const bool ok = factors_find(&found) && found_write(result, search, &found);
    mem_free(blocks);
    return ok;
}

bool calibrate_from_run(struct calibrate_result *result,
                        const struct calibrate_args *args, const char *path,
                        struct err *err)
{
    const struct path_use uses[] = {{"--fit", args->fit, false},
                                    {"--out", args->out, true}};
    struct run_search search = {.groups = strcmp(args->terms, "groups") == 0,
                                .err = err};
    const bool ok = paths_check(uses, sizeof uses / sizeof uses[0], err) &&
                    run_load(&search, args, path) && run_fit(result, &search);
    step_fit_fini(&search.base);
    validate_case_delete(search.run);
    return ok;
}
