"""The code blocks of every page run in order, and all links are valid."""

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

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "swajax/**/*.md", "figures/**/*.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Shortened versions of the same work.
QUICK = {
    "--time-budget 30": "--time-budget 1 --num-starts 8 --max-depth 1",
    "num_starts=64, num_rounds=1": "num_starts=8, num_rounds=0, max_depth=1",
    "num_starts=32, num_rounds=0": "num_starts=8, num_rounds=0",
}
CODE_PAGES = [name for name in PAGES if BLOCK.search((ROOT / name).read_text("utf-8"))]


def find_blocks(name):
    """Return language and shortened text of the blocks of a page."""
    text = (ROOT / name).read_text("utf-8")
    for long, short in QUICK.items():
        text = text.replace(long, short)
    return [(match[1], match[2]) for match in BLOCK.finditer(text)]


@pytest.fixture(scope="module")
def program_cache():
    """Let the commands of the pages use the program cache of the tests."""
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            if getattr(jax.config, name) is not None:
                patch.setenv(name.upper(), str(getattr(jax.config, name)))
        yield


def run_bash(text, folder):
    """Run a block with this Python and the package of this tree."""
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


@pytest.mark.parametrize("name", CODE_PAGES)
def test_every_block_runs(name, tmp_path, program_cache):
    blocks = find_blocks(name)
    if any(kind == "c" for kind, _ in blocks) and shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    names, printed = {}, []
    for kind, text in blocks:
        if kind == "c":
            (tmp_path / "main.c").write_text(text)
    for kind, text in blocks:
        assert kind in ("python", "bash", "c", "text"), f"{name}: {kind}"
        if kind == "bash":
            printed.append(run_bash(text, tmp_path))
        elif kind == "python":
            with (
                contextlib.chdir(tmp_path),
                contextlib.redirect_stdout(io.StringIO()) as out,
            ):
                exec(compile(text, name, "exec"), names)  # noqa: S102
            assert bool(out.getvalue()) == ("print(" in text), text
    if any(kind == "c" for kind, _ in blocks):
        compare_compiled(printed, tmp_path)


def compare_compiled(printed, folder):
    """Compare the output of the C program with the exported network."""
    row = pd.DataFrame({"x1": [1.5], "x2": [-0.5]})
    (want,) = swajax.load(folder / "runs/my").predict(row)
    values = [line for text in printed for line in text.splitlines()]
    np.testing.assert_allclose(float(values[-1]), want, rtol=1e-4)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    for link in LINK.findall(BLOCK.sub("", text)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w\- ]", "", h.lower()) for h in headings]
            assert anchor in [slug.replace(" ", "-") for slug in slugs], link


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.split()) <= 1000
    assert len(re.findall(r"!\[", text)) == 1
