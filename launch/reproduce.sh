#!/usr/bin/env bash
# Runs the experiments of the paper and draws its six figures and three tables into
# figures/paper. Existing runs are kept. Arguments go to the command:
# launch/reproduce.sh --mean-checkpoint FILE
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
python -m figures.paper "$@"
