#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Folders as other people write them: `stacksim validate` and `stacksim calibrate` read
# CRLF, byte order marks, columns and keys in any order, unknown ones, compressed twins,
# null and 12.0, and give the very same figures; ranks and experts run; what cannot be
# known is one message with its place.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

mkdir -p plain/profile
awk 'BEGIN {
    print "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us"
    for (q = 0; q <= 512; q = q ? 4 * q : 32)
        for (n = 0; n <= 64; n = n ? 2 * n : 1)
            for (c = n ? 128 : 0; c <= (n ? 2048 : 0); c = c ? 2 * c : 1)
                if (q + n)
                    printf "%d,0,%d,%d,%.6f\n", q, n, c,
                        10 + n / 4 + n * c / 250 + q / 100 + q * q / 5000
}' >plain/profile/attention.csv
awk 'BEGIN {
    print "layer,tokens,time_us"
    for (t = 1; t <= 2048; t *= 2)
        printf "embedding,%d,3\nlayernorm,%d,3\nqkv_proj,%d,%f\n", t, t, t, 60 + t / 4
}' >plain/profile/dense.csv
printf 'layer,sequences,time_us\nlm_head,1,1000\nlm_head,256,1300\nsampler,1,40\n' \
    >plain/profile/per_sequence.csv
printf 'gpu: toy GPU\nmodel: toy\nvllm_version: 0.19.0\n' >plain/profile/meta.yaml
cat >plain/facts.json <<'END'
{
 "run": "toy run",
 "model": "toy",
 "gpu": {
  "name": "toy GPU",
  "sm_count": 128,
  "peak_mem_bw_GBps": 1008,
  "l2_MiB": 72
 },
 "engine": {
  "tensor_parallel": 1,
  "max_num_seqs": 16,
  "max_num_batched_tokens": 512,
  "num_gpu_blocks": 4000,
  "max_model_len": 4096
 },
 "model_shape": {
  "layers": 32,
  "hidden": 4096,
  "q_heads": 32,
  "kv_heads": 8,
  "head_dim": 128,
  "intermediate": 14336
 }
}
END
awk 'BEGIN {
    for (i = 0; i < 60; i++) {
        t = i * 0.2; in_t = 50 + i * 6007 % 900; out_t = 2 + i * 7 % 60
        printf "{\"id\": %d, \"arrival_ns\": %d, \"input_toks\": %d, \"output_toks\": %d}\n",
            i, t * 1e9, in_t, out_t >"plain/workload.jsonl"
        printf "{\"request_id\": \"b-%d\", \"input_toks\": %d, \"output_toks\": %d, " \
            "\"arrival_time\": %.3f, \"queued_ts\": %.3f, \"scheduled_ts\": %.3f, " \
            "\"first_token_ts\": %.3f, \"last_token_ts\": %.3f}\n", i, in_t, out_t,
            1e9 + t, 50 + t, 50 + t, 50.05 + t, 50.05 + t + 0.01 * out_t \
            >"plain/vllm_requests.jsonl"
    }
    print "t,prompt_throughput,running,waiting,kv_cache_pct" >"plain/vllm_timeseries.csv"
    for (s = 1; s < 15; s++)
        printf "%d,%d,%d,0,%f\n", s, 900, 1 + s % 3, s / 10 >"plain/vllm_timeseries.csv"
}'

# The figures, without names and places.
figures() {
    exits 0 validate "$1" --format json
    grep -v '"dir"\|"gpu"\|"model"\|"run"\|"name"\|"cost"\|"cost_model"\|"folder"' out >"$2"
    exits 0 calibrate "$1/profile" --facts "$1/facts.json" --out fit.yaml
    grep -v '^gpu\|^model\|^source' fit.yaml >>"$2"
}
figures plain want
grep -q '"worst_abs_error_pct"' want || fail "no figures to compare"

variant() { # variant NAME: a copy in ./NAME
    rm -rf "$1"
    cp -r plain "$1"
}
alike() {
    figures "$1" got
    same want got
}

variant crlf
find crlf -type f -exec sed -i 's/$/\r/' {} +
alike crlf
variant bom
find bom -type f -exec sed -i '1s/^/\xef\xbb\xbf/' {} +
alike bom
variant twins
find twins -name '*.csv' -exec gzip {} + -o -name '*.jsonl' -exec gzip {} +
[ -e twins/profile/dense.csv.gz ] || fail "nothing was compressed"
alike twins
variant order
for file in dense attention; do
    awk -F, -v OFS=, '{
        line = "more"; for (i = NF; i > 0; i--) line = line OFS $i
        print line OFS "x"
    }' plain/profile/$file.csv >order/profile/$file.csv
