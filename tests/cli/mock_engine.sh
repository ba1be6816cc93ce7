#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim mock-engine` as a client meets it: vLLM's routes, forms and errors.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
command -v curl >/dev/null || {
    echo "curl is not installed"
    exit 77
}

# start ARGUMENTS...: leaves the process in $engine and its address in $url.
start() {
    : >engine.err # before the old one can be read
    "$STACKSIM_BIN" mock-engine --port 0 --time-scale 20 "$@" 2>engine.err &
    engine=$!
    for _ in $(seq 200); do
        url=$(grep -o 'http://.*' engine.err) && return
        sleep 0.05
    done
    fail "mock-engine did not start"
    cat engine.err >&2
    done_testing
}

# asks PATH [BODY]: answer in file answer, HTTP status in $status.
asks() {
    local path=$1
    shift
    status=$(curl -s -m 30 -o answer -w '%{http_code}' "$url$path" ${1:+-d "$1"})
}

# answers STATUS PATTERN PATH [BODY]
answers() {
    local wanted=$1 pattern=$2
    shift 2
    asks "$@"
    [ "$status" = "$wanted" ] || fail "$1 answers $status, expected $wanted"
    grep -Eq -- "$pattern" answer || fail "$1 answers '$(head -c 400 answer)', expected /$pattern/"
}

start
completion='/v1/completions'
chat='/v1/chat/completions'
asks /health
[ "$status" = 200 ] && [ ! -s answer ] || fail "/health answers $status"
answers 200 '"version":"0\.' /version
answers 200 '"id":"llama_3_1_8b","object":"model".*"max_model_len":131072' /v1/models
answers 200 '"completion_tokens":8,' $completion '{"prompt":"Hello","max_tokens":8}'
answers 200 '"finish_reason":"length"' $completion '{"prompt":"Hello","max_tokens":8}'
answers 200 '"completion_tokens":128,.*' $chat '{"messages":[{"role":"user","content":"Hi"}]}'
answers 200 '"finish_reason":"stop"' $chat '{"messages":[{"role":"user","content":"Hi"}]}'
answers 200 '"completion_tokens":200,' $completion \
    '{"prompt":"Hello","max_tokens":200,"ignore_eos":true}'
answers 200 '"prompt_tokens":5,' $completion '{"prompt":[1,2,3,4,5],"max_tokens":1}'

# A stream: one event a token at most, the usage, the end.
asks $chat '{"model":"llama_3_1_8b","messages":[{"role":"user","content":"Hi"}],
    "max_tokens":5,"stream":true,"stream_options":{"include_usage":true}}'
