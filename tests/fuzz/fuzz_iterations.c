/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes are a table of whole iterations or an error with a text; what was accepted
 * condenses to no more rows, in order, and is fitted or refused.
 */
#include "base/check.h"
#include "sim/calibrate/calibrate_iterations.h"
#include "tests/fuzz/fuzz.h"

static void check_rows(const struct iteration_table *table, size_t before)
{
    CHECK(table->count >= 1 && table->count <= before, "%zu rows of %zu", table->count,
          before);
    for (size_t i = 0; i < table->count; i++) {
        const struct iteration_row *row = &table->rows[i];
        CHECK(row->prompt_tokens > 0 && row->batch > 0 && row->prompt_ms > 0.0,
              "row %zu says nothing", i);
        CHECK(i == 0 || row->prompt_tokens >= row[-1].prompt_tokens, "row %zu", i);
    }
}

static void check_fit(struct iteration_table *table)
{
    static const struct model_spec model = {.name = "model",
                                            .layers = 4,
                                            .hidden = 64,
                                            .query_heads = 1,
                                            .kv_heads = 1,
                                            .head_dim = 64,
                                            .weight_bits = 16,
                                            .kv_bits = 16};
    static const struct calibrate_gpu gpu = {.name = "GPU", .tensor_parallel = 1};
    const struct iteration_subject subject = {&model, &gpu, "fuzz"};
    struct text yaml = {NULL, 0, 0};
    struct text notes = {NULL, 0, 0};
    struct text report = {NULL, 0, 0};
    struct err err = {ERR_NONE, ""};
    if (calibrate_iterations(&yaml, &notes, table, &subject, &err)) {
        CHECK(calibrate_report(&report, "fit", yaml.bytes, yaml.length, &err),
              "own fit refused: %s\n%s", err.text, text_str(&yaml));
    } else {
        CHECK(err.text[0] != '\0', "an error without a text");
    }
    text_fini(&yaml);
    text_fini(&notes);
    text_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct iteration_table table;
    struct err err = {ERR_NONE, ""};
    const struct iteration_choice any = {NULL, NULL, 0};
    if (!iteration_table_load(&table, fuzz_file(data, size), &any, &err)) {
        CHECK(err.text[0] != '\0', "an error without a text");
        return 0;
    }
    const size_t before = table.count;
    if (before < 64) { /* a fit tries each row; long tables only cost time */
        check_fit(&table);
    }
    (void)iteration_table_condense(&table);
    check_rows(&table, before);
    iteration_table_fini(&table);
    return 0;
}
