/* SPDX-License-Identifier: Apache-2.0
 *
 * test_workload_native.c: our own trace format, written and read, and its notation of
 * prompts.
 */
#include "tests/trace_fixture.h"
#include "traces/piece_text.h"
#include "traces/trace_write.h"
#include "traces/workload.h"

#include <stdio.h>

#define HEAD "#format=stacksim-trace\n#version=1\n"

static void all_columns_are_read_by_name(void)
{
    struct fixture *const read = fixture_read(
        "a.trace",
        HEAD "#unit=us\n#order=arrival\n#rows=2\n#source=somebody's \n#remark=x\n"
             "out,in,arrival,id,session,turn,parents,think,max_out,out_pred,model,"
             "tenant,adapter,prio,cancel,prompt\n"
             "5,40,1.5,7,3,0,,,64,9,\"a,b\",acme,legal,-2,250,t1+32;u7+8\n"
             "6,50,2,9,3,1,7;8,0,,,,,,,,t1+32;u7@0+8;o7+5;u9+5\n",
        NULL);
    REQUIRE(read->count == 2);
    const struct trace_record *const first = &read->rows[0].record;
    EXPECT_U64(first->id, 7);
    EXPECT_I64(first->arrival_ns, 1500);
    EXPECT_U64(first->session, 3);
    EXPECT_U64(first->output_tokens, 5);
    EXPECT_U64(first->output_tokens_max, 64);
    EXPECT_U64(first->output_tokens_guess, 9);
    EXPECT_I64(first->think_ns, TRACE_THINK_NONE);
    EXPECT_I64(first->priority, -2);
    EXPECT_I64(first->cancel_ns, 250000);
    EXPECT_STR(read->rows[0].model, "a,b");
    EXPECT_STR(read->rows[0].tenant, "acme");
    EXPECT_STR(read->rows[0].adapter, "legal");
    const struct trace_record *const second = &read->rows[1].record;
    EXPECT_U64(second->parent_count, 2);
    EXPECT_U64(second->parents[1], 8);
    EXPECT_I64(second->think_ns, 0);
    EXPECT(second->model == NULL);
    EXPECT(second->adapter == NULL);
    REQUIRE(second->segment_count == 4);
    EXPECT_U64(read->rows[1].pieces[2].stream, segment_stream(SEGMENT_OUTPUT, 7));
    EXPECT_HAS(workload_origin(read->workload), "a.trace (native) of somebody's");
    fixture_free(read);
}

static void only_lengths_are_needed(void)
{
    struct fixture *const read =
        fixture_read("a.trace", HEAD "in,out\n10,1\n20,2\n", NULL);
    REQUIRE(read->count == 2);
    EXPECT_U64(read->rows[1].record.id, 1);
    EXPECT_I64(read->rows[1].record.arrival_ns, 0);
    EXPECT_U64(read->rows[1].pieces[0].stream, segment_stream(SEGMENT_UNIQUE, 1));
    fixture_free(read);
}

static void blocks_are_counted_in_blocks(void)
{
    struct fixture *const read = fixture_read(
        "a.trace",
        HEAD "#block_size=16\nin,out,prompt\n50,1,b0;b14+3\n48,1,b0:7;t1+40;u9\n"
             "64,1,b3@5+9;b3+2\n",
        &(struct trace_options){.on_error = TRACE_SKIP});
    REQUIRE(read->count == 2); /* the second row's u9 has no length */
    REQUIRE(read->rows[0].record.segment_count == 2);
    EXPECT_U64(read->rows[0].pieces[1].offset, 224);
    EXPECT_U64(read->rows[0].pieces[1].tokens, 34); /* cut by the prompt's length */
    REQUIRE(read->rows[1].record.segment_count == 3);
    EXPECT_U64(read->rows[1].pieces[0].stream, segment_stream(SEGMENT_BLOCK, 3));
    EXPECT_U64(read->rows[1].pieces[1].offset, 48);
    EXPECT_U64(read->rows[1].pieces[2].tokens, 23); /* the rest is its own */
    fixture_free(read);
}

static void broken_rows_and_headers_name_their_place(void)
{
    fixture_refuses(HEAD "#unit=h\nin,out\n1,1\n", "unit: ns, us, ms and s");
    fixture_refuses("#format=stacksim-trace\n#version=2\nin,out\n1,1\n", "version");
    fixture_refuses(HEAD "#block_size=0\nin,out\n1,1\n", "block_size");
    fixture_refuses(HEAD "in,prompt\n1,u1+1\n", "out: the header lacks this column");
    fixture_refuses(HEAD "in,out,prompt\n9,1,t1+4;z2+5\n", "bad:4:10: prompt: 'z2+5'");
    fixture_refuses(HEAD "in,out,prompt\n9,1,b1\n", "blocks need #block_size");
    fixture_refuses(HEAD "in,out,prompt\n9,1,t1+10\n", "the pieces have 10 tokens");
    fixture_refuses(HEAD "in,out,parents\n9,1,1;2;3;4;5;6;7;8;9\n", "at most 8 ids");
    fixture_refuses(HEAD "in,out,id\n9,1,72057594037927936\n", "below 2^56");
    fixture_refuses(HEAD "in,out,prio\n9,1,40000\n", "prio");
    fixture_refuses(HEAD, "no header row");
}

