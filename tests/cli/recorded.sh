#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Recorded traffic runs to its end under all four policies on 8 engines, and every
# request ends in exactly one state.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

data=${STACKSIM_DATA:-$STACKSIM_SOURCE/../shared}/traces
if [ ! -e "$data" ]; then
    echo "skipped: no recorded traces in $data; set STACKSIM_DATA to their folder" >&2
    exit 77
fi
policies=round_robin,session,prefix_aware,least_request
replay() { # SCENARIO TRACE REQUESTS
    exits 0 compare "$1" --trace "$data/$2" --policies $policies --out out.db \
        --quiet --format csv
    # Column "requests" by its name, so that new columns do not matter.
    local requests
    requests=$(awk -F , 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { print $at["requests"] }' out | sort -u)
    [ "$requests" = "$3" ] || fail "$1: '$requests' requests, expected $3 in every run"
    [ "$(wc -l <out)" -eq 5 ] || fail "$1: $(wc -l <out) lines, expected 5"
    [ -s out.html ] || fail "$1: no page"
    if command -v sqlite3 >/dev/null; then
        sqlite3 out.db 'SELECT completed + refused + rejected + cancelled + unfinished,
            (SELECT count(*) FROM request q WHERE q.run_id = r.run_id) FROM run r' |
            grep -vx "$3|$3" && fail "$1: requests were lost"
    fi
    return 0
}
replay mooncake mooncake_conversation.jsonl.zst 12031
replay azure azure2023_conv.csv.zst 19366
done_testing
