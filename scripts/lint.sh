#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang-format and clang-tidy over our own files, one process per core.
#
# usage: scripts/lint.sh [FILE...]     all files when none is given
#        scripts/lint.sh --fix         formats all files instead of checking
set -eu
cd "$(dirname "$0")/.."
jobs=$(nproc)

ours() {
    find base stats traces policies stack sim reports router cli tests \
        \( -name '*.c' -o -name '*.h' \) -type f 2>/dev/null | LC_ALL=C sort
}
if [ "${1:-}" = --fix ]; then
    ours | xargs clang-format-14 -i
    exit 0
fi
if [ $# -gt 0 ]; then
    files=$(printf '%s\n' "$@")
else
    files=$(ours)
fi

echo "lint: clang-format"
failed=0
echo "$files" | xargs -n 20 -P "$jobs" clang-format-14 --dry-run -Werror || {
    echo "lint: not formatted; run scripts/lint.sh --fix"
    failed=1
}

# clang-tidy wants clang's own command lines and the one generated header.
cmake --preset clang >/dev/null
cmake --build --preset clang --target stacksim_commit >/dev/null
echo "lint: clang-tidy"
# Each process keeps its output until it ends, so that messages do not mix; what clang
# says about suppressed warnings (on stderr) is no news.
echo "$files" | grep '\.c$' | xargs -n 2 -P "$jobs" sh -c '
    said=$(clang-tidy-14 -p build/clang --quiet --header-filter="$0" "$@" 2>/dev/null)
    result=$?
    [ -z "$said" ] || printf "%s\n" "$said"
    exit $result' \
    '/(base|stats|traces|policies|sim|reports|router|cli|tests)/[^:]*\.h$' || failed=1
if [ "$failed" -ne 0 ]; then
    echo "lint: FAILED"
    exit 1
fi
echo "lint: clean"
