# SPDX-License-Identifier: Apache-2.0
#
# calibrate: a fit from a small profile, a scenario that runs on it, and what is refused.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

mkdir -p run/profile
awk 'BEGIN {
    print "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us"
    for (q = 0; q <= 512; q = q ? 4 * q : 32)
        for (n = 0; n <= 128; n = n ? 2 * n : 1)
            for (c = n ? 128 : 0; c <= (n ? 2048 : 0); c = c ? 2 * c : 1)
                if (q + n)
                    printf "%d,0,%d,%d,%.6f\n", q, n, c,
                        10 + n / 4 + n * c / 250 + q / 100 + q * q / 5000
}' >run/profile/attention.csv
awk 'BEGIN {
    print "layer,tokens,time_us"
    for (t = 1; t <= 2048; t *= 2) {
        printf "embedding,%d,3\nlayernorm,%d,3\nqkv_proj,%d,%f\n", t, t, t, 60 + t / 4
    }
}' >run/profile/dense.csv
printf 'layer,sequences,time_us\nlm_head,1,1000\nlm_head,256,1300\nsampler,1,40\n' \
    >run/profile/per_sequence.csv
cat >run/facts.json <<'END'
{"model": "toy", "gpu": {"name": "toy GPU", "sm_count": 128, "peak_mem_bw_GBps": 1008,
 "l2_MiB": 72}, "engine": {"tensor_parallel": 1},
 "model_shape": {"layers": 32, "hidden": 4096, "q_heads": 32, "kv_heads": 8,
 "head_dim": 128}}
END

# The facts beside the folder are found; the report names what was not measured.
exits 0 calibrate run/profile --out fit.yaml
grep -q '^split: .* mean error 0.0 %' out || fail "the split terms do not fit exactly"
grep -q '^not determined:.*mixed.per_excess_token' out ||
    fail "uneven batches were not measured, and nobody says so"
cp fit.yaml first.yaml
exits 0 calibrate run/profile --facts run/facts.json --out fit.yaml
same first.yaml fit.yaml
exits 0 calibrate run/profile --out -
same first.yaml out

# Without facts, from the files in configs/.
mv run/profile alone
exits 0 calibrate alone --gpu rtx_4090 --model llama_3_1_8b --sm-count 128 --l2 72MiB \
    --out fit.yaml
cat >scenario.yaml <<'END'
name: fitted
seed: 1
cluster:
  pools:
    - gpu: rtx_4090
      model: llama_3_1_8b
      engine: {max_model_len: 8192}
      cost: {model: affine, fit: fit.yaml, scale_decode: 0.95}
routing: {policy: round_robin}
workload:
  generate:
    - program: single
      requests: 50
      arrival: {kind: gamma, rate_per_s: 2, cv: 1}
      input: {kind: lognormal, mu: 5.7, sigma: 0.9, min: 1, max: 2000}
      output: {kind: lognormal, mu: 4.2, sigma: 0.8, min: 1, max: 500}
END
exits 0 check scenario.yaml
grep -q 'affine form, fitted to kernel profile' out ||
    fail "check does not say what the step times rest on"
exits 0 run scenario.yaml --digest
mv out first
exits 0 run scenario.yaml --digest --step-by-step
same first out

refuses 2 'alone: the model.s shape and the GPU.s SMs are not known' calibrate alone
refuses 2 'no gpus/nothing.yaml' calibrate alone --gpu nothing --model llama_3_1_8b
refuses 2 'nowhere: No such file or directory' calibrate nowhere --facts run/facts.json
absent never.yaml
printf 'layer,tokens,time_us\nqkv_proj,1,fast\n' >alone/dense.csv
refuses 2 'alone/dense.csv:2: time_us: "fast" is not a number' calibrate alone \
    --facts run/facts.json --out never.yaml
