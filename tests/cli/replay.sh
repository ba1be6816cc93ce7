#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim replay` against a mock engine: every request arrives, is answered at its
# recorded length and stored like a run's.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
sample="$STACKSIM_SOURCE/traces/samples/chat.csv.zst"

# start ARGUMENTS...: leaves the process in $engine and its address in $url.
start() {
    : >engine.err # before the old one can be read
    "$STACKSIM_BIN" mock-engine --port 0 --time-scale 50 "$@" 2>engine.err &
    engine=$!
    url=
    for _ in $(seq 200); do
        url=$(grep -o 'http://.*' engine.err) && return
        sleep 0.05
    done
    fail "mock-engine did not start: $(cat engine.err)"
    done_testing
}
stop() {
    kill -TERM $engine
    wait $engine || fail "mock-engine ends with $?: $(cat engine.err)"
}

start
exits 0 replay "$sample" --url "$url" --time-scale 50 --limit 120 --out live.db --quiet
grep -q '120 requests, 120 completed' out || fail "not all were completed: $(cat out)"
grep -q "measured at $url" out || fail "the result does not say what it rests on"
exits 0 run demo --trace "$sample" --set end.requests=120 --out live.db --append --quiet

# The same requests with the same lengths as the simulator served, whatever their times.
if command -v sqlite3 >/dev/null; then
    for run in 1 2; do
        sqlite3 live.db "SELECT request_id, session_id, turn, prompt_tokens, output_tokens
            FROM request WHERE run_id = $run ORDER BY request_id" >lengths$run
    done
    [ "$(wc -l <lengths1)" -eq 120 ] || fail "the store has not 120 requests"
    same lengths1 lengths2
    late=$(sqlite3 live.db "SELECT count(*) FROM request WHERE run_id = 1 AND
        NOT (arrival_ns <= first_token_ns AND first_token_ns <= end_ns)")
    [ "$late" -eq 0 ] || fail "$late requests whose times are out of order"
    cached=$(sqlite3 live.db "SELECT sum(cached_tokens) FROM request WHERE run_id = 1")
    [ "$cached" -gt 0 ] || fail "conversations did not meet the prefix cache"
fi
exits 0 report live.db
grep -q replay out || fail "report does not show the replay"

# As vllm's own benchmark writes it; calibrate's reader knows the form.
exits 0 replay "$sample" --url "$url" --time-scale 50 --limit 30 --bench-json bench.json --quiet
for key in '"completed":30' '"failed":0' '"mean_ttft_ms":[0-9]' '"p99_itl_ms":[0-9]' \
    '"backend":"openai"' '"model_id":"llama_3_1_8b"'; do
    grep -Eq "$key" bench.json || fail "no $key in $(head -c 300 bench.json)"
done

# Chat and token ids carry the same prompts.
for how in --chat --prompt-ids; do
    exits 0 replay "$sample" --url "$url" --time-scale 50 --limit 20 $how --format json --quiet
    grep -Eq '"completed":\s*20' out || fail "$how: $(cat out)"
done

refuses 2 '--model: .* has llama_3_1_8b' replay demo --url "$url" --model nobody
refuses 2 '--url: which server.*' replay demo
refuses 2 "--url: '.*' is not http.*" replay demo --url 127.0.0.1
refuses 2 '--prompt-ids: .*' replay demo --url "$url" --chat --prompt-ids
refuses 2 '.*the trace and --out are the same file.*' replay "$PWD/live.db" --url "$url" --out live.db
stop
refuses 1 '.*is a server listening there.*' replay demo --url "$url"

# What fails is counted by kind, and the exit code tells.
start --set engine.max_model_len=64
exits 1 replay "$sample" --url "$url" --time-scale 50 --limit 5
grep -q '^note: 5 requests: HTTP 400$' err || fail "no count of failures: $(cat err)"
grep -q '^5 requests refused' out || fail "failures are not in the result: $(cat out)"
# Clients that give up leave an engine that goes on.
stop
start
stacksim replay "$sample" --url "$url" --time-scale 50 --limit 200 --timeout 5ms --quiet
stacksim replay "$sample" --url "$url" --time-scale 50 --limit 200 --timeout 20ms --quiet
exits 0 replay "$sample" --url "$url" --time-scale 50 --limit 5 --quiet
stop
no_leftovers
done_testing