grep -q '"delta":{"role":"assistant","content":""}' answer || fail "no role in the first chunk"
[ "$(grep -o '"content":" ...' answer | wc -l)" -eq 5 ] || fail "not 5 tokens in the stream"
grep -q '"choices":\[\],"usage":{"prompt_tokens":1,"total_tokens":6,"completion_tokens":5' answer ||
    fail "no usage at the end of the stream"
[ "$(grep . answer | tail -1)" = 'data: [DONE]' ] || fail "the stream does not end with [DONE]"

# The same request id, the same answer: a recorded output stream.
for file in one two; do
    curl -s -m 30 -o $file -H 'X-Request-Id: stacksim-7' "$url$completion" \
        -d '{"prompt":"Hello","max_tokens":6}'
    sed -i 's/"created":[0-9]*//' $file
done
same one two

# A repeated prompt is found in the prefix cache: 8 of its 9 blocks are 16 full tokens.
prompt=$(printf 'word%.0s' $(seq 144))
answers 200 '"prompt_tokens_details":null' $completion "{\"prompt\":\"$prompt\",\"max_tokens\":1}"
answers 200 '"prompt_tokens_details":\{"cached_tokens":128\}' \
    $completion "{\"prompt\":\"$prompt\",\"max_tokens\":1}"
answers 200 'vllm:prefix_cache_hits_total\{engine="0",model_name="llama_3_1_8b"\} 128' /metrics
grep -q '^# TYPE vllm:num_requests_running gauge$' answer || fail "no type of a gauge"
grep -q '^vllm:time_to_first_token_seconds_bucket{le="+Inf",' answer || fail "no histogram"

# Adapters are models of their own.
answers 404 '"message":"The model `sql` does not exist."' $completion '{"model":"sql","prompt":"x"}'
answers 200 "Success: LoRA adapter 'sql' added" /v1/load_lora_adapter \
    '{"lora_name":"sql","lora_path":"/adapters/sql"}'
answers 400 'already been loaded' /v1/load_lora_adapter '{"lora_name":"sql","lora_path":"/a"}'
answers 200 '"id":"sql".*"parent":"llama_3_1_8b"' /v1/models
answers 200 '"model":"sql"' $completion '{"model":"sql","prompt":"x","max_tokens":1}'
answers 200 'removed successfully' /v1/unload_lora_adapter '{"lora_name":"sql"}'
answers 404 'NotFoundError' /v1/unload_lora_adapter '{"lora_name":"sql"}'

# Disaggregated prefill: the prefill leg says where its blocks are.
answers 200 '"kv_transfer_params":\{"do_remote_prefill":true,.*"remote_block_ids":\[1,2\]' \
    $completion "{\"prompt\":\"${prompt:0:128}\",\"max_tokens\":1,
    \"kv_transfer_params\":{\"do_remote_decode\":true}}"

# The decode leg fetches them: 2 blocks of 2 MiB at 50 GB/s in place of a prefill.
answers 200 '"usage":\{"prompt_tokens":32,' \
    $completion "{\"prompt\":\"${prompt:0:128}\",\"max_tokens\":3,
    \"kv_transfer_params\":{\"do_remote_prefill\":true,\"remote_block_ids\":[1,2]}}"

# What is wrong is said as vLLM says it.
answers 400 '"error":\{.*"type":"BadRequestError"' $completion '{"prompt":'
answers 400 'Field required: prompt' $completion '{"model":"llama_3_1_8b"}'
answers 400 'stream=True' $completion '{"prompt":"x","stream_options":{"include_usage":true}}'
answers 400 'maximum context length is 131072' $completion '{"prompt":"x","max_tokens":131072}'
answers 400 'exactly one choice' $completion '{"prompt":"x","n":2}'
answers 404 'Not Found' /nowhere
answers 405 'Method Not Allowed' $completion

# A client that leaves: its request ends, which the metrics tell.
curl -s -o /dev/null --max-time 0.3 "$url$completion" \
    -d '{"prompt":"x","max_tokens":100000,"ignore_eos":true,"stream":true}'
for _ in $(seq 100); do
    asks /metrics
    grep -q 'finished_reason="abort".* 1$' answer && break
    sleep 0.05
done
answers 200 'vllm:num_requests_running\{[^}]*\} 0$' /metrics
grep -q 'finished_reason="abort".* 1$' answer || fail "an abort was not counted"

refuses 1 '.*port .*in use.*--port' mock-engine --port "${url##*:}"
kill -TERM $engine
wait $engine
[ $? -eq 0 ] || fail "mock-engine does not end well on SIGTERM"

start --served-model-name org/name --flat-errors --answer-tokens 3
answers 404 '^{"object":"error","message":' $completion '{"model":"llama_3_1_8b","prompt":"x"}'
answers 200 '"completion_tokens":3,' $completion '{"model":"org/name","prompt":"x"}'
kill -TERM $engine
wait $engine

refuses 2 '.*no models/nobody.yaml.*' mock-engine --model nobody
refuses 2 '--port: 70000.*' mock-engine --port 70000
refuses 2 '--pool: 3; the scenario has 1' mock-engine --scenario demo --pool 3
refuses 2 '--host: .*IPv4' mock-engine --host nowhere
done_testing