absent never.yaml
sed -i 's/^layers: 32/layers: 31/' fit.yaml
refuses 2 '.*the fit is of .*31 layers' check scenario.yaml
echo 'layer: 3' >>fit.yaml
refuses 2 '.*' check scenario.yaml

# Whole iterations: recognised by their columns, one GPU, model and degree at a time.
awk 'BEGIN {
    print "model,hardware,tensor_parallel,prompt_size,batch_size,token_size,prompt_time,token_time"
    for (tp = 2; tp <= 4; tp *= 2)
        for (s = 128; s <= 4096; s *= 2)
            for (b = 1; b <= (s == 512 ? 32 : 1); b *= 2)
                printf "llama,h100,%d,%d,%d,128,%f,%f\n", tp, s, b,
                    (50 + (s * b > 512 ? (s * b - 512) / 10 : 0)) / tp, (20 + b / 8) / tp
}' >iterations.csv
table="iterations.csv --gpu h100_sxm --model llama_2_70b"
refuses 2 'iterations.csv: choose one .*: h100, llama, 2; h100, llama, 4' \
    calibrate $table --out never.yaml
absent never.yaml
refuses 2 'iterations.csv: no row is of that .*h100, llama, 2; h100, llama, 4' \
    calibrate $table --tensor-parallel 8
refuses 2 'iterations.csv: .*give --model NAME, and --gpu NAME' calibrate iterations.csv
refuses 2 "option --from: 'table'" calibrate $table --from table
exits 0 calibrate $table --tensor-parallel 4 --source 'a test' --out whole.yaml
grep -q '^mixed: .* mean error 0.0 %' out || fail "first iterations do not fit exactly"
grep -q '^source: .* in a test: 11 configurations' whole.yaml || fail "no source in the fit"
gzip -k iterations.csv
cp whole.yaml first.yaml
exits 0 calibrate iterations.csv.gz --gpu h100_sxm --model llama_2_70b --table-gpu h100 \
    --tensor-parallel 4 --source 'a test' --out whole.yaml
same first.yaml whole.yaml
sed -e 's/rtx_4090/h100_sxm/' -e 's/llama_3_1_8b/llama_2_70b/' \
    -e 's/max_model_len: 8192/max_model_len: 4096, tensor_parallel: 4/' \
    -e 's/fit: fit.yaml.*/fit: whole.yaml}/' scenario.yaml >whole-scenario.yaml
exits 0 check whole-scenario.yaml
exits 0 run whole-scenario.yaml --digest
refuses 2 'iterations.csv: the table and --out are the same file' calibrate $table --out iterations.csv
refuses 2 'scenario.yaml: is nothing that we know; a source is ' calibrate scenario.yaml
mkdir none
refuses 2 'none: holds no measurements that we know' calibrate none

