#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A sweep that is killed at 20 random moments: after each the store is sound and holds
# all that it held before, and in the end it holds the rows of a sweep in peace.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
. "$STACKSIM_SOURCE/tests/cli/sweep.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }
RANDOM=${STACKSIM_TEST_SEED:-1}

held() {
    sqlite3 killed.db 'SELECT run_id, digest, started_utc FROM run ORDER BY run_id'
}

small_sweep 4000
exits 0 sweep grid.yaml --out peace.db --quiet
dump peace.db >rows
start=$(date +%s%N)
exits 0 sweep grid.yaml --out timed.db --quiet
whole_ms=$((($(date +%s%N) - start) / 1000000))

kills=0
completions=0
rm -f killed.db
: >before
while [ "$kills" -lt 20 ]; do
    "$STACKSIM_BIN" sweep grid.yaml --out killed.db --quiet >/dev/null 2>err &
    pid=$!
    sleep "$(awk -v r=$RANDOM -v ms=$whole_ms 'BEGIN { print r / 32768 * ms * 0.9 / 1000 }')"
    kill -9 "$pid" 2>/dev/null && kills=$((kills + 1))
    wait "$pid" 2>/dev/null
    [ -e killed.db ] || continue
    stacksim report killed.db --no-report --format csv
    [ "$code" -eq 0 ] || grep -q 'holds no run' err || fail "kill $kills: $(cat err)"
    [ "$(sqlite3 killed.db 'PRAGMA integrity_check')" = ok ] || fail "kill $kills: damaged"
    held >after
    [ -z "$(comm -23 <(sort before) <(sort after))" ] ||
        fail "kill $kills: a finished run was lost or done again"
    held_then="${held_then:-} $(wc -l <after)"
    cp after before
    if [ "$(wc -l <after)" -eq 12 ]; then
        exits 0 sweep grid.yaml --out killed.db --quiet
        dump killed.db >killed.rows
        same rows killed.rows
        completions=$((completions + 1))
        rm -f killed.db
        : >before
    fi
done
exits 0 sweep grid.yaml --out killed.db --quiet
held >after
[ -z "$(comm -23 <(sort before) <(sort after))" ] || fail "the last call redid a run"
dump killed.db >killed.rows
same rows killed.rows
echo "$kills kills, $completions stores completed on the way; runs held: $held_then"
done_testing
