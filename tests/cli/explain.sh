#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `explain` tells of a request what the run that holds it tells.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
small=(--set end.requests=300 --quiet)

# Every stage and the decision are there, and the shares add up.
exits 0 explain demo 123 --policy least_request "${small[@]}"
for line in 'Request 123 of demo under least_request' 'decision: .*least_loaded' \
    'first token' 'end: completed' 'waiting in the engine' 'prefill' 'decode' \
    'score: requests in flight, the fewest win'; do
    grep -Eq "$line" out || fail "explain does not say '$line'"
done
share=$(awk '$NF == "%" { sum += $(NF - 1) } END { print int(sum + 0.5) }' out)
[ "$share" -eq 100 ] || fail "the stages take $share % of the time"
[ "$(grep -c 'http://.*\*' out)" -eq 1 ] || fail "not one candidate is marked"
[ "$(grep -c 'http://' out)" -eq 4 ] || fail "not all four candidates are shown"

# The same request out of a store, from another folder, as JSON: as its row says.
exits 0 run demo --policy prefix_aware "${small[@]}" --out run.db --decisions decisions.csv
mkdir elsewhere
cd elsewhere || exit 1
for word in 250 slowest slowest-ttft slowest-tpot; do
    exits 0 explain ../run.db "$word" --format json
    cp ../out "../$word.json"
    [ -s ../err ] && fail "explain $word: $(cat ../err)"
done
cd .. || exit 1
value() { # FILE KEY
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\"\{0,1\}\([^\",]*\).*/\1/p" "$1" | head -1
}
[ "$(value 250.json policy)" = prefix_aware ] || fail "the store's policy is not used"
logged=$(awk -F, '$2 == 250 { print $1 " " $6 }' decisions.csv)
decided="$(sed -n '/"decision"/,$p' 250.json >part; value part time_ns) $(value 250.json reason)"
[ "$logged" = "$decided" ] || fail "the log says '$logged', explain '$decided'"
if command -v sqlite3 >/dev/null; then
    for word in 250 slowest slowest-ttft slowest-tpot; do
        id=$(value "$word.json" request_id)
        row=$(sqlite3 run.db "SELECT first_token_ns || ' ' || end_ns FROM request WHERE request_id = $id")
        told="$(value "$word.json" first_token_ns) $(value "$word.json" end_ns)"
        [ "$row" = "$told" ] || fail "request $id: the store says '$row', explain '$told'"
    done
    slowest=$(sqlite3 run.db 'SELECT max(end_ns - arrival_ns) FROM request WHERE status = 0')
    told=$(($(value slowest.json end_ns) - $(value slowest.json arrival_ns)))
    [ "$slowest" -eq "$told" ] || fail "the slowest took $slowest ns, explain shows $told"
fi

# A changed option is noticed.
exits 0 explain run.db 250 --set cluster.pools.0.replicas=2
grep -q 'another end of this request' err || fail "a changed fleet goes unnoticed"

refuses 2 'demo has no request 999999999' explain demo 999999999 "${small[@]}"
refuses 2 'REQUEST is .*fastest' explain demo fastest
refuses 2 "'slowest' is looked up in a store" explain demo slowest
refuses 2 'run\.db: holds no run called nobody' explain run.db 1 --run nobody
refuses 2 '--run names a run of a store' explain demo 1 --run nobody
refuses 2 '--format is table or json' explain demo 1 --format xml
exits 0 run demo "${small[@]}" --out lean.db --no-requests
refuses 2 'run round_robin holds no row|run [a-z_]* holds no row' explain lean.db slowest
done_testing
