/* SPDX-License-Identifier: Apache-2.0
 *
 * scales.c: two nested golden sections. The errors form a narrow valley, in which a
 * longer prefill pays for a shorter decode, with small stairs on its floor (one request
 * more or less in a step): a compass search and a simplex stop on a stair. For every
 * mixed factor the best decode factor is well defined, so the inner search stays on the
 * floor of the valley while the outer one walks along it.
 */
#include "cli/validate/scales.h"

#include "base/conf.h"

#include <math.h>

static const double golden = 0.6180339887498949;
static const double search_min = 0.5;
static const double search_max = 2.0;
static const double log_tolerance = 0.002;
static const double scale_min = 0.125;

struct search {
    const struct validate_case *run;
    struct autoscale_result best;
};

/* The requests' own errors count as well: quantiles alone hardly tell the two factors
 * apart. */
static double error_of(const struct score *score)
{
    double sum = 0.0;
    for (enum score_metric metric = 0; metric < SCORE_METRICS_ENGINE; metric++) {
        const double mape = score->rows[metric].mape_pct;
        sum += isfinite(mape) ? mape * mape : 0.0;
        for (enum score_statistic at = 0; at < SCORE_STATISTICS_ALL; at++) {
            const double error = score->rows[metric].figures[at].error_pct;
            sum += isfinite(error) ? error * error : 0.0;
        }
    }
    return sqrt(sum / (double)(SCORE_METRICS_ENGINE * (SCORE_STATISTICS_ALL + 1)));
}

static bool try_scales(struct search *search, const struct validate_scales *scales,
                       double *error, struct err *err)
{
    const struct simulate_options options = {.scales = *scales};
    struct simulated simulated;
    if (!simulate_case(&simulated, search->run, &options, err)) {
        return false;
    }
    struct score score;
    score_of(&score, search->run, &simulated);
    *error = error_of(&score);
    simulated_fini(&simulated);
    search->best.simulations++;
    if (*error < search->best.error_pct) {
        search->best.error_pct = *error;
        search->best.scales = *scales;
    }
    return true;
}

/* Golden section over the logarithm of one factor. */
struct section {
    double low;
    double high;
    double inner[2]; /* low < inner[0] < inner[1] < high */
    double error[2];
};

static double section_point(const struct section *section, int which)
{
    const double part = which == 0 ? 1.0 - golden : golden;
    return section->low + part * (section->high - section->low);
}

/* Drops the worse end; returns which inner point is to be tried next. */
static int section_narrow(struct section *section)
{
    const int next = section->error[0] <= section->error[1] ? 0 : 1;
    const int kept = 1 - next;
    if (next == 0) {
        section->high = section->inner[1];
    } else {
        section->low = section->inner[0];
    }
    section->inner[kept] = section->inner[next];
    section->error[kept] = section->error[next];
    section->inner[next] = section_point(section, next);
    return next;
}

/* Best decode factor for a given mixed one; *error is what it reaches. */
static bool decode_search(struct search *search, double mixed, double *error,
                          struct err *err)
{
    struct section section = {.low = log(search_min), .high = log(search_max)};
    int next = 0;
    *error = (double)INFINITY;
    for (int tried = 0; tried < 2 || section.high - section.low > log_tolerance;
         tried++) {
        next = tried < 2 ? tried : section_narrow(&section);
        section.inner[next] = section_point(&section, next);
        const struct validate_scales scales = {exp(section.inner[next]), mixed};
        if (!try_scales(search, &scales, &section.error[next], err)) {
            return false;
        }
        if (section.error[next] < *error) {
            *error = section.error[next];
        }
    }
    return true;
}

/* As a file of scales holds it, so that reading it back gives the same run. */
static double to_written(double scale)
{
    return round(scale * 1e4) / 1e4;
}

bool autoscale(struct autoscale_result *out, const struct validate_case *run,
               struct err *err)
{
    struct search search = {.run = run, .best = {.error_pct = (double)INFINITY}};
    struct section section = {.low = log(search_min), .high = log(search_max)};
    int next = 0;
    for (int tried = 0; tried < 2 || section.high - section.low > log_tolerance;
         tried++) {
        next = tried < 2 ? tried : section_narrow(&section);
        section.inner[next] = section_point(&section, next);
        if (!decode_search(&search, exp(section.inner[next]), &section.error[next],
                           err)) {
            return false;
        }
    }
    *out = search.best;
    out->scales.decode = to_written(out->scales.decode);
    out->scales.mixed = to_written(out->scales.mixed);
    return true;
}

bool scales_read(struct validate_scales *scales, const char *path, struct err *err)
{
    struct conf *conf = NULL;
    const char *text = NULL;
    if (!conf_load(&conf, path, err)) {
        return false;
    }
    const struct conf_node *root = conf_root(conf);
    const bool ok =
        (conf_kind(root) == CONF_MAP ||
         conf_fail(root, err,
                   "a file of scales is a map, as --scales-out writes it")) &&
        conf_require(root, "scale_decode", err) &&
        conf_require(root, "scale_mixed", err) &&
        conf_f64(root, "scale_decode", &scales->decode, scale_min, SCALE_MAX, err) &&
        conf_f64(root, "scale_mixed", &scales->mixed, scale_min, SCALE_MAX, err) &&
        conf_str(root, "gpu", &text, err) && conf_str(root, "model", &text, err) &&
        conf_str(root, "cost_model", &text, err) &&
        conf_str(root, "source", &text, err) &&
        conf_str(root, "rms_error_pct", &text, err) && conf_done(root, err);
    conf_delete(conf);
    return ok;
}

/* A YAML scalar in single quotes. */
static void put_name(struct text *out, const char *key, const char *name)
{
    text_printf(out, "%s: '", key);
    for (const char *at = name; *at != '\0'; at++) {
        text_add_bytes(out, at, 1);
        if (*at == '\'') {
            text_add_bytes(out, at, 1);
        }
    }
    text_add(out, "'\n");
}

void scales_write(struct text *out, const struct validate_case *run,
                  const struct autoscale_result *found)
{
    text_printf(out,
                "# Factors on step times, found by `stacksim validate --autoscale`.\n"
                "scale_decode: %.4f\n"
                "scale_mixed: %.4f\n",
                found->scales.decode, found->scales.mixed);
    put_name(out, "gpu", run->gpu.name);
    put_name(out, "model", run->facts.model.name);
    put_name(out, "cost_model", run->model);
    put_name(out, "source", run->facts.name);
    text_printf(out, "rms_error_pct: %.3f\n", found->error_pct);
}
