#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Autoscalers as a user meets them: the shipped scenarios, their events, the sizes in store,
# page and timeline, what the GPUs cost, and both modes.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
hpa=production-stack/autoscale-hpa
keda=production-stack/autoscale-keda
kpa=production-stack/autoscale-kpa

exits 0 run "$hpa" --set end.time=12m --out hpa.db --timeline fleet.json --quiet
exits 0 events hpa.db --object horizontalpodautoscaler
grep -Eq 'SuccessfulRescale +horizontalpodautoscaler/chat +New size: 2; reason: running above target' out ||
    fail "no rescale: $(cat out)"
grep -q '"name":"replicas of chat".*"desired":3,"holding GPUs":3,"ready":2' fleet.json ||
    fail "the timeline does not count replicas"
exits 0 report hpa.db --out page
grep -q 'Size of the fleet' page*.html page/*.html 2>/dev/null || fail "the page draws no sizes"

# One engine at first: less than two for the whole time, far from the six there may be.
if command -v python3 >/dev/null; then
    python3 - <<'X' || fail "sizes and GPU-hours do not agree"
import sqlite3
store = sqlite3.connect("hpa.db")
begin, end, hours = store.execute(
    "SELECT first_arrival_ns, end_ns, gpu_hours FROM run").fetchone()
sizes = store.execute(
    "SELECT time_ns, held_engines FROM pool_size ORDER BY number").fetchall()
held = 0
for (time, engines), after in zip(sizes, sizes[1:] + [(end, 0)]):
    held += engines * max(0, after[0] - max(time, begin))
assert abs(held / 3600e9 - hours) < 1e-9, (held / 3600e9, hours)
assert sizes[0] == (0, 1) and max(s[1] for s in sizes) == 3, sizes
X
fi

# Both modes, the same bytes.
for scenario in "$hpa" "$kpa"; do
    exits 0 run "$scenario" --set end.time=7m --quiet --digest
    cp out fast
    exits 0 run "$scenario" --set end.time=7m --quiet --digest --step-by-step
    same fast out
done

# Who refuses makes clients try again, who holds does not.
exits 0 run "$keda" --set end.time=12m --out keda.db --quiet
exits 0 events keda.db --object scaledobject
grep -q 'KEDAScaleTargetActivated' out || fail "nobody woke the pool: $(cat out)"
exits 0 run "$keda" --set end.time=12m --set client.retries=0 --quiet --format json
grep -Eq '"rejected":[[:space:]]*[1-9]' out || fail "nobody was refused"
exits 0 run "$kpa" --set end.time=12m --quiet --format json
grep -Eq '"rejected":[[:space:]]*0' out || fail "somebody was refused"

# Every shipped scenario of the kind reads.
for file in "$STACKSIM_SOURCE"/configs/scenarios/production-stack/autoscale-*.yaml; do
    exits 0 check "$file"
done

refuses 2 '.*policy: no autoscaler hpb; there are hpa, keda' \
    run "$hpa" --set cluster.pools.0.autoscale.policy=hpb
refuses 2 '.*max' run "$hpa" --set cluster.pools.0.autoscale.max=0
refuses 2 '.*each at most the next one' run "$hpa" --set cluster.pools.0.autoscale.min=7
refuses 2 '.*is not a metric of single pods' \
    run "$hpa" --set cluster.pools.0.autoscale.metrics.0.metric=queued \
    --set cluster.pools.0.autoscale.metrics.0.kind=pods
done_testing
