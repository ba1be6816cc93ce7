#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The report page in a real browser (tests/browser/page.mjs): a comparison, one of several
# seeds, one of every policy, and a sweep.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

skip() {
    echo "skipped: $*"
    exit 77
}
for program in node npm chromium gnuplot; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
[ "$(node --version | tr -d v | cut -d. -f1)" -ge 20 ] || skip "node is older than 20"

# Installed once for a build folder, never into the source tree.
export STACKSIM_BROWSER=$STACKSIM_BUILD/tests/browser
mkdir -p "$STACKSIM_BROWSER"
if ! cmp -s "$STACKSIM_SOURCE/tests/browser/package-lock.json" "$STACKSIM_BROWSER/installed.json"; then
    cp "$STACKSIM_SOURCE"/tests/browser/package*.json "$STACKSIM_BROWSER"
    timeout 60 npm ci --prefix "$STACKSIM_BROWSER" --ignore-scripts --no-audit --no-fund \
        --fetch-retries=1 --fetch-timeout=20000 >npm.out 2>&1 ||
        skip "npm cannot install playwright-core: $(grep -m 1 'npm error' npm.out)"
    cp "$STACKSIM_BROWSER/package-lock.json" "$STACKSIM_BROWSER/installed.json"
fi

small=(--set end.requests=200 --quiet)
exits 0 compare demo "${small[@]}" --policies round_robin,least_request,prefix_aware --out one.db
exits 0 compare demo "${small[@]}" --policies round_robin,random --seeds 3 --out seeds.db
exits 0 compare demo "${small[@]}" --policies all --out all.db
cat >rates.yaml <<'END'
scenario: demo
keys: {rate: workload.rate_factor}
set: {end.requests: 150}
grid: {policy: [round_robin, random], rate: [0.5, 1, 2], seed: 1..2}
END
exits 0 sweep rates.yaml --quiet --out rates.db
exits 0 report rates.db --out .
grep -q 'highest rate' out || fail "report does not say who leads at the highest rate"
# What compare made of its seeds, report makes of its store.
cp seeds.html compared.html
exits 0 report seeds.db --out .
for page in compared.html seeds.html; do
    grep -v '<dt>command</dt>' "$page" >"$page.text"
done
same compared.html.text seeds.html.text
timeout 100 node "$STACKSIM_SOURCE/tests/browser/page.mjs" "$(command -v chromium)" \
    one.html seeds.html all.html rates.html 2>node.err || fail "pages: $(head -c 2000 node.err)"
done_testing
