/* SPDX-License-Identifier: Apache-2.0
 *
 * test_workload.c: the rules of reading, on small files of every recorded format.
 */
#include "tests/trace_fixture.h"
#include "traces/workload.h"

static const char mooncake[] =
    "{\"timestamp\": 0, \"input_length\": 1000, \"output_length\": 5, "
    "\"hash_ids\": [0, 1]}\n"
    "{\"timestamp\": 1500, \"input_length\": 1536, \"output_length\": 7, "
    "\"hash_ids\": [0, 1, 9]}\n";

static void mooncake_blocks_become_pieces_of_one_stream(void)
{
    struct fixture *const read = fixture_read("a.jsonl", mooncake, NULL);
    REQUIRE(read->count == 2);
    const struct fixture_row *const first = &read->rows[0];
    const struct fixture_row *const second = &read->rows[1];
    EXPECT_U64(first->record.segment_count, 1);
    EXPECT_U64(first->pieces[0].stream, segment_stream(SEGMENT_BLOCK, 0));
    EXPECT_U64(first->pieces[0].tokens, 1000);
    EXPECT_I64(second->record.arrival_ns, INT64_C(1500000000));
    REQUIRE(second->record.segment_count == 2);
    EXPECT_U64(second->pieces[0].tokens, 1024);
    EXPECT_U64(second->pieces[1].offset, 4608);
    EXPECT_U64(second->record.output_tokens, 7);
    EXPECT_U64(workload_block_tokens(read->workload), 512);
    EXPECT_STR(workload_notes(read->workload), "");
    fixture_free(read);
}

static void numbers_may_be_strings_or_whole_decimals(void)
{
    struct fixture *const read = fixture_read(
        "a.jsonl",
        "{\"timestamp\":\"1.5\",\"input_length\":\"12\",\"output_length\":3.0}\n",
        NULL);
    REQUIRE(read->count == 1);
    EXPECT_I64(read->rows[0].record.arrival_ns, 1500000);
    EXPECT_U64(read->rows[0].record.prompt_tokens, 12);
    EXPECT_U64(read->rows[0].record.output_tokens, 3);
    EXPECT_U64(read->rows[0].pieces[0].stream, segment_stream(SEGMENT_UNIQUE, 0));
    fixture_free(read);
}

static void large_and_textual_ids_are_numbered_in_order_of_appearance(void)
{
    struct fixture *const read = fixture_read(
        "a.jsonl",
        "{\"timestamp\":0,\"input_length\":64,\"output_length\":1,\"block_size\":16,"
        "\"hash_ids\":[4294967295,\"aa\",18446744073709551615,\"bb\"]}\n"
        "{\"timestamp\":1,\"input_length\":48,\"output_length\":1,\"block_size\":16,"
        "\"hash_ids\":[4294967295,\"aa\",\"bb\"]}\n",
        NULL);
    REQUIRE(read->count == 2);
    EXPECT_U64(read->rows[0].record.segment_count, 1); /* new ids: one piece */
    REQUIRE(read->rows[1].record.segment_count == 2);
    EXPECT_U64(read->rows[1].pieces[0].tokens, 32);
    EXPECT_U64(read->rows[1].pieces[0].offset, read->rows[0].pieces[0].offset);
    EXPECT_U64(read->rows[1].pieces[1].offset, read->rows[0].pieces[0].offset + 48);
    fixture_free(read);
}

static void id_counts_are_checked_and_reported(void)
{
    struct fixture *const read =
        fixture_read("a.jsonl",
                     "{\"timestamp\":0,\"input_length\":1025,\"output_length\":1,"
                     "\"hash_ids\":[1,2,3]}\n"
                     "{\"timestamp\":0,\"input_length\":1025,\"output_length\":1,"
                     "\"hash_ids\":[1,2]}\n"
                     "{\"timestamp\":0,\"input_length\":100,\"output_length\":1,\"hash_"
                     "ids\":[1,2,3]}\n",
                     NULL);
    struct trace_counts counts;
    workload_counts(read->workload, &counts);
    EXPECT_U64(counts.ids_ceil, 1);
    EXPECT_U64(counts.ids_floor, 1);
    EXPECT_U64(counts.ids_neither, 1);
    EXPECT_HAS(workload_notes(read->workload), "1 rows fit ceil, 1 floor, 1 neither");
    REQUIRE(read->count == 3);
    REQUIRE(read->rows[1].record.segment_count == 2); /* the tail has no id */
    EXPECT_U64(read->rows[1].pieces[1].stream, segment_stream(SEGMENT_UNIQUE, 1));
    EXPECT_U64(read->rows[1].pieces[1].tokens, 1);
    EXPECT_U64(read->rows[2].pieces[0].tokens, 100); /* cut at the length */
    fixture_free(read);
}

