#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim trace`: what is generated can be read, what is converted is the same trace,
# and info says what a recorded trace is known to hold.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

# value FILE KEY: a number of the indented JSON, the first of that key.
value() {
    sed -n "s/^[[:space:]]*\"$2\":[[:space:]]*\([-0-9.e+]*\),*\$/\1/p" "$1" | head -1
}
holds() {
    local got
    got=$(value "$1" "$2")
    [ "$got" = "$3" ] || fail "$2 is '$got', expected $3"
}

exits 0 trace generate chat.csv --requests 500 --seed 3 --quiet
exits 0 trace generate again.csv --preset moon-conv --requests 500 --seed 3 --quiet
same chat.csv again.csv
exits 0 trace info chat.csv --format json
cp out info.json
holds info.json rows 500
exits 0 trace info chat.csv
grep -Eq '^requests +500' out || fail "the text of info does not say 500 requests"

# Converting a native trace changes nothing, through pipes too.
exits 0 trace convert chat.csv copy.csv --quiet
same chat.csv copy.csv
"$STACKSIM_BIN" trace convert - - --quiet <chat.csv >piped.csv 2>err || fail "pipe: $(cat err)"
same chat.csv piped.csv
exits 0 trace convert chat.csv part.csv --limit 100 --quiet
exits 0 trace info part.csv --format json
holds out rows 100

# A workload file of its own, and a scenario's.
cat >workload.yaml <<'X'
generate:
  requests: 50
  arrival: {kind: poisson, rate_per_s: 5}
  input: 100
  output: 10
X
exits 0 trace generate workload.yaml single.csv --quiet
exits 0 trace info single.csv --format json
holds out rows 50
holds out sum 5000
exits 0 trace generate "$STACKSIM_SOURCE/configs/scenarios/speed-small.yaml" \
    small.csv --set workload.generate.0.requests=20 --quiet
exits 0 trace info small.csv --format json
holds out rows 20

# A run on the file is a run on the generator.
exits 0 run speed-small --set workload.generate.0.requests=20 --digest --quiet
cp out from_generator
exits 0 run speed-small --trace small.csv --digest --quiet
same from_generator out

refuses 2 '.*nonsense.*moon-conv' trace generate x.csv --preset nonsense
refuses 2 "option --on-error: 'stop'" trace info chat.csv --on-error stop
refuses 2 'option --tick: ' trace info chat.csv --tick 3
refuses 2 "option --format: 'csv'" trace info chat.csv --format csv

# Known values of a recorded trace.
data=${STACKSIM_DATA:-$STACKSIM_SOURCE/../shared}
recorded=$data/traces/mooncake_conversation.jsonl.zst
if [ -e "$recorded" ]; then
    exits 0 trace info "$recorded" --format json
    holds out rows 12031
    holds out sum 144793823
    holds out last_arrival_ns 3536999000000
    holds out blocks 288500
    holds out distinct_blocks 182790
    holds out hit_blocks 105710
    # Converted, it is the same trace.
    cp out recorded.json
    exits 0 trace convert "$recorded" native.csv --quiet
    exits 0 trace info native.csv --format json
    for key in rows sum last_arrival_ns distinct_blocks hit_blocks hit_tokens; do
        holds out $key "$(value recorded.json $key)"
    done
else
    echo "no recorded traces in $data: their values not checked"
fi
no_leftovers .
done_testing
