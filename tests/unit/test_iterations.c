/* SPDX-License-Identifier: Apache-2.0
 *
 * test_iterations.c: rows of whole iterations: which are taken, what a repeat is, and
 * what is said of broken ones.
 */
#include "sim/times/iterations.h"
#include "tests/harness.h"

#include <string.h>

static bool load(struct iteration_table *table, const char *text,
                 const struct iteration_choice *choice, struct err *err)
{
    return iteration_table_load(table, harness_temp_file("i.csv", text, strlen(text)),
                                choice, err);
}

#define HEAD                                                                           \
    "hardware,model,tensor_parallel,prompt_size,batch_size,token_size,x,"              \
    "token_time,prompt_time\r\n"
static const char two[] = HEAD "a100,llama,2,512,1,128,?,50,200\r\n"
                               "h100,llama,2,512,1,128,?,30,80\r\n"
                               "h100,llama,2,512,1,128,?,34,60\r\n"
                               "h100,llama,2,128,4,128,?,31,90\r\n"
                               "h100,llama,2,512,1,128,?,31,70\r\n";

static void rows_of_one_gpu_model_and_degree_are_taken(void)
{
    struct err err = {0};
    struct iteration_table table;
    const struct iteration_choice choice = {.gpu = "h100"};
    REQUIRE_OK(load(&table, two, &choice, &err), &err);
    EXPECT_STR(table.gpu, "h100");
    EXPECT_STR(table.model, "llama");
    EXPECT_U64(table.tensor_parallel, 2);
    EXPECT_U64(table.count, 4);
    /* Repeats become their median; their mean distance from it is a tenth. */
    EXPECT_NEAR(iteration_table_condense(&table), (1.0 / 7 + 0 + 1.0 / 7) / 3, 1e-12);
    EXPECT_U64(table.count, 2);
    EXPECT_U64(table.rows[0].prompt_tokens, 128);
    EXPECT_U64(table.rows[0].batch, 4);
    EXPECT_NEAR(table.rows[1].prompt_ms, 70.0, 0.0);
    EXPECT_NEAR(table.rows[1].token_ms, 31.0, 0.0);
    iteration_table_fini(&table);
}

static void several_kinds_are_listed(void)
{
    struct err err = {0};
    struct iteration_table table;
    const struct iteration_choice any = {0};
    EXPECT_FAILS(load(&table, two, &any, &err), &err,
                 "choose one GPU, model and tensor-parallel degree; there are: a100, "
                 "llama, 2; h100, llama, 2");
    const struct iteration_choice other = {.tensor_parallel = 8};
    EXPECT_FAILS(load(&table, two, &other, &err), &err,
                 "no row is of that GPU, model and tensor-parallel degree; there are: "
                 "a100, llama, 2; h100, llama, 2");
}

static void table_of_one_kind_needs_no_columns_for_it(void)
{
    struct err err = {0};
    struct iteration_table table;
    const struct iteration_choice any = {0};
    REQUIRE_OK(load(&table,
                    "prompt_tokens,batch,output_tokens,prompt_time_ms,token_time_ms\n"
                    "100,2,10,5.5,0\n",
                    &any, &err),
               &err);
    EXPECT_STR(table.gpu, "");
    EXPECT_U64(table.count, 1);
    EXPECT_NEAR(iteration_table_condense(&table), 0.0, 0.0);
    iteration_table_fini(&table);
}

static void broken_rows_name_the_line(void)
{
    static const struct {
        const char *text;
        const char *part;
    } broken[] = {
        {"", "is empty"},
        {"prompt_size,batch_size\n", "i.csv:1: has no column token_size"},
        {HEAD "h,l,2,512,1,128,?,50,0\n",
         "i.csv:2: a time above 0 is due in prompt_time"},
        {HEAD "h,l,2,512,1,128,?,-1,9\n", "i.csv:2: token_time: \"-1\""},
        {HEAD "h,l,2,5.5,1,128,?,1,9\n", "i.csv:2: a whole number"},
        {HEAD "h,l,x,5,1,128,?,1,9\n", "i.csv:2: tensor_parallel: \"x\""},
        {HEAD "h,l,2,5,1\n", "i.csv:2: token_size: \"\""},
        {HEAD, "no row is of that"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct err err = {0};
        struct iteration_table table;
        const struct iteration_choice any = {0};
        harness_note("case %zu", i);
        EXPECT_FAILS(load(&table, broken[i].text, &any, &err), &err, broken[i].part);
    }
}

HARNESS_MAIN("iterations", TEST(rows_of_one_gpu_model_and_degree_are_taken),
             TEST(several_kinds_are_listed),
             TEST(table_of_one_kind_needs_no_columns_for_it),
             TEST(broken_rows_name_the_line))
