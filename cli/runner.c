/* SPDX-License-Identifier: Apache-2.0
 *
 * runner.c: scenario + workload + sim + recorder, in the order of their lives.
 */
#include "cli/runner.h"

#include "base/mem.h"
#include "base/unit.h"
#include "cli/clock.h"
#include "cli/describe.h"
#include "cli/recorder.h"
#include "reports/warmup.h"
#include "sim/sim.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Small enough that a bar moves and SIGINT is heard, large enough to cost nothing. */
#define SLICE_EVENTS 65536

struct runner {
    struct scenario *scenario;
    struct workload *workload;
    struct sim *sim;
    struct recorder recorder;
    struct observer observer;
    char *trace_note;  /* NULL, or that the workload is not the scenario's */
    uint64_t expected; /* requests of the workload, 0 = unknown */
    int64_t wall_ns;   /* spent in runner_advance */
};

/* Absolute, because a scenario's relative paths start at its own folder. */
static bool absolute_path(char **out, const char *path, struct err *err)
{
    if (strcmp(path, "-") == 0) {
        *out = strdup(path);
        return true;
    }
    *out = realpath(path, NULL);
    if (*out == NULL) {
        return err_set(err, ERR_INPUT, "%s: %s; check the path given with --trace",
                       path, strerror(errno));
    }
    return true;
}

/* A scenario that replays a trace keeps its reading options (format, rate_factor...)
 * for the other file. One that generates has none: the file is read by its content.
 * Who asks for which adapter is said beside either, and stays. */
static bool open_given_trace(struct runner *runner, const char *path, struct err *err)
{
    const struct scenario *scenario = runner->scenario;
    if (conf_get(scenario->workload, "generate") != NULL) {
        const struct trace_options options = {.seed = scenario->seed};
        struct text note = {0};
        text_printf(&note, "the scenario's generator was replaced by the trace %s",
                    path);
        runner->trace_note = mem_strdup(text_str(&note));
        text_fini(&note);
        return workload_open_trace(&runner->workload, path, &options, err) &&
               workload_name_adapters(runner->workload, scenario->workload,
                                      scenario->seed, err);
    }
    struct text assignment = {0};
    text_printf(&assignment, "workload.trace=%s", path);
    bool ok = conf_override(scenario->conf, text_str(&assignment), err);
    text_fini(&assignment);
    if (ok) {
        const struct conf_node *map = conf_get(conf_root(scenario->conf), "workload");
        runner->scenario->workload = map;
        ok = workload_open_conf(&runner->workload, map, scenario->seed,
                                scenario->base_dir, err);
    }
    return ok;
}

static bool open_workload(struct runner *runner, const struct runner_setup *setup,
                          struct err *err)
{
    const struct scenario *scenario = runner->scenario;
    if (setup->trace_path == NULL) {
        return workload_open_conf(&runner->workload, scenario->workload, scenario->seed,
                                  scenario->base_dir, err);
    }
    char *path = NULL;
    const bool ok = absolute_path(&path, setup->trace_path, err) &&
                    open_given_trace(runner, path, err);
    free(path);
    return ok;
}

/* The simulator only carries the rule; reports/ knows what it may say. */
static bool check_warmup(const struct scenario *scenario, struct err *err)
{
    struct warmup_rule rule;
    struct err why = {0};
    if (scenario->warmup == NULL || warmup_parse(scenario->warmup, &rule, &why)) {
        return true;
    }
    return conf_fail(conf_get(conf_root(scenario->conf), "warmup"), err, "warmup: %s",
                     why.text);
}

bool runner_scenario(struct scenario **out, const struct runner_setup *setup,
                     struct err *err)
{
    const struct runner_text *text = setup->text;
    const struct scenario_options options = {
        .config_dir = setup->config_dir,
        .overrides = setup->overrides,
        .override_count = setup->override_count,
        .policy = setup->policy,
        .policies = setup->policies,
        .base_dir = text == NULL ? NULL : text->folder,
    };
    return text == NULL ? scenario_load(out, setup->scenario_path, &options, err)
                        : scenario_parse(out, text->name, text->yaml,
                                         strlen(text->yaml), &options, err);
}

