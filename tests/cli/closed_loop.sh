#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim validate --closed-loop`: columns by name, plain or gzip; what is left out is
# counted with its reason; a bad figure ends with file, line and column.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

cat >rows.csv <<'Y'
note,isl,osl,system,model_path,backend,precision,mode,batch_size,tp_size,pp_size,silicon_ttft_ms,silicon_tpot_ms,concurrency
one,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,4,1,1,60,7.5,4
two,1024,128,h100_sxm,nvidia/Llama-3.1-8B-Instruct-FP8,vllm,fp8,agg,4,1,1,50,5,4
slow,1024,128,l40s,meta-llama/Llama-3.1-8B,vllm,,agg,4,1,1,300,30,4
again,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,4,1,1,61,7.6,4
faster,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,4,2,1,40,5.5,
fit,1024,128,rtx_4090,meta-llama/Llama-3.1-8B,vllm,,agg,4,1,1,300,18,4
apart,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,disagg,,,,60,7.5,4
experts,1024,128,h100_sxm,deepseek-ai/DeepSeek-R1,vllm,fp8,agg,4,8,1,60,7.5,4
staged,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,4,1,2,60,7.5,4
unknown,1024,128,tpu_v9,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,4,1,1,60,7.5,4
fourbit,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,fp4,agg,4,1,1,60,7.5,4
huge,1024,128,h100_sxm,meta-llama/Llama-3.1-70B,vllm,bf16,agg,4,1,1,60,7.5,4
several,1024,128,b200_sxm,meta-llama/Llama-3.1-8B,trtllm,fp4,agg,4,1,1,40,4,64
silent,1024,128,h100_sxm,meta-llama/Llama-3.1-8B-Instruct,vllm,,agg,8,1,1,,7.5,8
Y

exits 0 validate --closed-loop rows.csv
grep -q '14 rows, 6 scored; left out:' out || fail "$(head -1 out)"
for line in '1  prefill and decode' '1  pipeline' '1  no TTFT' '1  the same conf' \
    '1  no file of that GPU' '1  a model with experts' '1  no figures for products' \
    '1  its context, heads or memory'; do
    grep -q "^ *$line" out || fail "no line '$line' in: $(cat out)"
done
grep -q '^order agreement .* of 4 pairs' out || fail "$(tail -1 out)"

exits 0 validate --closed-loop rows.csv --format json
for key in '"tpot_mape_pct":' '"ttft_mape_pct":' '"order_agreement":' '"left_out":'; do
    grep -q "$key" out || fail "JSON lacks $key"
done
grep -q '"order_agreement":.*1,' out || fail "two GPUs are slower than one"
# The shipped fit of that very GPU, model and precision goes before the roofline.
grep -q '"first_cost_model":.*"affine' out || fail "the shipped fit was not used"
grep -q '"first_cost_model":.*"ops, H100' out || fail "op tables of the H100 were not used"
mv out plain.json
exits 0 validate --closed-loop rows.csv --model roofline --format json
grep -q '"first_cost_model":.*"roofline, H100' out || fail "no roofline for the H100"
grep -q '"affine' out && fail "a fit was used, but --model roofline asked for none"
exits 0 validate --closed-loop rows.csv --model ops
refuses 2 "option --model: 'table'" validate --closed-loop rows.csv --model table
gzip -k rows.csv
exits 0 validate --closed-loop rows.csv.gz --format json
grep -v '"file"' plain.json >a
grep -v '"file"' out >b
same a b

exits 0 validate --closed-loop rows.csv --filter system=l40s,backend=vllm
grep -q '14 rows, 1 scored' out || fail "filter: $(head -1 out)"
# A backend's own host file goes before the default one.
mkdir -p own/hosts
printf 'name: vllm\ncpu_step: 20ms\nsource: test\n' >own/hosts/vllm.yaml
exits 0 validate --closed-loop rows.csv --config-dir own
grep -q '^all .* (+[1-9][0-9][0-9]\.' out || fail "20 ms per step change little: $(grep ^all out)"
printf 'name: vllm\ncpu_step: 20\nsource: test\n' >own/hosts/vllm.yaml
refuses 2 'own/hosts/vllm\.yaml:2: cpu_step' validate --closed-loop rows.csv \
    --config-dir own

# Experts only when asked for, and on the GPUs that hold the attention, too.
{
    echo 'system,model_path,backend,precision,isl,osl,tp_size,moe_tp_size,moe_ep_size,batch_size,silicon_ttft_ms,silicon_tpot_ms'
    echo 'h200_sxm,deepseek-ai/DeepSeek-R1,trtllm,fp8,1024,128,8,1,8,4,200,20'
    echo 'h200_sxm,deepseek-ai/DeepSeek-R1,trtllm,fp8,1024,128,8,4,8,4,200,20'
    echo 'h200_sxm,no/such,trtllm,fp8,1024,128,8,4,8,4,200,20'
} >experts.csv
refuses 2 'experts\.csv: none of 3 rows can be scored' validate --closed-loop experts.csv
exits 0 validate --closed-loop experts.csv --experts
grep -q '3 rows, 1 scored' out || fail "$(head -1 out)"
grep -q '1  experts and attention on groups' out || fail "$(cat out)"
refuses 2 'option --experts: is for --closed-loop' validate . --experts

