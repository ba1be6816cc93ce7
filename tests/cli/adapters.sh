#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# LoRA adapters, drafts and quantised weights through the program: results, explain,
# refusals, both modes.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

value() { # FILE KEY: the first one
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\"\{0,1\}\([^\",]*\).*/\1/p" "$1" | head -1
}
sum() { # FILE KEY: over engines
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\([0-9]*\),*$/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'
}
digest() {
    exits 0 run "$@" --quiet --format json
    value out digest
}

# Three requests; x asks for what nobody has. One slot: y waits until a has ended.
cat >trace.csv <<'END'
#format=stacksim-trace
#version=1
#unit=ms
id,arrival,in,out,adapter
1,0,100,50,a
2,1,100,5,y
3,2,100,5,
4,3,100,5,x
END
cat >small.yaml <<'END'
name: small
workload: {trace: trace.csv}
cluster:
  pools:
    - {name: e, replicas: 3, gpu: h100_sxm, model: llama_3_1_8b, engine: {max_model_len: 4096, enable_lora: true}}
adapters: {list: [{name: a, replicas: 1}, {name: y, replicas: 1}], preload: false}
routing: {policy: lora_affinity}
END
exits 0 run small.yaml --quiet --out run.db
grep -q '1 requests refused' out || fail "an unknown adapter is not refused"
grep -q 'adapters 2 loads (2 not from host memory), engines stood still for 0.152 s; set aside 1 times' out ||
    fail "loads are not told: $(grep adapters out)"
exits 0 explain small.yaml 2
grep -Eq 'set aside for [0-9.]+ .*s: all LoRA slots' out || fail "explain does not tell of the wait for a slot"
exits 0 explain small.yaml 2 --format json
[ "$(value out aside_ns)" -gt 200000000 ] || fail "explain: aside_ns is $(value out aside_ns)"
exits 0 explain small.yaml 3
grep -q 'set aside' out && fail "the base model waits for a slot"
if command -v sqlite3 >/dev/null; then
    loads=$(sqlite3 run.db "SELECT engine, value FROM v_engine_counter WHERE name = 'adapter_loads'")
    [ "$loads" = '0|2' ] || fail "the store has loads $loads: both adapters belong on the first engine"
fi

# Evenly placed nobody waits.
exits 0 run small.yaml --set adapters.placement=balanced --quiet --format json
[ "$(sum out adapter_asides)" -eq 0 ] || fail "balanced adapters wait for slots"
[ "$(sum out adapter_loads)" -eq 2 ] || fail "balanced adapters are not loaded"

# A trace in place of a generator: who asks for which adapter stays; one in the file wins.
printf '{"timestamp": 0, "input_length": 100, "output_length": 5, "hash_ids": [1]}\n' >one.jsonl
exits 0 run lora-popularity --trace one.jsonl --set adapters.preload=false --quiet
grep -q 'one.jsonl (mooncake); 64 adapters, zipf 1: 1 requests' out || fail "--trace takes the adapters away"
grep -q 'adapters 1 loads' out || fail "no adapter for the request of a trace: $(grep adapters out)"

# Decode runs and single steps agree, with adapters, with drafts, with both.
for set in seed=1 "cluster.pools.0.engine.speculative={method: eagle, tokens: 3, rate: 0.7}"; do
    few=(lora-popularity --set end.requests=400 --set "$set")
    fast=$(digest "${few[@]}")
    slow=$(digest "${few[@]}" --step-by-step)
    [ "$fast" = "$slow" ] || fail "$set: $fast, step by step $slow"
done

# No drafts are no speculation; right drafts save steps; a drafter's counters add up.
few=(demo --set end.requests=300)
plain=$(digest "${few[@]}")
none=$(digest "${few[@]}" --set 'cluster.pools.0.engine.speculative={method: eagle, tokens: 0, rate: 1}')
[ "$plain" = "$none" ] || fail "tokens: 0 changes the run"
exits 0 run "${few[@]}" --quiet --format json \
    --set 'cluster.pools.0.engine.speculative={method: ngram, tokens: 2, acceptance: [1, 0]}'
[ "$(sum out drafts)" -eq "$(sum out accepted_tokens)" ] || fail "not one draft of each two is right"
[ "$(sum out draft_tokens)" -gt "$(sum out drafts)" ] || fail "drafts are not counted"
exits 0 run "${few[@]}" --quiet \
    --set 'cluster.pools.0.engine.speculative={method: ngram, tokens: 2, acceptance: [1, 0]}'
grep -q 'mean acceptance length 2.000' out || fail "the mean acceptance length is not told"

# Formats are told, and refused where nobody can know.
exits 0 run "${few[@]}" --quiet --set cluster.pools.0.engine.quantization=awq \
    --set cluster.pools.0.engine.kv_cache_dtype=fp8
grep -q 'awq weights (16-bit products), fp8 KV cache' out || fail "the format is not told"
refuses 2 '.*affine has times of the engine that was measured.*' check demo --set cluster.pools.0.engine.max_model_len=4096 \
    --set cluster.pools.0.engine.quantization=fp8 --set cluster.pools.0.gpu=rtx_4090 \
    --set 'cluster.pools.0.cost={model: affine, fit: rtx_4090.llama_3_1_8b}'
refuses 2 '.*max_loras: means nothing without enable_lora.*' check demo --set cluster.pools.0.engine.max_loras=2
refuses 2 '.*count: how many adapters.*' check demo --set 'workload.adapters={popularity: zipf}'
done_testing
