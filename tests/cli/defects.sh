#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `defects` as a user meets it: seeds, other fleets, lists, pages and wrong words. What each
# defect costs is in defects_slow.sh.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
csv() { # DEFECT METRIC COLUMN: of the file out
    awk -F, -v d="$1" -v m="$2" -v c="$3" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
        $1 == d && $2 == m { print $column[c] }' out
}

# One seed has no interval, and the seed may be chosen: other requests.
exits 0 defects --only shared-counter --seeds 1 --format csv --quiet
[ "$(csv shared-counter ttft_ms_p99 cost_low)" = "" ] || fail "an interval of one seed"
first=$(csv shared-counter ttft_ms_p99 with)
exits 0 defects --only shared-counter --seeds 1 --seed 2 --format csv --quiet
[ "$first" != "$(csv shared-counter ttft_ms_p99 with)" ] || fail "--seed has no effect"

# In somebody else's fleet: a sample of two pools without adapters or roles, or chart values.
exits 0 defects demo --set end.requests=200 --seeds 1 --quiet
grep -q '^Change nothing here: .*shared-counter' out || fail "what demo does not feel"
grep -q '^shared-counter' out && fail "a row for what changes nothing"
grep -q 'pd-one-token: only in its own scenario' out || fail "pd-one-token in demo"
grep -q 'All in demo[.]$' out || fail "the fleet is not named"
exits 0 defects --helm "$STACKSIM_SOURCE/configs/helm/kv_aware.yaml" --gpu h100_sxm --seeds 2 \
    --quiet --only kvaware-fails,shared-counter --set end.requests=50
grep -q '^kvaware-fails' out || fail "nothing of the chart's fleet"
grep -q 'It has no SLO' out || fail "no word of the missing SLO"
exits 0 defects demo --set end.requests=50 --seeds 1 --quiet --only shared-counter
[ "$(grep -vc '^$' out)" -eq 1 ] || fail "more than a line about nothing: $(cat out)"

# The demonstration of 8.1 engine by engine: 507 requests of 40 users to one of four, and with
# --prefix-min-match-length users in turn.
shares() { # OPTIONS: requests of each engine, the fewest first
    exits 0 run defects/shared-start --quiet --format json --out shares.db "$@"
    sed -n '/"engines"/,$s/.*"requests":.\([0-9]*\),/\1/p' out | sort -n | tr '\n' ' '
}
[ "$(shares)" = "0 0 0 507 " ] || fail "pinned: $(shares)"
# shellcheck disable=SC2046
set -- $(shares --set routing.params.prefix_min_match_length=4096)
[ "$#" -eq 4 ] && [ "$1" -ge 110 ] && [ "$4" -le 145 ] || fail "cured: $*"

# Every switch of a policy that the stack has on by mistake is switched by an entry.
exits 0 policies --format json
grep -o '"default_by_compat"\|"name":.*' out | awk -F'"' '
    /default_by_compat/ { print name } { name = $4 }' >switches
[ "$(wc -l <switches)" -ge 7 ] || fail "only these switches: $(cat switches)"
exits 0 defects --list --format csv
while read -r switch; do
    grep -Eq "params[.]$switch=true" out || fail "no entry switches $switch"
done <switches

# Words, lists and pages.
exits 0 defects --only kvaware-fails,kvaware-last-admitter --seeds 2 --quiet --out-html page.html
grep -q 'every request fails' out || fail "no verdict: $(cat out)"
grep -q 'costs nothing that 2 seeds can tell' out || fail "no acquittal: $(cat out)"
grep -q 'shown by no run' out && fail "the list of others without being asked"
grep -q '>kvaware-fails</th>' page.html || fail "no table on the page"
grep -q -- '--only kvaware-fails,kvaware-last-admitter' page.html || fail "no command line"
exits 0 defects --only kvaware-fails --seeds 2 --quiet --format md
grep -q '^| kvaware-fails ' out || fail "no Markdown table"
exits 0 defects --list
grep -q '^pinning (0.1.3 to head' out || fail "--list lacks pinning"
grep -q '^Shown by no run' out || fail "--list lacks those that no run shows"
exits 0 defects --list --format json
grep -q '"id":."shared-counter"' out || fail "--list as JSON"

# The page of the documentation has the list as it is. To mend: put there what is printed.
exits 0 defects --list --format md
sed -n '/^<!-- stacksim defects --list/,/^<!-- end -->/p' "$STACKSIM_SOURCE/docs/defects.md" |
    sed '1d;$d' >documented
same documented out

# An entry that does not cost what it says: --check misses it.
exits 0 defects --only prefix-caching-off --seeds 1 --quiet --check
exits 3 defects --only prefix-caching-off --seeds 1 --quiet --check \
    --set workload.generate.runs.0.qps=0.01
grep -q '^stacksim: prefix-caching-off does not cost' err || fail "says $(cat err)"

refuses 2 "unknown defect 'pining'; did you mean 'pinning'\?" defects --only pining
refuses 2 "unknown defect 'x'; 'stacksim defects --list'" defects --only x
refuses 2 "--only: 'pinning' is named twice" defects --only pinning --only pinning
refuses 2 "--only: no defect is named" defects --only ,
refuses 2 'pd-label-substring: no run shows this defect: ' defects --only pd-label-substring
refuses 2 '--seeds: 1 to 100, not 0' defects --seeds 0
refuses 2 '--seed: ' defects --seed one
refuses 2 '.*xml' defects --format xml
refuses 2 '.*nobody' defects nobody.yaml
refuses 2 '.*replicaz' defects --only pinning --set cluster.pools.0.replicaz=3
refuses 2 '--trace: every defect has a workload of its own' defects --trace x.csv
refuses 2 '--compat, --crd, --nodes' defects --gpu h100_sxm
refuses 2 "'demo' beside --helm" defects demo --helm x.yaml
refuses 1 '.*none/page.html' defects --only pinning --out-html none/page.html
done_testing
