# Start one process of a command per host. Sourced by *_hosts.sh, with the variables
# `module` (such as swajax.search) and the arguments of the script.
#
# If a process fails, all others end, with the exit code of the first one.
set -euo pipefail
port="${PORT:-7733}"
script="$0"

usage() {
    sed -n '/^#   /s/^#   //p' "$script" >&2
    exit 2
}

# start_process HOST:PORT NUM_PROCESSES PROCESS_ID OPTION...
start_process() {
    local coordinator="$1" num_processes="$2" process_id="$3"
    exec python -m "$module" --coordinator "$coordinator" \
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
        command=("launch/$(basename "$script")" process "${hosts[0]}:$port" "${#hosts[@]}" "$i" --)
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
