#!/usr/bin/env bash
# Runs the tests; arguments go to pytest: launch/test.sh -k network
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
exec python -m pytest "$@"