done
sed -i 's/{\(.*\), "output_toks": \([0-9]*\)\(.*\)}/{"output_toks": \2, \1\3, "new": {"a": [1]}}\n/' \
    order/workload.jsonl order/vllm_requests.jsonl
grep -q '^{"output_toks"' order/workload.jsonl || fail "keys were not moved"
alike order
variant pandas
sed -i -E 's/: ([0-9]+)(,?)$/: \1.0\2/' pandas/facts.json
grep -q '"sm_count": 128.0' pandas/facts.json || fail "no fractions in facts.json"
alike pandas
variant spare
rm spare/profile/meta.yaml
alike spare

# Null is as good as absent; all that has a default may be.
variant nulls
sed -i -E 's/("run"|"model"|"name"|"tensor_parallel"|"intermediate"): [^,]*(,?)$/\1: null\2/' \
    nulls/facts.json
sed -i 's/"max_model_len": 4096/"max_model_len": null, "data_parallel": null, "policy": null/' \
    nulls/facts.json
[ "$(grep -c null nulls/facts.json)" -ge 6 ] || fail "no nulls in facts.json"
figures nulls got
for key in ttft tpot e2e; do
    grep -q "\"$key\"" got || fail "no $key with nulls"
done
for key in sm_count kv_heads; do
    variant null
    sed -i -E "s/\"$key\": [0-9]+/\"$key\": null/" null/facts.json
    refuses 2 "null/facts.json:[0-9]+: $key: is null, and there is no default" validate null
done
variant half
sed -i 's/"layers": 32/"layers": 32.5/' half/facts.json
refuses 2 'half/facts.json:18: model_shape.layers: "32.5" is not a whole number' validate half

# Another group, other names, ranks, experts.
variant group
sed -i -e 's/"tensor_parallel": 1/"tensor_parallel": 4/' -e 's/toy GPU/Moore 9/' group/facts.json
exits 0 validate group
grep -q 'all-reduce by the ring formula' out || fail "nobody says where all-reduces come from"
variant ranks
sed -i 's/"tensor_parallel": 1,/& "data_parallel": 2,/' ranks/facts.json
exits 0 validate ranks
variant experts
sed -i -e 's/"tensor_parallel": 1,/& "data_parallel": 2,/' \
    -e 's/"layers": 32,/& "experts": 64, "experts_per_token": 8,/' experts/facts.json
refuses 2 'experts/profile/moe.csv: is missing or empty, but model_shape.experts' \
    validate experts
awk 'BEGIN {
    print "time_us,activated_experts,tokens"
    for (t = 1; t <= 2048; t *= 8)
        for (a = 1; a <= 64; a *= 4) printf "%f,%d,%d\n", 20 + a + t / 20, a, t
}' >experts/profile/moe.csv
exits 0 validate experts
gzip experts/profile/moe.csv
mv out first
exits 0 validate experts
same first out

# Without kernel times: those of a fit, or the data sheet.
variant bare
rm -r bare/profile
refuses 2 'bare/profile: is no folder of kernel times; .*--fit NAME, or --model roofline' \
    validate bare
exits 0 calibrate plain/profile --facts plain/facts.json --out fit.yaml
exits 0 validate plain --format json
grep -v '"dir"\|"folder"' out >first
exits 0 validate bare --fit fit.yaml --format json
grep -v '"dir"\|"folder"' out >second
same first second
refuses 2 'option --fit: --model roofline reads none' validate bare --fit fit.yaml --model roofline

# What cannot be right.
variant failed
sed -i '3s/"first_token_ts": [0-9.]*/"first_token_ts": null/' failed/vllm_requests.jsonl
refuses 2 'failed/vllm_requests.jsonl:3: first_token_ts: is missing; leave requests that failed out' \
    validate failed
variant staged
sed -i 's/"tensor_parallel": 1,/& "pipeline_parallel": 2,/' staged/facts.json
refuses 2 'staged/facts.json:[0-9]*: pipeline_parallel: only 1' validate staged
variant empty
: >empty/profile/attention.csv
refuses 2 'empty/profile/attention.csv: is empty' validate empty
variant cut
sed -i 's/,time_us/,us/' cut/profile/attention.csv
refuses 2 'cut/profile/attention.csv:1: has no column time_us' validate cut
done_testing
