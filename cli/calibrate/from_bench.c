/* SPDX-License-Identifier: Apache-2.0
 *
 * from_bench.c: results of `vllm bench serve --save-result` (one JSON object) or
 * `--append-result` (one in each line): mean TTFT and TPOT of a load with a fixed
 * number of requests in flight.
 */
#include "base/json.h"
#include "base/lines.h"
#include "base/mem.h"
#include "cli/calibrate/loads.h"
#include "cli/paths.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LOADS_MAX = 1 << 16 };
static const double jitter_max = 0.95;

struct bench_reading {
    const char *path;
    struct loads *loads;
    size_t capacity;
    uint32_t tensor_parallel;
};

static bool fail(const struct bench_reading *reading, struct err *err, const char *what)
{
    return err_set(err, ERR_INPUT, "%s: %s", reading->path, what);
}

static bool number(const struct bench_reading *reading, const struct json *root,
                   const char *key, double *out, struct err *err)
{
    if (!json_f64(json_get(root, key), out) || !(*out > 0.0) || !(*out < 1e12)) {
        return err_set(err, ERR_INPUT,
                       "%s: %s: a number above 0 is due; is this a result of `vllm "
                       "bench serve --save-result`?",
                       reading->path, key);
    }
    return true;
}

/* The part below the longest that lengths of this spread are drawn from evenly. */
static double jitter_of(const struct json *lengths)
{
    double sum = 0.0;
    double square = 0.0;
    const size_t count = json_count(lengths);
    for (const struct json *each = json_first(lengths); each != NULL;
         each = json_next(each)) {
        double length = 0.0;
        (void)json_f64(each, &length);
        sum += length;
        square += length * length;
    }
    if (count < 2 || sum <= 0.0) {
        return 0.0;
    }
    const double mean = sum / (double)count;
    const double spread = sqrt(fmax(0.0, square / (double)count - mean * mean)) / mean;
    return fmin(jitter_max, sqrt(12.0) * spread / (1.0 + sqrt(3.0) * spread));
}

/* Requests in flight: the cap, or all at once. */
static bool users_of(const struct bench_reading *reading, const struct json *root,
                     double completed, double *users, struct err *err)
{
    double rate = 0.0;
    if (json_f64(json_get(root, "max_concurrency"), users) && *users >= 1.0) {
        *users = fmin(*users, completed);
        return true;
    }
    if (json_f64(json_get(root, "request_rate"), &rate) && isfinite(rate)) {
        return fail(
            reading, err,
            "max_concurrency is not set and request_rate is finite: such a load "
            "hangs on its arrivals, which this file does not hold; give a "
            "folder with vllm_requests.jsonl, or bench with --max-concurrency");
    }
    *users = completed;
    return true;
}

static bool load_read(struct bench_reading *reading, const struct json *root,
                      struct err *err)
{
    struct load load = {.tensor_parallel = reading->tensor_parallel};
    double completed = 0.0;
    double prompts = 0.0;
    double outputs = 0.0;
    double users = 0.0;
    if (!number(reading, root, "completed", &completed, err) ||
        !number(reading, root, "total_input_tokens", &prompts, err) ||
        !number(reading, root, "total_output_tokens", &outputs, err) ||
        !number(reading, root, "mean_ttft_ms", &load.ttft_ms, err) ||
        !number(reading, root, "mean_tpot_ms", &load.tpot_ms, err) ||
        !users_of(reading, root, completed, &users, err)) {
        return false;
    }
    /* Both lengths share one spread here; the outputs' decides how decodes end. */
    load.jitter = jitter_of(json_get(root, "output_lens"));
    const double longest = 1.0 - load.jitter / 2.0;
    load.prompt_tokens = (uint32_t)fmax(1.0, round(prompts / completed / longest));
    load.output_tokens = (uint32_t)fmax(1.0, round(outputs / completed / longest));
    load.users = (uint32_t)users;
    load.requests_per_user = (uint32_t)fmax(1.0, round(completed / users));
    void *items = reading->loads->items;
    if (!mem_grow(&items, &reading->capacity, reading->loads->count + 1,
                  sizeof *reading->loads->items, LOADS_MAX)) {
        return fail(reading, err, "too many results");
    }
    reading->loads->items = items;
    reading->loads->items[reading->loads->count++] = load;
    return true;
}

/* An object can only end here; to try at every line of a long one would take for ever.
 */
static bool may_end(const char *line, size_t length)
{
    while (length > 0 && strchr(" \t\r", line[length - 1]) != NULL) {
        length--;
    }
    return length > 0 && line[length - 1] == '}';
}

/* One object over many lines, or one in each line. */
static bool results_read(struct bench_reading *reading, struct err *err)
{
    struct lines *lines = NULL;
    struct text pending = {0};
    char *line = NULL;
    size_t length = 0;
    bool ok = lines_open(&lines, reading->path, LINE_BYTES_MAX, err);
    enum lines_result result = LINES_END;
    struct err why = {0};
    while (ok && (result = lines_next(lines, &line, &length, err)) == LINES_LINE) {
        struct json *root = NULL;
        text_add_bytes(&pending, line, length);
        if (may_end(line, length) &&
            json_parse(&root, reading->path, text_str(&pending), pending.length,
                       &why)) {
            ok = load_read(reading, root, err);
            json_delete(root);
            text_fini(&pending);
        }
    }
    ok = ok && result != LINES_ERROR;
    struct json *rest = NULL;
    if (ok && strspn(text_str(&pending), " \t\r") < pending.length) {
        ok =
            json_parse(&rest, reading->path, text_str(&pending), pending.length, err) &&
            load_read(reading, rest, err);
    }
    json_delete(rest);
    text_fini(&pending);
    lines_close(lines);
    return ok && (reading->loads->count > 0 || fail(reading, err, "holds no result"));
}

bool calibrate_from_bench(struct calibrate_result *result,
                          const struct calibrate_args *args, const char *path,
                          struct err *err)
{
    struct loads loads = {.weigh_ttft = true};
    char what[64];
    const struct path_use uses[] = {{"the result", path, false},
                                    {"--fit", args->fit, false},
                                    {"--out", args->out, true}};
    struct bench_reading reading = {
        .path = path,
        .loads = &loads,
        .tensor_parallel =
            args->tensor_parallel > 0 ? (uint32_t)args->tensor_parallel : 1};
    bool ok = paths_check(uses, sizeof uses / sizeof uses[0], err) &&
              loads_prepare(&loads, args, NULL, NULL, "vllm", err) &&
              results_read(&reading, err);
    if (ok) {
        snprintf(what, sizeof what, "vllm bench serve, %zu load%s", loads.count,
                 loads.count == 1 ? "" : "s");
        loads.what = what;
        ok = loads_fit(result, &loads, err);
    }
    loads_fini(&loads);
    return ok;
}
