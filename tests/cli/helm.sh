#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Chart values and custom resources through the program: explained, made into scenarios,
# run, and refused with file and line.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
examples=$STACKSIM_SOURCE/configs/helm

# ---- explain ----
exits 0 helm explain "$examples/plain.yaml" --gpu h100_sxm --compat tag --release demo
says '^engine chat8b: 4 x Deployment demo-chat8b-deployment-vllm'
# 79.2 GiB x 0.9 - 14.96 - 5.6 GiB = 50.7 GiB of blocks of 2 MiB (docs/scenario.md).
says 'KV cache +25969 blocks of 16 tokens = 415504 tokens per engine, 1662016 in all'
says 'step +at most 128 sequences and 8192 tokens, context at most 32768 tokens'
says 'in force +prefix caching on, chunked prefill on'
says_not '^traps'
exits 0 helm explain "$examples/plain.yaml"
says 'KV cache +unknown: its GPU is not known'
says 'give --gpu h100_sxm, or --nodes'
exits 0 helm explain "$examples/kv_aware.yaml" --compat tag --gpu H100
says 'kv_aware.yaml:14: kv8b: without v1 the pods get VLLM_USE_V1=0.*write v1: 1'
says 'at most 256 sequences and 32768 tokens'
says 'prefix caching off, chunked prefill off'
exits 3 helm explain "$examples/kv_aware.yaml" --compat tag --strict
exits 0 helm explain "$examples/plain.yaml" --strict
exits 0 helm explain "$examples/pipeline_parallel.yaml" --gpu h100_sxm --format json
says '"gpus_per_engine":[[:space:]]*8'
says '"replicas":[[:space:]]*1'
exits 0 helm explain "$examples/lora_pinned.yaml" --compat tag --format json
says '"base_model":[[:space:]]*"base8b"'
refuses 2 '.*--format.*xml' helm explain "$examples/plain.yaml" --format xml
refuses 2 '.*--compat.*0\.1\.3' helm explain "$examples/plain.yaml" --compat old
refuses 2 '.*nowhere\.yaml: No such file' helm explain nowhere.yaml
refuses 2 '.*--gpu: no file for abacus' helm explain "$examples/plain.yaml" --gpu abacus

# ---- what runs is what is written ----
for name in plain prefix_offload kv_aware disaggregated pipeline_parallel lora_pinned; do
    for compat in tag head; do
        exits 0 helm scenario "$examples/$name.yaml" --gpu h100_sxm --compat $compat \
            --trace "$STACKSIM_SOURCE/traces/samples/chat.csv.zst" --out fleet.yaml
        exits 0 run fleet.yaml --set end.requests=200 --digest --quiet
        cp out written
        exits 0 run --helm "$examples/$name.yaml" --gpu h100_sxm --compat $compat \
            --trace "$STACKSIM_SOURCE/traces/samples/chat.csv.zst" \
            --set end.requests=200 --digest --quiet
        same written out
    done
done
no_leftovers
exits 0 run --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50
grep -q 'note: no trace was given' err || fail 'what was assumed is not told'
exits 0 run --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50 --quiet
[ -s err ] && fail 'quiet is not quiet'
exits 0 compare --helm "$examples/plain.yaml" --gpu h100_sxm --set end.requests=50 \
    --policies round_robin,session --no-report --quiet --out pair
exits 0 check --helm "$examples/disaggregated.yaml" --gpu h100_sxm
says '^pool pd-prefill'
refuses 2 '.*give --gpu h100_sxm' run --helm "$examples/plain.yaml"
refuses 2 '.*demo.*beside --helm' run demo --helm "$examples/plain.yaml"
refuses 2 '.*missing argument' run
refuses 2 '.*--helm VALUES' run demo --gpu l4
refuses 2 '.*same file' run --helm "$examples/plain.yaml" --gpu h100_sxm \
    --out "$examples/plain.yaml"

