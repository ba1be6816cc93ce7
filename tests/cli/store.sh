#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `run`, `compare` and `report` leave behind.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
small=(--set end.requests=200 --quiet)

exits 0 compare demo "${small[@]}" --policies round_robin,prefix_aware --out out1
cp out compared
cp err names
grep -q 'out1/demo\.db' names || fail "compare does not name its store"
grep -q 'out1/demo\.html' names || fail "compare does not name its page"
sed -n 's/^wrote \([^ ]*\).*/\1/p' names | while read -r file; do
    [ -s "$file" ] || echo "FAILED: $file is named and not there" >&2
done 2>missing
[ -s missing ] && fail "$(cat missing)"
grep -q 'TTFT' compared || fail "the comparison does not show TTFT"
grep -q 'prefix_aware' compared || fail "the comparison does not name its policies"
grep -Eq '<html' out1/demo.html || fail "the page is no HTML"
grep -Eiq '(src|href)="https?://' out1/demo.html && fail "the page loads from the network"

# The same again replaces, --append adds; a report of the store says what compare said.
exits 0 compare demo "${small[@]}" --policies round_robin,prefix_aware --out out1 --no-report
same compared out
exits 0 report out1/demo.db --no-report
same compared out
exits 0 report out1/demo.db --out pages
[ -s pages/demo.html ] || fail "report wrote no page"
exits 0 run demo "${small[@]}" --policy session --out out1/demo.db --append --name third
exits 0 report out1/demo.db --no-report --format csv
[ "$(wc -l <out)" -eq 4 ] || fail "the store shows $(wc -l <out) lines, expected 4"
cp out csv
sed -n 2p csv | cut -d, -f5,6 | grep -qx '4,200' || fail "csv does not count engines and requests"
exits 0 report out1/demo.db --no-report --format csv --runs third,round_robin
[ "$(wc -l <out)" -eq 3 ] || fail "--runs shows $(wc -l <out) lines, expected 3"
sed -n 2p out | grep -q third || fail "--runs does not keep the order asked for"
refuses 2 "--runs: .*'fourth'" report out1/demo.db --no-report --runs fourth

# Several seeds: one run each in the store, means and their intervals in the table; a seed
# alone gives what the comparison has under its name.
seeds=(published/shared-prefix --policies random,chwbl --set end.requests=400 --quiet)
exits 0 compare "${seeds[@]}" --seeds 3 --out seeds --no-report
grep -q 'Means over 3 seeds' out || fail "compare --seeds prints no means"
grep -Eq 'TTFT mean .* ± ' out || fail "compare --seeds prints no intervals"
grep -q 'over 3 seeds' out || fail "the verdict does not speak of seeds"
# The store's report says what compare said, from summaries alone; its page shows means.
cp out compared
exits 0 compare "${seeds[@]}" --seeds 3 --out lean.db --no-report --no-requests
for store in seeds/shared-prefix.db lean.db; do
    exits 0 report "$store" --no-report
    same compared out
done
exits 0 report lean.db --no-report --format md
grep -q '±.*±' out || fail "Markdown of seeds shows no intervals"
exits 0 report seeds/shared-prefix.db --out seed-pages
grep -q '±' seed-pages/shared-prefix.html || fail "the page of seeds shows no intervals"
exits 0 report lean.db --no-report --runs chwbl
grep -q 'one arm, nothing to compare it with' out || fail "--runs does not take an arm"
exits 0 report lean.db --no-report --runs chwbl@2,random@2
grep -q 'over 3 seeds' out && fail "runs named one by one are shown as means"
exits 0 report lean.db --no-report --format csv
[ "$(wc -l <out)" -eq 7 ] || fail "csv does not hold every run"
exits 0 run published/shared-prefix --policy chwbl --set end.requests=400 --quiet --seed 9 \
    --out lean.db --append --name chwbl@9
exits 0 report lean.db --no-report
same compared out
grep -q 'note: 1 of 7 runs are not shown' err || fail "a run is left out unsaid"
exits 0 compare "${seeds[@]}" --seeds 3 --out seeds --no-report --digest
cp out digests
for seed in 1 2 3; do
    exits 0 run published/shared-prefix --policy chwbl --set end.requests=400 --quiet \
        --seed "$seed" --digest
    grep -q "digest chwbl@$seed $(cut -d' ' -f2 out)" digests ||
        fail "seed $seed alone gives another run"
done
exits 0 compare "${seeds[@]}" --seeds 2 --out seeds --no-report --format csv
grep -q '^random,ttft_ms_mean,2,' out || fail "csv of seeds lacks random's TTFT"
refuses 2 '--seeds: 1 to 100, not 0' compare demo --seeds 0

if command -v sqlite3 >/dev/null; then
    exits 0 run demo "${small[@]}" --out full.db
    exits 0 run demo "${small[@]}" --out lean.db --no-requests
    full=$(sqlite3 full.db 'SELECT count(*) FROM request')
    lean=$(sqlite3 lean.db 'SELECT count(*) FROM request')
    [ "$full" = 200 ] || fail "full.db holds $full requests, expected 200"
    [ "$lean" = 0 ] || fail "lean.db holds $lean requests, expected none"
fi

# A reader that has seen enough does not cost the store.
"$STACKSIM_BIN" run demo "${small[@]}" --format json --out piped.db 2>err | true
[ -s piped.db ] || fail "a closed pipe lost the store: $(cat err)"
exits 0 report piped.db --no-report

# JSON holds totals that add up.
exits 0 run demo "${small[@]}" --format json
if command -v python3 >/dev/null; then
    python3 - out <<'X' || fail "the JSON of run is not as documented"
import json, sys
run = json.load(open(sys.argv[1]))
totals = run["totals"]
ends = sum(totals[k] for k in ("completed", "refused", "rejected", "cancelled", "unfinished"))
assert ends == totals["requests"] == 200, totals
assert sum(e["requests"] for e in run["engines"]) == 200 - totals["refused"] - totals["rejected"]
assert run["metrics"]["ttft_ms_p50"] <= run["metrics"]["ttft_ms_p99"]
X
fi
no_leftovers .
done_testing
