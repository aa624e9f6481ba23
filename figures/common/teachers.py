"""Teachers: random networks of a known size, and noise-free data drawn from them."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from swajax import prior
from swajax.latent_search import Data
from swajax.network import apply, count_weights, simplify
from swajax.network.batched import apply_batch
from swajax.pretrain.validation_by_depth import grid
from swajax.types import Key, Network, NetworkSpec

NUM_TRIED = 8192  # about one in 300 networks of the prior has exactly 35 weights
MIN_VARIANCE = 1.0  # of the outputs on the grid; weights are in [-10, 10]


def plant(
    key: Key,
    *,
    spec: NetworkSpec,
    depth: int,
    num_weights: int,
    is_unit_variance: bool = False,
) -> Network:
    """Return the first network of the prior with exactly `num_weights` live weights.

    The teacher is the first network, by index, that has this size, no biases (a neuron
    that no input reaches acts as a bias) and outputs that are not nearly constant. Dead
    weights are removed.

    Args:
      key: consumed.
      spec: network family with one activation.
      depth: hidden layers.
      num_weights: non-zero weights on a path from an input to the output.
      is_unit_variance: scale the readout so that the outputs have variance 1 on the
        grid. Outputs are never centred.

    Raises:
      ValueError: none of `NUM_TRIED` networks satisfies the conditions.
    """
    networks = _sample_batch(key, num=NUM_TRIED, spec=spec, depth=depth)
    live, counts, variance = _evaluate(networks, spec=spec, depth=depth)
    is_fit = (counts == num_weights) & (variance >= MIN_VARIANCE)
    if not is_fit.any():
        raise ValueError(
            f"no teacher with depth {depth} and {num_weights} weights among "
            f"{NUM_TRIED} random networks"
        )
    index = is_fit.argmax()
    teacher = jax.tree.map(lambda leaf: leaf[index], live)
    if not is_unit_variance:
        return teacher
    return teacher._replace(readout=teacher.readout / jnp.sqrt(variance[index]))


def sample_data(
    key: Key,
    teacher: Network,
    *,
    activations: tuple[str, ...],
    num_points: tuple[int, int, int],
) -> tuple[Data, Float[Array, "T I"], Float[Array, "T O"]]:
    """Sample inputs uniformly from [-1, 1]^I and evaluate the teacher on them.

    Args:
      key: consumed.
      teacher: network.
      activations: of the teacher.
      num_points: numbers of training, validation and test points.

    Returns:
      Training and validation data, test inputs, test outputs.
    """
    shape = (sum(num_points), teacher.first.shape[0])
    x = jax.random.uniform(key, shape, minval=-1.0)
    y = apply(teacher, x, activations=activations)
    cuts = (num_points[0], num_points[0] + num_points[1])
    (x, x_valid, x_test), (y, y_valid, y_test) = jnp.split(x, cuts), jnp.split(y, cuts)
    return Data(x, y, x_valid, y_valid), x_test, y_test


_sample_batch = jax.jit(prior.sample_batch, static_argnames=("num", "spec", "depth"))


@functools.partial(jax.jit, static_argnames=("spec", "depth"))
def _evaluate(
    networks: Network, *, spec: NetworkSpec, depth: int
) -> tuple[Network, Int[Array, " B"], Float[Array, " B"]]:
    """Return live networks, weight counts (0 if biased) and output variances."""
    points = jnp.asarray(grid(spec.num_inputs))
    y = apply_batch(networks, points, activations=spec.activations, depth=depth)
    simplify_fn = functools.partial(simplify, activations=spec.activations)
    live = jax.vmap(simplify_fn)(networks)
    is_biased = (live.bias != 0).any((1, 2)) | (live.readout_bias != 0).any(1)
    counts = jnp.where(is_biased, 0, jax.vmap(count_weights)(live))
    return live, counts, y.var(axis=(1, 2))