# ---- LMCache, LoRA, drafts ----
exits 0 helm scenario "$examples/prefix_offload.yaml" --gpu h100_sxm
says '^        cpu: \{capacity: 60GB\}'
exits 0 helm scenario "$examples/kv_aware.yaml" --gpu h100_sxm
says 'kv_events: \{source: tiers\}'
says 'params: \{threshold: 2000\}'
# Four slots of 84 MB at rank 16: 160 blocks of 2 MiB fewer.
exits 0 helm explain "$examples/lora_pinned.yaml" --gpu h100_sxm
says 'KV cache +25809 blocks'
exits 0 helm scenario "$examples/lora_pinned.yaml" --gpu h100_sxm --compat tag
says '\{name: "legal", replicas: 1\}'
cat >tiers.yaml <<'Y'
cacheserverSpec: {servicePort: 81, resources: {limits: {memory: 64Gi}}}
servingEngineSpec:
  modelSpec:
  - name: m
    repository: lmcache/vllm-openai
    tag: 2025-05-17-v1
    modelURL: meta-llama/Llama-3.1-70B-Instruct
    replicaCount: 2
    requestCPU: 8
    requestMemory: 400Gi
    requestGPU: 4
    env:
    - {name: LMCACHE_CHUNK_SIZE, value: "128"}
    - {name: LMCACHE_MAX_LOCAL_DISK_SIZE, value: "500"}
    vllmConfig: {v1: 1, tensorParallelSize: 4, maxModelLen: 16384}
    lmcacheConfig: {enabled: true, cpuOffloadingBufferSize: "60", kvRole: kv_consumer}
Y
exits 0 helm scenario tiers.yaml --gpu h100_sxm
says '^        role: consumer'
says '^        chunk_tokens: 128'
# A buffer for each GPU of the group.
says '^        cpu: \{capacity: 240GB\}'
says '^        disk: \{capacity: 2000GB\}'
says '^        remote: \{\}'
says '^cache_server: \{capacity: 68719476736B\}'
exits 0 run --helm tiers.yaml --gpu h100_sxm --set end.requests=20 --digest --quiet
cat >drafts.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - name: m
    repository: vllm/vllm-openai
    tag: v0.13.0
    modelURL: meta-llama/Llama-3.1-8B-Instruct
    replicaCount: 1
    requestCPU: 8
    requestMemory: 64Gi
    requestGPU: 1
    vllmConfig:
      enablePrefixCaching: true
      maxModelLen: 16384
      extraArgs: [--speculative-config, '{"method": "ngram", "num_speculative_tokens": 4}', --kv-offloading-size, 40]
Y
exits 0 helm scenario drafts.yaml --gpu h100_sxm
says 'speculative: \{method: ngram, tokens: 4, rate: 0\.7\}'
says 'tiers: \{connector: offloading, cpu: \{capacity: 40GiB\}\}'
says '^# note: .*70 % of drafts are taken for right'
exits 0 run --helm drafts.yaml --gpu h100_sxm --set end.requests=20 --digest --quiet

cat >select.yaml <<'Y'
servingEngineSpec:
  modelSpec:
  - name: m
    repository: vllm/vllm-openai
    tag: v0.8.5
    modelURL: Qwen/Qwen2.5-7B-Instruct
    replicaCount: 1
    requestCPU: 1
    requestMemory: 8Gi
    requestGPU: 1
    nodeSelectorTerms:
    - matchExpressions:
      - {key: zone, operator: In, values: [a]}
Y

# ---- models ----
sed '3,$!d; s/name: m$/name: n/; s/Qwen.*/acme\/own-7b/' select.yaml >more
cat select.yaml more >two.yaml
exits 0 helm explain two.yaml --gpu h100_sxm
says 'n: no file of configs/models is the model acme/own-7b'
refuses 2 '.*a run simulates one model; choose by --model' run --helm two.yaml \
    --gpu h100_sxm
refuses 2 '.*no file of configs/models is the model acme' run --helm two.yaml --model n \
    --gpu h100_sxm
exits 0 run --helm two.yaml --model n --gpu h100_sxm --model-file acme/own-7b=qwen2_5_7b \
    --set end.requests=20 --digest --quiet
refuses 2 '.*no configs/models/nix\.yaml' run --helm two.yaml --model n --gpu h100_sxm \
    --model-file acme/own-7b=nix