static void block_size_can_be_told(void)
{
    const struct trace_options options = {.block_tokens = 16};
    struct fixture *const read =
        fixture_read("a.jsonl",
                     "{\"timestamp\":0,\"input_length\":40,\"output_length\":1,\"hash_"
                     "ids\":[5,7,8]}\n",
                     &options);
    REQUIRE(read->count == 1 && read->rows[0].record.segment_count == 2);
    EXPECT_U64(read->rows[0].pieces[0].offset, 80);
    EXPECT_U64(read->rows[0].pieces[1].tokens, 24);
    fixture_free(read);
}

static void turns_of_a_session_follow_one_another(void)
{
    struct fixture *const read = fixture_read(
        "a.jsonl",
        "{\"session_id\":\"x\",\"timestamp\":10,\"input_length\":100,\"output_length\":"
        "40}\n"
        "{\"session_id\":\"x\",\"delay\":500,\"input_length\":20,\"output_length\":1}\n"
        "{\"timestamp\":20,\"input_length\":5,\"output_length\":1}\n",
        NULL);
    REQUIRE(read->count == 3);
    EXPECT_U64(read->rows[1].record.prompt_tokens,
               5); /* earlier than the second turn */
    const struct fixture_row *const turn = &read->rows[2];
    EXPECT_U64(turn->record.session, read->rows[0].record.session);
    EXPECT_U64(turn->record.turn, 1);
    REQUIRE(turn->record.parent_count == 1);
    EXPECT_U64(turn->record.parents[0], read->rows[0].record.id);
    EXPECT_I64(turn->record.think_ns, INT64_C(500000000));
    /* 10 ms + 1 s + 40 * 25 ms + 500 ms */
    EXPECT_I64(turn->record.arrival_ns, INT64_C(2510000000));
    /* the delta is added to the history: prompt, answer, new text */
    EXPECT_U64(turn->record.prompt_tokens, 160);
    REQUIRE(turn->record.segment_count == 3);
    EXPECT_U64(turn->pieces[0].stream, segment_stream(SEGMENT_UNIQUE, 0));
    EXPECT_U64(turn->pieces[1].stream, segment_stream(SEGMENT_OUTPUT, 0));
    EXPECT_U64(turn->pieces[1].tokens, 40);
    EXPECT_U64(turn->pieces[2].stream, segment_stream(SEGMENT_UNIQUE, 1));
    EXPECT_HAS(workload_notes(read->workload), "1 turns have no recorded arrival");
    fixture_free(read);
}

static void crlf_and_a_missing_last_newline_change_nothing(void)
{
    struct fixture *const unix_ends = fixture_read(
        "a.csv",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
        NULL);
    struct fixture *const other_ends = fixture_read(
        "b.csv",
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
        "2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109",
        NULL);
    REQUIRE(unix_ends->count == 2 && other_ends->count == 2);
    for (size_t i = 0; i < 2; i++) {
        EXPECT_I64(other_ends->rows[i].record.arrival_ns,
                   unix_ends->rows[i].record.arrival_ns);
        EXPECT_U64(other_ends->rows[i].record.output_tokens,
                   unix_ends->rows[i].record.output_tokens);
    }
    EXPECT_I64(unix_ends->rows[0].record.arrival_ns, 0);
    EXPECT_I64(unix_ends->rows[1].record.arrival_ns, INT64_C(4314579000));
    fixture_free(unix_ends);
    fixture_free(other_ends);
}

