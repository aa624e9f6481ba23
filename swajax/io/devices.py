"""Devices of this process, one per core on CPU, and programs that use all of them."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from swajax.io.compilation import Use, compile_for

AXIS = "networks"

Devices = tuple[jax.Device, ...]


def count_cores() -> int:
    """Return the number of cores that this process may use.

    CPU affinity and the limits of control groups (containers) are respected.
    """
    from joblib import cpu_count  # here, since only some processes need it

    return cpu_count()


def choose_devices(num: int | None = None) -> Devices:
    """Start JAX and return devices of this process.

    On CPU, JAX gets one device per core, unless it has already started or its number of
    CPU devices is configured (`JAX_NUM_CPU_DEVICES`, `XLA_FLAGS`).

    Args:
      num: number of devices; None for all. On CPU, at most one per core.

    Raises:
      ValueError: `num` is below 1, or there are fewer cores or devices; or JAX has
        started with fewer CPU devices.
    """
    if num is not None and num < 1:
        raise ValueError(f"devices must be >= 1, got {num}")
    start_devices(num)
    devices = jax.local_devices()
    if num is None or num <= len(devices):
        return tuple(devices[:num])
    kind, cores = devices[0].platform, count_cores()
    if kind != "cpu":
        limit = f"{len(devices)}, the number of {kind} devices"
    elif num > cores:
        limit = f"{cores}, the number of cores"
    else:
        limit = f"{len(devices)}, the number that JAX has started with"
    raise ValueError(f"devices must be <= {limit}; got {num}")


def start_devices(num: int | None = None) -> bool:
    """Start JAX with `num` CPU devices, by default and at most one per core.

    Returns:
      False if JAX has already started with its default of one CPU device.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    is_configured = "xla_force_host_platform_device_count" in flags
    if is_configured or jax.config.jax_num_cpu_devices > 0:
        return True
    cores = count_cores()
    try:
        jax.config.update("jax_num_cpu_devices", min(num or cores, cores))
    except RuntimeError:  # JAX has started
        return False
    return True


def largest_divisor(num: int, devices: Devices) -> Devices:
    """Return the largest number of devices among which `num` items can be divided."""
    size = next(k for k in range(min(num, len(devices)), 0, -1) if num % k == 0)
    return devices[:size]


def divide_first(
    fn: Callable[..., Any], devices: Devices, *, axis: int = 0, use: Use = "often"
) -> Any:
    """Compile a function whose first argument is a batch, divided over devices.

    Each device computes its part of the batch alone, without communication.

    Args:
      fn: function of a batch and of further arguments, which are replicated; returns a
        batch.
      devices: devices of this process.
      axis: axis of all leaves of the batches; its size is a multiple of the number of
        devices.
      use: see `swajax.io.compilation.compile_for`.

    Returns:
      The compiled function; all its arguments are positional.
    """
    mesh = Mesh(np.array(devices), (AXIS,))
    divided = PartitionSpec(*[None] * axis, AXIS)

    def call(batch: Any, *shared: Any) -> Any:
        specs = (divided, *(PartitionSpec() for _ in shared))
        # The functions do not declare what varies over devices.
        mapped = jax.shard_map(
            fn, mesh=mesh, in_specs=specs, out_specs=divided, check_vma=False
        )
        return mapped(batch, *shared)

    call.__name__ = getattr(fn, "func", fn).__name__  # for profiles
    return compile_for(use, call)


def replicate(tree: Any, devices: Devices) -> Any:
    """Copy arrays to each of the devices."""
    mesh = Mesh(np.array(devices), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def divide(tree: Any, devices: Devices, *, axis: int = 0) -> Any:
    """Divide an axis of all arrays, a multiple of the number of devices, among them."""
    mesh = Mesh(np.array(devices), (AXIS,))
    spec = PartitionSpec(*[None] * axis, AXIS)
    return jax.device_put(tree, NamedSharding(mesh, spec))


def all_devices(devices: Sequence[jax.Device] | None) -> Devices:
    """Return the given devices, or by default all of this process.

    Raises:
      ValueError: there are none, or one belongs to another process.
    """
    local = jax.local_devices()
    chosen = local if devices is None else devices
    is_list = isinstance(chosen, Sequence) and len(chosen) > 0
    if not is_list or any(device not in local for device in chosen):
        raise ValueError(f"devices must be some of jax.local_devices(), got {chosen!r}")
    return tuple(chosen)