# A measured run: 200 requests that our own engine "measured" with factors 0.9 and 1.1.
# The factors come back, and so do those of the parts; what the run lacks is said.
mkdir -p measured
mv alone measured/profile
awk 'BEGIN {
    for (t = 1; t <= 2048; t *= 2)
        printf "%s", (t == 1 ? "layer,tokens,time_us\n" : "")  \
            sprintf("layernorm,%d,3\nqkv_proj,%d,%f\n", t, t, 60 + t / 4)
}' >measured/profile/dense.csv
limits='"max_num_seqs": 16, "max_num_batched_tokens": 512, "num_gpu_blocks": 4000'
sed "s/\"tensor_parallel\": 1/&, $limits/" run/facts.json >measured/facts.json
awk 'BEGIN {
    for (i = 0; i < 200; i++)
        printf "{\"id\":%d,\"arrival_ns\":%d,\"input_toks\":%d,\"output_toks\":%d}\n",
            i, i * 90000000 + (i * 7919 % 13) * 1000000, 50 + i * 6007 % 900, 2 + i * 7 % 60
}' >measured/workload.jsonl
measure() { # measure FOLDER VALIDATE-OPTIONS...: what the engine says becomes the truth
    local folder=$1
    shift
    awk -F'[:,}]' '{
        printf "{\"input_toks\": %d, \"output_toks\": %d, \"queued_ts\": 1, " \
            "\"first_token_ts\": 2, \"last_token_ts\": 3}\n", $6, $8
    }' "$folder/workload.jsonl" >"$folder/vllm_requests.jsonl"
    exits 0 validate "$folder" "$@" --requests truth.csv
    awk -F, 'NR > 1 {
        printf "{\"input_toks\": %d, \"output_toks\": %d, \"queued_ts\": %.9f, " \
            "\"first_token_ts\": %.9f, \"last_token_ts\": %.9f}\n", $2, $3,
            1 + $7 / 1e3, 1 + $9 / 1e3, 1 + $11 / 1e3
    }' truth.csv >"$folder/vllm_requests.jsonl"
}
near() { # near PATTERN EXPECTED TOLERANCE: second word of the line in out
    awk -v p="$1" -v want="$2" -v tol="$3" '$1 == p {
        got = $2; found = 1
    } END { exit !(found && got - want <= tol && want - got <= tol) }' out ||
        fail "$1 is not $2: $(grep "$1" out)"
}
measure measured --scale-decode 0.9 --scale-mixed 1.1
exits 0 calibrate measured --out scaled.yaml
near scale_decode 0.9 0.004
near scale_mixed 1.1 0.01
grep -q '^the data determine every factor' out || fail "the run determines both factors"
grep -q '^calibrated: "on a run of 200 requests: scale_decode 0.9' scaled.yaml ||
    fail "the fit does not say what it was calibrated on"
exits 0 validate measured --fit scaled.yaml --max-error 0.5
grep -q 'scaled by 0.9.*calibrated on a run of 200 requests: scale_decode' out ||
    fail "a result does not say what it was calibrated on"
refuses 3 '.*worst absolute error' validate measured --max-error 5
exits 0 calibrate measured --fit scaled.yaml --out again.yaml
near scale_decode 1 0.004
exits 0 calibrate measured --terms groups --out parts.yaml
exits 0 validate measured --fit parts.yaml --max-error 3

# No decode steps to speak of: their factor is not known, and nothing is made up.
awk '{ sub(/"output_toks":[0-9]+/, "\"output_toks\":1"); print }' measured/workload.jsonl >w
mv w measured/workload.jsonl
measure measured --scale-mixed 1.2
exits 0 calibrate measured --out mixed.yaml
near scale_mixed 1.2 0.01
near scale_decode 1 0
grep -q '^not determined: scale_decode$' out || fail "decodes were never run"

