#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `stacksim calibrate` on op tables: found by what lies there, fitted, and used by a
# scenario; what is missing is said.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"

mkdir ops
awk 'BEGIN {
    print "gemm_dtype,m,n,k,latency"
    split("1 8 64 512 4096 8192", ms); split("1024 2048 4096 8192 16384", ws)
    for (i = 1; i <= 6; i++) for (j = 1; j <= 5; j++) for (l = 1; l <= 5; l++)
        printf "bfloat16,%d,%d,%d,%.9g\n", ms[i], ws[j], ws[l],
            0.003 + ws[j] * ws[l] * (0.6 + ms[i] / 400) * 1e-9
}' >ops/toy.vllm-1.2.gemm_perf.csv
attention() {
    awk -v kind="$1" 'BEGIN {
        print "batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,latency"
        split("1 4 16 64 256", bs); split("4 8 16 32", hs); split("255 1023 4095 16383", cs)
        for (i = 1; i <= 5; i++) for (j = 1; j <= 4; j++) for (l = 1; l <= 4; l++)
            for (g = 1; g <= 4; g += 3) {
                h = hs[j]; c = cs[l] + 1; b = bs[i]
                if (kind == "decode")
                    printf "%d,1,%d,%d,128,bfloat16,bfloat16,%d,%.9g\n", b, h, h / g,
                        c - 1, 0.009 + b * h / g * c * 1.5e-7
                else
                    printf "%d,%d,%d,%d,128,bfloat16,bfloat16,0,%.9g\n", b, c, h, h / g,
                        0.012 + b * h * (c * 1e-7 + c * c * 1e-10)
            }
    }'
}
attention decode >ops/toy.vllm-1.2.generation_attention_perf.csv
attention prompt >ops/toy.vllm-1.2.context_attention_perf.csv
gzip ops/toy.vllm-1.2.context_attention_perf.csv

exits 0 calibrate ops --system toy
grep -q '^products of 16-bit weights: 150 rows, mean error 0.0 %' out ||
    fail "products: $(grep ^products out)"
grep -q '^products of 8-bit weights: not determined' out || fail 'no 8-bit rows, no word'
grep -q 'per_weight 0.76 (' out || fail "64 rows: $(grep '^ *64 ' out)"

exits 0 calibrate ops --system toy --backend vllm-1.2 --source 'made up' --out toy.yaml
grep -q '^source: "made up; 150 products' toy.yaml || fail "$(grep ^source toy.yaml)"
cat >one.yaml <<'Y'
name: one
seed: 1
cluster:
  pools:
    - gpu: h100_sxm
      model: llama_3_1_8b
      cost: {model: ops, fit: ./toy.yaml}
workload:
  generate:
    - requests: 20
      arrival: {kind: poisson, rate_per_s: 10}
      input: {kind: const, value: 500}
      output: {kind: const, value: 50}
routing: {policy: round_robin}
Y
exits 0 run one.yaml --format json
mv out fitted.json
sed 's|fit: ./toy.yaml|tables: ops, system: toy|' one.yaml >two.yaml
exits 0 run two.yaml --format json

refuses 2 'option --system' calibrate ops
refuses 2 'ops: no file toy\.trtllm' calibrate ops --system toy --backend trtllm
refuses 2 'ops: no file h100\.vllm' calibrate ops --system h100
rm ops/toy.vllm-1.2.context_attention_perf.csv.gz
refuses 2 'ops: no file toy\.vllm-1\.2\.context_attention_perf' calibrate ops --system toy
refuses 2 'one.yaml:.*: fit: model roofline reads none' run one.yaml --set cluster.pools.0.cost.model=roofline
done_testing
