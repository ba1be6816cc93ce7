#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `sweep` and `merge`: the same rows in one piece, in shards, and after every kind of stop.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
. "$STACKSIM_SOURCE/tests/cli/sweep.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }

# The plan: order, names, state.
small_sweep 100
exits 0 sweep grid.yaml --out whole.db --dry-run --format csv
[ "$(wc -l <out)" -eq 13 ] || fail "a grid of 12 lists $(wc -l <out) lines"
grep -qx '1,"random, rate 1, seed 1",to do' out || fail "the first run: $(sed -n 2p out)"
grep -qx '12,"chwbl:load_ratio=1.5, rate 2, seed 3",to do' out ||
    fail "the last run: $(tail -1 out)"
absent whole.db whole.db.lock
exits 0 sweep grid.yaml --shard 2/5 --dry-run --format csv
[ "$(cut -d, -f1 out | tr '\n' ' ')" = "number 2 7 12 " ] || fail "share 2/5: $(cat out)"

# One thread or two, one piece or three: the same rows.
exits 0 sweep grid.yaml --out whole.db --jobs 2 --quiet
cp out printed
grep -q '^Means over the seeds of each arm' out || fail "the table does not say what it shows"
[ "$(grep -c ' rate [12] .* ± ' out)" -eq 4 ] || fail "the table has no line for each of 4 arms"
exits 0 sweep grid.yaml --out one.db --jobs 1 --quiet
same printed out
for i in 1 2 3; do
    exits 0 sweep grid.yaml --out "share-$i.db" --shard "$i/3" --quiet
done
[ "$(runs_in share-2.db)" = 4 ] || fail "a third of 12 runs is $(runs_in share-2.db)"
exits 0 merge merged.db share-3.db share-1.db share-2.db
dump whole.db >rows
for store in one merged; do
    dump "$store.db" >"$store.rows"
    same rows "$store.rows"
done
[ "$(runs_in whole.db)" = 12 ] || fail "whole.db holds $(runs_in whole.db) runs"

# A run of the sweep is what `run` gives, and arms of one seed meet the same requests.
exits 0 run published/shared-prefix --set end.requests=100 --policy chwbl --seed 2 \
    --set routing.params.load_ratio=1.5 --set workload.rate_factor=2 --quiet --digest
alone=$(cut -d' ' -f2 out)
[ "$(sqlite3 whole.db "SELECT digest FROM run
    WHERE name = 'chwbl:load_ratio=1.5, rate 2, seed 2'")" = "$alone" ] ||
    fail "a run of the sweep is not what 'run' gives"
[ "$(sqlite3 whole.db "SELECT count(DISTINCT s) FROM (SELECT r.seed AS seed,
    group_concat(q.prompt_tokens || ':' || q.output_tokens) AS s FROM run r
    JOIN (SELECT * FROM request ORDER BY run_id, request_id) q USING (run_id)
    GROUP BY r.run_id)")" = 3 ] || fail "arms of one seed did not meet the same requests"

cat >recorded.yaml <<'END'
scenario: demo
set: {end.requests: 50}
grid: {policy: [round_robin, random], seed: [1, 2]}
END
exits 0 sweep recorded.yaml --out recorded.db --quiet
grep -q 'Caution: the seed changes nothing for some arms' out || fail "no caution: $(cat out)"

# Keys are there to group by.
[ "$(sqlite3 whole.db "SELECT group_concat(number, ' ') FROM (SELECT DISTINCT number
    FROM sweep_key WHERE key = 'rate' ORDER BY number)")" = "1.0 2.0" ] ||
    fail "sweep_key does not hold the rates as numbers"
exits 0 report whole.db --no-report --format csv
[ "$(wc -l <out)" -eq 13 ] || fail "report shows $(wc -l <out) lines of 12 runs"
# Arms under different loads are told apart by a curve, not by a mark of the best.
exits 0 report whole.db --out page --format csv
grep -q 'class="number best"' page/whole.html && fail "the page of a sweep marks the lowest load as the best"
grep -Eq '<p class="caution">Caution: 3 seeds' page/whole.html || fail "the page of a sweep has no cautions"
exits 0 report whole.db --no-report --format csv --runs 'random, rate 1, seed 3'
[ "$(wc -l <out)" -eq 2 ] || fail "report --runs does not find a run of a sweep"

# Done runs are not done again, and a sweep goes on where it is.
before=$(sqlite3 whole.db 'SELECT group_concat(started_utc || wall_s) FROM run')
exits 0 sweep grid.yaml --out whole.db
same printed out
grep -q 'holds 12 of 12 runs already' err || fail "a finished sweep is done again"
[ "$before" = "$(sqlite3 whole.db 'SELECT group_concat(started_utc || wall_s) FROM run')" ] ||
    fail "a finished run was done again"
cp share-1.db partly.db
exits 1 merge partly-merged.db share-1.db share-2.db
grep -q "holds 8 of the sweep's 12 runs; the first that is missing is 'random, rate 1, seed 3'" err ||
    fail "merge of a part says: $(cat err)"