# Without a profile: the data sheet, and a file for --scales-from.
rm -r measured/profile
sed -i 's/"toy GPU"/"NVIDIA GeForce RTX 4090"/' measured/facts.json
exits 0 calibrate measured --out sheet.yaml
grep -q '^cost_model: roofline' sheet.yaml || fail "no factors on the roofline"
exits 0 validate measured --model roofline --format json
before=$(grep -o '"worst_abs_error_pct":[^,]*' out | tr -dc '0-9.')
exits 0 validate measured --model roofline --scales-from sheet.yaml --format json
after=$(grep -o '"worst_abs_error_pct":[^,]*' out | tr -dc '0-9.')
awk "BEGIN { exit !($after < 0.7 * $before) }" || fail "roofline: $before % before, $after % after"
sed 's/"max_num_batched_tokens": 512/"max_num_batched_tokens": 64/' measured/facts.json >w
mkdir -p elsewhere && cp measured/*.jsonl elsewhere && mv w elsewhere/facts.json
exits 0 calibrate elsewhere
grep -q '^still far: ' out || fail "a run of another engine is called understood"
refuses 2 '--terms groups: the data sheet has no such parts' \
    calibrate measured --terms groups
refuses 2 "option --terms: 'all'" calibrate measured --terms all
refuses 2 'no fits/nothing.yaml' calibrate measured --fit nothing

# Load tests. Without host times every time is a step's, so tests that took a tenth
# longer have factors a tenth larger; rows of closed loops and bench results alike.
mkdir -p own/hosts
printf 'name: none\ncpu_step: 0s\ncpu_sequence: 0s\nrequest: 0s\n' >own/hosts/vllm.yaml
loads() { # loads FACTOR: rows.csv and bench.jsonl
    awk -v f="$1" 'BEGIN {
        print "system,model_path,backend,mode,isl,osl,tp_size,concurrency,batch_size," \
            "silicon_ttft_ms,silicon_tpot_ms" >"rows.csv"
        for (i = 0; i < 12; i++) {
            users = 1; isl = 1000 + 10 * i; osl = 128
            ttft = f * 0.025 * isl
            tpot = f * 7
            printf "h100_sxm,meta-llama/Llama-3.1-8B,vllm,agg,%d,%d,1,%d,%d,%f,%f\n",
                isl, osl, users, users, ttft, tpot >"rows.csv"
            printf "{\"completed\": %d, \"max_concurrency\": %d, \"total_input_tokens\": " \
                "%d, \"total_output_tokens\": %d, \"mean_ttft_ms\": %f, " \
                "\"mean_tpot_ms\": %f}\n", 10 * users, users, 10 * users * isl,
                10 * users * osl, ttft, tpot >"bench.jsonl"
        }
    }'
}
value() { awk -v p="$1" '$1 == p { print $2 }' out; }
gpu="--gpu h100_sxm --model llama_3_1_8b --config-dir own"
for what in "rows.csv --config-dir own" "bench.jsonl $gpu"; do
    loads 1
    exits 0 calibrate $what
    decode=$(value scale_decode)
    mixed=$(value scale_mixed)
    grep -q '^H100-SXM x Llama-3.1-8B, .*12 load' out || fail "$(head -1 out)"
    loads 1.1
    exits 0 calibrate $what --out scales.yaml
    near scale_decode "$(awk "BEGIN { print 1.1 * $decode }")" 0.002
    grep -q '^cost_model: roofline' scales.yaml || fail "no file of scales from $what"
done
near scale_mixed "$(awk "BEGIN { print 1.1 * $mixed }")" 0.002
# One user at a time never decodes beside a prefill: TPOT says nothing of such steps.
exits 0 calibrate rows.csv --config-dir own
grep -q '^not determined: scale_mixed$' out || fail "TPOT of one user tells no prefill"
head -1 bench.jsonl >bench.json
exits 0 calibrate bench.json $gpu
grep -q 'too little data\|^not determined' out || fail "one load is called enough"
refuses 2 'the result does not say which GPU' calibrate bench.json
sed 's/"max_concurrency": 1,/"max_concurrency": null, "request_rate": 2.5,/' bench.json >open.json
refuses 2 'open.json: max_concurrency is not set and request_rate is finite' \
    calibrate open.json $gpu
sed 's/mean_tpot_ms/tpot/' bench.json >odd.json
refuses 2 'odd.json: mean_tpot_ms: a number above 0' calibrate odd.json $gpu
sed 's/, "/,\n  "/g' bench.json >pretty.json
exits 0 calibrate bench.json $gpu
mv out first
exits 0 calibrate pretty.json $gpu
same first out
head -c 60 bench.json >cut.json
refuses 2 'cut.json' calibrate cut.json $gpu
sed '2s/vllm/sglang/' rows.csv >two.csv
refuses 2 'two.csv: choose one system.*: h100_sxm, .*, sglang; h100_sxm, .*, vllm$' \
    calibrate two.csv
refuses 2 'rows.csv: no row is left' calibrate rows.csv --filter system=l40s
exits 0 calibrate two.csv --filter backend=vllm --engine '{max_num_seqs: 64}'
refuses 2 '.*max_num_sequences' calibrate rows.csv --engine '{max_num_sequences: 64}'
done_testing
