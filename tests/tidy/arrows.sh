#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The arrows between folders hold, and the test would see it if they did not.
set -eu
. tests/tidy/lib.sh
# shellcheck disable=SC2046
awk -f tests/tidy/arrows.awk $(sources c h) >"$STACKSIM_TMP/offences"
finish "$STACKSIM_TMP/offences"

# A file that breaks each rule must be found.
root=$PWD
cd "$STACKSIM_TMP"
mkdir policies sim
: >sim/sim.h
printf '#include "sim/sim.h"\n#include "view.h"\n#include "policies/none.h"\n' \
    >policies/bad.c
count=$(awk -f "$root/tests/tidy/arrows.awk" policies/bad.c | wc -l)
if [ "$count" -ne 3 ]; then
    echo "arrows.awk found $count of 3 planted offences"
    exit 1
fi
