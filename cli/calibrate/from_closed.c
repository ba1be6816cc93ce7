/* SPDX-License-Identifier: Apache-2.0
 *
 * from_closed.c: rows of closed loops, as `stacksim validate --closed-loop` reads them.
 * One GPU, model, backend and precision at a time; TPOT alone is fitted, because TTFT
 * hangs on how a test began, which no row says.
 */
#include "base/mem.h"
#include "cli/calibrate/loads.h"
#include "cli/paths.h"
#include "cli/validate/closed_predict.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTS_PER_USER = 10, KINDS_SHOWN_MAX = 8 };

static bool same_kind(const struct closed_row *a, const struct closed_row *b)
{
    return strcmp(a->system, b->system) == 0 &&
           strcmp(a->model_path, b->model_path) == 0 &&
           strcmp(a->backend, b->backend) == 0 && a->weight_bits == b->weight_bits;
}

/* All rows are of one kind, or the message lists them. */
static bool one_kind(const struct closed_rows *rows, const char *path, struct err *err)
{
    struct text kinds = {0};
    size_t shown = 0;
    for (size_t i = 0; i < rows->count; i++) {
        size_t k = 0;
        while (k < i && !same_kind(&rows->rows[k], &rows->rows[i])) {
            k++;
        }
        if (k < i) {
            continue;
        }
        const struct closed_row *row = &rows->rows[i];
        if (++shown <= KINDS_SHOWN_MAX) {
            text_printf(&kinds, "%s%s, %s, %s", shown > 1 ? "; " : "", row->system,
                        row->model_path, row->backend);
            if (row->weight_bits > 0) {
                text_printf(&kinds, ", %u bit", row->weight_bits);
            }
        }
    }
    bool ok = true;
    if (shown > KINDS_SHOWN_MAX) {
        text_printf(&kinds, " and %zu more", shown - KINDS_SHOWN_MAX);
    }
    if (shown != 1) {
        ok = err_set(err, ERR_INPUT,
                     shown == 0 ? "%s: no row is left%s"
                                : "%s: choose one system, model_path, backend and "
                                  "precision with --filter; there are: %s",
                     path, text_str(&kinds));
    }
    text_fini(&kinds);
    return ok;
}

static void loads_take(struct loads *loads, const struct closed_rows *rows)
{
    loads->items = mem_alloc(rows->count, sizeof *loads->items);
    for (size_t i = 0; i < rows->count; i++) {
        const struct closed_row *row = &rows->rows[i];
        const struct closed_load how = closed_load_of(row->load);
        loads->items[loads->count++] = (struct load){
            .prompt_tokens = row->prompt_tokens,
            .output_tokens = row->output_tokens,
            .users = row->users,
            .requests_per_user = REQUESTS_PER_USER,
            .tensor_parallel = row->tensor_parallel,
            .budget = how.budget_margin > 0 && !loads->prefill_first
                          ? row->prompt_tokens + how.budget_margin
                          : 0,
            .jitter = how.jitter,
            .ttft_ms = row->ttft_ms,
            .tpot_ms = row->tpot_ms,
        };
    }
    const uint32_t bits = rows->rows[0].weight_bits;
    if (bits != 0) {
        loads->model.weight_bits = bits;
        loads->model.kv_bits = bits < 16 ? 8 : 16;
    }
}

static bool rows_fit(struct calibrate_result *result, const struct closed_rows *rows,
                     const struct calibrate_args *args, struct err *err)
{
    struct loads loads = {0};
    char model[CLOSED_WORD_BYTES];
    char what[64];
    closed_model_name(model, rows->rows[0].model_path);
    snprintf(what, sizeof what, "%zu load tests", rows->count);
    bool ok = loads_prepare(&loads, args, rows->rows[0].system, model,
                            rows->rows[0].backend, err);
    if (ok) {
        loads_take(&loads, rows);
        loads.what = what;
        ok = loads_fit(result, &loads, err);
    }
    loads_fini(&loads);
    return ok;
}

bool calibrate_from_closed(struct calibrate_result *result,
                           const struct calibrate_args *args, const char *path,
                           struct err *err)
{
    struct closed_rows rows = {0};
    const struct path_use uses[] = {{"the rows", path, false},
                                    {"--fit", args->fit, false},
                                    {"--out", args->out, true}};
    if (!paths_check(uses, sizeof uses / sizeof uses[0], err) ||
        !closed_rows_read(&rows, path, args->filter, err)) {
        return false;
    }
    const bool ok = one_kind(&rows, path, err) && rows_fit(result, &rows, args, err);
    closed_rows_fini(&rows);
    return ok;
}
