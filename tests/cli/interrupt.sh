#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# SIGINT ends a run with 130, says what was not written and leaves nothing behind.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

# Long enough to be interrupted on any machine: every step singly.
for attempt in "run --out a.db --decisions d.csv" "compare --out folder"; do
    # shellcheck disable=SC2086
    set -- $attempt
    command=$1
    shift
    # A background job of a script ignores SIGINT unless job control is on.
    set -m
    "$STACKSIM_BIN" "$command" speed-fleet --step-by-step --quiet "$@" >out 2>err &
    pid=$!
    set +m
    sleep 2
    kill -INT $pid
    wait $pid
    code=$?
    [ "$code" -eq 130 ] || fail "$command: exits with $code, expected 130: $(cat err)"
    [ "$(wc -l <err)" -eq 1 ] || fail "$command: prints $(wc -l <err) lines: $(cat err)"
    grep -q '^stacksim: interrupted after .* was not written' err ||
        fail "$command: says '$(cat err)'"
    [ -s out ] && fail "$command: prints a result"
    absent a.db d.csv folder/speed-fleet.db folder/speed-fleet.html
    no_leftovers .
done
done_testing