# 16 users whose prompts come together wait for one another; in front of decodes all of
# a wave does, and its members stay in step.
load() {
    echo 'source,system,model_path,backend,isl,osl,tp_size,batch_size,silicon_ttft_ms,silicon_tpot_ms'
    echo "$1,h100_sxm,meta-llama/Llama-3.1-8B,$2,2048,200,1,16,100,10"
}
ttft() {
    load "$@" >load.csv
    exits 0 validate --closed-loop load.csv --format json
    sed -n 's/^\t"ttft_bias_pct":\t\([-0-9]*\).*/\1/p' out
}
dump=$(ttft 2026-04-06.csv vllm)
model=$(ttft Llama-3.1-8B.csv vllm)
first=$(ttft Llama-3.1-8B.csv sglang)
[ "$dump" -lt "$model" ] && [ "$model" -lt "$first" ] ||
    fail "TTFT bias of three loads: $dump, $model, $first %"
[ "$(ttft '' vllm)" = "$dump" ] || fail 'a row without a source is like a public one'

refuses 2 "option --filter: .* no column 'sistem'" validate --closed-loop rows.csv \
    --filter sistem=l40s
refuses 2 'option --filter: .*column=value' validate --closed-loop rows.csv \
    --filter l40s
refuses 2 'rows\.csv: none of 14 rows can be scored' validate --closed-loop rows.csv \
    --filter system=a100
refuses 2 'validate: give one folder, or --closed-loop' validate
refuses 2 'validate: give one folder, or --closed-loop' validate . --closed-loop rows.csv
refuses 2 'option --filter: is for --closed-loop' validate . --filter system=l40s

sed '3s/1024/many/' rows.csv >bad.csv
refuses 2 "bad\.csv:3: isl: 'many'" validate --closed-loop bad.csv
sed '4s/300,30/300,-30/' rows.csv >bad.csv
refuses 2 "bad\.csv:4: silicon_tpot_ms: '-30'" validate --closed-loop bad.csv
sed '1s/tp_size/tpsize/' rows.csv >bad.csv
refuses 2 'bad\.csv: no column tp_size' validate --closed-loop bad.csv
sed '5s/,4$/,4,5/' rows.csv >bad.csv
refuses 2 'bad\.csv:5: not as many fields' validate --closed-loop bad.csv
: >bad.csv
refuses 2 'bad\.csv: is empty' validate --closed-loop bad.csv

# Users with equal lengths keep their places and wait for one another.
exits 0 validate --closed-loop rows.csv
sed -n 's/^all .*(.*(\(.*\))/\1/p' out >apart
exits 0 validate --closed-loop rows.csv --length-jitter 0
sed -n 's/^all .*(.*(\(.*\))/\1/p' out >together
[ "$(cat apart together | tr -d ' ' | sort -g | tail -1)" = "$(tr -d ' ' <together)" ] ||
    fail "TTFT bias: $(cat apart) with jitter, $(cat together) without"
refuses 2 'option --length-jitter: 1;' validate --closed-loop rows.csv --length-jitter 1

# Host times that suit the other pairs of GPU and model. On one pair there is no other.
exits 0 validate --closed-loop rows.csv --cross-validate
grep -q '^h100_sxm x llama_3_1_8b x vllm  *3 ' out || fail "no pair of 3 rows: $(cat out)"
grep -q '^each half by the other  *6 ' out || fail "no halves: $(cat out)"
exits 0 validate --closed-loop rows.csv --cross-validate --format json
grep -q '"held_out":' out || fail "JSON lacks held_out"
refuses 2 'rows\.csv: one pair of GPU and model only' validate --closed-loop rows.csv \
    --cross-validate --filter system=l40s
refuses 2 'option --cross-validate: is for --closed-loop' validate . --cross-validate

# The recorded rows, where they are: bounds against slipping back.
sample=${STACKSIM_DATA:-$STACKSIM_SOURCE/../shared}/profiles/aiconfigurator/silicon_sample.csv.gz
if [ -r "$sample" ]; then
    exits 0 validate --closed-loop "$sample" --format json
    figure() { sed -n "s/^.\"$1\":[[:space:]]*\([0-9.]*\).*/\1/p" out | head -1; }
    awk -v tpot="$(figure tpot_mape_pct)" -v ttft="$(figure ttft_mape_pct)" \
        -v order="$(figure order_agreement)" \
        'BEGIN { exit !(tpot > 0 && tpot < 15 && ttft < 46 && order > 0.9) }' ||
        fail "recorded rows: TPOT $(figure tpot_mape_pct) %, TTFT $(figure ttft_mape_pct) %, order $(figure order_agreement)"
fi
done_testing
