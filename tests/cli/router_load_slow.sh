#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loopback.load at length: 60 seconds of bad requests, and a million requests that leave
# nothing behind (under the sanitizers 100,000, whose leaks they would tell).
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

requests=1000000
if grep -aq '^__asan_init\|__tsan_init' "$STACKSIM_BUILD/stackrouter"; then
    requests=100000
fi
STACKSIM_LOAD_S=60 "$STACKSIM_BUILD/tests/loopback_load" a_flood_of_nonsense ||
    fail "60 seconds of nonsense did harm"
STACKSIM_LOAD_REQUESTS=$requests "$STACKSIM_BUILD/tests/loopback_load" memory_stays_flat ||
    fail "$requests requests left something behind"
done_testing
