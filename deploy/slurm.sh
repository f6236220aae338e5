#!/usr/bin/env bash
# sbatch --nodes 2 --gpus-per-node 4 deploy/slurm.sh grid my-space.yaml --name night
#
# A grid or search (all that follows the script is passed on) on the nodes of one Slurm allocation. Ray starts on every
# node, the command runs on the first one, and Ray ends with it. Give the same line again after a preemption: the run
# goes on. See docs/guides/clusters.md.
#SBATCH --job-name=tune-ner
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --output=%x-%j.log
# SIGTERM to this script two minutes before the time is over: tables are written while there is time.
#SBATCH --signal=B:TERM@120
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "expected what to run: sbatch deploy/slurm.sh grid SPACE --name NAME, or search SPACE --name NAME" >&2
    exit 2
fi
command=$1
shift

# The environment that `make install` makes, on a disk that every node sees; TUNE_NER_ENVIRONMENT names another.
environment=${TUNE_NER_ENVIRONMENT:-$PWD/.venv}
if [ ! -x "$environment/bin/ray" ]; then
    echo "$environment: no environment with Ray is there; run 'make install', or set TUNE_NER_ENVIRONMENT to one" >&2
    exit 2
fi
export PATH="$environment/bin:$PATH"

# One token for this allocation: others on the nodes cannot reach its Ray.
export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_AUTH_TOKEN

# This script runs on the first node. Allocations that share a node must not share a port.
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
read -r ip _ < <(hostname -I)
port=$((20000 + SLURM_JOB_ID % 20000))
cpus=${SLURM_CPUS_ON_NODE:-1}
gpus=${SLURM_GPUS_ON_NODE:-0}
# With Ray's default niceness, trials wait for all other programs of the node.
export RAY_worker_niceness=0
# Ray's sockets need a short path.
options=(--num-cpus "$cpus" --num-gpus "$gpus" --temp-dir "/tmp/ray-$SLURM_JOB_ID" --disable-usage-stats --block)

# Ray's nodes end with this script, however it ends.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
srun --nodes 1 --ntasks 1 --nodelist "$first" --cpus-per-task "$cpus" \
    ray start --head --node-ip-address "$ip" --port "$port" --include-dashboard false "${options[@]}" &
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
    others=$((SLURM_JOB_NUM_NODES - 1))
    srun --nodes "$others" --ntasks "$others" --exclude "$first" --cpus-per-task "$cpus" \
        ray start --address "$ip:$port" "${options[@]}" &
fi

count='import ray, sys
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))'
for ((second = 0; ; second += 5)); do
    up=$(python -c "$count" "$ip:$port" 2>/dev/null) || up=0
    [ "$up" -lt "$SLURM_JOB_NUM_NODES" ] || break
    if [ "$second" -ge 300 ]; then
        echo "$up of $SLURM_JOB_NUM_NODES nodes of Ray are up after 5 minutes; see docs/guides/clusters.md" >&2
        exit 1
    fi
    sleep 5
done

python -m tune_ner "$command" --address "$ip:$port" "$@" &
run=$!
trap 'signalled=yes; kill -TERM "$run" 2>/dev/null || true' TERM
signalled=yes
# A signal ends `wait` before the command has written its tables; bash keeps the code of one that has ended.
while [ "$signalled" = yes ]; do
    signalled=no
    code=0
    wait "$run" || code=$?
done
exit "$code"
