#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim validate`: a folder that is not whole ends with one message that names file
# and line or key, and exit code 2; a missed bound with 3. A tiny folder of our own needs
# no recorded data; what needs a profile is skipped without.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

# Two requests on an idle engine, one second apart.
make_folder() {
    rm -rf "$1"
    mkdir -p "$1"
    cat >"$1/workload.jsonl" <<'Y'
{"id":0,"arrival_ns":0,"input_toks":32,"output_toks":3,"block_ids":[0,1]}
{"id":1,"arrival_ns":1000000000,"input_toks":40,"output_toks":2,"block_ids":[2,3]}
Y
    cat >"$1/vllm_requests.jsonl" <<'Y'
{"input_toks": 32, "output_toks": 3, "arrival_time": 100.0, "queued_ts": 50.0, "scheduled_ts": 50.0, "first_token_ts": 50.02, "last_token_ts": 50.05}
{"input_toks": 40, "output_toks": 2, "arrival_time": 101.0, "queued_ts": 51.0, "scheduled_ts": 51.0, "first_token_ts": 51.02, "last_token_ts": 51.04}
Y
    cat >"$1/vllm_timeseries.csv" <<'Y'
t,prompt_throughput,gen_throughput,running,waiting,kv_cache_pct
1.0,32.0,3.0,0,0,0.0
2.0,40.0,2.0,0,0,0.0
Y
    cat >"$1/facts.json" <<'Y'
{
 "run": "tiny",
 "model": "Llama-3.1-8B",
 "gpu": {"name": "NVIDIA GeForce RTX 4090", "sm_count": 128, "peak_mem_bw_GBps": 1008},
 "engine": {
  "max_num_seqs": 8,
  "max_num_batched_tokens": 256,
  "num_gpu_blocks": 100
 },
 "model_shape": {"layers": 32, "hidden": 4096, "intermediate": 14336, "q_heads": 32,
  "kv_heads": 8, "head_dim": 128, "vocab": 128256}
}
Y
}

# edit FILE SED-SCRIPT on a fresh folder
edit() {
    make_folder tiny
    sed -i "$2" "tiny/$1"
}

# ---- the folder as it should be ----
make_folder tiny
exits 0 validate tiny --model roofline
grep -q '^simulated: 5 steps, 0 preemptions' out || fail "tiny run: $(grep steps out)"
grep -q '^worst absolute error: ' out || fail "no worst error: $(tail -1 out)"
# Op tables of the run itself, else the shipped fit of its GPU.
refuses 2 'tiny: no op tables in ops/ and no rtx_4090\.vllm\.ops\.yaml' validate tiny \
    --model ops
edit facts.json 's/NVIDIA GeForce RTX 4090/NVIDIA L40S/'
exits 0 validate tiny --model ops
grep -q 'ops, L40S x Llama-3.1-8B, TP 1, fitted to op tables of l40s, vllm-' out ||
    fail "$(grep -i cost out)"
mkdir tiny/ops
: >tiny/ops/toy.vllm-1.gemm_perf.csv
refuses 2 'tiny/ops/toy\.vllm-1\.gemm_perf\.csv: is empty' validate tiny --model ops
make_folder tiny

exits 0 validate tiny/ --model roofline --format json
for key in '"worst_abs_error_pct":' '"p99":' '"mape_pct":' '"correlation":' \
    '"ttft_from_arrival":' '"running_simulated":' '"steps":' '"makespan_s":'; do
    grep -q "$key" out || fail "JSON lacks $key"
done
mv out fast.json
exits 0 validate tiny --model roofline --format json --step-by-step
same fast.json out
exits 0 validate tiny --model roofline --requests requests.csv
[ "$(wc -l <requests.csv)" -eq 3 ] || fail "requests.csv has no two rows"
grep -q '^1,40,2,0,0,1000.000000,1000.000000,1020.000000,' requests.csv ||
    fail "requests.csv: $(tail -1 requests.csv)"
rm tiny/vllm_timeseries.csv
exits 0 validate tiny --model roofline --format json
grep -q over_time out && fail "gauges without a time series"

# ---- bounds ----
make_folder tiny
refuses 3 'worst absolute error .* above --max-error 0\.001' \
    validate tiny --model roofline --max-error 0.001
exits 0 validate tiny --model roofline --max-error 100000

# ---- what may be wrong with the folder ----
refuses 2 'nowhere: ' validate nowhere
refuses 2 'tiny/facts\.json: is not a folder' validate tiny/facts.json
for file in facts.json workload.jsonl vllm_requests.jsonl; do
    make_folder tiny
    rm "tiny/$file"
    refuses 2 "tiny/$file: " validate tiny --model roofline
done
make_folder tiny
refuses 2 'tiny/profile.*: ' validate tiny
for file in workload.jsonl vllm_requests.jsonl; do
    make_folder tiny
    head -c -20 "tiny/$file" >cut && mv cut "tiny/$file"
    refuses 2 "tiny/$file:2:" validate tiny --model roofline
    make_folder tiny
    sed -i 2d "tiny/$file"
    refuses 2 'tiny.*(1|2).*requests' validate tiny --model roofline
