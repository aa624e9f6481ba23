#!/usr/bin/env bash
# Check numbers and measure rates on a GPU or TPU machine, within 8 minutes; writes one
# JSON file. Without an accelerator, the CPU runs everything with its block sizes.
# Arguments are passed on: launch/accelerator.sh --out my.json
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
cd "$root"
if command -v nvidia-smi >/dev/null && ! python -c 'import jax_cuda12_plugin' 2>/dev/null \
    && ! python -c 'import jax_cuda13_plugin' 2>/dev/null; then
    python -m pip install --quiet --disable-pip-version-check 'jax[cuda12]'
elif [[ -e /dev/accel0 ]] && ! python -c 'import libtpu' 2>/dev/null; then
    python -m pip install --quiet --disable-pip-version-check 'jax[tpu]'
fi
exec python -m figures.speed.accelerator "$@"