static void azure_reads_mixed_fractions_and_columns_by_name(void)
{
    struct fixture *const read = fixture_read(
        "a.csv",
        "TIMESTAMP,NumImages,GeneratedTokens,ContextTokens\n"
        "2024-05-10 00:00:00.009930+00:00,1,5,2162\n2024-05-10 00:00:01+00:00,0,6,7\n",
        NULL);
    REQUIRE(read->count == 2);
    EXPECT_U64(read->rows[0].record.prompt_tokens, 2162);
    EXPECT_I64(read->rows[1].record.arrival_ns, INT64_C(990070000));
    EXPECT_HAS(workload_notes(read->workload), "unknown keys ignored: NumImages");
    fixture_free(read);
}

static void length_tables_have_their_time_in_the_unit_of_the_name(void)
{
    struct fixture *const seconds = fixture_read(
        "a.csv", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,10,20\n", NULL);
    struct fixture *const none = fixture_read(
        "b.csv", "num_prefill_tokens,num_decode_tokens,pd_ratio\n3,4,0.75\n5,6,1\n",
        NULL);
    struct fixture *const ns = fixture_read(
        "c.csv", "arrival_time_ns,input_toks,output_toks\n46926808,2358,531", NULL);
    REQUIRE(seconds->count == 1 && none->count == 2 && ns->count == 1);
    EXPECT_I64(seconds->rows[0].record.arrival_ns, 250000000);
    EXPECT_I64(none->rows[1].record.arrival_ns, 0);
    EXPECT_U64(none->rows[1].record.prompt_tokens, 5);
    EXPECT_I64(ns->rows[0].record.arrival_ns, 46926808);
    fixture_free(seconds);
    fixture_free(none);
    fixture_free(ns);
}

static void llmservingsim_sessions_run_turn_after_turn(void)
{
    struct fixture *const read = fixture_read(
        "a.jsonl",
        "{\"session_id\":\"a\",\"arrival_time_ns\":5,\"sub_requests\":[{\"input_toks\":"
        "40,"
        "\"output_toks\":30,\"tool_duration_ns\":7},{\"input_toks\":80,\"output_toks\":"
        "3}]}\n"
        "{\"arrival_time_ns\":6,\"input_toks\":3,\"output_toks\":2}\n"
        "{\"session_id\":\"a\",\"arrival_time_ns\":9,\"sub_requests\":[]}\n",
        NULL);
    REQUIRE(read->count == 3);
    const struct trace_record *const turn = &read->rows[2].record;
    EXPECT_U64(turn->prompt_tokens, 80);
    EXPECT_U64(turn->session, read->rows[0].record.session);
    EXPECT_I64(turn->think_ns, 7);
    EXPECT_I64(turn->arrival_ns, INT64_C(1750000012)); /* 5 + 1 s + 30 * 25 ms + 7 */
    EXPECT_HAS(workload_notes(read->workload), "session_id occurs again");
    EXPECT_HAS(workload_notes(read->workload), "sub_requests is empty");
    fixture_free(read);
}

/* The second request continues the first: 20 prompt tokens, 20 generated, block 16. */
static void generated_tokens_are_found_again_by_block_and_by_token_ids(void)
{
    static const char by_block[] =
        "{\"arrival_ns\":0,\"input_toks\":20,\"output_toks\":20,\"block_ids\":[0,1]}\n"
        "{\"arrival_ns\":9,\"input_toks\":40,\"output_toks\":9,\"block_ids\":[0,1,7]}"
        "\n";
    static const char by_token[] =
        "{\"arrival_ns\":0,\"input_toks\":2,\"output_toks\":3,\"input_tok_ids\":[1,2],"
        "\"output_tok_ids\":[3,4,5]}\n"
        "{\"arrival_ns\":9,\"input_toks\":5,\"output_toks\":1,"
        "\"input_tok_ids\":[1,2,3,4,6],\"output_tok_ids\":[8]}\n";
    struct fixture *const blocks = fixture_read("a.jsonl", by_block, NULL);
    REQUIRE(blocks->count == 2);
    const struct fixture_row *const next = &blocks->rows[1];
    REQUIRE(next->record.segment_count == 3);
    EXPECT_U64(next->pieces[0].tokens, 20);
    EXPECT_U64(next->pieces[1].stream, segment_stream(SEGMENT_OUTPUT, 0));
    EXPECT_U64(next->pieces[1].tokens, 12);
    EXPECT_U64(next->pieces[2].tokens, 8);
    fixture_free(blocks);
    const struct trace_options options = {.block_tokens = 4};
    struct fixture *const tokens = fixture_read("b.jsonl", by_token, &options);
    REQUIRE(tokens->count == 2 && tokens->rows[1].record.segment_count == 3);
    EXPECT_U64(tokens->rows[1].pieces[0].stream, tokens->rows[0].pieces[0].stream);
    EXPECT_U64(tokens->rows[1].pieces[0].offset, tokens->rows[0].pieces[0].offset);
    EXPECT_U64(tokens->rows[1].pieces[1].stream, segment_stream(SEGMENT_OUTPUT, 0));
    EXPECT_U64(tokens->rows[1].pieces[1].tokens, 2);
    fixture_free(tokens);
}

static void unsorted_rows_are_sorted_stably_with_a_note(void)
{
    struct fixture *const read = fixture_read("a.csv",
                                              "arrival_s,input_tokens,output_tokens\n"
                                              "3,1,1\n1,2,1\n3,3,1\n0,4,1\n1,5,1\n",
                                              NULL);
    static const uint32_t order[] = {4, 2, 5, 1, 3};
    REQUIRE(read->count == 5);
    for (size_t i = 0; i < 5; i++) {
        EXPECT_U64(read->rows[i].record.prompt_tokens, order[i]);
        EXPECT_U64(read->rows[i].record.id, order[i] - 1);
    }
    EXPECT_HAS(workload_notes(read->workload), "not in order of arrival");
    fixture_free(read);
}

static void broken_rows_name_their_place(void)
{
    fixture_refuses("", "the file is empty");
    fixture_refuses("hello\n", "no known trace format");
    fixture_refuses("{\"input_length\":10,\"output_length\":1}\n"
                    "{\"input_length\":-3,\"output_length\":1}\n",
                    "bad:2:17: input_length: -3 tokens");
    fixture_refuses("{\"input_length\":10,\"output_length\":0}\n",
                    "bad:1:36: output_length: 0 tokens");
    fixture_refuses(
        "{\"input_length\":10,\"output_length\":1,\"timestamp\":\"soon\"}\n",
        "timestamp: 'soon' is not a time");
    fixture_refuses("{\"input_length\":10}\n", "output_length: is missing");
    fixture_refuses(
        "{\"input_length\":10,\"output_length\":1}\n{\"input_length\":10,\"out",
        "bad:2:");
    fixture_refuses("{\"input_length\":10,\"output_length\":1,\"hash_ids\":7}\n",
                    "hash_ids: a list is expected");
    fixture_refuses("TIMESTAMP,ContextTokens,GeneratedTokens\n"
                    "2023-11-16 18:15:46,12,many\n",
                    "bad:2:24: GeneratedTokens: 'many' is not a whole number");
    fixture_refuses("TIMESTAMP,ContextTokens,GeneratedTokens\nyesterday,12,1\n",
                    "bad:2:1: TIMESTAMP: 'yesterday' is not a date");
    fixture_refuses("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,12\n",
                    "2 fields, but the header has 3");
    fixture_refuses("TIMESTAMP,ContextTokens\n2023-11-16 18:15:46,12\n",
                    "GeneratedTokens: the header lacks this column");
}

static const char half_broken[] = "arrival_s,input_tokens,output_tokens\n"
                                  "0,10,1\n1,-5,1\n2,x,1\n3,10,0\n-4,10,2\n";

static void skip_leaves_broken_rows_out_and_counts_them(void)
{
    const struct trace_options options = {.on_error = TRACE_SKIP};
    struct fixture *const read = fixture_read("a.csv", half_broken, &options);
    struct trace_counts counts;
    workload_counts(read->workload, &counts);
    EXPECT_U64(read->count, 1);
    EXPECT_U64(counts.skipped, 4);
    EXPECT_HAS(workload_notes(read->workload), "4 broken rows skipped, the first: ");
    EXPECT_HAS(workload_notes(read->workload), "a.csv:3:3: input_tokens: -5 tokens");
    fixture_free(read);
}

static void clamp_mends_what_it_can(void)
{
    const struct trace_options options = {.on_error = TRACE_CLAMP};
    struct fixture *const read = fixture_read("a.csv", half_broken, &options);
    struct trace_counts counts;
    workload_counts(read->workload, &counts);
    EXPECT_U64(read->count, 4); /* 'x' is no number at all */
    EXPECT_U64(counts.skipped, 1);
    EXPECT_U64(counts.clamped, 3);
    REQUIRE(read->count == 4);
    EXPECT_I64(read->rows[1].record.arrival_ns, 0); /* -4 */
    EXPECT_U64(read->rows[2].record.prompt_tokens, 1);
    EXPECT_U64(read->rows[3].record.output_tokens, 1);
    fixture_free(read);
}

static void unknown_keys_are_told_once(void)
{
    struct fixture *const read =
        fixture_read("a.jsonl",
                     "{\"input_length\":1,\"output_length\":1,\"colour\":\"red\",\"x\":"
                     "{\"y\":[1]}}\n"
                     "{\"input_length\":1,\"output_length\":1,\"colour\":\"blue\"}\n",
                     NULL);
    EXPECT_STR(workload_notes(read->workload), "unknown keys ignored: colour, x\n");
    fixture_free(read);
}

static void ticks_are_spread_and_turns_stay_in_order(void)
{
    static const char rows[] =
        "{\"session_id\":1,\"timestamp\":0,\"input_length\":5,\"output_length\":1}\n"
        "{\"session_id\":1,\"timestamp\":0,\"input_length\":5,\"output_length\":1}\n"
        "{\"session_id\":1,\"timestamp\":0,\"input_length\":5,\"output_length\":1}\n"
        "{\"session_id\":2,\"timestamp\":3000,\"input_length\":5,\"output_length\":1}"
        "\n";
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct trace_options options = {.tick_ns = INT64_C(3000000000),
                                              .seed = seed};
        struct fixture *const read = fixture_read("a.jsonl", rows, &options);
        REQUIRE(read->count == 4);
        for (size_t i = 0; i < 3; i++) {
            EXPECT_U64(read->rows[i].record.turn, i);
            EXPECT(read->rows[i].record.arrival_ns < INT64_C(3000000000));
        }
        EXPECT(read->rows[2].record.arrival_ns > 0);
        EXPECT(read->rows[3].record.arrival_ns >= INT64_C(3000000000));
        EXPECT_HAS(workload_notes(read->workload), "spread evenly over ticks of");
        fixture_free(read);
    }
}

