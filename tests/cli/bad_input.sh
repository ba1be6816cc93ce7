#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What goes wrong outside the program ends with the right exit code, one message with
# file and line, and nothing half-written under the final name.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

# A good scenario of our own, so that lines are known: three requests on one engine.
cat >trace.jsonl <<'X'
{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]}
{"timestamp": 100, "input_length": 700, "output_length": 6, "hash_ids": [0, 2]}
{"timestamp": 200, "input_length": 800, "output_length": 7, "hash_ids": [0, 3]}
X
cat >good.yaml <<X
name: good
seed: 1
workload:
  trace: trace.jsonl
X
# The fleet and the routing as the demo has them.
exits 0 run demo --print-config
awk '/^[a-z]/ { keep = !/^(name|seed|workload|end):/ } keep' out >>good.yaml
exits 0 run good.yaml --quiet
cp good.yaml scenario.yaml

# ---- traces ----
printf '%s\n' '{"timestamp": 0, "input_length": 600, "output_length": 5}' \
    '{"timestamp": 1, "input_length": -3, "output_length": 5}' >negative.jsonl
refuses 2 '.*negative\.jsonl:2:.*-3' run good.yaml --trace negative.jsonl --out a.db
absent a.db

head -c 100 trace.jsonl >cut.jsonl
refuses 2 '.*cut\.jsonl:2:' run good.yaml --trace cut.jsonl --out a.db
absent a.db

if command -v gzip >/dev/null; then
    for i in $(seq 2000); do
        echo "{\"timestamp\": $i, \"input_length\": $((i % 777 + 1)), \"output_length\": 5}"
    done >long.jsonl
    gzip -c long.jsonl | head -c 5000 >cut.jsonl.gz
    refuses 2 '.*cut\.jsonl\.gz(:[0-9]+)?:' run good.yaml --trace cut.jsonl.gz --out a.db
    absent a.db
fi
: >empty.jsonl
refuses 2 '.*empty\.jsonl' run good.yaml --trace empty.jsonl --out a.db
refuses 2 'nowhere\.jsonl: No such file' run good.yaml --trace nowhere.jsonl --out a.db
refuses 2 '.*nowhere\.yaml' run nowhere.yaml
absent a.db

# ---- scenarios ----
sed 's/^seed:/sede:/' good.yaml >key.yaml
refuses 2 '.*key\.yaml:2:.*sede.*seed' run key.yaml --out a.db
printf 'name: x\n  seed: [1\n' >broken.yaml
refuses 2 '.*broken\.yaml:[0-9]+' run broken.yaml --out a.db
refuses 2 '.*sede' run good.yaml --set sede=1 --out a.db
# Nothing that is read is written over, and no file is written twice.
cp good.yaml mine.yaml
refuses 2 '.*mine\.yaml.*same file' run mine.yaml --decisions ./mine.yaml
refuses 2 '.*one\.csv.*same file' run good.yaml --out one.csv --decisions ./one.csv
cp "$STACKSIM_SOURCE/traces/samples/plain.csv.zst" t.csv.zst
refuses 2 '.*same file' trace convert t.csv.zst ./t.csv.zst
refuses 2 '.*same file' run good.yaml --trace t.csv.zst --decisions t.csv.zst
cmp -s mine.yaml good.yaml || fail 'the scenario was written over'
refuses 2 '.*rate_facto.*rate_factor' run good.yaml --set workload.rate_facto=2 --out a.db
for length in -1 0 1.5; do
    refuses 2 ".*$length tokens" check speed-small --set workload.generate.0.output=$length
done
refuses 2 '.*rate_facto.*rate_factor' check good.yaml --set workload.rate_facto=2
refuses 2 '.*' run good.yaml --set nonsense --out a.db
absent a.db

# 70 billion parameters of 16 bits do not fit one GPU of 80 GB.
sed -E 's/^( *-? *model:).*/\1 llama_3_1_70b/' good.yaml >big.yaml
refuses 2 '.*big\.yaml:[0-9]+:.*([Gg]iB|fit)' run big.yaml --out a.db
refuses 2 '.*big\.yaml:[0-9]+:' check big.yaml
absent a.db

# ---- outputs ----
refuses 1 'no/such/folder/a\.db: ' run good.yaml --out no/such/folder/a.db
refuses 1 'no/such/folder/d\.csv: ' run good.yaml --decisions no/such/folder/d.csv
echo 'not a store' >precious.db
refuses 2 'precious\.db: .*' run good.yaml --out precious.db
[ "$(cat precious.db)" = 'not a store' ] || fail "precious.db was overwritten"
refuses 2 '.*precious\.db.*' report precious.db
refuses 2 '.*missing\.db.*' report missing.db
echo file >in_the_way
refuses 1 'in_the_way' compare good.yaml --out in_the_way/deeper --quiet
mkdir -p out.db.folder
if [ "$(id -u)" -ne 0 ]; then
    mkdir -p locked && chmod a-w locked
    refuses 1 'locked/a\.db: .*' run good.yaml --out locked/a.db
    chmod u+w locked
fi

# An interrupted or failed run leaves an older result as it was.
exits 0 run good.yaml --out kept.db --quiet
cp kept.db before.db
refuses 2 '.*' run good.yaml --trace negative.jsonl --out kept.db
same kept.db before.db

# Full disk: what is printed, and what is stored.
if [ -e /dev/full ]; then
    "$STACKSIM_BIN" run good.yaml --quiet >/dev/full 2>err
    code=$?
    [ "$code" -eq 1 ] || fail "writing to a full device exits with $code, expected 1"
    grep -q '^stacksim: standard output: No space left on device' err ||
        fail "a full device says '$(cat err)'"
    [ "$(wc -l <err)" -eq 1 ] || fail "a full device prints $(wc -l <err) lines"
fi
mkdir -p small
if mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
    refuses 1 'small/a\.db.*' run demo --set end.requests=2000 --quiet --out small/a.db
    absent small/a.db
    no_leftovers small
    umount small
else
    echo "no small file system can be mounted here: full disk not tried"
fi
no_leftovers .
done_testing
