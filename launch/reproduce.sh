#!/usr/bin/env bash
# Runs the experiments behind the six figures and three tables, and draws them into
# figures/out. What is in runs/reproduction already is kept. Arguments go to the
# experiments: launch/reproduce.sh --mean-checkpoint FILE
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
python -m figures.paper --out runs/reproduction "$@"
for script in figures/figure[1-6].py figures/tables.py; do
    python "$script" --runs runs/reproduction
done