/* 12 ticks of 2 s with 3 rows each look coarse; the same with a hole do not. */
static void only_a_coarse_clock_is_spread_by_itself(void)
{
    for (int hole = 0; hole < 2; hole++) {
        struct text text = {0};
        for (int tick = 0; tick < 12; tick++) {
            for (int row = 0; row < 3; row++) {
                const int late_ms = hole == 1 && tick > 5 ? 10000 : 0;
                text_printf(
                    &text,
                    "{\"timestamp\":%d,\"input_length\":5,\"output_length\":1}\n",
                    tick * 2000 + late_ms);
            }
        }
        struct fixture *const read = fixture_read("a.jsonl", text_str(&text), NULL);
        const bool spread = read->rows[1].record.arrival_ns > 0;
        EXPECT(spread == (hole == 0));
        fixture_free(read);
        const struct trace_options keep = {.tick_ns = TRACE_TICK_KEEP};
        struct fixture *const kept = fixture_read("a.jsonl", text_str(&text), &keep);
        EXPECT_I64(kept->rows[2].record.arrival_ns, 0);
        fixture_free(kept);
        text_fini(&text);
    }
}

static void times_since_1970_start_the_trace_at_its_first_row(void)
{
    const struct trace_options options = {.time_unit_ns = 1};
    struct fixture *const read =
        fixture_read("a.jsonl",
                     "{\"timestamp\":\"1700000000000000007\",\"input_length\":1,"
                     "\"output_length\":1}\n"
                     "{\"timestamp\":\"1700000000000000010\",\"input_length\":1,"
                     "\"output_length\":1}\n",
                     &options);
    REQUIRE(read->count == 2);
    EXPECT_I64(read->rows[0].record.arrival_ns, 0);
    EXPECT_I64(read->rows[1].record.arrival_ns, 3);
    fixture_free(read);
    fixture_refuses("{\"timestamp\":\"1700000000000000007\",\"input_length\":1,"
                    "\"output_length\":1}\n",
                    "is the unit right?");
}

