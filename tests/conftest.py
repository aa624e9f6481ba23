"""What every test shares: a strict JAX on the CPU, keys, jit or not, tiny families."""

import os

# Before JAX is imported, and for the processes that tests start.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"

from collections.abc import Callable, Sequence

import jax
import pytest

from swajax.types import Key, NetworkSpec

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key() -> Key:
    """The root of a test's randomness; split or fold it."""
    return jax.random.key(0)


@pytest.fixture(params=["plain", "jit"])
def maybe_jit(request: pytest.FixtureRequest) -> Callable:
    """`maybe_jit(fn, static_argnames=())` is `fn`, once as it is and once compiled."""

    def wrap(fn: Callable, static_argnames: str | Sequence[str] = ()) -> Callable:
        if request.param == "plain":
            return fn
        return jax.jit(fn, static_argnames=static_argnames)

    return wrap


@pytest.fixture
def tiny_spec() -> NetworkSpec:
    """Three inputs, up to 2 hidden layers of up to 4 sigmoid neurons."""
    return NetworkSpec(num_inputs=3, max_width=4, max_depth=2)


@pytest.fixture
def mixed_spec() -> NetworkSpec:
    """All four activations, two inputs and two outputs."""
    return NetworkSpec(
        num_inputs=2,
        num_outputs=2,
        max_width=3,
        max_depth=3,
        activations=("sigmoid", "tanh", "leaky_relu", "linear"),
    )
