"""Bytes, operations and seconds of a compiled gradient step."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from figures.tangle import supernets
from figures.tangle.forms import FORMS, Form
from figures.tangle.supernets import Supernet
from swajax.tangle.layers import patches

MIN_SECONDS = 0.02  # minimum of a timed call, far above the resolution of the clock
# Compiled for memory analysis only: buffers are assigned before optimization.
COMPILED_ONLY = {"xla_backend_optimization_level": 0}


def measure_forms(
    make_fn: Callable[[], Supernet], *, batch_size: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """Measure each form of a supernet.

    Args:
      make_fn: makes the supernet.
      batch_size: number of examples.
      seconds: seconds to time all forms; 0 only compiles them.

    Returns:
      Bytes, operations and, if timed, seconds by form.
    """
    net = make_fn()
    found = {form: count(net, form, batch_size=batch_size) for form in FORMS}
    if seconds > 0:
        calls = {form: prepare(net, form, batch_size=batch_size)[0] for form in FORMS}
        for form, times in time_in_turns(calls, seconds).items():
            found[form]["seconds"] = times
    return found


def count(net: Supernet, form: Form, *, batch_size: int) -> dict[str, Any]:
    """Count bytes and operations of a step of a supernet; see `count_step`."""
    draw = functools.partial(
        supernets.draw_arguments, net=net, form=form, batch_size=batch_size
    )
    steps = (supernets.make_step(net, form, unroll=unroll) for unroll in (False, True))
    return count_step(*steps, jax.eval_shape(draw, jax.random.key(0)))


def count_step(
    step: Callable[..., Any], unrolled_step: Callable[..., Any], shapes: tuple[Any, ...]
) -> dict[str, Any]:
    """Count the bytes of a compiled step and its floating point operations.

    Operations are counted before optimization.

    Args:
      step: the step.
      unrolled_step: the same step without loops, because XLA counts a loop body once.
      shapes: shapes of the arguments, the weights first.

    Returns:
      Total bytes and their parts, operations, and bytes of the weights.

    Raises:
      ValueError: the compiler reports no bytes.
    """
    with plain_convolutions():
        lowered = jax.jit(step).lower(*shapes)
        unrolled = jax.jit(unrolled_step).lower(*shapes)
    stats = lowered.compile(compiler_options=COMPILED_ONLY).memory_analysis()
    parts = {
        name: int(getattr(stats, f"{name}_size_in_bytes"))
        for name in ("temp", "argument", "output", "alias")
    }
    if min(parts["temp"], parts["argument"], parts["output"]) <= 0:
        raise ValueError(f"the compiler reports no bytes: {parts}")
    leaves = jax.tree.leaves(shapes[0])
    return {
        "bytes": sum(parts.values()) - 2 * parts["alias"],
        "parts": parts,
        "flops": float(unrolled.cost_analysis()["flops"]),
        "parameter_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in leaves),
    }


def prepare(
    net: Supernet, form: Form, *, batch_size: int
) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """Return a function that executes a step and waits, and the compiled step."""
    args = supernets.draw_arguments(jax.random.key(0), net, form, batch_size=batch_size)
    step = jax.jit(supernets.make_step(net, form)).lower(*args).compile()
    return lambda: jax.block_until_ready(step(*args)), step


@contextlib.contextmanager
def plain_convolutions() -> Iterator[None]:
    """Disable the fast forms of small convolutions, whose counts differ."""
    kept, patches.BACKENDS = patches.BACKENDS, ()
    try:
        yield
    finally:
        patches.BACKENDS = kept


def time_in_turns(
    calls: Mapping[str, Callable[[], Any]], seconds: float
) -> dict[str, dict[str, float]]:
    """Time calls alternately, so that other load affects all of them equally.

    Args:
      calls: functions by name.
      seconds: seconds for all calls together.

    Returns:
      Quartiles of the wall-clock seconds and median of the processor seconds.
    """
    repeats, times = {}, {name: [] for name in calls}
    for name, call in calls.items():
        call()
        begin = time.perf_counter()
        call()
        taken = time.perf_counter() - begin
        repeats[name] = max(1, round(MIN_SECONDS / max(taken, 1e-6)))
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[name]) < 3:
        for name, call in calls.items():
            begin = time.perf_counter(), time.process_time()
            for _ in range(repeats[name]):
                call()
            now = time.perf_counter(), time.process_time()
            times[name].append((np.subtract(now, begin) / repeats[name]).tolist())
    return {name: _summarize(np.array(values)) for name, values in times.items()}


def _summarize(times: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(times[:, 0], [0.25, 0.5, 0.75])
    processor = np.median(times[:, 1])
    found = {"median": median, "low": low, "high": high, "processor": processor}
    return {name: float(value) for name, value in found.items()} | {"num": len(times)}
