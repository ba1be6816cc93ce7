#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A file without a line: in a folder with a registry.def, a file NAME.c or kind_NAME.c
# that exports a `const struct ... ..._NAME = {` stands in it as KIND(NAME). (A line
# without a file fails to configure.)
set -eu
: >"$STACKSIM_TMP/offences"
find . -name registry.def -not -path './build/*' | LC_ALL=C sort |
    while read -r registry; do
        folder=$(dirname "$registry")
        # shellcheck disable=SC2046
        awk -v registry="$registry" '
        FILENAME == registry && /^[A-Z_]+\([a-z0-9_]+/ {
            split($0, parts, /[(),]/)
            kinds[tolower(parts[1])] = 1
            listed[parts[2]] = 1
        }
        FILENAME != registry && FNR == 1 {
            name = FILENAME
            sub(/.*\//, "", name)
            sub(/\.c$/, "", name)
            for (kind in kinds) {
                if (index(name, kind "_") == 1) name = substr(name, length(kind) + 2)
            }
        }
        FILENAME != registry && /^const struct [a-z_]+ [a-z0-9_]+ = / {
            tail = substr($4, length($4) - length(name))
            if (tail == "_" name && !(name in listed)) {
                printf "%s:%d: has no line in %s; add it\n", FILENAME, FNR, registry
            }
        }' "$registry" $(find "$folder" -name '*.c' -not -path './build/*') \
            >>"$STACKSIM_TMP/offences"
    done
. tests/tidy/lib.sh
finish "$STACKSIM_TMP/offences"
