#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# pins.sh [--set] [STACKSIM]: the simulator's own behaviour, pinned.
#
# Runs a few scenarios under every policy that matters there and holds each headline
# metric against tests/pins/pins.csv: a change of behaviour shows as a named metric of a
# named scenario. Results depend on nothing but the sources, so that nothing may move,
# for the better neither. --set writes the pins anew: look at the difference and say why.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
set_pins=false
if [ "${1:-}" = --set ]; then
    set_pins=true
    shift
fi
stacksim=${1:-$root/build/release/stacksim}
STACKSIM_CONFIGS=$root/configs
export STACKSIM_CONFIGS
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

pin() { # SCENARIO POLICIES [OPTIONS]
    scenario=$1
    policies=$2
    shift 2
    "$stacksim" compare "$scenario" --policies "$policies" --out "$folder/pins.db" \
        --append --no-report --no-requests --quiet "$@" >/dev/null 2>"$folder/err" || {
        cat "$folder/err"
        exit 1
    }
}
pin demo round_robin,session,least_request --set end.requests=1000
pin speed-small round_robin --set end.requests=2000
pin published/shared-prefix random,weighted_sum,cache_aware,chwbl --set end.requests=1500
pin published/r3-kubeai-chwbl least_request,chwbl --set end.requests=1500
for digest in chat mixed preemption apart stages; do
    pin "$root/tests/digests/$digest.yaml" round_robin
done

if $set_pins; then
    "$stacksim" report "$folder/pins.db" --no-report --format csv \
        >"$root/tests/pins/pins.csv"
    echo "pins.sh: wrote tests/pins/pins.csv"
else
    "$stacksim" regress --baseline "$root/tests/pins/pins.csv" \
        --candidate "$folder/pins.db" --rules "$root/tests/pins/rules.yaml" --exact ||
        {
            echo "pins.sh: results have moved; if that is meant, run scripts/pins.sh --set"
            exit 3
        }
fi