static void promised_order_is_checked_while_reading(void)
{
    static const char text[] = HEAD "#order=arrival\narrival,in,out\n5,1,1\n4,1,1\n";
    const char *const path = harness_temp_file("a.trace", text, sizeof(text) - 1);
    const struct trace_options none = {0};
    const struct trace_record *record = NULL;
    struct workload *workload = NULL;
    struct err err = {0};
    REQUIRE_OK(workload_open_trace(&workload, path, &none, &err), &err);
    EXPECT(workload_next(workload, &record, &err) == WORKLOAD_RECORD);
    EXPECT(workload_next(workload, &record, &err) == WORKLOAD_ERROR);
    EXPECT_HAS(err.text, "a.trace:6:1: arrival: the row is out of order");
    workload_close(workload);
}

static void pieces_are_written_as_they_are_read(void)
{
    static const struct {
        struct segment piece;
        uint32_t block_tokens;
        const char *text;
    } cases[] = {
        {{(uint64_t)'t' << 56 | 7, 0, 5, 0}, 0, "t7+5;u1+1"},
        {{(uint64_t)'o' << 56 | 7, 9, 5, 0}, 16, "o7@9+5;u1+1"},
        {{(uint64_t)'m' << 56 | SEGMENT_ID_MAX, 0, 1, 0},
         0,
         "m72057594037927935+1;u1+1"},
        {{(uint64_t)'b' << 56, 32, 16, 0}, 16, "b2;u1+1"},
        {{(uint64_t)'b' << 56, 32, 64, 0}, 16, "b2+4;u1+1"},
        {{(uint64_t)'b' << 56, 32, 63, 0}, 16, "b2+4:63;u1+1"},
        {{(uint64_t)'b' << 56, 32, 3, 0}, 16, "b2:3;u1+1"},
        {{(uint64_t)'b' << 56, 33, 64, 0}, 16, "b0@33+64;u1+1"},
        {{(uint64_t)'b' << 56, 0, 64, 0}, 0, "b0@0+64;u1+1"},
        {{(uint64_t)'b' << 56 | 64, 64, 64, 0}, 16, "b64@64+64;u1+1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct segment prompt[] = {cases[i].piece,
                                         {segment_stream(SEGMENT_UNIQUE, 1), 0, 1, 0}};
        struct text out = {0};
        struct segment back = {0};
        piece_text_write(&out, prompt, 2, cases[i].block_tokens);
        EXPECT_STR(text_str(&out), cases[i].text);
        const char *at = text_str(&out);
        EXPECT(piece_text_read(&at, cases[i].block_tokens, &back));
        EXPECT_BYTES(&back, &cases[i].piece, sizeof(back));
        EXPECT_STR(at, "u1+1");
        text_fini(&out);
    }
}

static void broken_pieces_are_refused(void)
{
    static const char *const bad[] = {"",
                                      "t",
                                      "t1",
                                      "t1+",
                                      "+5",
                                      "t1+5;",
                                      "t1+5,",
                                      "x1+5",
                                      "t-1+5",
                                      "t1@+5",
                                      "t1+4294967296",
                                      "t72057594037927936+1",
                                      "b1+",
                                      "b1:17",
                                      "b1+4294967295",
                                      "t1+5 ",
                                      "b1@5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *at = bad[i];
        struct segment piece = {0};
        harness_note("'%s'", bad[i]);
        EXPECT(!piece_text_read(&at, 16, &piece));
    }
}

static void only_used_columns_are_written(void)
{
    static const char text[] =
        HEAD "#block_size=16\n#source=here\narrival,in,out,prompt,"
             "model,adapter,think\n1,40,3,b1+2;b9,,x1,\n2,8,1,,\"x \"\"y\"\"\",,0\n";
    const char *const path = harness_temp_file("in.trace", text, sizeof(text) - 1);
    const char *const copy = harness_temp("out.trace");
    const struct trace_options none = {0};
    struct workload *workload = NULL;
    struct err err = {0};
    uint64_t rows = 0;
    char got[1024] = {0};
    REQUIRE_OK(workload_open_trace(&workload, path, &none, &err), &err);
    REQUIRE_OK(trace_write_all(workload, copy, &rows, &err), &err);
    workload_close(workload);
    EXPECT_U64(rows, 2);
    FILE *const file = fopen(copy, "rb");
    REQUIRE(file != NULL);
    (void)fread(got, 1, sizeof(got) - 1, file);
    (void)fclose(file);
    EXPECT_STR(got, "#format=stacksim-trace\n#version=1\n#unit=ns\n#order=arrival\n"
                    "#block_size=16\n#rows=2\n#source=here\n"
                    "arrival,think,in,out,model,adapter,prompt\n"
                    "1,,40,3,,x1,b1+2;b9\n2,0,8,1,\"x \"\"y\"\"\",,\n");
}

static void unwritable_target_is_told_and_leaves_nothing(void)
{
    struct trace_writer *writer = NULL;
    struct err err = {0};
    EXPECT_FAILS(trace_writer_open(&writer, "/no/such/folder/x", 0, NULL, &err), &err,
                 "/no/such/folder/x");
    EXPECT(err.kind == ERR_IO);
    const char *const path = harness_temp("never");
    REQUIRE_OK(trace_writer_open(&writer, path, 0, NULL, &err), &err);
    trace_writer_abort(writer);
    EXPECT(fopen(path, "rb") == NULL);
}

HARNESS_MAIN("workload_native", TEST(all_columns_are_read_by_name),
             TEST(only_lengths_are_needed), TEST(blocks_are_counted_in_blocks),
             TEST(broken_rows_and_headers_name_their_place),
             TEST(promised_order_is_checked_while_reading),
             TEST(pieces_are_written_as_they_are_read), TEST(broken_pieces_are_refused),
             TEST(only_used_columns_are_written),
             TEST(unwritable_target_is_told_and_leaves_nothing))
