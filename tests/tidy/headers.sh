#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Every header compiles alone, twice (its guard works), and its guard is named after it.
set -eu
. tests/tidy/lib.sh
: >"$STACKSIM_TMP/offences"
for header in $(sources h); do
    guard=STACKSIM_$(echo "${header%.h}" | tr 'a-z/' 'A-Z_')_H
    grep -q "^#ifndef $guard\$" "$header" ||
        echo "$header:1: no guard $guard" >>"$STACKSIM_TMP/offences"
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        ${CC:-gcc} -std=c17 -D_GNU_SOURCE -I. -Wall -Wextra -Wpedantic -Werror \
            -Wno-unused-function -fsyntax-only -x c - >"$STACKSIM_TMP/log" 2>&1 || {
        echo "$header:1: does not compile alone: $(grep -m 1 error "$STACKSIM_TMP/log")" \
            >>"$STACKSIM_TMP/offences"
    }
done
finish "$STACKSIM_TMP/offences"
