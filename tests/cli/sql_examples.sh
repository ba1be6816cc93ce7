#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Every SQL example of docs/results.md runs and finds something; where the store holds
# the same figure otherwise, both agree.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
. "$STACKSIM_SOURCE/tests/cli/sweep.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }

exits 0 compare demo --policies round_robin,prefix_aware --set end.requests=1000 \
    --set slo.ttft=200ms --out two.db --no-report --quiet
small_sweep 100
exits 0 sweep grid.yaml --out sweep.db --quiet

# example-01.sql ...: the blocks in the document's order.
awk '/^```sql$/ { n++; name = sprintf("example-%02d.sql", n); next }
     /^```$/ { name = "" }
     name != "" { print >name }' "$STACKSIM_SOURCE/docs/results.md"
count=$(ls example-*.sql | wc -l)
[ "$count" -ge 12 ] || fail "docs/results.md has $count examples, expected 12 or more"
for example in example-*.sql; do
    store=two.db
    grep -q sweep "$example" && store=sweep.db
    sqlite3 -header -csv "$store" <"$example" >"${example%.sql}.csv" 2>err ||
        fail "$example: $(cat err)"
    [ -s err ] && fail "$example: $(cat err)"
    [ "$(wc -l <"${example%.sql}.csv")" -ge 2 ] || fail "$example finds nothing"
done

# answer PATTERN: the rows of the example that holds it.
answer() {
    local file
    file=$(grep -l -- "$1" example-*.sql | head -1)
    sed 1d "${file%.sql}.csv"
}
close() { # A B: equal but for the last digits
    awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(d * d <= 1e-12 * a * a) }'
}
query() {
    sqlite3 -csv "$1" "$2"
}

for pattern in 'FROM v_status' 'row_number()' 'FROM v_goodput' 'FROM keyed a' \
    'r.number AS rate, count' 'FROM v_engine '; do
    grep -qF -- "$pattern" example-*.sql || fail "no example holds '$pattern'"
done
[ "$(answer 'FROM v_status' | awk -F, '{ n += $3 } END { print n }')" = 2000 ] ||
    fail "v_status does not count every request"
answer 'row_number()' | while IFS=, read -r run median; do
    stored=$(query two.db "SELECT ttft_ms_p50 FROM run WHERE name = '$run'")
    close "$median" "$stored" || echo "$run: median $median, stored $stored"
done >wrong
answer 'FROM v_goodput' | while IFS=, read -r run completed within percent; do
    stored=$(query two.db "SELECT 100 * slo_ratio FROM run WHERE name = '$run'")
    close "$percent" "$stored" || echo "$run: $percent % within the SLO, stored $stored"
done >>wrong
[ "$(answer 'FROM keyed a' | wc -l)" = 6 ] || echo "not 2 rates x 3 seeds" >>wrong
answer "r.number AS rate, count" | while IFS=, read -r policy rate seeds mean p99; do
    [ "$seeds" = 3 ] || echo "$policy at $rate: $seeds seeds"
done >>wrong
[ -s wrong ] && fail "$(cat wrong)"
[ "$(answer 'FROM v_engine ' | awk -F, '{ n += $3 } END { print n }')" = 2000 ] ||
    fail "v_engine does not hold every request"

# Every view can be read whole.
for view in $(query two.db "SELECT name FROM sqlite_master WHERE type = 'view'"); do
    query sweep.db "SELECT count(*) FROM (SELECT * FROM $view)" >out 2>err ||
        fail "$view: $(cat err)"
    grep -q "$view" "$STACKSIM_SOURCE/docs/results.md" || fail "$view is not documented"
done
for table in $(query two.db "SELECT name FROM sqlite_master WHERE type = 'table'"); do
    grep -q "\`$table\`" "$STACKSIM_SOURCE/docs/results.md" ||
        fail "$table is not documented"
done
done_testing
