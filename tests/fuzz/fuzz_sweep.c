/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a list of runs, each with a name and no empty assignment, or an error
 * with a text.
 */
#include "base/check.h"
#include "base/mem.h"
#include "cli/sweep_plan.h"
#include "reports/stored_sweep.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_job(const struct sweep_job *job)
{
    for (size_t i = 0; i < job->override_count; i++) {
        CHECK(strchr(job->overrides[i], '=') != NULL, "'%s' sets nothing",
              job->overrides[i]);
    }
}

static void check_plan(struct sweep_plan *plan)
{
    const struct stored_sweep *stored = sweep_plan_stored(plan, "x");
    const size_t count = sweep_plan_count(plan);
    CHECK(count > 0 && count <= SWEEP_RUNS_MAX, "%zu runs", count);
    CHECK(stored->run_count == count, "%zu names of %zu runs", stored->run_count,
          count);
    for (size_t i = 0; i < count; i++) {
        check_job(sweep_plan_job(plan, i));
    }
    CHECK(sweep_plan_job(plan, 0)->is_probe, "the first run is not checked");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sweep_given none = {0};
    struct sweep_plan *plan = NULL;
    struct err err = {0};
    char *text = mem_alloc(size + 1, 1);
    memcpy(text, data, size);
    if (sweep_plan_parse(&plan, "input", text, &none, &err)) {
        check_plan(plan);
        sweep_plan_delete(plan);
    } else {
        CHECK(err.text[0] != '\0', "failed without a reason");
    }
    mem_free(text);
    return 0;
}