exits 0 sweep grid.yaml --out partly-merged.db --quiet
dump partly-merged.db >partly.rows
same rows partly.rows
exits 0 run demo --set end.requests=10 --quiet --out partly.db --append
exits 0 sweep grid.yaml --out partly.db --quiet
[ "$(sqlite3 partly.db 'SELECT max(run_id) FROM run')" = 13 ] ||
    fail "a run beside the sweep took an id of its plan"

# What is not this sweep is left alone.
cp whole.db kept.db
refuses 2 'whole.db: holds another sweep' sweep grid.yaml --out whole.db --set end.requests=99
sed -i 's/seed: 1..3/seed: 1..4/' grid.yaml
refuses 2 'whole.db: holds another sweep' sweep grid.yaml --out whole.db
same kept.db whole.db
exits 0 run demo --set end.requests=10 --quiet --out plain.db
refuses 2 'plain.db: holds runs that no sweep made' sweep grid.yaml --out plain.db
exits 0 sweep grid.yaml --out other.db --quiet --no-requests
refuses 2 'whole.db and other.db hold different sweeps' merge m.db whole.db other.db
refuses 2 'whole.db holds a sweep and plain.db does not' merge m.db plain.db whole.db
refuses 2 '.*other.db' merge other.db whole.db other.db
absent m.db

# Stores without a sweep are numbered anew.
exits 0 merge plains.db plain.db plain.db --quiet
[ "$(runs_in plains.db)" = 2 ] || fail "two runs merge to $(runs_in plains.db)"
[ "$(sqlite3 plains.db 'SELECT count(*) FROM v_latency WHERE run_id = 2')" = 10 ] ||
    fail "rows of the second store are not there"

# A run that fails is named, before any work where that can be; others may go on.
cat >bad.yaml <<'END'
scenario: demo
set: {end.requests: 10}
grid: {cluster.pools.0.replicas: [1, 2], cluster.pools.0.gpu: [h100_sxm, nothing]}
END
refuses 2 "run 'replicas 1, gpu nothing': .*nothing" sweep bad.yaml --out bad.db
absent bad.db bad.db.lock
refuses 2 "--shard: '0/3'" sweep grid.yaml --shard 0/3
refuses 2 "--shard: '4/3'" sweep grid.yaml --shard 4/3
refuses 2 "--shard: '1'" sweep grid.yaml --shard 1
refuses 2 '.*the sweep and --out are the same file' sweep grid.yaml --out grid.yaml

# Two at once: the second one is refused, the first one is right.
small_sweep 3000
"$STACKSIM_BIN" sweep grid.yaml --out busy.db --quiet >/dev/null 2>first.err &
first=$!
for _ in $(seq 200); do
    [ -e busy.db.lock ] && break
    sleep 0.02
done
stacksim sweep grid.yaml --out busy.db --quiet
if kill -0 "$first" 2>/dev/null; then
    [ "$code" -eq 1 ] || fail "a second sweep exits with $code"
    grep -q 'busy.db: another sweep is writing to it' err || fail "it says: $(cat err)"
fi
wait "$first" || fail "the first of two sweeps failed: $(cat first.err)"
[ "$(sqlite3 busy.db 'PRAGMA integrity_check')" = ok ] || fail "busy.db is damaged"
[ "$(runs_in busy.db)" = 12 ] || fail "busy.db holds $(runs_in busy.db) runs"

# SIGINT ends it in order; a full disk costs the run at hand and no other.
"$STACKSIM_BIN" sweep grid.yaml --out stopped.db >/dev/null 2>stopped.err &
first=$!
for _ in $(seq 200); do
    [ -e stopped.db ] && [ "$(runs_in stopped.db)" -ge 1 ] && break
    sleep 0.02
done
kill -INT "$first" 2>/dev/null
wait "$first"
code=$?
if [ "$code" -ne 0 ]; then
    [ "$code" -eq 130 ] || fail "SIGINT exits with $code"
    grep -q 'interrupted; stopped.db holds .* of 12 runs' stopped.err ||
        fail "SIGINT says: $(cat stopped.err)"
fi
exits 0 sweep grid.yaml --out stopped.db --quiet
dump busy.db >rows
dump stopped.db >stopped.rows
same rows stopped.rows

exits 0 sweep grid.yaml --out full.db --shard 1/4 --quiet
(
    trap '' XFSZ
    ulimit -f $(($(stat -c %s full.db) / 1024 + 100))
    exits 1 sweep grid.yaml --out full.db --jobs 1
    [ "$failures" -eq 0 ]
) || fail "a full disk is not told"
grep -Eq 'full.db: .*(disk|space).*earlier results are unchanged' err ||
    fail "a full disk says: $(cat err)"
grep -q 'full.db holds 3 of 12 runs, the same command does the rest' err ||
    fail "a full disk says: $(cat err)"
[ "$(sqlite3 full.db 'PRAGMA integrity_check')" = ok ] || fail "a full disk damaged it"
exits 0 sweep grid.yaml --out full.db --quiet
dump full.db >full.rows
same rows full.rows
no_leftovers .
[ -z "$(find . -name '*.lock')" ] || fail "left behind: $(find . -name '*.lock')"
done_testing