static void rate_factor_and_limit_apply(void)
{
    const struct trace_options options = {.rate_factor = 2, .limit = 1};
    struct fixture *const read = fixture_read(
        "a.csv", "arrival_s,input_tokens,output_tokens\n3,1,1\n5,2,1\n", &options);
    REQUIRE(read->count == 1);
    EXPECT_I64(read->rows[0].record.arrival_ns, INT64_C(1500000000));
    EXPECT_HAS(workload_notes(read->workload), "divided by 2");
    EXPECT_NEAR(workload_progress(read->workload), 1, 1e-12);
    fixture_free(read);
    const struct trace_options wrong = {.rate_factor = -1};
    struct workload *workload = NULL;
    struct err err = {0};
    EXPECT_FAILS(workload_open_trace(&workload, "x", &wrong, &err), &err,
                 "rate factor");
}

static void missing_files_and_formats_are_told(void)
{
    const struct trace_options none = {0};
    const struct trace_options wrong = {.format = "moonkake"};
    struct workload *workload = NULL;
    struct err err = {0};
    EXPECT_FAILS(workload_open_trace(&workload, "/no/such/file", &none, &err), &err,
                 "/no/such/file");
    const char *const path = harness_temp_file("a.jsonl", mooncake, strlen(mooncake));
    EXPECT_FAILS(workload_open_trace(&workload, path, &wrong, &err), &err,
                 "no trace format 'moonkake'; there are: native,");
}

