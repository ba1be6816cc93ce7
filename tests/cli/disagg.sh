#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prompts and outputs on engines of their own: pair policies by name, the same digest in
# both modes, and mistakes that are told before the run.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

cat >apart.yaml <<'Y'
name: apart
workload:
  generate:
    - requests: 300
      arrival: {kind: poisson, rate_per_s: 12}
      input: {kind: lognormal, mu: 6.5, sigma: 1, min: 2, max: 8000}
      output: {kind: lognormal, mu: 4.5, sigma: 1, min: 1, max: 1000}
cluster:
  pools:
    - {name: p, role: prefill, replicas: 2, gpu: h100_sxm, model: llama_3_1_8b}
    - {name: d, role: decode, replicas: 2, gpu: h100_sxm, model: llama_3_1_8b}
routing: {policy: round_robin, disaggregation: {prefill: {policy: least_work}}}
network: {nic: 5GB, latency: 50us}
Y

for policy in round_robin pd_conditional disaggregated-prefill-orchestrated; do
    exits 0 run apart.yaml --policy "$policy" --digest
    grep digest out >fast
    exits 0 run apart.yaml --policy "$policy" --digest --step-by-step
    grep digest out >slow
    same fast slow
done

exits 0 explain apart.yaml 5
grep -q "KV on the network" out || fail "explain does not tell the transfer's time"

exits 0 check apart.yaml
grep -q "pairs *pd_independent" out || fail "check does not name the pair policy"
grep -q "prefill by *least_work" out || fail "check does not name the prefill policy"

exits 0 compare apart.yaml --no-report --out pairs.db --policies \
    pd_independent,pd_conditional:uncached_ratio=0,disaggregated_prefill:full_generation=true
grep -q "pd_conditional:uncached_ratio=0" out || fail "compare does not name its arms"
refuses 2 ".*pd_conditional has no parameter 'uncached'" compare apart.yaml --no-report \
    --policies pd_conditional:uncached=3

refuses 2 ".*role: .encode. is not one of both, prefill, decode" check apart.yaml \
    --set cluster.pools.0.role=encode
refuses 2 ".*needs a pool with role: prefill and one with role: decode" check apart.yaml \
    --set cluster.pools.1.role=prefill
refuses 2 ".*engines of compat v085 cannot fetch KV" check apart.yaml \
    --set cluster.pools.0.engine.compat=v085
refuses 2 ".*they need the same model and block_tokens" check apart.yaml \
    --set cluster.pools.0.engine.block_tokens=32
refuses 2 ".*policy: no pair policy nearest" check apart.yaml \
    --set routing.disaggregation.policy=nearest
refuses 2 ".*nic: bytes that a card moves in a second" check apart.yaml --set network.nic=0

# Written instead of read: the same digest in both modes, and what that excludes.
push='routing.disaggregation.transfer=push'
exits 0 run apart.yaml --set $push --digest --check
grep digest out >fast
exits 0 run apart.yaml --set $push --digest --step-by-step
grep digest out >slow
same fast slow
exits 0 run apart.yaml --digest
grep digest out >pull
cmp -s fast pull && fail "transfer: push changes nothing"
refuses 2 ".*transfer: push sends both legs at once, and disaggregated_prefill the second one" check \
    apart.yaml --set $push --policy disaggregated_prefill
refuses 2 ".*transfer: push is not modelled with faults" check apart.yaml --set $push \
    --set client.retries=1
refuses 2 ".*lease: with transfer: push" check apart.yaml --set $push \
    --set routing.disaggregation.lease=0s
done_testing
