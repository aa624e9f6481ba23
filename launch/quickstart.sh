#!/usr/bin/env bash
# Finds tiny networks for a real table: the progression of diabetes in 442 patients by
# ten measurements (built into scikit-learn). Arguments go to the search:
# launch/quickstart.sh --out my-folder
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec python -m swajax.search --data diabetes "$@"
