#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `plan` finds what trying every fleet finds, and says why it did not try the others.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
# A scenario without an override of KV blocks, as plan wants it.
sed '/num_gpu_blocks_override/d' "$STACKSIM_CONFIGS/scenarios/published/shared-prefix.yaml" >fleet.yaml
slo=(--set slo.ttft=400ms --set slo.tpot=40ms --set end.requests=700 --quiet)

exits 0 plan fleet.yaml "${slo[@]}" --gpus h100_sxm,l40s --tp 1,2 --policies least_request,chwbl \
    --engines-max 10 --format csv
cp out plan.csv
exits 0 plan fleet.yaml "${slo[@]}" --gpus h100_sxm,l40s --tp 1,2 --policies least_request,chwbl \
    --engines-max 10 --format csv --jobs 1
same plan.csv out

# Against trying all: the fewest engines of one group that hold the SLO.
for policy in least_request chwbl; do
    fewest=
    for engines in $(seq 1 10); do
        exits 0 run fleet.yaml "${slo[@]}" --policy "$policy" --format csv \
            --set "cluster.pools.0.replicas=$engines"
        met=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "slo_ratio") at = i }
            NR == 2 { print ($at >= 0.99) }' out)
        if [ "$met" -eq 1 ]; then
            fewest=$engines
            break
        fi
    done
    planned=$(awk -F, -v p="$policy" '$2 == "h100_sxm" && $3 == 1 && $5 == p &&
        $1 != "fails" && $1 != "pruned" && (m == "" || $4 < m) { m = $4 } END { print m }' plan.csv)
    [ "$planned" = "$fewest" ] || fail "$policy: plan says $planned engines, trying all $fewest"
done
[ "$(grep -c '^cheapest,' plan.csv)" -eq 1 ] || fail "not one fleet is the cheapest"
cheapest=$(awk -F, '$1 == "cheapest" { print $7 }' plan.csv)
least=$(awk -F, 'NR > 1 && $1 != "fails" && $1 != "pruned" && (m == "" || $7 + 0 < m + 0) { m = $7 }
    END { print m }' plan.csv)
[ "$cheapest" = "$least" ] || fail "the cheapest costs $cheapest, another that holds $least"

# What cannot be is pruned with its reason.
exits 0 plan fleet.yaml "${slo[@]}" --gpus l40s --tp 1,4 --engines-max 4 \
    --set cluster.pools.0.model=llama_3_1_70b
grep -Eq 'l40s, TP 1, .*: .*(GiB|weights)' out || fail "a model that does not fit is not told"
grep -q '^No fleet holds the SLO' out || fail "no verdict where nothing holds"
exits 0 plan fleet.yaml "${slo[@]}" --gpus h100_sxm --tp 1 --set slo.tpot=1ms
grep -q 'cannot meet the TPOT target even alone' out || fail "an impossible TPOT: $(cat out)"

refuses 2 '.*num_gpu_blocks_override is of one GPU' plan published/shared-prefix "${slo[@]}"
refuses 2 '.*has no SLO' plan fleet.yaml --quiet
refuses 2 '--tp: sizes from 1 to 64' plan fleet.yaml "${slo[@]}" --tp 0
refuses 2 '.*h100_sxx' plan fleet.yaml "${slo[@]}" --gpus h100_sxx
refuses 2 '--engines-max: 1 to 1024' plan fleet.yaml "${slo[@]}" --engines-max 0
refuses 2 '--cost-span: 1 or more' plan fleet.yaml "${slo[@]}" --cost-span 0.5
done_testing
