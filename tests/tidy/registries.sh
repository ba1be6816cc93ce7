#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A file without a line: every exported `const struct ... kind_name = {` in a folder with
# a registry.def stands in it as KIND(name). (A line without a file fails to configure.)
set -eu
: >"$STACKSIM_TMP/offences"
find . -name registry.def -not -path './build/*' | LC_ALL=C sort |
    while read -r registry; do
        folder=$(dirname "$registry")
        # shellcheck disable=SC2046
        awk -v registry="$registry" '
        FILENAME == registry && /^[A-Z_]+\([a-z0-9_]+/ {
            split($0, parts, /[(),]/)
            kinds[tolower(parts[1])] = parts[1]
            listed[tolower(parts[1]) "_" parts[2]] = 1
        }
        FILENAME != registry && /^const struct [a-z_]+ [a-z0-9_]+ = / {
            for (kind in kinds) {
                if (index($4, kind "_") == 1 && !($4 in listed)) {
                    printf "%s:%d: add %s(%s) to %s\n", FILENAME, FNR, kinds[kind],
                        substr($4, length(kind) + 2), registry
                }
            }
        }' "$registry" $(find "$folder" -name '*.c' -not -path './build/*') \
            >>"$STACKSIM_TMP/offences"
    done
. tests/tidy/lib.sh
finish "$STACKSIM_TMP/offences"
