#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/sweep without a cluster: the scripts as what runs them would call them.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
. "$STACKSIM_SOURCE/tests/cli/sweep.bash"
command -v sqlite3 >/dev/null || { echo "needs sqlite3"; exit 77; }
deploy=$STACKSIM_SOURCE/deploy/sweep
export STACKSIM=$STACKSIM_BIN
for script in "$deploy"/*.sbatch "$deploy"/*.sh; do
    bash -n "$script" || fail "$script is no shell script"
done
small_sweep 100
exits 0 sweep grid.yaml --out whole.db --quiet
dump whole.db >rows

# Slurm's variables by hand.
mkdir slurm
for index in 0 1 2; do
    SLURM_ARRAY_TASK_ID=$index SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_COUNT=3 \
        bash "$deploy/sweep.sbatch" grid.yaml slurm --quiet >/dev/null 2>err ||
        fail "sweep.sbatch: $(cat err)"
done
bash "$deploy/merge.sbatch" slurm/grid.db slurm/grid-1.db slurm/grid-2.db \
    slurm/grid-3.db 2>err || fail "merge.sbatch: $(cat err)"
dump slurm/grid.db >slurm.rows
same rows slurm.rows

# The command of the Kubernetes job, as its shell gets it.
if command -v python3 >/dev/null && python3 -c 'import yaml' 2>/dev/null; then
    python3 - "$deploy/job.yaml" >pod.sh <<'X' || fail "job.yaml is not a job"
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))
spec = job["spec"]
box = spec["template"]["spec"]["containers"][0]
assert job["kind"] == "Job" and spec["completionMode"] == "Indexed"
assert box["env"][0] == {"name": "SHARES", "value": str(spec["completions"])}
assert box["command"] == ["/bin/sh", "-c"]
print(box["args"][0].replace("/data/", "pods/").replace("stacksim sweep", "$STACKSIM sweep"))
X
    mkdir pods
    cp grid.yaml pods/rates.yaml
    for index in 0 1; do
        JOB_COMPLETION_INDEX=$index SHARES=2 sh pod.sh >/dev/null 2>err ||
            fail "the pod's command: $(cat err)"
    done
    exits 0 merge pods/rates.db pods/rates-1.db pods/rates-2.db
    [ "$(runs_in pods/rates.db)" = 12 ] || fail "pods left $(runs_in pods/rates.db) runs"
fi

if command -v parallel >/dev/null && parallel --version 2>/dev/null | grep -q GNU; then
    bash "$deploy/parallel.sh" grid.yaml jobs 3 2>err || fail "parallel.sh: $(cat err)"
    dump jobs/grid.db >jobs.rows
    same rows jobs.rows
    PATH="$STACKSIM_TMP:$PATH"
    ln -s "$STACKSIM_BIN" ./stacksim
    mkdir results
    line=$(sed -n 's/^#     \(seq 8 .*\)/\1/p' "$deploy/parallel.sh" | sed 's/rates/grid/g')
    [ -n "$line" ] || fail "parallel.sh has no one-liner"
    bash -c "$line" >/dev/null 2>err || fail "the one-liner: $(cat err)"
    exits 0 merge results/grid.db results/grid-[0-9].db
    dump results/grid.db >line.rows
    same rows line.rows
fi
done_testing
