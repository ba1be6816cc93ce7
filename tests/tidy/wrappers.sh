#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# One wrapper per library (STYLE 1.7): each third-party header is included by exactly one
# module. Tests may include any. Clocks belong to cli/ (1.4).
set -eu
. tests/tidy/lib.sh
cat >"$STACKSIM_TMP/rules" <<'END'
yaml.h base/conf_yaml.c
cjson/ base/json.c
csv.h base/csv.c
zlib.h base/lines.c
zstd.h base/lines.c
xxhash.h base/hash.c
md5.h base/hash.c
sha1.h base/hash.c
sha2.h base/hash.c
jsmn.h base/jsonl.c
gsl/ stats/
sqlite3.h reports/sql.c
uv.h router/server
llhttp.h router/http.c
openssl/ router/tls.c
zmq.h router/bus.c
mpack.h router/msgpack.c
curl/ cli/live/client.c
pthread.h cli/
time.h cli/
sys/time.h cli/
CUnit/ tests/
END
# shellcheck disable=SC2046
awk '
NR == FNR { owner[$1] = $2; next }
/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, parts, /[<>]/)
    for (header in owner) {
        if (index(parts[2], header) == 1 && index(FILENAME, owner[header]) != 1) {
            printf "%s:%d: only %s may include <%s>; see STYLE 1.7\n", FILENAME, FNR,
                owner[header], parts[2]
        }
    }
}' "$STACKSIM_TMP/rules" $(sources c h | grep -v -e '^tests/' -e '^base/banned.h$') \
    >"$STACKSIM_TMP/offences"
finish "$STACKSIM_TMP/offences"
