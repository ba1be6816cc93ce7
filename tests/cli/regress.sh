#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `regress` on real runs: nothing found in A/A, a planted slowdown found, and the same
# verdict from a store and from its CSV.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
fleet=(published/shared-prefix --policies random,chwbl --set end.requests=1500 --seeds 4
    --quiet --no-report --no-requests)

exits 0 compare "${fleet[@]}" --out a.db
exits 0 compare "${fleet[@]}" --out again.db
exits 0 regress --baseline a.db --candidate again.db --exact
grep -q '^No regression; 0 better, .* unchanged over 2 runs' out || fail "A/A: $(cat out)"

# 12 ms of host work per step instead of 0.8: every TPOT is worse.
exits 0 compare "${fleet[@]}" --out slow.db --set cluster.pools.0.engine.cpu_step=12ms
exits 3 regress --baseline a.db --candidate slow.db
cp out table
grep -Eq '^WORSE +shared-prefix +chwbl +tpot_ms_mean +4 ' table || fail "slower steps: $(cat table)"
grep -q '^REGRESSION: ' table || fail "no verdict line"
# The other way nothing is worse but what a slower pace happens to be good for.
echo 'metrics: {prefix_hit_ratio: {ignore: true}, load_imbalance: {ignore: true}}' >speed.yaml
exits 0 regress --baseline slow.db --candidate a.db --rules speed.yaml
exits 3 regress --baseline slow.db --candidate a.db --rules speed.yaml --exact

# Steps that take 3 % longer are found in TTFT; 0.1 % is below the threshold, though over
# the same seeds it is no chance at all.
queue() { # SCALE STORE: a fleet whose steps take SCALE times as long
    awk -v scale="$1" 'BEGIN {
        print "name: queue\nseed: 1\nworkload:\n  generate:\n    - requests: 800"
        print "      arrival: {kind: poisson, rate_per_s: 12}"
        print "      input: {kind: lognormal, mu: 6, sigma: 0.6, min: 1, max: 4000}\n      output: 12"
        print "cluster:\n  pools:\n    - replicas: 2\n      gpu: h100_sxm\n      model: llama_3_1_8b"
        print "      engine: {max_num_seqs: 4, prefix_caching: false}"
        printf "      cost: {model: linear, step: %dns, per_chunk_token: %dns}\n", 4e6 * scale, 1e5 * scale
    }' >queue.yaml
    exits 0 compare queue.yaml --policies round_robin --seeds 5 --quiet --no-report --no-requests --out "$2"
}
queue 1 queue.db
queue 1.03 queue3.db
queue 1.001 queue01.db
exits 3 regress --baseline queue.db --candidate queue3.db
grep -Eq '^WORSE +queue +round_robin +ttft_ms_mean +5 ' out || fail "3 % of TTFT: $(cat out)"
exits 0 regress --baseline queue.db --candidate queue01.db
grep -q '^No regression' out || fail "0.1 %: $(cat out)"
exits 0 regress --baseline queue.db --candidate queue01.db --format csv
grep -q "^same,queue,round_robin,ttft_ms_mean," out || fail "0.1 % is not called the same: $(grep ttft_ms_mean out)"

# Seeds of a sweep are pairs, too, wherever they stand in the names.
cat >grid.yaml <<'END'
scenario: published/shared-prefix
set: {end.requests: 500}
grid: {policy: [random, chwbl], seed: 1..4, workload.rate_factor: [1, 2]}
END
exits 0 sweep grid.yaml --out sweep.db --quiet --no-requests
exits 0 sweep grid.yaml --out slow-sweep.db --quiet --no-requests \
    --set cluster.pools.0.engine.cpu_step=12ms
exits 0 regress --baseline sweep.db --candidate sweep.db --exact
exits 3 regress --baseline sweep.db --candidate slow-sweep.db
grep -Eq '^WORSE +shared-prefix +chwbl, rate_factor 1 +tpot_ms_mean +4 ' out ||
    fail "slower steps in a sweep: $(cat out)"

# The CSV of a store says the same, and may be held in a repository.
exits 0 report a.db --no-report --format csv
cp out a.csv
exits 3 regress --baseline a.csv --candidate slow.db
same table out
exits 0 regress --baseline a.csv --candidate a.db --exact

exits 3 regress --baseline a.db --candidate slow.db --format junit --out r.xml
grep -q '<failure message="tpot_ms_mean went from' r.xml || fail "JUnit lacks the failure"
[ "$(grep -c '<testcase' r.xml)" -eq "$(sed -n 's/.* tests="\([0-9]*\)".*/\1/p' r.xml)" ] ||
    fail "JUnit counts its cases wrong"
exits 3 regress --baseline a.db --candidate slow.db --format md
grep -q '^### Regression' out || fail "no Markdown heading"
exits 3 regress --baseline a.db --candidate slow.db --format csv
head -1 out | grep -q '^verdict,scenario,run,metric,seeds,baseline,candidate,change,p,p_adjusted$' ||
    fail "csv columns: $(head -1 out)"
echo 'default: {worse_percent: 1000}' >lenient.yaml
exits 0 regress --baseline a.db --candidate slow.db --rules lenient.yaml

refuses 2 'give both --baseline' regress --baseline a.db
refuses 2 'nowhere\.db' regress --baseline nowhere.db --candidate a.db
refuses 2 '--format: .xml. is none of' regress --baseline a.db --candidate a.db --format xml
echo 'metrics: {ttft: {}}' >wrong.yaml
refuses 2 'wrong\.yaml:1: metrics: no metric ttft' regress --baseline a.db --candidate a.db --rules wrong.yaml
echo 'run,seed' >lacks.csv
refuses 2 'lacks\.csv:1: the columns run, scenario and seed' regress --baseline lacks.csv --candidate a.db
sed '2s/^\([^,]*,[^,]*,[^,]*\),[^,]*/\1,x/' a.csv >seed.csv
refuses 2 'seed\.csv:2: no seed: x' regress --baseline seed.csv --candidate a.db
done_testing
