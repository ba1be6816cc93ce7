/* SPDX-License-Identifier: Apache-2.0
 *
 * scaled.c: both files say what the factors were found on, with their intervals.
 */
#include "cli/calibrate/scaled.h"

#include "sim/calibrate/step_fit.h"

#include <stdio.h>

static bool fit_write(const struct scaled *scaled, const struct factor_search *found,
                      struct text *out, struct err *err)
{
    struct step_fit fit = {0};
    struct text line = {0};
    if (!step_fit_read(&fit, conf_root(scaled->fit), err)) {
        return false;
    }
    if (!scaled->in_fit) {
        fit.scale_decode *= found->factors[0].value;
        fit.scale_mixed *= found->factors[1].value;
    }
    factors_line(found, &line);
    snprintf(fit.calibrated, sizeof fit.calibrated, "on %s: %s", scaled->what,
             text_str(&line));
    step_fit_write(&fit, out);
    step_fit_fini(&fit);
    text_fini(&line);
    return true;
}

/* In single quotes, as YAML has them. */
static void put_quoted(struct text *out, const char *key, const char *value)
{
    text_printf(out, "%s: '", key);
    for (const char *at = value; *at != '\0'; at++) {
        text_add_bytes(out, at, 1);
        if (*at == '\'') {
            text_add_bytes(out, at, 1);
        }
    }
    text_add(out, "'\n");
}

bool scaled_write(const struct scaled *scaled, const struct factor_search *found,
                  struct text *out, struct err *err)
{
    if (scaled->fit != NULL) {
        return fit_write(scaled, found, out, err);
    }
    struct text line = {0};
    factors_line(found, &line);
    text_printf(out,
                "# Factors on the data sheet's step times, found by `stacksim "
                "calibrate`, with 95 %%\n# intervals: %s.\n# Keys of a pool's `cost: "
                "{model: roofline}`.\nscale_decode: %.4f\nscale_mixed: %.4f\n",
                text_str(&line), found->factors[0].value, found->factors[1].value);
    put_quoted(out, "gpu", scaled->gpu);
    put_quoted(out, "model", scaled->model);
    text_add(out, "cost_model: roofline\n");
    put_quoted(out, "source", scaled->what);
    text_printf(out, "rms_error_pct: %.3f\n", 100.0 * found->rms_end);
    text_fini(&line);
    return true;
}
