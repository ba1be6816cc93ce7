#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim check` says what would run and finds what would fail.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

exits 0 check speed-prefix --set cluster.pools.0.replicas=3 --seed 9
says '^scenario speed-prefix$'
says 'engines +3 x Llama-3\.1-8B on H100-SXM, tensor parallel 1'
says 'KV cache +[0-9]+ blocks of 16 tokens = [0-9]+ tokens, .*GiB per GPU'
says 'policy +prefix_aware: '
says 'requests +100000$'
says 'seed +9$'
says 'step time +roofline, '

grep -Eq '^admission|order ' out && fail "check tells of admission and order unasked"
exits 0 check speed-prefix --set admission.policy=vtc --set admission.params.queue_max=7 \
    --set cluster.pools.0.engine.scheduling_policy=spf
says 'policy +vtc: '
says 'parameters +queue_max = 7$'
says 'order +shortest_prefill_first: '

refuses 2 '.*replicas.*' check speed-prefix --set cluster.pools.0.replicas=0
refuses 2 '.*does not fit H100-SXM.*tensor_parallel' \
    check speed-prefix --set cluster.pools.0.model=llama_3_1_70b
refuses 2 '.*' check speed-prefix --policy nobody

# What --print-config prints is a scenario that runs as the first did.
exits 0 run speed-small --set end.requests=50 --seed 4 --print-config
cp out printed.yaml
exits 0 run speed-small --set end.requests=50 --seed 4 --digest --quiet
cp out first
exits 0 run printed.yaml --digest --quiet
same first out
done_testing
