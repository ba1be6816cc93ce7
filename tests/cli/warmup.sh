#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# --warmup: what is left out is said wherever metrics are shown, and no row is lost.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
small=(--set end.requests=600 --quiet)

# None by default: the figures and digests of a recorded trace are those of all its rows.
exits 0 run demo "${small[@]}"
cp out plain
grep -q '^warm-up  none cut' out || fail "run does not say that nothing was cut"
grep -q 'TTFT mean (ms) .* ± ' out || fail "a run alone shows no interval"
grep -q 'within one run, by 20 batches' out || fail "the interval is not labelled"
grep -q '^cost  ' out || fail "run does not say what the fleet costs"
grep -q '^energy  .*estimate' out || fail "energy is not called an estimate"
exits 0 run demo "${small[@]}" --warmup none
same plain out
exits 0 run demo "${small[@]}" --digest
cp out digest

# A rule changes metrics, but no outcome and no row.
exits 0 run demo "${small[@]}" --warmup '100 requests' --out cut.db
grep -q '^warm-up  first 100 requests cut (.*), as asked for: 100 requests' out ||
    fail "run does not say what was cut"
cmp -s plain out && fail "a cut changes no figure"
exits 0 run demo "${small[@]}" --warmup '100 requests' --digest
same digest out
exits 0 run demo "${small[@]}" --warmup 10s --format json
grep -q '"rule":.*"10s"' out || fail "the JSON does not state the rule"
grep -q '"intervals_95_by_batches"' out || fail "the JSON has no intervals"
exits 0 run demo "${small[@]}" --warmup 10s --format csv
grep -q '^round_robin,round_robin,demo,1,4,600,10s,' out || fail "the CSV does not state the rule"
exits 0 run demo "${small[@]}" --set warmup=10s --print-config
grep -q 'warmup: 10s' out || fail "the scenario does not hold the rule"

# The store: rows are all there, views say which count, report says what run said.
if command -v sqlite3 >/dev/null; then
    [ "$(sqlite3 cut.db 'SELECT count(*), sum(counted) FROM v_latency')" = '600|500' ] ||
        fail "v_latency does not tell the requests that count"
    [ "$(sqlite3 cut.db 'SELECT warmup, warmup_requests FROM v_run')" = '100 requests|100' ] ||
        fail "v_run does not state the cut"
    [ "$(sqlite3 cut.db 'SELECT completed FROM v_goodput')" = 500 ] ||
        fail "v_goodput counts the warm-up"
    sqlite3 cut.db 'SELECT abs(avg(ttft_ms) / (SELECT ttft_ms_mean FROM run) - 1) < 1e-9
        FROM v_latency WHERE counted' | grep -qx 1 || fail "the mean is not that of the counted rows"
fi
exits 0 report cut.db --out pages
grep -q 'first 100 requests cut' pages/cut.html || fail "the page does not state the cut"

# Arms that are compared leave out the same requests, whatever each would do alone.
exits 0 compare demo "${small[@]}" --policies round_robin,session --warmup auto --out auto.db --no-report
grep -q '^Warm-up: ' out || fail "compare does not state the cut"
exits 0 report auto.db --no-report --format csv
[ "$(cut -d, -f8 out | tail -n 2 | sort -u | wc -l)" -eq 1 ] || fail "arms leave out different requests"
exits 0 compare demo "${small[@]}" --policies round_robin,session --seeds 2 --warmup 10s --no-report --out two.db
grep -q '^Warm-up: first .* requests cut (10.0 s), as asked for: 10s' out || fail "seeds do not state the cut"
exits 0 saturate published/shared-prefix --set end.requests=300 --set slo.ttft=500ms --tolerance 50 \
    --warmup '30 requests' --quiet
grep -q 'warm-up at that rate: first 30 requests cut' out || fail "saturate does not state the cut"

# A sweep with another rule is another sweep.
cat >grid.yaml <<END
scenario: published/shared-prefix
set: {end.requests: 100}
grid: {policy: [random, least_request], seed: 1..2}
END
exits 0 sweep grid.yaml --out sweep.db --warmup '10 requests' --quiet
grep -q '^Warm-up: first 10 requests' out || fail "sweep does not state the cut"
exits 0 sweep grid.yaml --out sweep.db --warmup '10 requests' --quiet
refuses 2 '.*another sweep' sweep grid.yaml --out sweep.db --warmup '20 requests' --quiet

refuses 2 "--warmup: no warm-up: '5'" run demo --warmup 5
sed 's/^name:.*/warmup: soon/' "$STACKSIM_CONFIGS/scenarios/speed-small.yaml" >bad.yaml
refuses 2 "bad.yaml:[0-9]+: warmup: no warm-up: 'soon'" run bad.yaml
done_testing
