#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# stackrouter's command line: help, version, what it refuses and with which exit code.
set -eu
router=$STACKSIM_BUILD/stackrouter
[ -x "$router" ] || {
    echo "no $router: build it first"
    exit 1
}
"$router" --help >"$STACKSIM_TMP/help"
for word in --static-backends --routing-logic --session-key --dynamic-config-json \
    --access-log --max-connections curl; do
    grep -q -e "$word" "$STACKSIM_TMP/help" || {
        echo "--help does not mention $word"
        exit 1
    }
done
"$router" --version | grep -q '^stackrouter [0-9]'

refuses() { # CODE WORD ARGUMENTS...
    code=$1
    word=$2
    shift 2
    result=0
    "$router" "$@" >"$STACKSIM_TMP/out" 2>"$STACKSIM_TMP/err" || result=$?
    if [ "$result" -ne "$code" ] || ! grep -q -e "$word" "$STACKSIM_TMP/err" ||
        [ "$(wc -l <"$STACKSIM_TMP/err")" -ne 1 ] || [ -s "$STACKSIM_TMP/out" ]; then
        echo "stackrouter $*: exit code $result, expected $code, with '$word' on one line:"
        cat "$STACKSIM_TMP/err"
        exit 1
    fi
}
set -- --static-backends http://127.0.0.1:1 --static-models m
refuses 2 'routing-logic is missing' "$@"
refuses 2 'unknown policy' "$@" --routing-logic nonsense
refuses 2 'needs --session-key' "$@" --routing-logic session
refuses 2 'did you mean --port' "$@" --prot 1
refuses 2 'no IP address' "$@" --routing-logic roundrobin --host nowhere
refuses 2 'needs --tls-key' "$@" --routing-logic roundrobin --tls-cert /nowhere
refuses 2 'dynamic.json' --dynamic-config-json "$STACKSIM_TMP/dynamic.json"
refuses 2 'sentry-dsn' "$@" --routing-logic roundrobin --sentry-dsn nonsense
refuses 1 'decisions' "$@" --routing-logic roundrobin \
    --decision-log "$STACKSIM_TMP/no/decisions.csv"
refuses 2 'plugin.so' "$@" --routing-logic roundrobin \
    --policy-plugin "$STACKSIM_TMP/plugin.so"
