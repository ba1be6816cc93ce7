#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# deploy/sweep on a Slurm of its own: one controller, one node, both on loopback.
. "$STACKSIM_SOURCE/tests/cli/lib.bash"
. "$STACKSIM_SOURCE/tests/cli/sweep.bash"
for tool in slurmctld slurmd sbatch squeue sqlite3; do
    command -v "$tool" >/dev/null || { echo "needs $tool"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "needs root: slurmd starts jobs of users"; exit 77; }

export SLURM_CONF=$STACKSIM_TMP/slurm.conf
port=$((20000 + $$ % 20000))
mkdir -p state spool
cat >"$SLURM_CONF" <<END
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/none
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation=$STACKSIM_TMP/state
SlurmdSpoolDir=$STACKSIM_TMP/spool
SlurmctldPidFile=$STACKSIM_TMP/slurmctld.pid
SlurmdPidFile=$STACKSIM_TMP/slurmd.pid
NodeName=n1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=10
END
slurmctld -D >slurmctld.log 2>&1 &
controller=$!
slurmd -D -N n1 >slurmd.log 2>&1 &
node=$!
stop() {
    kill "$node" "$controller" 2>/dev/null
    wait "$node" "$controller" 2>/dev/null
}
trap stop EXIT
for _ in $(seq 150); do
    sinfo -h -o %T 2>/dev/null | grep -q idle && break
    kill -0 "$controller" "$node" 2>/dev/null || break
    sleep 0.2
done
if ! sinfo -h -o %T 2>/dev/null | grep -q idle; then
    echo "Slurm does not start here: $(tail -1 slurmctld.log) / $(tail -1 slurmd.log)"
    exit 77
fi

small_sweep 100
exits 0 sweep grid.yaml --out whole.db --quiet
mkdir results
export STACKSIM=$STACKSIM_BIN
deploy=$STACKSIM_SOURCE/deploy/sweep
# Indices from 3 on: shares are counted from the first one.
jid=$(sbatch --parsable --array=3-6 --cpus-per-task=1 --output=array-%a.log \
    "$deploy/sweep.sbatch" grid.yaml results) || fail "sbatch refuses the array"
merge=$(sbatch --parsable --dependency="afterok:$jid" --output=merge.log \
    "$deploy/merge.sbatch" results/grid.db results/grid-1.db results/grid-2.db \
    results/grid-3.db results/grid-4.db) || fail "sbatch refuses the merge"
for _ in $(seq 300); do
    [ -z "$(squeue -h -j "$jid,$merge" 2>/dev/null)" ] && break
    sleep 0.2
done
[ -z "$(squeue -h)" ] || fail "still queued: $(squeue)"
[ "$(runs_in results/grid-2.db)" = 3 ] || fail "share 2: $(cat array-4.log)"
dump whole.db >rows
dump results/grid.db >merged.rows || fail "no merged store: $(cat merge.log)"
same rows merged.rows
done_testing
