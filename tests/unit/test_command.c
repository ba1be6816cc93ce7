/* SPDX-License-Identifier: Apache-2.0
 *
 * How a command line finds its subcommand, and how it is written down again.
 */
#include "cli/command.h"
#include "tests/harness.h"

#include <string.h>

static const char *found(int argc, char *const *argv, int *words)
{
    const struct command *command = command_find(argc, argv, words);
    return command == NULL ? NULL : command->options.name;
}

static void one_and_two_words_find_their_command(void)
{
    char run[] = "run", trace[] = "trace", info[] = "info", file[] = "x.jsonl";
    int words = 0;
    EXPECT_STR(found(2, (char *[]){run, file}, &words), "run");
    EXPECT_I64(words, 1);
    EXPECT_STR(found(3, (char *[]){trace, info, file}, &words), "trace info");
    EXPECT_I64(words, 2);
}

static void part_of_a_name_is_no_command(void)
{
    char ru[] = "ru", runs[] = "runs", trace[] = "trace", file[] = "x.jsonl";
    int words = 9;
    EXPECT_STR(found(1, (char *[]){ru}, &words), NULL);
    EXPECT_I64(words, 0);
    EXPECT_STR(found(1, (char *[]){runs}, &words), NULL);
    EXPECT_I64(words, 0);
    EXPECT_STR(found(2, (char *[]){trace, file}, &words), NULL);
    EXPECT_I64(words, 1);
    EXPECT_STR(found(0, NULL, &words), NULL);
}

static void a_command_line_is_quoted_for_the_shell(void)
{
    char path[] = "a b.yaml", plain[] = "--seed=7", quote[] = "it's", empty[] = "";
    struct text line = {0};
    command_line(&command_run, 4, (char *[]){path, plain, quote, empty}, &line);
    EXPECT_STR(text_str(&line), "stacksim run 'a b.yaml' --seed=7 'it'\\''s' ''");
    text_fini(&line);
}

static void every_command_is_complete(void)
{
    const struct command *command = NULL;
    size_t count = 0;
    while ((command = command_at(count)) != NULL) {
        harness_note("%s", command->options.name);
        EXPECT(command->run != NULL);
        EXPECT(command->options.usage != NULL);
        EXPECT(command->options.summary != NULL);
        EXPECT_HAS(command->options.description, "Example");
        for (const struct opt *option = command->options.options; option->name != NULL;
             option++) {
            EXPECT(strncmp(option->name, "--", 2) == 0);
            EXPECT_HAS(option->help, "Example: ");
        }
        count++;
    }
    EXPECT(count >= 10);
}

HARNESS_MAIN("command", TEST(one_and_two_words_find_their_command),
             TEST(part_of_a_name_is_no_command),
             TEST(a_command_line_is_quoted_for_the_shell),
             TEST(every_command_is_complete))
