#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Stores of older versions of the schema, kept as SQL text in tests/stores, are read as
# they are and extended to the current version; nobody else's tables are touched.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }

exits 0 run demo --set end.requests=6 --quiet --out fresh.db
current=$(sqlite3 fresh.db 'PRAGMA user_version')
columns() { # STORE: every column of every table and view, in order of their names
    sqlite3 "$1" "SELECT m.type, m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p
        WHERE m.name NOT LIKE 'mine%' ORDER BY 1, 2, 3"
}
columns fresh.db >fresh.columns
sqlite3 fresh.db 'SELECT * FROM request_status' >fresh.statuses

for ((version = 1; version < current; version++)); do
    text="$STACKSIM_SOURCE/tests/stores/v$version.sql"
    [ -e "$text" ] || { fail "no store of version $version in tests/stores"; continue; }
    rm -f old.db
    sqlite3 old.db <"$text"
    [ "$(sqlite3 old.db 'PRAGMA user_version')" = "$version" ] || fail "$text is not of version $version"
    sqlite3 old.db "CREATE TABLE mine (x); INSERT INTO mine VALUES (1);
        CREATE VIEW mine_too AS SELECT run, requests FROM v_run"
    requests=$(sqlite3 old.db 'SELECT count(*), sum(end_ns), sum(prompt_tokens) FROM request')
    runs=$(sqlite3 old.db 'SELECT run_id, name, digest, ttft_ms_mean FROM run ORDER BY 1')

    # Reading leaves the file as it is, also one that nobody may write to.
    cp old.db before.db
    exits 0 report old.db --no-report --format csv
    cp out read.csv
    same before.db old.db
    [ "$(wc -l <read.csv)" -eq 3 ] || fail "version $version: report does not show both runs"
    exits 0 report old.db --no-report
    grep -q 'Warm-up: none cut' out || fail "version $version: an old run has no warm-up rule"
    same before.db old.db
    exits 0 regress --baseline old.db --candidate old.db
    same before.db old.db

    # Extending brings it to the current version in the same transaction.
    exits 0 run demo --set end.requests=6 --quiet --out old.db --append --name new
    [ "$(sqlite3 old.db 'PRAGMA user_version')" = "$current" ] || fail "version $version: not migrated"
    [ "$(sqlite3 old.db 'PRAGMA integrity_check')" = ok ] || fail "version $version: damaged"
    columns old.db >old.columns
    same fresh.columns old.columns
    sqlite3 old.db 'SELECT * FROM request_status' >old.statuses
    same fresh.statuses old.statuses
    [ "$(sqlite3 old.db 'SELECT count(*), sum(end_ns), sum(prompt_tokens) FROM request WHERE run_id <= 2')" = "$requests" ] ||
        fail "version $version: rows of requests have changed"
    [ "$(sqlite3 old.db 'SELECT run_id, name, digest, ttft_ms_mean FROM run WHERE run_id <= 2 ORDER BY 1')" = "$runs" ] ||
        fail "version $version: runs have changed"
    [ "$(sqlite3 old.db 'SELECT x FROM mine')" = 1 ] || fail "version $version: a table of another was lost"
    [ "$(sqlite3 old.db 'SELECT count(*) FROM mine_too')" = 3 ] || fail "version $version: a view of another was lost"
    exits 0 report old.db --no-report --format csv --runs round_robin,session
    same read.csv out

    # A run that fails migrates nothing.
    cp before.db old.db
    refuses 2 '.*' run demo --set end.requests=x --out old.db --append
    same before.db old.db
done
done_testing
