#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Same seed, same bytes (STYLE 5.5): builds stacksim with gcc and clang at -O0 and -O3,
# runs each twice on some scenarios, and compares the digests of all outcomes. The
# step-by-step oracle runs once and must agree too.
#
# usage: scripts/digests.sh [SCENARIO.yaml...]
set -eu
cd "$(dirname "$0")/.."
work=build/digests
mkdir -p "$work"

if [ $# -eq 0 ]; then
    # Small ones that cover generators, recorded samples and every engine feature.
    set -- tests/digests/*.yaml
fi
for scenario in "$@"; do
    [ -f "$scenario" ] || {
        echo "digests: no scenario $scenario"
        exit 2
    }
done

build() { # NAME COMPILER FLAGS
    cmake -S . -B "build/digest-$1" -G Ninja -DCMAKE_C_COMPILER="$2" \
        -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS="$3" -DSTACKSIM_TESTS=OFF -DSTACKSIM_WERROR=OFF >/dev/null
    cmake --build "build/digest-$1" --target stacksim >"$work/$1.log" 2>&1 || {
        tail -n 40 "$work/$1.log"
        exit 1
    }
}

digest() { # BUILD SCENARIO [OPTION...]
    binary=build/digest-$1/stacksim
    scenario=$2
    shift 2
    "$binary" run "$scenario" --digest --quiet "$@"
}

failed=0
compare() { # SCENARIO LABEL DIGEST
    echo "$1  $2  $3"
    if [ "$3" != "$expected" ]; then
        echo "digests: DIFFERS: $1: $2 gives '$3', expected '$expected'"
        failed=1
    fi
}

builds='gcc-O0 gcc-O3 clang-O0 clang-O3'
build gcc-O0 gcc -O0
build gcc-O3 gcc -O3
build clang-O0 clang-14 -O0
build clang-O3 clang-14 -O3
for scenario in "$@"; do
    expected=$(digest gcc-O0 "$scenario")
    case $expected in
    digest*) ;;
    *)
        echo "digests: $scenario gives no digest: '$expected'"
        exit 1
        ;;
    esac
    for name in $builds; do
        compare "$scenario" "$name" "$(digest "$name" "$scenario")"
        compare "$scenario" "$name, again" "$(digest "$name" "$scenario")"
    done
    compare "$scenario" "gcc-O3, step by step" \
        "$(digest gcc-O3 "$scenario" --step-by-step)"
done
if [ "$failed" -ne 0 ]; then
    exit 1
fi
echo "digests: $# scenarios, four builds, twice and step by step: all the same"
