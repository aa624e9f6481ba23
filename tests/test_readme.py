"""The README's blocks, run as shown and in their order, in one folder."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest

import swajax
from swajax import autoencoder, prior
from swajax.network import structure as network

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```(python|bash|c)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# The same work in less time.
QUICK = {
    "--time-budget 30": "--time-budget 1 --num-starts 8 --max-depth 1",
    "num_starts=64, num_rounds=1": "num_starts=8, num_rounds=0, max_depth=1",
    "num_steps=50": "num_steps=2",
    "num_steps=100, num_starts=4": "num_steps=2, num_starts=1, num_screened=1",
}
COMPILED = (
    (prior, "sample", ("spec", "depth")),
    (autoencoder, "encode", ("config", "depth")),
    (autoencoder, "decode", ("config", "depth", "num_weights")),
    (network, "apply", ("activations", "depth")),
)
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


@pytest.fixture(scope="module")
def quick_compiler():
    """Compiling is most of the time here.

    The commands keep their programs where the tests do, and functions of many
    operations are one program instead of one for each operation.
    """
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    with pytest.MonkeyPatch.context() as patch:
        values = {name: getattr(jax.config, name) for name in names}
        for name, value in values.items():
            if value is not None:
                patch.setenv(name.upper(), str(value))
        for module, name, fixed in COMPILED:
            fn = jax.jit(getattr(module, name), static_argnames=fixed)
            patch.setattr(module, name, fn)
        yield


@pytest.fixture(scope="module")
def printed(tmp_path_factory, quick_compiler):
    """What each block prints, and the folder, in which main.c is the C block."""
    folder = tmp_path_factory.mktemp("readme")
    blocks = [(match[1], _shorten(match[2])) for match in BLOCK.finditer(TEXT)]
    (main,) = (text for kind, text in blocks if kind == "c")
    (folder / "main.c").write_text(main)
    names, found = {}, []
    for kind, text in blocks:
        if kind == "bash":
            found.append((kind, text, _run_bash(text, folder)))
        elif kind == "python":
            with (
                contextlib.chdir(folder),
                contextlib.redirect_stdout(io.StringIO()) as out,
            ):
                exec(compile(text, "README.md", "exec"), names)  # noqa: S102
            found.append((kind, text, out.getvalue()))
    return found, folder


def _shorten(text):
    for long, short in QUICK.items():
        text = text.replace(long, short)
    return text


def _run_bash(text, folder):
    """Both streams; `python` is this one, with the package of this tree."""
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    places = {"PATH": os.pathsep.join(paths), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],  # noqa: S607
        cwd=folder,
        env=os.environ | places,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_shortened_blocks_are_those_that_are_shown():
    for long in QUICK:
        assert TEXT.count(long) == 1


@needs_gcc
def test_every_block_runs(printed):
    blocks, _ = printed
    assert [kind for kind, _, _ in blocks].count("python") >= 5
    for kind, text, out in blocks:
        assert bool(out) == ("print(" in text or kind == "bash"), text


@needs_gcc
def test_the_compiled_network_answers_as_in_python(printed):
    blocks, folder = printed
    (out,) = (out for kind, _, out in blocks if kind == "bash")
    row = pd.DataFrame({"x1": [1.5], "x2": [-0.5]})
    (want,) = swajax.load(folder / "runs/my").predict(row)
    np.testing.assert_allclose(float(out.splitlines()[-1]), want, rtol=1e-4)
