#!/usr/bin/env bash
# Find tiny networks for a real table: the progression of diabetes in 442 patients from
# ten measurements (part of scikit-learn). Arguments are passed to the search:
# launch/quickstart.sh --out my-folder
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec python -m swajax.search --data diabetes "$@"
