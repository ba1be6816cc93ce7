#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim bench` ends in one line of JSON with every figure, for a scenario and for
# the event queue; each target of Makefile.bench has its scenario.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

line_holds() { # KEY...
    for key in "$@"; do
        tail -n 1 out | grep -Eq "\"$key\":(\"[^\"]+\"|[0-9])" ||
            fail "no $key in: $(tail -n 1 out)"
    done
}
figures=(target wall_s cpu_s requests requests_per_s events events_per_s steps
    steps_per_s peak_rss_bytes digest commit compiler cpu)

exits 0 bench speed-small --set end.requests=50 --runs 2 --warm-up 0
line_holds "${figures[@]}"
tail -n 1 out | grep -q '"runs":2,"requests":50,' || fail "not two runs of 50 requests"

exits 0 bench evq --once
grep -q '"totals":{"requests":0,"events":16777216,"steps":0}' out ||
    fail "the event queue moved other events: $(cat out)"

exits 0 bench pick --runs 1 --once
[ "$(tail -n 1 out | grep -o '"pick_ns_16":[0-9]' | wc -l)" -gt 10 ] ||
    fail "too few policies: $(tail -n 1 out)"
line_holds target wall_s runs commit compiler cpu

refuses 2 '.*--once: only with evq.*' bench speed-small --once
refuses 2 '.*evq is no scenario.*' bench evq --step-by-step
refuses 2 '.*pick is no scenario.*' bench pick --set end.requests=1
refuses 2 '.*--runs.*' bench evq --runs 0

for target in $(sed -n 's/^SCENARIOS := //p' "$STACKSIM_SOURCE/Makefile.bench"); do
    exits 0 check "$target"
done

# What is measured beside nginx says what it lacks, before it starts anything.
said=$(PATH=/nonexistent "$BASH" "$STACKSIM_SOURCE/scripts/bench/router.sh" x bench-router 1 2>&1)
code=$?
[ "$code" -eq 2 ] || fail "router.sh without wrk exits with $code"
[[ $said == *"wrk not found; scripts/deps.sh --bench installs it"* ]] || fail "it says '$said'"

done_testing
