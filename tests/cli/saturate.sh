#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `saturate` finds rates that are known: an engine that takes 10 ms for each request.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
cat >known.yaml <<'END'
name: known
workload:
  generate:
    - requests: 2000
      arrival: {kind: fixed, rate_per_s: 7}
      input: 1
      output: 1
cluster:
  pools:
    - gpu: h100_sxm
      model: opt_125m
      replicas: 1
      engine: {max_num_seqs: 1, max_num_batched_tokens: 64, max_model_len: 2000,
               prefix_caching: false, compat: v085, cpu_step: 0s, cpu_sequence: 0s}
      cost: {model: linear, step: 10ms}
slo: {ttft: 10500us}
END
rate() { sed -n 2p out | cut -d, -f2; }
within() { # VALUE LOW HIGH
    awk -v v="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(v >= a && v <= b) }'
}

# Evenly spaced arrivals wait for nobody up to 100/s, and beyond it ever longer.
exits 0 saturate known.yaml --format csv --quiet --attain 100 --tolerance 1
within "$(rate)" 99 100.01 || fail "one engine holds $(rate)/s, expected 99 to 100"
exits 0 saturate known.yaml --format csv --quiet --attain 100 --tolerance 1 \
    --set cluster.pools.0.replicas=3
within "$(rate)" 297 300.1 || fail "three engines hold $(rate)/s, expected 297 to 300"
cp out three
exits 0 saturate known.yaml --format csv --quiet --attain 100 --tolerance 1 \
    --set cluster.pools.0.replicas=3 --jobs 1 --policies round_robin
same three out

# Bunched arrivals hold less; several seeds give an interval around it.
exits 0 saturate known.yaml --format csv --quiet --seeds 3 \
    --set 'workload.generate.0.arrival.kind=poisson' --set slo.ttft=60ms
poisson=$(rate)
within "$poisson" 40 90 || fail "Poisson arrivals: $poisson/s"
within "$poisson" "$(sed -n 2p out | cut -d, -f3)" "$(sed -n 2p out | cut -d, -f4)" ||
    fail "the mean lies outside of its interval"

exits 0 saturate known.yaml --quiet --set slo.ttft=1ms --set sample_interval=10ms
grep -q 'does not hold at any rate' out || fail "an SLO that never holds: $(cat out)"
exits 0 saturate known.yaml --quiet --set slo.ttft=1000s
grep -q 'holds at every rate tried' out || fail "an SLO that always holds: $(cat out)"

refuses 2 'the scenario has no SLO' saturate known.yaml --quiet --set slo.ttft=0s
refuses 2 '--attain: above 0' saturate known.yaml --attain 101
refuses 2 '--tolerance: 0.01' saturate known.yaml --tolerance 0
refuses 2 '--seeds: 1 to 100' saturate known.yaml --seeds 0
refuses 2 'unknown policy' saturate known.yaml --policies nobody
done_testing
