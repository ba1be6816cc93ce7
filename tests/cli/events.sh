#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A fleet that changes as a user meets it: the script of faults, the events of a store, and
# what is wrong in either.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
crash=production-stack/crash

exits 0 run "$crash" --set end.requests=1600 --set name=crash --quiet --out run.db
exits 0 events run.db
for line in '60\.000  Warning  Crashed  *pod/chat-1' \
    '60\.500  Normal  *EndpointRemoved  *router  *chat-1'; do
    grep -Eq "$line" out || fail "events does not say '$line'"
done
exits 0 events run.db --warnings --format csv
[ "$(wc -l <out)" -eq 2 ] || fail "not one warning: $(cat out)"
exits 0 events run.db --object nobody --format json
same - out <<<'[]'

# The page and the timeline show them.
exits 0 report run.db --timeline fleet.json --out page
grep -q 'What happened to the fleet' page*.html page/* 2>/dev/null ||
    fail "the page has no events"
grep -q '"name":"Crashed".*"s":"g"' fleet.json || fail "the timeline has no crash"

# Both modes, and nobody lost: as many ends as arrivals.
exits 0 run "$crash" --set end.requests=1600 --quiet --digest
cp out fast
exits 0 run "$crash" --set end.requests=1600 --quiet --digest --step-by-step
same fast out

# Nobody tries again: who was there fails.
exits 0 run "$crash" --set end.requests=1600 --set client.retries=0 \
    --set routing.failover_attempts=0 --quiet --format json
grep -Eq '"failed":[[:space:]]*[1-9]' out || fail "nobody failed: $(grep failed out)"

refuses 2 '.*holds no run called nobody' events run.db --run nobody
refuses 2 '.*pool chat has engines 0 to 3' \
    run "$crash" --set timeline.0.engine_crash=chat/9
refuses 2 ".*'chat' is no engine; write POOL/NUMBER" \
    run "$crash" --set timeline.0.engine_crash=chat
refuses 2 '.*each entry has one of engine_crash' run "$crash" --set timeline.0.scale=chat
refuses 2 '.*there is no node n0' run "$crash" --set timeline.1.at=1s --set timeline.1.node_lost=n0
refuses 2 '.*surge: 0 with unavailable: 0' run "$crash" --set cluster.pools.0.deployment.surge=0
done_testing
