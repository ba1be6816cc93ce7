#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Tiers behind KV caches: what is loaded and told, the same digest in both modes, a
# router that hears of chunks, and mistakes that are told before the run.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

cat >tiers.yaml <<'Y'
name: tiers
cluster:
  pools:
    - name: a
      replicas: 3
      gpu: h100_sxm
      model: llama_3_1_8b
      engine: {num_gpu_blocks_override: 1500, max_model_len: 16000}
      tiers:
        cpu: {capacity: 20GB}
        remote: {}
cache_server: {capacity: 100GB}
routing: {policy: round_robin}
workload:
  generate:
    requests: 300
    arrival: {kind: poisson, rate_per_s: 8}
    input: 100
    output: 20
    prefix: {groups: 30, tokens: 4000}
Y

for load in sync async; do
    exits 0 run tiers.yaml --digest --set cluster.pools.0.tiers.load=$load
    grep digest out >fast
    exits 0 run tiers.yaml --digest --step-by-step --set cluster.pools.0.tiers.load=$load
    grep digest out >slow
    same fast slow
done

exits 0 run tiers.yaml --out tiers.db
grep -Eq '^tiers +cpu [0-9.]+ % of prompt tokens, [0-9.]+ GB read' out ||
    fail "the table does not tell of the tiers"
grep -q '; remote ' out || fail "the table does not tell of the cache server"
exits 0 run tiers.yaml --format json
grep -q '"remote_hit_tokens":[[:space:]]*[1-9]' out || fail "JSON does not count what was loaded"
grep -q '"tier_stall_ns":[[:space:]]*[1-9]' out || fail "JSON does not count how long engines stood still"
exits 0 explain tiers.yaml 250 --set cluster.pools.0.engine.prefix_caching=false
grep -q '3840 of 4100 prompt tokens were loaded from tiers' out ||
    fail "explain does not tell what was loaded"
# Another engine's prompts are of use through the server alone.
exits 0 run tiers.yaml --format json --set cluster.pools.0.tiers.role=producer
grep -q 'hit_tokens":[[:space:]]*[1-9]' <(grep -E 'cpu_hit|remote_hit' out) && fail "a producer reads"

# A router that knows in whose memory a prompt is sends it there.
sed '/remote/d; /cache_server/d' tiers.yaml >own.yaml
for policy in round_robin kv_aware; do
    exits 0 run own.yaml --format json --policy $policy \
        --set routing.kv_events.source=tiers --set cluster.pools.0.engine.prefix_caching=false
    grep -o '"cpu_hit_tokens":[[:space:]]*[0-9]*' out | grep -o '[0-9]*$' |
        awk '{ sum += $1 } END { print sum }' >$policy
done
[ "$(cat kv_aware)" -gt "$(cat round_robin)" ] ||
    fail "kv_aware finds $(cat kv_aware) tokens, round robin $(cat round_robin)"

check() {
    local pattern=$1
    shift
    local sets=()
    for assignment in "$@"; do
        sets+=(--set "$assignment")
    done
    refuses 2 "$pattern" check tiers.yaml "${sets[@]}"
}
pool=cluster.pools.0
check ".*connector: .nixl. is not one of lmcache, offloading" $pool.tiers.connector=nixl
check ".*vLLM has had offloading since 0.11" $pool.tiers.connector=offloading \
    $pool.engine.compat=v010
check ".*loads beside the steps" $pool.tiers.connector=offloading $pool.tiers.load=sync
check ".*compat v085 cannot load while they work" $pool.engine.compat=v085 \
    $pool.tiers.load=async
check ".*chunk_tokens: 100 is not a multiple of the engine's block_tokens, 16" \
    $pool.tiers.chunk_tokens=100
check ".*read: bytes moved in a second" $pool.tiers.cpu.read=0
check ".*capacity: how many bytes the disk may hold" $pool.tiers.disk.read=7GB
check ".*tape: unknown key; known here" $pool.tiers.tape=1GB
check ".*capacity: bytes of its memory" cache_server.capacity=0
sed '/capacity: 20GB/d' tiers.yaml >offloading.yaml
refuses 2 ".*cpu.capacity: vLLM's connector has no default" check offloading.yaml \
    --set $pool.tiers.connector=offloading
sed '/cache_server/d' tiers.yaml >alone.yaml
refuses 2 ".*there is no cache server; add cache_server" check alone.yaml
sed '/remote/d' tiers.yaml >unread.yaml
refuses 2 ".*cache_server: no pool has tiers with .remote." check unread.yaml
sed '/tiers:/d; /cpu:/d; /remote/d; /cache_server/d' tiers.yaml >none.yaml
refuses 2 ".*kv_events.source: tiers, but no pool has any" check none.yaml \
    --set routing.kv_events.source=tiers
done_testing
