#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a test with an empty folder of its own in STACKSIM_TMP.
set -eu
rm -rf "$STACKSIM_TMP"
mkdir -p "$STACKSIM_TMP"
TSAN_OPTIONS="suppressions=$STACKSIM_SOURCE/tests/tsan.supp:${TSAN_OPTIONS-}"
export TSAN_OPTIONS
exec "$@"
