#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The openai npm client, of the version in tests/node, against stackrouter before two
# mock engines: models, chat, completions, streams, errors, and an engine that dies.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

skip() {
    echo "skipped: $*"
    exit 77
}
for program in node npm; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
[ "$(node --version | tr -d v | cut -d. -f1)" -ge 20 ] || skip "node is older than 20"

# Installed once for a build folder, never into the source tree.
export STACKSIM_NODE=$STACKSIM_BUILD/tests/node
mkdir -p "$STACKSIM_NODE"
if ! cmp -s "$STACKSIM_SOURCE/tests/node/package-lock.json" "$STACKSIM_NODE/installed.json"; then
    cp "$STACKSIM_SOURCE"/tests/node/package*.json "$STACKSIM_NODE"
    timeout 60 npm ci --prefix "$STACKSIM_NODE" --ignore-scripts --no-audit --no-fund \
        --fetch-retries=1 --fetch-timeout=20000 >npm.out 2>&1 ||
        skip "npm cannot install the openai package: $(grep -m 1 'npm error' npm.out)"
    cp "$STACKSIM_NODE/package-lock.json" "$STACKSIM_NODE/installed.json"
fi

children=()
trap 'kill -9 "${children[@]}" 2>/dev/null' EXIT
listens() { # FILE: the address in it once it is there, in $url
    for _ in $(seq 400); do
        url=$(grep -o 'http://[0-9.:]*[0-9]' "$1" | head -1)
        [ -z "$url" ] || return 0
        sleep 0.05
    done
    fail "nothing listens: $(cat "$1")"
    done_testing
}

engines=()
for number in 1 2; do
    "$STACKSIM_BIN" mock-engine --model llama_3_1_8b --gpu h100_sxm --port 0 --time-scale 2 \
        2>"engine$number" &
    children+=($!)
    listens "engine$number"
    engines+=("$url")
done
"$STACKSIM_BUILD/stackrouter" --host 127.0.0.1 --port 0 --routing-logic roundrobin \
    --static-backends "${engines[0]},${engines[1]}" \
    --static-models llama_3_1_8b,llama_3_1_8b --static-aliases gpt-4:llama_3_1_8b 2>router &
router=$!
children+=("$router")
for _ in $(seq 400); do
    grep -q 'listening on' router 2>/dev/null && break
    sleep 0.05
done
url=http://127.0.0.1:$(sed -n 's/.*listening on .*:\([0-9]*\).*/\1/p' router | head -1)

timeout 50 node "$STACKSIM_SOURCE/tests/node/client.mjs" "$url/v1" "$url/metrics" \
    "${children[@]:0:2}" || fail "the client is not content; the router says: $(cat router)"

kill -TERM "$router"
wait "$router"
code=$?
[ "$code" -eq 0 ] || fail "the router ends with $code"
done_testing
