/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of defects, what counts as a cost, and how it is put into words.
 */
#include "cli/defects/catalog.h"
#include "cli/defects/page.h"
#include "cli/defects/study.h"
#include "cli/runner.h"
#include "tests/harness.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_id(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (!islower((unsigned char)*at) && !isdigit((unsigned char)*at) &&
            *at != '-') {
            return false;
        }
    }
    return text[0] != '\0';
}

/* Sentences are put together with a full stop and a colon behind them. */
static bool is_clause(const char *text)
{
    const size_t length = strlen(text);
    return length > 10 && text[length - 1] != '.' && strstr(text, "  ") == NULL;
}

static void entries_are_whole_and_ids_unique(void)
{
    const char *ids[256];
    size_t count = 0;
    const struct defect *defect = NULL;
    const struct defect_unshown *unshown = NULL;
    for (size_t i = 0; (defect = defect_at(i)) != NULL; i++) {
        EXPECT(is_clause(defect->what));
        EXPECT(strcmp(defect->with, defect->without) != 0);
        EXPECT(strncmp(defect->scenario, "defects/", strlen("defects/")) == 0);
        REQUIRE(count < 256);
        ids[count++] = defect->id;
    }
    EXPECT_U64(count, defect_count());
    for (size_t i = 0; (unshown = defect_unshown_at(i)) != NULL; i++) {
        EXPECT(is_clause(unshown->what));
        EXPECT(is_clause(unshown->why));
        REQUIRE(count < 256);
        ids[count++] = unshown->id;
    }
    for (size_t i = 0; i < count; i++) {
        EXPECT(is_id(ids[i]));
        for (size_t j = 0; j < i; j++) {
            EXPECT(strcmp(ids[i], ids[j]) != 0);
        }
    }
}

static void ids_are_found_and_others_refused(void)
{
    const struct defect *defect = NULL;
    struct err err = {0};
    REQUIRE_OK(defect_find(&defect, "shared-counter", &err), &err);
    EXPECT_STR(defect->policy, "round_robin");
    EXPECT(!defect_find(&defect, "shared-countre", &err));
    EXPECT(strstr(err.text, "did you mean 'shared-counter'") != NULL);
    EXPECT(!defect_find(&defect, "stale-labels", &err));
    EXPECT(strstr(err.text, "no run shows this defect: dashboards") != NULL);
}

/* Student's t with one degree of freedom is 12.71, with two 4.30. */
static struct study_figure figure_of(double without, double with, double half)
{
    return (struct study_figure){
        .with = with,
        .without = without,
        .cost = {.pairs = 3,
                 .difference = with - without,
                 .interval = {with - without - half, with - without + half}},
    };
}

static void small_or_chance_is_not_clear(void)
{
    struct study_figure figure = figure_of(100, 102, 1);
    EXPECT(study_is_clear(&figure));
    figure = figure_of(100, 98, 1);
    EXPECT(study_is_clear(&figure));
    figure = figure_of(100, 102, 3); /* may be 99 */
    EXPECT(!study_is_clear(&figure));
    figure = figure_of(100, 100.9, 0.1); /* below 1 % */
    EXPECT(!study_is_clear(&figure));
    figure = figure_of(0, 0.001, 0.0005); /* anything is above 1 % of nothing */
    EXPECT(study_is_clear(&figure));
    figure = figure_of(0, 0, 0);
    EXPECT(!study_is_clear(&figure));
    figure = figure_of(100, 200, (double)NAN); /* one seed */
    figure.cost.pairs = 1;
    EXPECT(study_is_clear(&figure));
    figure = figure_of(100, (double)NAN, 0);
    EXPECT(!study_is_clear(&figure));
}

static const struct defect costs_ttft = {.id = "a", .costs = COSTS_TTFT};
static const struct defect costs_errors = {.id = "b", .costs = COSTS_ERRORS};
static const struct defect costs_nothing = {.id = "c", .costs = COSTS_NOTHING};

static struct study_row row_of(const struct defect *defect)
{
    return (struct study_row){
        .defect = defect,
        .figures = {[STUDY_TTFT] = figure_of(50, 50, 1),
                    [STUDY_GOODPUT] = figure_of(20, 20, 1),
                    [STUDY_ERRORS] = figure_of(0, 0, 0),
                    [STUDY_GPU_HOURS] = figure_of(1, 1, 0),
                    [STUDY_GPU_HOURS_GOOD] = figure_of(0.1, 0.1, 0)},
    };
}

