"""Sparse random networks to pretrain on (arXiv:2410.08339, the input MLPs)."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Bool, Float, Int

from swajax.network import uniform_activation
from swajax.types import Key, Network, NetworkSpec

MIN_WIDTH = 3
SPARSITIES = (0.5, 0.7, 0.8, 0.9)
WEIGHT_BOUND = 10.0


def sample(key: Key, *, spec: NetworkSpec, depth: int | None = None) -> Network:
    """Draw one sparse random network without biases.

    Depth is uniform over 1..L (unless given), each width uniform over 3..H, sparsity
    uniform over {0.5, 0.7, 0.8, 0.9}. One path is always kept: all inputs feed one
    random neuron of layer 0, and one random neuron per layer leads to every output. The
    other kept weights are uniform without replacement; kept weights ~ U(-10, 10).

    Args:
      key: consumed.
      spec: limits of the family; all neurons have its first activation.
      depth: number of hidden layers, 1..L, fixed at compile time.

    Raises:
      ValueError: `depth` is outside 1..L.

    Example:
      >>> network = sample(jax.random.key(0), spec=NetworkSpec(), depth=2)
      >>> int(network.depth), network.hidden.shape
      (2, (3, 7, 7))
    """
    if depth is not None and not 1 <= depth <= spec.max_depth:
        raise ValueError(f"depth must be in 1..{spec.max_depth}, got {depth}")
    keys = jax.random.split(key, 6)
    low = min(MIN_WIDTH, spec.max_width)
    if depth is None:
        num_layers = jax.random.randint(keys[0], (), 1, spec.max_depth + 1)
    else:
        num_layers = jnp.asarray(depth, jnp.int32)
    widths = jax.random.randint(keys[1], (spec.max_depth,), low, spec.max_width + 1)
    widths = jnp.where(jnp.arange(spec.max_depth) < num_layers, widths, 0)
    neurons = jnp.arange(spec.max_width)
    mask = neurons[None] < widths[:, None]
    node = jax.random.randint(keys[2], widths.shape, 0, jnp.maximum(widths, 1))
    on_path = (neurons[None] == node[:, None]) & mask
    sparsity = jax.random.choice(keys[3], jnp.array(SPARSITIES))
    kept = _keep(
        keys[4],
        _connections(mask, num_layers, spec),
        _connections(on_path, num_layers, spec),
        density=1 - sparsity,
    )
    bound = WEIGHT_BOUND
    values = jax.random.uniform(keys[5], kept.shape, minval=-bound, maxval=bound)
    first, hidden, readout = _split(jnp.where(kept, values, 0.0), spec)
    return Network(
        first=first,
        hidden=hidden,
        readout=readout,
        bias=jnp.zeros(mask.shape),
        readout_bias=jnp.zeros(spec.num_outputs),
        mask=mask.astype(jnp.float32),
        activation=uniform_activation(spec),
        depth=num_layers,
    )


def sample_batch(
    key: Key,
    num: int,
    *,
    spec: NetworkSpec,
    depth: int | None = None,
    sharding: NamedSharding | None = None,
) -> Network:
    """Draw `num` networks; the first k of them do not depend on `num`.

    Args:
      key: consumed.
      num: number of networks.
      spec: see `sample`.
      depth: see `sample`.
      sharding: sharding of the batch axis; each device draws its part of the batch.
    """
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(num))
    if sharding is not None:
        keys = jax.lax.with_sharding_constraint(keys, sharding)
    return jax.vmap(lambda k: sample(k, spec=spec, depth=depth))(keys)


def _connections(
    on: Bool[Array, "L H"], depth: Int[Array, ""], spec: NetworkSpec
) -> Bool[Array, " W"]:
    """Flag the weights between neurons that are on, inputs and outputs."""
    first = jnp.broadcast_to(on[0], (spec.num_inputs, spec.max_width))
    hidden = on[:-1, :, None] & on[1:, None, :]
    last = on[depth - 1][:, None]
    readout = jnp.broadcast_to(last, (spec.max_width, spec.num_outputs))
    return jnp.concatenate([first.ravel(), hidden.ravel(), readout.ravel()])


def _keep(
    key: Key,
    possible: Bool[Array, " W"],
    path: Bool[Array, " W"],
    density: Float[Array, ""],
) -> Bool[Array, " W"]:
    """Keep floor(density * total) of the possible weights, or the path if larger."""
    # The small term corrects rounding: 70 * (1 - 0.9) must give 7, not 6.
    wanted = jnp.floor(possible.sum() * density + 1e-3).astype(jnp.int32)
    num_kept = jnp.maximum(wanted, path.sum())
    scores = jax.random.uniform(key, possible.shape)
    scores = jnp.where(path, -1.0, jnp.where(possible, scores, 2.0))
    limit = jnp.sort(scores)[num_kept - 1]
    return (scores <= limit) & possible


def _split(
    weights: Float[Array, " W"], spec: NetworkSpec
) -> tuple[Float[Array, "I H"], Float[Array, "_ H H"], Float[Array, "H O"]]:
    width = spec.max_width
    num_first, num_readout = spec.num_inputs * width, width * spec.num_outputs
    end = weights.shape[0] - num_readout
    return (
        weights[:num_first].reshape(spec.num_inputs, width),
        weights[num_first:end].reshape(spec.max_depth - 1, width, width),
        weights[end:].reshape(width, spec.num_outputs),
    )
