#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# No mutable globals and no thread-locals in our libraries (STYLE 3.1): no object in a
# writable section. Tables of pointers to constants live in .data.rel.ro, which the
# loader makes read-only. cli/ is a program, not a library.
set -eu
. tests/tidy/lib.sh
: >"$STACKSIM_TMP/offences"
found=0
for folder in base stats traces policies stack sim reports router; do
    library=$STACKSIM_BUILD/$folder/libstacksim_$folder.a
    [ -f "$library" ] || continue
    found=$((found + 1))
    objdump -t "$library" | awk -v folder="$folder" '
        /file format/ { object = $1; sub(/:$/, "", object) }
        # Symbols of type object: address, flags "l O" or "g O", section, size, name.
        / O / {
            section = ""
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^(\.|\*COM\*)/) { section = $i; break }
            }
            if (section !~ /^(\.data|\.bss|\.tdata|\.tbss|\.ldata|\.lbss|\*COM\*)/) next
            if (section ~ /^\.data\.rel\.ro/) next
            # What compilers add for coverage, sanitizers and fuzzers.
            if ($NF ~ /^(__?gcov|__llvm|__asan|__odr_asan|__unnamed_|__ubsan|__sancov|__sanitizer|\.|__profc)/)
                next
            printf "%s/%s: mutable object %s in %s\n", folder, object, $NF, section
        }' >>"$STACKSIM_TMP/offences"
done
if [ "$found" -eq 0 ]; then
    echo "no library found in $STACKSIM_BUILD"
    exit 1
fi
finish "$STACKSIM_TMP/offences"