bool runner_new(struct runner **out, const struct runner_setup *setup, struct err *err)
{
    struct runner *runner = mem_alloc(1, sizeof *runner);
    const struct sim_options sim_options = {
        .step_by_step = setup->step_by_step,
        .check_invariants = setup->check_invariants,
    };
    if (!runner_scenario(&runner->scenario, setup, err) ||
        !check_warmup(runner->scenario, err) || !open_workload(runner, setup, err)) {
        goto fail;
    }
    runner->expected = workload_expected(runner->workload);
    const struct recorder_setup recorded = {
        .scenario = runner->scenario,
        .name = setup->name,
        .log = {setup->decisions, setup->decision_scores},
        .rows = setup->rows,
        .intervals = setup->intervals,
    };
    recorder_begin(&runner->recorder, &recorded);
    if (setup->observer != NULL) {
        runner->observer = *setup->observer;
    } else {
        recorder_observe(&runner->recorder, &runner->observer);
    }
    if (!sim_new(&runner->sim, runner->scenario, runner->workload, &runner->observer,
                 &sim_options, err)) {
        goto fail;
    }
    *out = runner;
    return true;
fail:
    runner_delete(runner);
    return false;
}

void runner_delete(struct runner *runner)
{
    if (runner == NULL) {
        return;
    }
    sim_delete(runner->sim);
    recorder_drop(&runner->recorder);
    workload_close(runner->workload);
    scenario_delete(runner->scenario);
    mem_free(runner->trace_note);
    mem_free(runner);
}

bool runner_advance(struct runner *runner, bool *done, struct err *err)
{
    const int64_t start_ns = clock_wall_ns();
    const enum sim_state state = sim_run(runner->sim, SLICE_EVENTS, err);
    runner->wall_ns += clock_wall_ns() - start_ns;
    *done = state == SIM_DONE;
    return state != SIM_FAILED;
}

double runner_part(const struct runner *runner)
{
    const struct scenario *scenario = runner->scenario;
    double part = workload_progress(runner->workload);
    if (scenario->requests_max > 0) {
        const double ended = (double)recorder_requests(&runner->recorder);
        part = fmax(part, ended / (double)scenario->requests_max);
    }
    if (scenario->time_max_ns > 0) {
        const double now_ns = (double)sim_now_ns(runner->sim);
        part = fmax(part, now_ns / (double)scenario->time_max_ns);
    }
    return fmin(part, 1.0);
}

void runner_describe(const struct runner *runner, struct text *out)
{
    char time[24];
    unit_format_ns(time, sizeof time, sim_now_ns(runner->sim));
    text_printf(out, "%zu requests, %s simulated", recorder_requests(&runner->recorder),
                time);
}

bool runner_finish(struct runner *runner, struct err *err)
{
    struct text notes = {0};
    text_add(&notes, workload_notes(runner->workload));
    if (runner->trace_note != NULL) {
        text_printf(&notes, "%s%s\n", notes.length > 0 ? "\n" : "", runner->trace_note);
    }
    const struct recorder_end end = {
        .sim = runner->sim,
        .scenario = runner->scenario,
        .workload_origin = workload_origin(runner->workload),
        .notes = text_str(&notes),
        .wall_s = (double)runner->wall_ns / 1e9,
    };
    const bool ok = recorder_finish(&runner->recorder, &end, err);
    text_fini(&notes);
    return ok;
}

struct run_record *runner_take_record(struct runner *runner)
{
    struct run_record *run = runner->recorder.run;
    runner->recorder.run = NULL;
    return run;
}

const char *runner_warmup(const struct runner *runner)
{
    return runner->scenario->warmup;
}

const char *runner_policy(const struct runner *runner)
{
    return runner->scenario->policy->name;
}

uint64_t runner_seed(const struct runner *runner)
{
    return runner->scenario->seed;
}

const char *runner_scenario_name(const struct runner *runner)
{
    return runner->scenario->name;
}

void runner_print_config(const struct runner *runner, struct text *out)
{
    conf_print(runner->scenario->conf, out);
}

void runner_describe_scenario(const struct runner *runner, struct text *out)
{
    describe_scenario(runner->scenario, workload_origin(runner->workload),
                      runner->expected, out);
}
