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
    planned=$(awk -F, -v p="$policy" '$2 == "h100_sxm" && $3 == 1 && $7 == p &&
        $1 != "fails" && $1 != "pruned" && (m == "" || $5 < m) { m = $5 } END { print m }' plan.csv)
    [ "$planned" = "$fewest" ] || fail "$policy: plan says $planned engines, trying all $fewest"
done
[ "$(grep -c '^cheapest,' plan.csv)" -eq 1 ] || fail "not one fleet is the cheapest"
cheapest=$(awk -F, '$1 == "cheapest" { print $9 }' plan.csv)
least=$(awk -F, 'NR > 1 && $1 != "fails" && $1 != "pruned" && (m == "" || $9 + 0 < m + 0) { m = $9 }
    END { print m }' plan.csv)
[ "$cheapest" = "$least" ] || fail "the cheapest costs $cheapest, another that holds $least"

# Every candidate has its row, and those that were not simulated their reason: 2 GPUs x 2
# sizes x 2 policies x 10 numbers of engines.
[ "$(sed 1d plan.csv | wc -l)" -eq 80 ] || fail "$(sed 1d plan.csv | wc -l) rows of 80 candidates"
[ "$(sed 1d plan.csv | cut -d, -f2-7 | sort -u | wc -l)" -eq 80 ] || fail "candidates are there twice"
awk -F, 'NR > 1 && ($1 == "pruned") != ($NF != "") { exit 1 }' plan.csv ||
    fail "a reason is missing, or one too many"

# However little more than the cheapest is of interest, the cheapest is found.
exits 0 plan fleet.yaml "${slo[@]}" --gpus h100_sxm,l40s --tp 1,2 --policies least_request,chwbl \
    --engines-max 10 --format csv --cost-span 1
[ "$(awk -F, '$1 == "cheapest" { print $9 }' out)" = "$cheapest" ] || fail "--cost-span 1: $(grep ^cheapest out)"

# Prompts and outputs apart, against trying all: two engines for prompts, one for outputs.
apart=(--set "cluster.pools.1={name: d, role: decode, gpu: h100_sxm, model: llama_3_1_8b,
        engine: {max_model_len: 8192, prefix_caching: true}}"
    --set cluster.pools.0.role=prefill --set cluster.pools.0.gpu=h100_sxm)
fewest=
for units in 1 2 3 4; do
    exits 0 run fleet.yaml "${slo[@]}" "${apart[@]}" --policy least_request --format csv \
        --set cluster.pools.0.replicas=$((2 * units)) --set cluster.pools.1.replicas=$units
    if awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "slo_ratio") at = i }
        NR == 2 { exit $at < 0.99 }' out; then
        fewest=$((3 * units))
        break
    fi
done
exits 0 plan fleet.yaml "${slo[@]}" --gpus h100_sxm --tp 1 --policies least_request --splits none,2:1 \
    --engines-max 12 --cost-span 1e6 --format csv
planned=$(awk -F, '$6 == "2:1" && $1 != "fails" && $1 != "pruned" { print $5 }' out | sort -n | head -1)
[ -n "$fewest" ] && [ "$planned" = "$fewest" ] || fail "2:1: plan says '$planned' engines, trying all '$fewest'"
[ "$(grep -c ',2:1,' out)" -eq 4 ] || fail "not 3, 6, 9 and 12 engines: $(grep ',2:1,' out)"

# A model that fits no GPU alone fits two, as ranks or as stages; a scenario's own plan is
# no hindrance.
for own in '{}' '{tp: 2}' '{pp: 2}'; do
    exits 0 plan fleet.yaml --set end.requests=150 --set slo.ttft=10s --set slo.tpot=100ms --quiet \
        --set cluster.pools.0.model=llama_3_1_70b --set "cluster.pools.0.parallel=$own" --gpus h100_sxm \
        --tp 1,4 --pp 1,4 --engines-max 16 --cost-span 1e6 --format csv
    for layout in 4,1 1,4; do
        grep -Eq "^(cheapest|pareto|holds),h100_sxm,$layout," out || fail "parallel: $own, $layout: none holds"
    done
    grep -q '^pruned,h100_sxm,1,1,.*GiB' out || fail "parallel: $own: the model fits one GPU"
    awk -F, 'NR > 1 && $8 != $3 * $4 * $5 { exit 1 }' out || fail "parallel: $own: GPUs are counted wrong"
done

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
refuses 2 '--pp: sizes from 1 to 16' plan fleet.yaml "${slo[@]}" --pp 17
refuses 2 '--splits: .none. or P:D, .*, not .1:0.' plan fleet.yaml "${slo[@]}" --splits none,1:0
refuses 2 '.*no pair policy pd_foo' plan fleet.yaml "${slo[@]}" --splits 1:1 --pair pd_foo
refuses 2 '--engines-max: 1 to 1024' plan fleet.yaml "${slo[@]}" --engines-max 0
refuses 2 '--cost-span: 1 or more' plan fleet.yaml "${slo[@]}" --cost-span 0.5
done_testing
