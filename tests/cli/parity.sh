#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim parity`: the router, as a process between real sockets, decides as the
# simulator's policy host does; and a difference, put in by hand, is found.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
[ -x "$(dirname "$STACKSIM_BIN")/stackrouter" ] || {
    echo "stackrouter was not built"
    exit 77
}
samples="$STACKSIM_SOURCE/traces/samples"
sample=$samples/prefix.csv.zst
by_load=round_robin,session,weighted_sum,kv_aware
by_prefix=prefix_aware,cache_aware

mkdir keep
for run in "chat $by_load" "prefix $by_prefix"; do
    exits 0 parity "$samples/${run% *}.csv.zst" --policies "${run#* }" --limit 200 --keep keep \
        --quiet
    policies=${run#* }
    for policy in ${policies//,/ }; do
        grep -Eq "^$policy +200 decisions  equal$" out || fail "$policy: $(cat out)"
    done
done

# Two legs, two decisions; the second one goes to an engine that decodes.
legs=disaggregated_prefill_orchestrated
exits 0 parity "$samples/chat.csv.zst" --policies $legs --limit 50 --keep keep --quiet
grep -Eq "^$legs +100 decisions  equal$" out || fail "two legs: $(cat out)"
[ "$(tail -n +2 keep/$legs.decisions.csv | cut -d, -f4 | sort | uniq -c | tr -s ' ' | tr '\n' ';')" \
    = ' 50 0; 25 1; 25 2;' ] || fail "two legs went elsewhere: $(cut -d, -f4 keep/$legs.decisions.csv)"

# They are decisions worth the name: more than one endpoint, and inputs of every kind.
for policy in ${by_load//,/ } ${by_prefix//,/ }; do
    [ "$(tail -n +2 keep/$policy.decisions.csv | cut -d, -f4 | sort -u | wc -l)" -ge 2 ] ||
        fail "$policy used one engine only"
done
for kind in setup join route first_token end metrics; do
    grep -q "\"kind\":\"$kind\"" keep/weighted_sum.record.jsonl || fail "no $kind in the record"
done
grep -q '"how":"completed","had_first_token":true' keep/weighted_sum.record.jsonl ||
    fail "no request was completed"
# Engines published what is in their caches, the router heard it and used it.
grep -q '"kind":"kv_event"' keep/kv_aware.record.jsonl || fail "no engine told of its cache"
awk -F, '$6 == "kv_hit"' keep/kv_aware.decisions.csv | grep -q . || fail "kv_aware hit nothing"
awk -F, 'NR > 1 && $8 > 0' keep/prefix_aware.decisions.csv | grep -q . ||
    fail "prefix_aware matched no prefix"

# The same files later.
record=keep/prefix_aware.record.jsonl
log=keep/prefix_aware.decisions.csv
exits 0 parity --record $record --decisions $log
grep -q '200 decisions  equal' out || fail "offline: $(cat out)"

# differs FILE...: --record and --decisions that do not fit.
differs() {
    exits 1 parity --record "$1" --decisions "$2"
    grep -q 'DIFFERENT, first here:' out || fail "$3 was not found: $(cat out)"
    [ "$(grep -c -E '^  (router|simulator): ' out)" -eq 2 ] || fail "$3: $(cat out)"
}
awk -F, -v OFS=, 'NR == 101 {$4 = ($4 + 1) % 3} {print}' $log >other.csv
differs $record other.csv "another endpoint"
head -n 150 $log >short.csv
differs $record short.csv "a missing decision"
(cat $log && tail -n 1 $log) >long.csv
differs $record long.csv "a decision too many"
sed '0,/"chunks":\["[0-9a-f]*/s//"chunks":["0123456789abcdef/' $record >chunks.jsonl
differs chunks.jsonl $log "another prompt"
sed 's/"policy":"prefix_aware"/"policy":"round_robin"/' $record >policy.jsonl
differs policy.jsonl $log "the name of the policy"
sed 's/"policy":"prefix_aware","compat":"head"\(.*\)"params":{[^}]*}/"policy":"random","compat":"head"\1"params":{}/' \
    $record >random.jsonl
differs random.jsonl $log "another policy"

# A record is input: what cannot be is refused with its line.
grep -v '"kind":"setup"' $record >bad.jsonl
refuses 2 'bad.jsonl:1: .*setup line' parity --record bad.jsonl --decisions $log
grep -v '"kind":"join"' $record >bad.jsonl
stacksim parity --record bad.jsonl --decisions $log
[ $code -ne 0 ] || fail "a record without endpoints passes"
(cat $record && head -n 2 $record | tail -n 1) >bad.jsonl
refuses 2 'bad.jsonl:[0-9]+: .*time goes back' parity --record bad.jsonl --decisions $log
grep -v '"kind":"route"' $record >bad.jsonl
refuses 2 'bad.jsonl:[0-9]+: request: it was not routed there.*' \
    parity --record bad.jsonl --decisions $log
sed '/"kind":"first_token"/d' $record >bad.jsonl
refuses 2 'bad.jsonl:[0-9]+: had_first_token: .*' parity --record bad.jsonl --decisions $log
echo '{"at_ns":1,"kind":"setup","version":2}' >bad.jsonl
refuses 2 'bad.jsonl:1: version: .*' parity --record bad.jsonl --decisions $log
echo 'not JSON' >bad.jsonl
refuses 2 'bad.jsonl:1: .*' parity --record bad.jsonl --decisions $log

refuses 2 "--policies: 'nobody' is no routing policy.*" parity "$sample" --policies nobody
refuses 2 '--policies: oracle asks .*' parity "$sample" --policies oracle
refuses 2 'which trace or scenario.*' parity
refuses 2 '--record and --decisions belong together.*' parity --record $record
refuses 2 '--engines: 65.*' parity "$sample" --engines 65
exits 1 parity "$sample" --policies random --router ./nothing --keep keep
grep -q '^stacksim: ./nothing: No such file' err || fail "no word of a missing router: $(cat err)"
done_testing