static void expectations_are_of_one_side(void)
{
    struct study_row row = row_of(&costs_ttft);
    EXPECT(!study_as_expected(&row));
    row.figures[STUDY_TTFT] = figure_of(50, 40, 1);
    EXPECT(!study_as_expected(&row));
    row.figures[STUDY_TTFT] = figure_of(50, 60, 1);
    EXPECT(study_as_expected(&row));
    row.defect = &costs_nothing;
    EXPECT(!study_as_expected(&row));
    row.figures[STUDY_TTFT] = figure_of(50, 40, 1); /* no cost, a gain */
    EXPECT(study_as_expected(&row));
    row.figures[STUDY_GOODPUT] = figure_of(20, 10, 1);
    EXPECT(!study_as_expected(&row));
    row.defect = &costs_errors;
    EXPECT(!study_as_expected(&row));
    row.figures[STUDY_ERRORS] = figure_of(0.01, 0.2, 0.1);
    EXPECT(study_as_expected(&row));
    row.defect = &costs_ttft; /* nothing was completed: no latency is worse */
    row.figures[STUDY_TTFT] = figure_of(50, (double)NAN, (double)NAN);
    EXPECT(study_as_expected(&row));
}

static void expect_words(const struct study_row *row, const char *words)
{
    struct text out = {0};
    defects_verdict(row, 3, &out);
    EXPECT_STR(text_str(&out), words);
    text_fini(&out);
}

static void costs_are_put_into_words(void)
{
    struct study_row row = row_of(&costs_ttft);
    expect_words(&row, "costs nothing that 3 seeds can tell from chance");
    row.figures[STUDY_TTFT] = figure_of(50, 60, 1);
    expect_words(&row, "TTFT p99 grows from 50 ms to 60 ms");
    row.figures[STUDY_TTFT] = figure_of(50, 7500, 1);
    expect_words(&row, "TTFT p99 grows from 50 ms to 7.5 s, 150 times as long");
    row.figures[STUDY_TTFT] = figure_of(5000, 13000, 1);
    expect_words(&row, "TTFT p99 grows from 5.0 s to 13 s, 2.6 times as long");
    row.figures[STUDY_TTFT] = figure_of(60, 50, 1);
    row.figures[STUDY_ERRORS] = figure_of(0, 0.0041, 0.0001);
    expect_words(&row, "0.41 % of the requests fail (without it 0 %); TTFT p99 shrinks "
                       "from 60 ms to 50 ms");
    row.figures[STUDY_ERRORS] = figure_of(0.012, 0.156, 0.0001);
    row.figures[STUDY_TTFT] = figure_of(50, 50, 1);
    row.figures[STUDY_GOODPUT] = figure_of(20, 0.08, 0.01);
    row.figures[STUDY_GPU_HOURS_GOOD] = figure_of(0.1, 0.75, 0.01);
    expect_words(&row, "16 % of the requests fail (without it 1.2 %); goodput falls by "
                       "99.6 %; each good answer takes 7.5 times the GPU time");
    row.figures[STUDY_ERRORS] = figure_of(0, 1, 0);
    expect_words(&row, "every request fails");
}

/* What comes out of them is cli.defects' to say. */
static void scenarios_are_there(void)
{
    const struct defect *defect = NULL;
    for (size_t i = 0; (defect = defect_at(i)) != NULL; i++) {
        struct err err = {0};
        struct runner *runner = NULL;
        const struct runner_setup setup = {.scenario_path = defect->scenario};
        REQUIRE_OK(runner_new(&runner, &setup, &err), &err);
        EXPECT_STR(runner_scenario_name(runner), defect->scenario + strlen("defects/"));
        runner_delete(runner);
    }
}

HARNESS_MAIN("defects", TEST(entries_are_whole_and_ids_unique),
             TEST(ids_are_found_and_others_refused), TEST(small_or_chance_is_not_clear),
             TEST(expectations_are_of_one_side), TEST(costs_are_put_into_words),
             TEST(scenarios_are_there))
