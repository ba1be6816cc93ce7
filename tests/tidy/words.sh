#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What every file owes its readers: a licence line, lines that fit, no tabs, no blanks at
# the end, and no to-do without an issue ("TODO(#12)" is legal).
set -eu
. tests/tidy/lib.sh
files=$(sources c h def cmake sh bash awk; find . -maxdepth 2 -name CMakeLists.txt)
# shellcheck disable=SC2086
awk '
FNR == 1 { licence = 0 }
FNR <= 3 && /SPDX-License-Identifier: Apache-2\.0/ { licence = 1 }
FNR == 4 && !licence && FILENAME !~ /CMakeLists|\.def$/ {
    printf "%s:1: no SPDX line among the first three\n", FILENAME
}
length($0) > 88 && FILENAME ~ /\.[ch]$/ {
    printf "%s:%d: longer than 88 columns\n", FILENAME, FNR
}
/\t/ { printf "%s:%d: a tab; write \\t or blanks\n", FILENAME, FNR }
/[ \t]$/ { printf "%s:%d: blanks at the end of the line\n", FILENAME, FNR }
/(^|[^A-Za-z])(TO[D]O|FIX[M]E|XX[X])([^A-Za-z(]|$)/ {
    printf "%s:%d: a to-do without an issue\n", FILENAME, FNR
}' $files >"$STACKSIM_TMP/offences"
finish "$STACKSIM_TMP/offences"
