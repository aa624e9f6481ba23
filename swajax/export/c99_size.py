"""Size of the object code of a C header."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path


def measure_size(source: str) -> int | None:
    """Return the bytes of object code and constants, compiled by gcc -Os.

    All functions of the header are counted; those of math.h are not.

    Returns:
      The size, or None if gcc is missing or the source does not compile.
    """
    gcc, size = shutil.which("gcc"), shutil.which("size")
    if gcc is None or size is None:
        return None
    # Inline functions produce no object code unless they are called.
    code = re.sub(r"^static inline ", "", source, flags=re.MULTILINE)
    options = ["-std=c99", "-Os", "-fno-asynchronous-unwind-tables"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.c"
        path.write_text(code, encoding="ascii")
        compiled = path.with_suffix(".o")
        command = [gcc, *options, "-c", str(path), "-o", str(compiled)]
        done = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
        if done.returncode:
            return None
        printed = subprocess.run(  # noqa: S603
            [size, str(compiled)], check=True, capture_output=True, text=True
        ).stdout
    text, data, bss = printed.splitlines()[1].split()[:3]
    return int(text) + int(data) + int(bss)
