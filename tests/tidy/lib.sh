# SPDX-License-Identifier: Apache-2.0
#
# Shared by the tidy tests. They run in the source tree's root and print one line per
# offence: file:line: what; what to do.

# sources SUFFIX...: our files with one of these suffixes, sorted.
sources() {
    for suffix in "$@"; do
        find base stats traces policies stack sim reports router cli tests cmake scripts \
            -name "*.$suffix" -type f
    done | LC_ALL=C sort
}

# finish FILE: fails when FILE holds offences.
finish() {
    if [ -s "$1" ]; then
        cat "$1"
        echo "$(wc -l <"$1") offences"
        exit 1
    fi
}
