#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Pipeline stages and placements through the program: what is told, plans that no cluster
# could run, both modes.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

cat >two.yaml <<'Y'
name: two-nodes
cluster:
  pools:
    - name: a
      gpu: h100_sxm
      model: llama_3_1_70b
      engine: {max_model_len: 8192}
      parallel: {tp: 4, pp: 2}
      placement: {node: hgx_h100, nodes: 2, gpus_per_node: 4}
workload:
  generate:
    requests: 200
    arrival: {kind: poisson, rate_per_s: 2}
    input: 800
    output: 60
Y
pool=cluster.pools.0

exits 0 check two.yaml
grep -q 'tensor parallel 4, pipeline stages of 40 + 40 layers' out || fail "check does not tell the stages"
grep -q '2 x HGX-H100, 4 GPUs of each' out || fail "check does not tell the nodes"
grep -q 'weights     16.4 GiB per GPU' out || fail "weights are not those of a stage: $(grep weights out)"
grep -q 'TP 4, PP 2 (40+40 layers)' out || fail "the cost model does not tell the stages"
exits 0 check two.yaml --set "$pool.parallel.layers=[50, 30]"
grep -q 'pipeline stages of 50 + 30 layers' out || fail "layers are not taken over"

# Stages and bubbles are in the table, in JSON and in the store.
exits 0 run two.yaml --out run.db
grep -Eq '^stages +busy [0-9.]+ %, [0-9.]+ % of the time with batches under way; bubbles [0-9.]+ %$' out ||
    fail "the table does not tell of stages"
exits 0 run two.yaml --format json
for key in stage_0_busy_ns stage_1_busy_ns pipeline_bubble_ns busy_ns; do
    value=$(sed -n "s/^[[:space:]]*\"$key\":[[:space:]]*\([0-9]*\),*$/\1/p" out)
    [ -n "$value" ] || fail "JSON has no $key"
    eval "$key=$value"
done
[ $((stage_0_busy_ns + stage_1_busy_ns + pipeline_bubble_ns)) -eq $((2 * busy_ns)) ] ||
    fail "stages and bubbles do not make the time that batches were under way"
grep -q stage_2_busy_ns out && fail "JSON has a stage that is not there"
exits 0 run demo --set end.requests=20 --format json
grep -q 'stage_0_busy_ns\|pipeline_bubble_ns' out && fail "an engine without stages has some"

# Both modes; pp 1, tp as the engine has it and one node are what was there before.
exits 0 run two.yaml --digest
grep digest out >fast
exits 0 run two.yaml --digest --step-by-step
grep digest out >slow
same fast slow
exits 0 run demo --set end.requests=200 --digest
grep digest out >plain
exits 0 run demo --set end.requests=200 --digest --set "$pool.parallel={tp: 1, pp: 1}" \
    --set "$pool.placement={node: hgx_h100}"
grep digest out >spelt
same plain spelt

# Costs count the GPUs of all stages: eight H100 at 1.99 to 5 dollars.
exits 0 run two.yaml --format json
hours=$(jq '.metrics.gpu_hours' out)
seconds=$(jq '.metrics.duration_s' out)
awk "BEGIN { exit !($hours > 0 && ($hours - 8 * $seconds / 3600)^2 < 1e-12) }" ||
    fail "$hours GPU-hours in $seconds s on eight GPUs"

check() {
    local pattern=$1
    shift
    local sets=()
    for assignment in "$@"; do
        sets+=(--set "$assignment")
    done
    refuses 2 "$pattern" check two.yaml "${sets[@]}"
}
check "two.yaml:8: parallel: tp 8 x pp 2 need 16 GPUs, but the placement has 2 nodes with 4 GPUs each; lower one of them or set placement.nodes to 4" \
    $pool.parallel.tp=8
check ".*tp: 4, but engine.tensor_parallel says 2; leave one of them out" $pool.engine.tensor_parallel=2
check ".*tensor_parallel: 3 does not divide the 64 query and 8 KV heads" $pool.parallel.tp=3
check ".*pp: .*1 to 16" $pool.parallel.pp=17
check ".*layers: 3 numbers for 2 pipeline stages" "$pool.parallel.layers=[30, 30, 20]"
check ".*layers: they make 70, Llama-3.1-70B has 80" "$pool.parallel.layers=[40, 30]"
check ".*layers: whole numbers from 1 to 80" "$pool.parallel.layers=[80, 0]"
check ".*tp: drafts share the GPUs; with engine.speculative write engine.tensor_parallel: 4" \
    "$pool.engine.speculative={method: ngram, tokens: 2, rate: 0.5}"
check ".*pp: drafts are not modelled over pipeline stages" "$pool.parallel={pp: 2}" \
    "$pool.engine.speculative={method: ngram, tokens: 2, rate: 0.5}"
check ".*pp: adapters are not modelled over pipeline stages" $pool.engine.enable_lora=true
check ".*dp: ranks behind one endpoint are not modelled; write each as a replica" $pool.parallel.dp=2
check ".*ep: experts on GPUs of their own are not modelled" $pool.parallel.ep=true
check ".*gpus_per_node: .*1 to 8" $pool.placement.gpus_per_node=9
check ".*parallel.cp: unknown key|.*cp: unknown key" $pool.parallel.cp=2
check ".*node.*nowhere" $pool.placement.node=nowhere
check ".*cost: model linear knows all-reduces of one node only" "$pool.parallel={tp: 8}" \
    "$pool.cost={model: linear, step: 10ms}"
# 405 billion parameters on eight GPUs of 80 GB: the fullest stage is named.
check ".*does not fit H100-SXM at tensor_parallel 4, stage [12] of 2 with 63 layers: weights" \
    $pool.model=llama_3_1_405b
done_testing
