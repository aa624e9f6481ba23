"""Measure the resident memory of a gradient step in a new process.

python -m figures.tangle.resident conv 8 sup
"""

import ctypes
import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from figures.tangle import catalogue, costs
from figures.tangle.forms import Form

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def is_known() -> bool:
    """Return whether the system reports memory peaks, as Linux does."""
    return STATUS.exists() and os.access(RESET, os.W_OK)


def run_in_process(stack: str, num_options: int, form: Form) -> dict[str, Any]:
    """Return the result of `main` in a new process.

    Args:
      stack: key of `catalogue.STACKS`.
      num_options: number of options per choice.
      form: form of the supernet.

    Raises:
      ValueError: the process failed.
    """
    arguments = [stack, str(num_options), form]
    done = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-m", "figures.tangle.resident", *arguments],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"resident memory of {stack}, {form}: {reason}")
    return json.loads(done.stdout)


def main(stack: str, num_options: int, form: Form) -> dict[str, Any]:
    """Return the bytes by which a step raises the peak, and the compiler's bytes."""
    make, batch_size = catalogue.STACKS[stack]
    net = make(num_options)
    with costs.plain_convolutions():
        call, step = costs.prepare(net, form, batch_size=batch_size)
    stats = step.memory_analysis()
    call()  # one-time set-up
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _read("VmRSS")
    RESET.write_text("5")  # reset the peak (man 5 proc)
    call()
    return {
        "measured": _read("VmHWM") - before,
        "compiler": stats.temp_size_in_bytes + stats.output_size_in_bytes,
    }


def _read(name: str) -> int:
    kilobytes = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return 1024 * int(kilobytes[1])


if __name__ == "__main__":
    found = main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    sys.stdout.write(json.dumps(found))
