#!/usr/bin/env bash
# Pretrain one autoencoder on several hosts, with one process per host, data-parallel over
# all devices. Arguments after `--` are passed to swajax.pretrain.
#
#   several processes on this machine, for a test:
#     launch/pretrain_hosts.sh local 2 -- --preset compact --activation sigmoid
#   over ssh; the first host coordinates:
#     launch/pretrain_hosts.sh ssh node1,node2 -- --preset compact --out runs/big
#   with Slurm, one task per node:
#     srun --nodes=4 --ntasks-per-node=1 launch/pretrain_hosts.sh slurm -- --out runs/big
#   otherwise, once on every host (process 0 on the coordinating host):
#     launch/pretrain_hosts.sh process node1:7733 4 0 -- --out runs/big
#
# The project must have the same path on every host; on a shared file system, create the
# environment first (for example with launch/test.sh --help). Only process 0 writes files.
# The first host listens on the port PORT, an environment variable (default 7733).
set -euo pipefail
port="${PORT:-7733}"

usage() {
    sed -n '5,14s/^#   //p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# start_process HOST:PORT NUM_PROCESSES PROCESS_ID OPTION...
start_process() {
    local coordinator="$1" num_processes="$2" process_id="$3"
    exec python -m swajax.pretrain --coordinator "$coordinator" \
        --num-processes "$num_processes" --process-id "$process_id" "${@:4}"
}

# End all processes as soon as one fails, because the others would wait for it.
wait_for_all() {
    trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
    for _ in $(jobs -p); do wait -n; done
}

arguments=()
while (($#)) && [[ "$1" != -- ]]; do arguments+=("$1") && shift; done
options=("${@:2}")
set -- "${arguments[@]}"

case "${1:-}:$#" in
local:2 | ssh:2 | slurm:1 | process:4) ;;
*) usage ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"

case "$1" in
local)
    for ((i = 0; i < $2; i++)); do
        start_process "localhost:$port" "$2" "$i" "${options[@]}" &
    done
    wait_for_all
    ;;
ssh)
    IFS=, read -ra hosts <<<"$2"
    for i in "${!hosts[@]}"; do
        command=(launch/pretrain_hosts.sh process "${hosts[0]}:$port" "${#hosts[@]}" "$i" --)
        # A terminal (-tt) ends the remote process with the connection.
        ssh -tt -o BatchMode=yes "${hosts[i]}" \
            "cd $(printf '%q' "$root") && $(printf '%q ' "${command[@]}" "${options[@]}")" \
            </dev/null &
    done
    wait_for_all
    ;;
slurm)
    first="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
    start_process "$first:$port" "$SLURM_NTASKS" "$SLURM_PROCID" "${options[@]}"
    ;;
process)
    start_process "$2" "$3" "$4" "${options[@]}"
    ;;
esac
