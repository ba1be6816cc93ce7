/* SPDX-License-Identifier: Apache-2.0
 *
 * profile.c: curves of a kernel profile, and the totals of a step.
 */
#include "sim/times/profile.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

static void layers_delete(struct profile_layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        profile_curve_fini(&layers[i].time);
    }
    mem_free(layers);
}

void kernel_profile_delete(struct kernel_profile *profile)
{
    if (profile == NULL) {
        return;
    }
    layers_delete(profile->dense, profile->dense_count);
    layers_delete(profile->rows, profile->rows_count);
    mem_free(profile->attention);
    mem_free(profile->skew);
    mem_free(profile->buckets);
    mem_free(profile->moe);
    mem_free(profile->dir);
    mem_free(profile->gpu);
    mem_free(profile->model);
    mem_free(profile->vllm_version);
    mem_free(profile);
}

double profile_curve_at(const struct profile_curve *curve, double x)
{
    if (x <= curve->x[0] || curve->count == 1) {
        return curve->us[0];
    }
    size_t low = 0;
    size_t high = curve->count - 1; /* the piece that holds x, or the last one */
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (curve->x[middle] <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const double part = (x - curve->x[low]) / (curve->x[high] - curve->x[low]);
    const double us = curve->us[low] + part * (curve->us[high] - curve->us[low]);
    return us > 0.0 ? us : 0.0;
}

void profile_curve_fini(struct profile_curve *curve)
{
    mem_free(curve->x);
    mem_free(curve->us);
    *curve = (struct profile_curve){0};
}

/* How often a layer of dense.csv runs in one step of a model with `layers` layers. */
static double runs_per_step(const char *name, uint32_t layers)
{
    if (strcmp(name, "embedding") == 0 || strcmp(name, "final_layernorm") == 0) {
        return 1.0;
    }
    return strcmp(name, "layernorm") == 0 ? 2.0 * layers : layers;
}

/* All x of all layers, ascending, each once. */
static void grid_join(const struct profile_layer *layers, size_t count,
                      struct profile_curve *out)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        room += layers[i].time.count;
    }
    size_t *at = mem_alloc(count, sizeof *at);
    out->x = mem_alloc(room, sizeof(double));
    out->us = mem_alloc(room, sizeof(double));
    for (;;) {
        double x = (double)INFINITY;
        for (size_t i = 0; i < count; i++) {
            const struct profile_curve *time = &layers[i].time;
            if (at[i] < time->count && time->x[at[i]] < x) {
                x = time->x[at[i]];
            }
        }
        if (isinf(x)) {
            break;
        }
        for (size_t i = 0; i < count; i++) {
            const struct profile_curve *time = &layers[i].time;
            if (at[i] < time->count && time->x[at[i]] <= x) {
                at[i]++;
            }
        }
        out->x[out->count++] = x;
    }
    mem_free(at);
}

/* layers 0: everything once. */
static bool total(const struct profile_layer *items, size_t count, uint32_t layers,
                  struct profile_curve *out)
{
    *out = (struct profile_curve){0};
    if (count == 0) {
        return false;
    }
    grid_join(items, count, out);
    for (size_t i = 0; i < out->count; i++) {
        for (size_t k = 0; k < count; k++) {
            const double runs = layers > 0 ? runs_per_step(items[k].name, layers) : 1.0;
            out->us[i] += runs * profile_curve_at(&items[k].time, out->x[i]);
        }
    }
    return true;
}

bool kernel_profile_dense(const struct kernel_profile *profile, uint32_t layers,
                          struct profile_curve *out, struct err *err)
{
    if (layers == 0 || !total(profile->dense, profile->dense_count, layers, out)) {
        return err_set(err, ERR_INPUT, "%s/dense.csv: no layers to add up",
                       profile->dir);
    }
    return true;
}

bool kernel_profile_rows(const struct kernel_profile *profile,
                         struct profile_curve *out, struct err *err)
{
    if (!total(profile->rows, profile->rows_count, 0, out)) {
        return err_set(err, ERR_INPUT, "%s/per_sequence.csv: no layers to add up",
                       profile->dir);
    }
    return true;
}