refuses 2 '.*none is called o' run --helm two.yaml --model o --gpu h100_sxm
# 70 billion parameters on one GPU.
sed 's/Qwen.*/meta-llama\/Llama-3.1-70B-Instruct/' select.yaml >big.yaml
exits 0 helm explain big.yaml --gpu h100_sxm
says 'the engine does not start'
refuses 2 '.*big\.yaml:3: m: the engine does not start: .*weights' run --helm big.yaml \
    --gpu h100_sxm


# ---- pipeline stages ----
# The acceptance row of #422: two pods of four GPUs are one endpoint with two stages.
pp=$examples/pipeline_parallel.yaml
exits 0 helm explain "$pp" --gpu h100_sxm
says '^engine big70b: 1 x RayCluster'
says '^  parallel    tensor parallel 4 x 2 pipeline stages = 8 GPUs of one engine'
exits 0 helm scenario "$pp" --gpu h100_sxm
says '^      replicas: 1'
says '^      parallel: \{pp: 2\}'
says '^      placement: \{node: hgx_h100, nodes: 2, gpus_per_node: 4\}'
exits 0 run --helm "$pp" --gpu h100_sxm --set end.requests=20
says '^engines +1; .*TP 4, PP 2 \(40\+40 layers\)'
# More stages than GPUs: it never starts.
sed 's/pipelineParallelSize: 2/pipelineParallelSize: 4/' "$pp" >many.yaml
exits 3 helm explain many.yaml --gpu h100_sxm --strict
says 'tensor parallel 4 x pipeline parallel 4 needs 16 GPUs, head and 1 workers have 8: the engine never starts'
refuses 2 '.*many\.yaml:6: big70b: the engine never starts: it needs 16 GPUs and has 8' \
    run --helm many.yaml --gpu h100_sxm
# A second Ray model in the namespace: release 0.1.3 cannot install it.
sed -n '/  - name/,/vllmConfig/p' "$pp" | sed 's/big70b/other70b/' >second
sed '/vllmConfig/r second' "$pp" >pair.yaml
refuses 2 '.*pair\.yaml:18: other70b: the engine never starts: release 0\.1\.3 takes one Ray model' \
    run --helm pair.yaml --gpu h100_sxm --compat tag
exits 0 run --helm pair.yaml --gpu h100_sxm --compat head --set end.requests=20 --digest --quiet
# Without Ray nobody reads the key.
sed '/raySpec/d; s/pipelineParallelSize: 2/&, v1: 1/' "$pp" >flat.yaml
exits 0 helm explain flat.yaml --gpu h100_sxm
says 'pipelineParallelSize: only the template of Ray clusters reads it'
exits 0 helm scenario flat.yaml --gpu h100_sxm
says_not 'parallel: \{pp'
# In one pod, by a flag of the engine.
sed 's/pipelineParallelSize: 2/extraArgs: [-pp, 2]/; s/requestGPU: 4/requestGPU: 8/' flat.yaml >flag.yaml
exits 0 helm scenario flag.yaml --gpu h100_sxm
says 'parallel: \{pp: 2\}'
says_not 'placement'

# ---- custom resources beside the values ----
cat >crd.yaml <<'Y'
apiVersion: production-stack.vllm.ai/v1alpha1
kind: LoraAdapter
metadata: {name: sql}
spec: {baseModel: base8b, adapterSource: {type: local, adapterPath: /data/sql}}
---
apiVersion: production-stack.vllm.ai/v1alpha1
kind: VLLMRouter
metadata: {name: r}
spec: {replicas: 3, routingLogic: session, sessionKey: x-user-id, k8sLabelSelector: "model=base8b"}
Y
cat >server.yaml <<'Y'
apiVersion: production-stack.vllm.ai/v1alpha1
kind: CacheServer
metadata: {name: c}
spec: {image: {registry: docker.io, name: "lmcache/vllm-openai:latest"}, port: 81, resources: {memory: 32Gi}}
Y
sed -e '/^cacheserverSpec/d' \
    -e 's|^    env:|&\n    - {name: LMCACHE_REMOTE_URL, value: "lm://c:81"}|' tiers.yaml >remote.yaml
