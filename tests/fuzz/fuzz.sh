#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Fuzzes TARGET from its committed CORPUS for STACKSIM_FUZZ_S seconds (10). New inputs go
# to the test's own folder: what is worth keeping is committed by hand.
#
# usage: fuzz.sh TARGET CORPUS
set -eu
mkdir -p "$STACKSIM_TMP/found"
exec "$1" -max_total_time="${STACKSIM_FUZZ_S:-10}" -timeout=10 -rss_limit_mb=2048 \
    -max_len=4096 -print_final_stats=1 -artifact_prefix="$STACKSIM_TMP/" \
    "$STACKSIM_TMP/found" "$2"
