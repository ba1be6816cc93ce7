#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Gates speed by instructions instead of seconds: small runs of the release preset under
# callgrind, each held against its pinned count in instructions.txt. A count is the same
# on an idle machine and on a busy one, and moves by parts of a percent from one CPU or
# C library to another. It begins with main(): what the loader does for the libraries
# that we link is theirs, and changes with every release of a distribution.
#
# usage: scripts/bench/instructions.sh          fails when a run takes over 5 % more
#        scripts/bench/instructions.sh --pin    writes today's counts into the file;
#                                               say in the commit what they pay for
#
# STACKSIM_BIN names another binary than that of the release preset.
set -eu
cd "$(dirname "$0")/../.."
pinned=scripts/bench/instructions.txt
percent=5
pin=false
case ${1-} in
'') ;;
--pin) pin=true ;;
*)
    echo "usage: scripts/bench/instructions.sh [--pin]" >&2
    exit 2
    ;;
esac

if [ -z "${STACKSIM_BIN-}" ]; then
    cmake --preset release >/dev/null
    cmake --build --preset release --target stacksim >build/release.log 2>&1 || {
        tail -n 40 build/release.log
        exit 1
    }
    STACKSIM_BIN=build/release/stacksim
fi
work=build/instructions
mkdir -p "$work"

# NAME ARGUMENTS: prints the instructions of `stacksim run ARGUMENTS`. The environment is
# empty, because its size is counted too.
count() {
    name=$1
    shift
    env -i valgrind --tool=callgrind --toggle-collect=main \
        --callgrind-out-file="$work/$name.callgrind" \
        "$STACKSIM_BIN" run "$@" --config-dir configs --quiet --format json \
        >"$work/$name.json" 2>"$work/$name.log" || {
        tail -n 20 "$work/$name.log" >&2
        exit 1
    }
    sed -n 's/.*Collected : \([0-9][0-9]*\).*/\1/p' "$work/$name.log"
}

failed=false
: >"$work/new.txt"
while IFS= read -r line; do
    case $line in
    '' | '#'*)
        printf '%s\n' "$line" >>"$work/new.txt"
        continue
        ;;
    esac
    # shellcheck disable=SC2086
    set -- $line
    name=$1
    bound=$2
    shift 2
    now=$(count "$name" "$@")
    [ -n "$now" ] || {
        echo "instructions: callgrind gave no count for $name: $work/$name.log"
        exit 1
    }
    printf '%-15s %11s  %s\n' "$name" "$now" "$*" >>"$work/new.txt"
    change=$(awk -v now="$now" -v bound="$bound" \
        'BEGIN { printf("%+.1f", 100 * (now / bound - 1)) }')
    verdict=ok
    if awk -v change="$change" -v percent="$percent" \
        'BEGIN { exit !(change > percent) }'; then
        verdict="TOO MANY (callgrind_annotate $work/$name.callgrind)"
        failed=true
    elif awk -v change="$change" 'BEGIN { exit !(change < -10) }'; then
        verdict='ok; fewer by far, worth pinning'
    fi
    printf 'instructions: %-15s %11s, pinned %11s, %s %%: %s\n' \
        "$name" "$now" "$bound" "$change" "$verdict"
done <"$pinned"

if $pin; then
    cp "$work/new.txt" "$pinned"
    echo "instructions: pinned in $pinned"
elif $failed; then
    echo "instructions: FAILED: over $percent % more than pinned; make it faster, or pin with" \
        "scripts/bench/instructions.sh --pin and say what the instructions are for"
    exit 1
fi
