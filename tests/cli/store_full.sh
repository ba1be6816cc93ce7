#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A store that cannot grow, here because of a limit on the size of files: the run ends
# when its rows no longer fit, says why, and what was there before is as it was.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }

# full KIB ARGUMENTS...: as `stacksim`, with files of at most KIB KiB.
full() {
    local kib=$1
    shift
    (
        trap '' XFSZ # else the signal kills; a full disk sends none
        ulimit -f "$kib"
        exec "$STACKSIM_BIN" "$@"
    ) >out 2>err
    code=$?
}
expect_full() { # WHAT
    [ "$code" -eq 1 ] || fail "$1: exit code $code, expected 1: $(cat err)"
    grep -Eq '^stacksim: .*\.db.*(full|File too large|disk I/O).*' err || fail "$1 says '$(cat err)'"
    [ "$(grep -c '^stacksim: ' err)" -eq 1 ] || fail "$1 says more than one error"
    no_leftovers .
}

exits 0 run speed-small --set end.requests=100 --quiet --out old.db
cp old.db before.db
sqlite3 old.db .dump >before.sql

many=(--set end.requests=10000 --set sample_interval=1s --quiet)
full 256 run speed-small "${many[@]}" --out new.db
expect_full "a new store"
absent new.db
full 256 run speed-small "${many[@]}" --out old.db
expect_full "a store to replace"
same before.db old.db
full 256 run speed-small "${many[@]}" --out old.db --append
expect_full "a store to extend"
sqlite3 old.db .dump >after.sql
same before.sql after.sql
[ "$(sqlite3 old.db 'PRAGMA integrity_check')" = ok ] || fail "the extended store is damaged"
full 256 compare speed-small --policies round_robin,random "${many[@]}" --no-report --out old.db
expect_full "a comparison"
same before.db old.db

# It ends early: most of a long run is never simulated.
full 256 run speed-fleet --quiet --out new.db --timeline t.json
expect_full "a long run"
absent new.db t.json

# Where it fits nothing is noticed, and rows are those of a run without a limit.
full 16384 run speed-small "${many[@]}" --out limited.db
[ "$code" -eq 0 ] || fail "a store that fits: exit code $code: $(cat err)"
exits 0 run speed-small "${many[@]}" --out free.db
for table in request engine_sample engine; do
    sqlite3 limited.db "SELECT * FROM $table" >limited.rows
    sqlite3 free.db "SELECT * FROM $table" >free.rows
    same limited.rows free.rows
done
[ "$(sqlite3 free.db 'SELECT count(*), max(row_id) & 0xffffffffff FROM request')" = '10000|9999' ] ||
    fail "rows are missing"
exits 0 run speed-small "${many[@]}" --out lean.db --no-requests
[ "$(sqlite3 lean.db 'SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM engine_sample) > 0')" = '0|1' ] ||
    fail "--no-requests does not keep samples alone"
done_testing
