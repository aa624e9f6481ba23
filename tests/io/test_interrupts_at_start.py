"""Ctrl-C while a command imports its packages."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for a package that takes long to import.
SLOW = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)\n"


@pytest.mark.parametrize("name", ["search", "predict", "export", "pretrain", "tangle"])
def test_ctrl_c_during_imports_is_one_line_and_exit_code_130(name, tmp_path):
    for package in ("jax", "jaxtyping"):
        (tmp_path / f"{package}.py").write_text(SLOW)
    command = [sys.executable, "-m", f"swajax.{name}", "--help"]
    places = {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT)))}
    done = subprocess.run(
        command, env=os.environ | places, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stderr == f"python -m swajax.{name}: interrupted\n"
    assert done.returncode == 128 + signal.SIGINT


def test_importing_the_package_leaves_the_handler_alone():
    code = "import signal, swajax; print(signal.getsignal(signal.SIGINT))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert "default_int_handler" in done.stdout
