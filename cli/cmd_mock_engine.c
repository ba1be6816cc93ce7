/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_mock_engine.c: `stacksim mock-engine`: vLLM's HTTP API without a GPU.
 *
 * The engine is one pool of a scenario: of a file, or of one made here from --model and
 * --gpu, so that every key of the scenario reference can be set either way.
 */
#include "base/mem.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/live/mock_engine.h"
#include "cli/say.h"
#include "sim/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct mock_args {
    const char *model;
    const char *gpu;
    const char *scenario;
    uint64_t pool;
    const char *host;
    uint64_t port;
    const char *served_model_name;
    struct opt_list sets;
    const char *config_dir;
    double time_scale;
    double kv_gb_per_s;
    uint64_t answer_tokens;
    bool flat_errors;
    const char *kv_events;
};

static const struct opt MOCK_OPTIONS[] = {
    {"--model", "NAME", OPT_STR, offsetof(struct mock_args, model), "llama_3_1_8b",
     "Model whose step times are played: a file of configs/models. "
     "Example: --model qwen3_8b"},
    {"--gpu", "NAME", OPT_STR, offsetof(struct mock_args, gpu), "h100_sxm",
     "GPU that plays it: a file of configs/gpus. Example: --gpu l4"},
    {"--set", "KEY=VALUE", OPT_LIST, offsetof(struct mock_args, sets), NULL,
     "Change one key of the engine's pool (docs/scenario.md); may be given several "
     "times. Example: --set engine.max_num_seqs=64 --set cost.model=roofline"},
    {"--scenario", "FILE", OPT_STR, offsetof(struct mock_args, scenario),
     "--model and --gpu",
     "Play an engine of this scenario instead. Example: --scenario demo"},
    {"--pool", "N", OPT_U64, offsetof(struct mock_args, pool), "0",
     "Which pool of the scenario, counted from 0. Example: --scenario demo --pool 0"},
    {"--host", "ADDRESS", OPT_STR, offsetof(struct mock_args, host), "127.0.0.1",
     "IPv4 address to listen on. Example: --host 0.0.0.0"},
    {"--port", "N", OPT_U64, offsetof(struct mock_args, port), "8000",
     "Port to listen on; 0 takes a free one and says which. Example: --port 8001"},
    {"--served-model-name", "NAME", OPT_STR,
     offsetof(struct mock_args, served_model_name), "as --model",
     "Name under which clients ask for the model. "
     "Example: --served-model-name meta-llama/Llama-3.1-8B-Instruct"},
    {"--time-scale", "X", OPT_F64, offsetof(struct mock_args, time_scale), "1",
     "The engine is this many times as fast as it says; its metrics stay in its own "
     "seconds. Example: --time-scale 10"},
    {"--answer-tokens", "N", OPT_U64, offsetof(struct mock_args, answer_tokens), "128",
     "Length of an answer that ends by itself, in tokens. Requests with ignore_eos are "
     "answered up to their max_tokens. Example: --answer-tokens 400"},
    {"--kv-events", "ENDPOINT", OPT_STR, offsetof(struct mock_args, kv_events), "none",
     "Publish what the prefix cache stores and forgets over ZeroMQ, as vLLM does with "
     "--kv-events-config. Example: --kv-events tcp://127.0.0.1:5557"},
    {"--kv-bandwidth", "GB/S", OPT_F64, offsetof(struct mock_args, kv_gb_per_s), "50",
     "Gigabytes a second at which the KV of a prompt that another engine computed "
     "comes "
     "in (kv_transfer_params), one request after the other. Example: --kv-bandwidth "
     "25"},
    {"--flat-errors", NULL, OPT_FLAG, offsetof(struct mock_args, flat_errors), "off",
     "Errors in the form of vLLM before 0.10.1. Example: --flat-errors"},
    {"--config-dir", "DIR", OPT_STR, offsetof(struct mock_args, config_dir),
     "$STACKSIM_CONFIGS, else the installed one",
     "Folder with gpus/, models/ and scenarios/. Example: --config-dir ./my-configs"},
    {0},
};

static bool check(const struct mock_args *args, struct err *err)
{
    if (args->port > UINT16_MAX) {
        return err_set(err, ERR_USAGE, "--port: %" PRIu64 "; at most 65535",
                       args->port);
    }
    if (!(args->time_scale >= 0.001 && args->time_scale <= 1e6)) {
        return err_set(err, ERR_USAGE, "--time-scale: %g; from 0.001 to 1000000",
                       args->time_scale);
    }
    if (!(args->kv_gb_per_s >= 0.001 && args->kv_gb_per_s <= 1e6)) {
        return err_set(err, ERR_USAGE, "--kv-bandwidth: %g; from 0.001 to 1000000",
                       args->kv_gb_per_s);
    }
    if (args->answer_tokens == 0 || args->answer_tokens > UINT32_MAX) {
        return err_set(err, ERR_USAGE, "--answer-tokens: %" PRIu64 "; at least 1",
                       args->answer_tokens);
    }
    const char *name = args->served_model_name;
    if (name != NULL && (name[0] == '\0' || strpbrk(name, "\"\\\n") != NULL)) {
        return err_set(err, ERR_USAGE,
                       "--served-model-name: empty, or holds a quote, backslash or "
                       "line break");
    }
    return true;
}