done
make_folder tiny
head -c 200 tiny/facts.json >cut && mv cut tiny/facts.json
refuses 2 'tiny/facts\.json:' validate tiny --model roofline
edit vllm_requests.jsonl '2s/"input_toks": 40/"input_toks": 41/'
refuses 2 'tiny/vllm_requests\.jsonl: request 1: 41' validate tiny --model roofline
edit vllm_requests.jsonl '1s/50\.02/49.02/'
refuses 2 'tiny/vllm_requests\.jsonl:1: first_token_ts' validate tiny --model roofline
edit vllm_timeseries.csv '3s/2\.0/x/'
refuses 2 'tiny/vllm_timeseries\.csv:3: t' validate tiny --model roofline
for key in max_num_seqs max_num_batched_tokens num_gpu_blocks; do
    edit facts.json "/\"$key\"/d; s/2048,\$/2048/; s/: 256,\$/: 256/"
    [ "$key" = num_gpu_blocks ] || sed -i '/"max_num/s/[0-9]$/&,/' tiny/facts.json
    refuses 2 "tiny/facts\.json:[0-9]+: $key" validate tiny --model roofline
done
edit facts.json 's/"num_gpu_blocks": 100/"num_gpu_blocks": null, "num_gpu_blocks_assumed": 90/'
exits 0 validate tiny --model roofline
grep -q '90 are assumed' out || fail "does not say what is assumed"
edit facts.json 's/"num_gpu_blocks": 100/"num_gpu_blocks": "many"/'
refuses 2 'tiny/facts\.json:[0-9]+: .*num_gpu_blocks' validate tiny --model roofline
edit facts.json 's/"num_gpu_blocks": 100/"num_gpu_blocks": 100, "max_model_len": 40/'
refuses 2 'tiny/workload\.jsonl: request 1: 42 tokens' validate tiny --model roofline
edit facts.json 's/"layers": 32, //'
refuses 2 'tiny/facts\.json:[0-9]+: .*layers' validate tiny --model roofline
edit facts.json 's/NVIDIA GeForce RTX 4090/NVIDIA Unheard Of/'
refuses 2 'gpu\.name: no file in configs/gpus' validate tiny --model roofline
edit facts.json 's/"num_gpu_blocks"/"pipeline_parallel": 2, "num_gpu_blocks"/'
refuses 2 'tiny/facts\.json:[0-9]+: pipeline_parallel' validate tiny --model roofline

# ---- the command line ----
make_folder tiny
refuses 2 'option --model' validate tiny --model guess
exits 0 validate tiny --model roofline --autoscale
refuses 2 'option --autoscale' validate tiny --autoscale --scale-decode 1.1
refuses 2 'option --scale-mixed' validate tiny --scale-mixed 0
refuses 2 'option --scales-out' validate tiny --scales-out x.yaml
refuses 2 'option --max-error' validate tiny --max-error 0
refuses 2 'option --format' validate tiny --format csv
refuses 2 'option --collectives' validate tiny --collectives none
refuses 2 'option --engine-loop' validate tiny --engine-loop vidur
absent x.yaml

# ---- with a profile: factors go through a file ----
data=${STACKSIM_DATA:-$STACKSIM_SOURCE/../shared}/fidelity
real=$data/RTX4090_Llama-3.1-8B
if [ -d "$real" ]; then
    refuses 2 '.*missing\.yaml' validate "$real" --scales-from missing.yaml
    exits 0 validate "$real" --autoscale --scales-out found.yaml --format json
    mv out first.json
    exits 0 validate "$real" --scales-from found.yaml --format json --max-error 1
    grep '_ms"\|_pct"\|steps' first.json | grep -v rms >a
    grep '_ms"\|_pct"\|steps' out >b
    [ -s a ] || fail "no figures in the JSON"
    same a b
    echo 'scale_decode: 1' >half.yaml
    refuses 2 'half\.yaml:1: .*scale_mixed' validate "$real" --scales-from half.yaml
    cp -r "$real" real && chmod -R u+w real
    sed -i '40s/.*/act_fn,many,1.0/' real/profile/dense.csv
    refuses 2 'real/profile/dense\.csv:40:' validate real

    # Data-parallel ranks: on their own without experts, in lock-step with them.
    rm -rf real && cp -r "$real" real && chmod -R u+w real
    sed -i 's/"data_parallel": 1/"data_parallel": 2/' real/facts.json
    exits 0 validate real --format json
    alone=$(sed -n 's/.*"makespan_s":\t*\([0-9]*\).*/\1/p' out)
    sed -i 's/"experts": 0/"experts": 8/; s/"experts_per_token": 0/"experts_per_token": 2/' \
        real/facts.json
    refuses 2 'real/profile/moe\.csv: ' validate real
    refuses 2 'real/facts\.json: model_shape\.experts' validate real --model table
    printf 'tokens,activated_experts,time_us\n1,1,30\n1,8,100\n2048,1,500\n2048,8,600\n' \
        >real/profile/moe.csv
    exits 0 validate real --format json
    together=$(sed -n 's/.*"makespan_s":\t*\([0-9]*\).*/\1/p' out)
    [ "$alone" -gt 50 ] && [ "$together" -gt "$alone" ] ||
        fail "ranks with experts end at ${together}s, without at ${alone}s"
    sed -i 's/"data_parallel": 2/"data_parallel": 1/' real/facts.json
    exits 0 validate real --scale-decode 0.95
fi
no_leftovers
done_testing
