#!/usr/bin/env bash
# Runs the tests, one process per core; arguments go to pytest: launch/test.sh -k network
# The tests of the studies under figures/: launch/test.sh -m study
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
# In the order of tests/conftest.py; by default xdist puts files of few tests last.
exec python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
