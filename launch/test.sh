#!/usr/bin/env bash
# Run the tests, one process per core. Arguments are passed to pytest, for example
# launch/test.sh -k network. To run the tests of the studies: launch/test.sh -m study
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
# Keep the order of tests/conftest.py; by default, xdist runs files with few tests last.
exec python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
