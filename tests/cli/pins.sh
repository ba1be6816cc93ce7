#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The simulator's results are those of tests/pins; a changed one is told by its name.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
if ! "$STACKSIM_SOURCE/scripts/pins.sh" "$STACKSIM_BIN" >said 2>&1; then
    cat said
    fail "results have moved"
fi
grep -q '^No regression; 0 better' said || fail "pins.sh says: $(cat said)"

# A pin that is off by one thousandth is noticed.
mkdir -p copy/tests/pins copy/scripts copy/tests/digests
cp -r "$STACKSIM_SOURCE/configs" copy/
cp -r "$STACKSIM_SOURCE/tests/digests" copy/tests/
mkdir -p copy/traces && cp -r "$STACKSIM_SOURCE/traces/samples" copy/traces/
cp "$STACKSIM_SOURCE/scripts/pins.sh" copy/scripts/
cp "$STACKSIM_SOURCE/tests/pins/rules.yaml" copy/tests/pins/
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "ttft_ms_p99") at = i }
    NR == 2 { $at *= 1.001 } { print }' "$STACKSIM_SOURCE/tests/pins/pins.csv" >copy/tests/pins/pins.csv
copy/scripts/pins.sh "$STACKSIM_BIN" >said 2>&1
[ $? -eq 3 ] || fail "a moved pin exits with another code"
grep -q 'ttft_ms_p99' said || fail "the moved metric is not named: $(cat said)"
done_testing