/* The workload is never opened: this engine's comes over HTTP. */
static void write_scenario(const struct mock_args *args, struct text *yaml)
{
    text_printf(yaml,
                "name: mock-engine\n"
                "seed: 1\n"
                "workload: {trace: none}\n"
                "cluster:\n"
                "  pools:\n"
                "    - name: mock\n"
                "      replicas: 1\n"
                "      gpu: %s\n"
                "      model: %s\n"
                "routing: {policy: round_robin}\n",
                args->gpu, args->model);
}

static bool load(const struct mock_args *args, struct scenario **out, struct err *err)
{
    struct text sets[OPT_LIST_MAX] = {{0}};
    const char *overrides[OPT_LIST_MAX];
    for (size_t i = 0; i < args->sets.count; i++) {
        text_printf(&sets[i], "cluster.pools.%" PRIu64 ".%s", args->pool,
                    args->sets.items[i]);
        overrides[i] = text_str(&sets[i]);
    }
    const struct scenario_options options = {
        .config_dir = args->config_dir,
        .overrides = overrides,
        .override_count = args->sets.count,
    };
    bool good = false;
    if (args->scenario != NULL) {
        good = scenario_load(out, args->scenario, &options, err);
    } else {
        struct text yaml = {0};
        write_scenario(args, &yaml);
        good = scenario_parse(out, "--model, --gpu", yaml.bytes, yaml.length, &options,
                              err);
        text_fini(&yaml);
    }
    for (size_t i = 0; i < args->sets.count; i++) {
        text_fini(&sets[i]);
    }
    if (good && args->pool >= (*out)->pool_count) {
        return err_set(err, ERR_USAGE, "--pool: %" PRIu64 "; the scenario has %" PRIu32,
                       args->pool, (*out)->pool_count);
    }
    return good;
}

static void say_listening(const struct mock_args *args,
                          const struct mock_engine_setup *setup,
                          const struct mock_engine *mock)
{
    (void)fprintf(stderr,
                  "stacksim: %s on %s, served as %s, listening on http://%s:%u\n",
                  setup->pool->model.name, setup->pool->gpu.name, setup->model,
                  args->host, (unsigned)mock_engine_port(mock));
}

static int serve(const struct mock_args *args, const struct mock_engine_setup *setup)
{
    struct err err = {0};
    struct mock_engine *mock = NULL;
    if (!mock_engine_new(&mock, setup, &err)) {
        return say_error(&err);
    }
    say_listening(args, setup, mock);
    bool good = true;
    while (good && !interrupt_came()) {
        good = mock_engine_turn(mock, &err);
    }
    mock_engine_delete(mock);
    return good ? EXIT_DONE : say_error(&err);
}

static int run_mock_engine(int argc, char *const *argv)
{
    struct mock_args args = {
        .model = "llama_3_1_8b",
        .gpu = "h100_sxm",
        .host = "127.0.0.1",
        .port = 8000,
        .time_scale = 1,
        .answer_tokens = 128,
        .kv_gb_per_s = 50,
    };
    struct command_call call = {0};
    struct err err = {0};
    struct scenario *scenario = NULL;
    if (!command_parse(&command_mock_engine, argc, argv, &args, &call)) {
        return call.exit_code;
    }
    if (!check(&args, &err) || !load(&args, &scenario, &err)) {
        scenario_delete(scenario);
        return say_error(&err);
    }
    const struct scenario_pool *pool = &scenario->pools[args.pool];
    const char *name = args.scenario == NULL ? args.model : pool->model.name;
    const struct mock_engine_setup setup = {
        .pool = pool,
        .host = args.host,
        .port = (uint16_t)args.port,
        .model = args.served_model_name != NULL ? args.served_model_name : name,
        .time_scale = args.time_scale,
        .answer_tokens = (uint32_t)args.answer_tokens,
        .flat_errors = args.flat_errors,
        .kv_events = args.kv_events,
        .kv_bytes_per_s = 1e9 * args.kv_gb_per_s,
    };
    struct interrupt interrupt;
    interrupt_hold(&interrupt);
    const int code = serve(&args, &setup);
    interrupt_release(&interrupt);
    scenario_delete(scenario);
    return code;
}

const struct command command_mock_engine = {
    .options =
        {
            .name = "mock-engine",
            .usage = "[OPTIONS]",
            .summary = "vLLM's HTTP API in real time, without a GPU",
            .description =
                "Serves completions and chat completions, streamed and not, models, "
                "metrics, tokenize and\nLoRA adapters as vLLM does, paced by the "
                "simulator's engine and step times. Answers are\nmade-up words. Runs "
                "until SIGINT or SIGTERM. See docs/live.md.\n\n"
                "Examples:\n"
                "  stacksim mock-engine --model llama_3_1_8b --gpu h100_sxm --port "
                "8000\n"
                "  stacksim mock-engine --port 8001 --time-scale 10 --set "
                "engine.max_num_seqs=64\n"
                "  curl http://127.0.0.1:8000/v1/completions -d "
                "'{\"prompt\":\"Hello\",\"max_tokens\":8}'",
            .options = MOCK_OPTIONS,
        },
    .run = run_mock_engine,
};
