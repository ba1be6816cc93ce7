/* SPDX-License-Identifier: Apache-2.0
 *
 * scale.c: a ScaledObject of the stack as the simulator's keda.
 */
#include "cli/helm/scale.h"

#include <inttypes.h>

void helm_scale_put(const struct stack_engine *engine, struct text *out)
{
    const struct stack_scale *scale = engine->scale;
    if (scale == NULL) {
        return;
    }
    text_printf(out,
                "      autoscale:\n        policy: keda\n        min: %" PRIu32
                "\n        max: %" PRIu32 "\n        initial: %" PRIu32
                "\n        params: {poll_s: %" PRIu32 ", cooldown_s: %" PRIu32
                ", initial_cooldown_s: %" PRIu32,
                scale->min, scale->max,
                engine->replicas < scale->min   ? scale->min
                : engine->replicas > scale->max ? scale->max
                                                : engine->replicas,
                scale->poll_s, scale->cooldown_s, scale->initial_cooldown_s);
    text_add(out, scale->idle_to_zero ? ", idle_to_zero: true" : "");
    /* One pod a minute in either direction; it shrinks to what five minutes wanted. */
    text_add(out, scale->of_operator
                      ? ",\n          up_pods: 1, up_pods_period_s: 60, up_percent: 0, "
                        "down_pods: 1, down_pods_period_s: 60, down_percent: 0}\n"
                      : "}\n");
    for (size_t i = 0; i < scale->metric_count; i++) {
        const struct stack_scale_metric *metric = &scale->metrics[i];
        text_printf(out, "%s{metric: %s, kind: %s, target: %.12g, activation: %.12g}",
                    i == 0 ? "        metrics:\n          [" : ",\n           ",
                    metric->name, metric->is_value ? "value" : "average",
                    metric->target, metric->activation);
    }
    text_add(out, scale->metric_count > 0 ? "]\n" : "");
}
