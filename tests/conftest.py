"""Fixtures of all tests: a strict JAX on CPU, keys, plain and jit, tiny families."""

import importlib.metadata
import os

# Before JAX is imported, and for the processes that tests start.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")
# Compiling tiny programs takes most of the time; 0 tests what users run.
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
    # An XLA version that does not know a flag exits.
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.types import Key, Network, NetworkSpec

jax.config.update("jax_numpy_rank_promotion", "raise")
# A job in the background ignores Ctrl-C, and so would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

CACHE_BYTES = 2**30  # the cache of compiled programs is emptied above this size


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs for other files, other processes and later runs."""
    if not hasattr(config, "cache"):
        return
    folder = config.cache.mkdir("jax")
    is_worker = hasattr(config, "workerinput")
    if not is_worker and sum(p.stat().st_size for p in folder.iterdir()) > CACHE_BYTES:
        shutil.rmtree(folder, ignore_errors=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A program that another process is still writing is compiled instead.
    config.addinivalue_line(
        "filterwarnings", "ignore:Error (reading|writing) persistent compilation cache"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files, so that no process is idle at the end."""
    items.sort(key=lambda item: -item.path.stat().st_size)


@pytest.fixture(scope="module", autouse=True)
def few_programs() -> Iterator[None]:
    """Drop compiled programs after each file.

    Thousands of them exhaust the memory maps of a process, which is then killed.
    """
    yield
    jax.clear_caches()


@pytest.fixture
def key() -> Key:
    """Return the root key of a test; split or fold it."""
    return jax.random.key(0)


@pytest.fixture(params=["plain", "jit"])
def maybe_jit(request: pytest.FixtureRequest) -> Callable:
    """Return a wrapper `maybe_jit(fn, static_argnames=())`, once plain, once jit."""

    def wrap(fn: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
        if request.param == "plain":
            return fn
        return jax.jit(fn, static_argnames=static_argnames)

    return wrap


@pytest.fixture
def tiny_spec() -> NetworkSpec:
    """Return a family of 3 inputs and up to 2 hidden layers of 4 sigmoid neurons."""
    return NetworkSpec(num_inputs=3, max_width=4, max_depth=2)


@pytest.fixture
def mixed_spec() -> NetworkSpec:
    """Return a family of four activations, 2 inputs and 2 outputs."""
    return NetworkSpec(
        num_inputs=2,
        num_outputs=2,
        max_width=3,
        max_depth=3,
        activations=("sigmoid", "tanh", "leaky_relu", "linear"),
    )


@pytest.fixture
def x64() -> Iterator[None]:
    """Use float64 throughout a test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def draw_network() -> Callable[..., Network]:
    """Return a function that draws networks with hard masks and one kind per neuron."""

    # Imported here: jaxtyping checks only modules imported after collection.
    from swajax.network import mask_weights

    def draw(
        seed: int, *, spec: NetworkSpec, depth: int, density: float = 1.0
    ) -> Network:
        rng = np.random.default_rng(seed)
        shape, num_kinds = (spec.max_depth, spec.max_width), len(spec.activations)
        mask = rng.uniform(size=shape) < 0.8
        mask[:, 0] = True
        kinds = np.eye(num_kinds)[rng.integers(num_kinds, size=shape)]

        def sparse(*shape: int) -> jax.Array:
            kept = rng.uniform(size=shape) < density
            return jnp.asarray(np.where(kept, rng.normal(size=shape), 0.0), float)

        network = Network(
            first=sparse(spec.num_inputs, shape[1]),
            hidden=sparse(shape[0] - 1, shape[1], shape[1]),
            readout=sparse(shape[1], spec.num_outputs),
            bias=sparse(*shape),
            readout_bias=sparse(spec.num_outputs),
            mask=jnp.asarray(mask, float),
            activation=jnp.asarray(kinds, float),
            depth=jnp.asarray(depth, jnp.int32),
        )
        return mask_weights(network)

    return draw