static void expected_and_progress_count_the_rows(void)
{
    const char *const path = harness_temp_file("a.jsonl", mooncake, strlen(mooncake));
    const struct trace_options none = {0};
    struct workload *workload = NULL;
    const struct trace_record *record = NULL;
    struct err err = {0};
    REQUIRE_OK(workload_open_trace(&workload, path, &none, &err), &err);
    EXPECT_U64(workload_expected(workload), 2);
    EXPECT(workload_next(workload, &record, &err) == WORKLOAD_RECORD);
    EXPECT_U64(workload_expected(workload), 1);
    EXPECT_NEAR(workload_progress(workload), 0.5, 1e-12);
    EXPECT_HAS(workload_origin(workload), "a.jsonl (mooncake)");
    EXPECT_STR(workload_source(workload), "a.jsonl (mooncake)");
    workload_close(workload);
}

HARNESS_MAIN("workload", TEST(mooncake_blocks_become_pieces_of_one_stream),
             TEST(numbers_may_be_strings_or_whole_decimals),
             TEST(large_and_textual_ids_are_numbered_in_order_of_appearance),
             TEST(id_counts_are_checked_and_reported), TEST(block_size_can_be_told),
             TEST(turns_of_a_session_follow_one_another),
             TEST(crlf_and_a_missing_last_newline_change_nothing),
             TEST(azure_reads_mixed_fractions_and_columns_by_name),
             TEST(length_tables_have_their_time_in_the_unit_of_the_name),
             TEST(llmservingsim_sessions_run_turn_after_turn),
             TEST(generated_tokens_are_found_again_by_block_and_by_token_ids),
             TEST(unsorted_rows_are_sorted_stably_with_a_note),
             TEST(broken_rows_name_their_place),
             TEST(skip_leaves_broken_rows_out_and_counts_them),
             TEST(clamp_mends_what_it_can), TEST(unknown_keys_are_told_once),
             TEST(ticks_are_spread_and_turns_stay_in_order),
             TEST(only_a_coarse_clock_is_spread_by_itself),
             TEST(times_since_1970_start_the_trace_at_its_first_row),
             TEST(rate_factor_and_limit_apply),
             TEST(missing_files_and_formats_are_told),
             TEST(expected_and_progress_count_the_rows))
