#!/usr/bin/env bash
# Runs the tests, a process a core; arguments go to pytest: launch/test.sh -k network
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
# Files as tests/conftest.py orders them, not those of the fewest tests last.
exec python -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
