"""Compiler options: compile time against the speed of the compiled program.

XLA's CPU compiler takes seconds per program, often longer than the program runs.
Without its fusion emitters it is faster, and the programs are about as fast.
"""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax

Use = Literal["often", "seldom", "once"]

LEVELS: dict[Use, int | None] = {"often": None, "seldom": 1, "once": 0}


def compile_for(use: Use, fn: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return `jax.jit(fn)`, compiled with as much effort as its use deserves.

    On accelerators the options are the default ones. The result cannot be called within
    another compiled function.

    Args:
      use: the program runs "often"; "seldom" (compiles faster, up to twice slower in
        vector loops), or "once" (compiles several times faster, runs several times
        slower).
      fn: a pure function.
      options: arguments of `jax.jit`.
    """
    return jax.jit(fn, compiler_options=_choose_options(use), **options)


@functools.cache
def _choose_options(use: Use) -> dict[str, Any] | None:
    if jax.default_backend() != "cpu":
        return None
    options = {"xla_cpu_use_fusion_emitters": False}
    if LEVELS[use] is not None:
        options["xla_backend_optimization_level"] = LEVELS[use]
    return options if _are_known(options) else None


def _are_known(options: dict[str, Any]) -> bool:
    """Return whether the installed compiler has the options; versions differ."""
    try:
        jax.jit(lambda x: x).lower(0.0).compile(compiler_options=options)
    except Exception:  # of the runtime; the type depends on the version
        return False
    return True