exits 0 helm scenario remote.yaml --crd server.yaml --gpu h100_sxm
says '^        remote: \{\}'
says '^cache_server: \{capacity: 34359738368B\}'
exits 0 helm scenario "$examples/lora_pinned.yaml" --crd crd.yaml --compat tag --gpu h100_sxm
says '\{name: "legal", replicas: 1\}'
says '\{name: "sql"\}'
says '^  policy: session'
says '^  replicas: 3'
exits 0 run --helm "$examples/lora_pinned.yaml" --crd crd.yaml --crd server.yaml \
    --gpu h100_sxm --set end.requests=20 --digest --quiet
cat >route.yaml <<'Y'
apiVersion: production-stack.vllm.ai/v1alpha1
kind: StaticRoute
metadata: {name: s}
spec: {routingLogic: roundrobin, staticBackends: "http://a:80", staticModels: m}
Y
exits 0 helm explain "$examples/plain.yaml" --crd route.yaml --compat tag
says 'route\.yaml:1: StaticRoute: the router of release 0\.1\.3 .*cannot apply static backends'

# ---- the router's health checks, its failover ----
cat >static.yaml <<'Y'
routerSpec:
  serviceDiscovery: static
  staticBackends: http://a.example:8000
  staticModels: m
  extraArgs: [--static-backend-health-checks, --static-model-types, completion, --static-backend-health-check-interval, 20,
              --max-instance-failover-reroute-attempts, 2]
Y
sed '/nodeSelectorTerms/,$d' select.yaml | cat - static.yaml >checked.yaml
exits 0 helm scenario checked.yaml --gpu l4
says '^discovery: \{mode: static, health_checks: true, model_type: completion, check_interval: 20s\}'
says '^  failover_attempts: 2'
exits 0 run --helm checked.yaml --gpu l4 --set end.requests=20 --digest --quiet
# Engines that ask for a key refuse the probes of release 0.1.3.
sed 's/^servingEngineSpec:/&\n  vllmApiKey: secret/' checked.yaml >secret.yaml
exits 0 helm scenario secret.yaml --gpu l4 --compat tag
says 'model_type: score'

# ---- formats ----
# Four bits and their scales for 7.6 billion weights: 3.9 GB instead of 15.2.
while IFS='|' read -r url flags wanted; do
    sed "s|modelURL: .*|modelURL: $url|; /nodeSelectorTerms/,\$d" select.yaml >format.yaml
    echo "    vllmConfig: {maxModelLen: 8192, enablePrefixCaching: true, extraArgs: [$flags]}" >>format.yaml
    exits 0 helm scenario format.yaml --gpu h100_sxm --compat head
    says "$wanted"
    exits 0 run --helm format.yaml --gpu h100_sxm --set end.requests=5 --digest --quiet
done <<'Y'
Qwen/Qwen2.5-7B-Instruct-AWQ||quantization: awq
Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4||quantization: gptq
Qwen/Qwen2.5-7B-Instruct|-q, fp8, --kv-cache-dtype, fp8|quantization: fp8, kv_cache_dtype: fp8
org/Qwen2.5-7B-Instruct-FP8-dynamic||quantization: fp8
meta-llama/Llama-3.1-8B-Instruct-FP8||model: llama_3_1_8b_fp8
Qwen/Qwen2.5-7B-Instruct|-q, gguf|^# warning: .*--quantization of this method
Qwen/Qwen2.5-7B-Instruct|--dtype, float32|^# warning: .*--dtype float32
Y
exits 0 helm explain format.yaml --gpu h100_sxm
whole=$(grep -o 'KV cache.*blocks of' out)
sed -i 's/Instruct$/Instruct-AWQ/' format.yaml
exits 0 helm explain format.yaml --gpu h100_sxm
[ "$(grep -o 'KV cache.*blocks of' out)" = "$whole" ] && fail "AWQ leaves as many blocks"
# A claim that the weights do not go on.
sed 's/requestGPU: 1/&\n    pvcStorage: 10Gi/' format.yaml >claim.yaml
sed -i 's/-AWQ//' claim.yaml
exits 0 helm explain claim.yaml --gpu h100_sxm
says 'its weights are 14\.2 GiB, the volume at /data takes 10\.0 GiB: the download fails'
done_testing
