"""Random networks to pretrain on (arXiv:2410.08339, the input MLPs; spec section 2)."""

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Bool, Float, Int

from swajax.network import mask_weights, pack, uniform_activation, unpack
from swajax.types import Key, Network, NetworkSpec

MIN_WIDTH = 3
SPARSITIES = (0.5, 0.7, 0.8, 0.9)
WEIGHT_BOUND = 10.0


def sample(key: Key, *, spec: NetworkSpec, depth: int | None = None) -> Network:
    """One sparse random network without biases.

    Depth is uniform over 1..L (unless given), each width uniform over 3..H, sparsity
    uniform over {0.5, 0.7, 0.8, 0.9}. One path is always kept: all inputs feed one
    random neuron of layer 0, then one random neuron a layer up to every output. The
    other kept weights are uniform without replacement; kept weights ~ U(-10, 10).

    Args:
      key: consumed.
      spec: limits of the family; the first activation is used throughout.
      depth: fixes the number of hidden layers at compile time.
    """
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
    """A batch of `num` networks; the first k do not depend on `num`.

    With a sharding, each device draws its own share of the same batch.
    """
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(num))
    if sharding is not None:
        keys = jax.lax.with_sharding_constraint(keys, sharding)
    return jax.vmap(lambda k: sample(k, spec=spec, depth=depth))(keys)


def _connections(
    on: Bool[Array, "L H"], depth: Int[Array, ""], spec: NetworkSpec
) -> Bool[Array, " W"]:
    """All weights between neurons that are on, inputs and outputs included."""
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
    """floor(total * density) of the possible weights, those of the path among them."""
    # The small term undoes rounding: 70 * (1 - 0.9) is 7, not 6.
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


def sample_small(
    key: Key,
    num_weights: Int[Array, ""],
    *,
    spec: NetworkSpec,
    num_inputs: Int[Array, ""] | None = None,
) -> Network:
    """A random network with biases and at most so many weights, to start a search.

    Depth is uniform over 1..L, layers have random widths in proportion, as wide as a
    dense network of `num_weights` weights and biases can be; where even one neuron a
    layer is too much, random weights are left out, though never those of one path.
    Half of the networks have one activation throughout, half one a neuron. Weights are
    normal, scaled by the fan in; a network's own factor makes smooth and wiggly ones.

    Args:
      key: consumed.
      num_weights: weights and biases at most, if a path fits in.
      spec: limits of the family.
      num_inputs: inputs in use, the first ones; by default all.
    """
    keys = jax.random.split(key, 8)
    if num_inputs is None:
        num_inputs = jnp.asarray(spec.num_inputs)
    mask, depth = _draw_layers(keys[0], num_weights, num_inputs, spec)
    inputs = jnp.arange(spec.num_inputs)[:, None]
    ones = jnp.ones
    num_layers, width = spec.max_depth, spec.max_width
    family = Network(
        first=jnp.tile(inputs < num_inputs, (1, width)).astype(jnp.float32),
        hidden=ones((num_layers - 1, width, width)),
        readout=ones((width, spec.num_outputs)),
        bias=ones((num_layers, width)),
        readout_bias=ones(spec.num_outputs),
        mask=mask,
        activation=_draw_activations(keys[1], spec),
        depth=depth,
    )
    # The first neuron of each layer is on the path, from a random input.
    is_drawn = inputs == jax.random.randint(keys[2], (), 0, num_inputs)
    path = family._replace(
        first=family.first * is_drawn,
        bias=jnp.zeros_like(mask),
        readout_bias=jnp.zeros(spec.num_outputs),
        mask=mask.at[:, 1:].set(0.0),
    )
    possible, on_path = pack(mask_weights(family)), pack(mask_weights(path))
    scores = jax.random.uniform(keys[3], possible.shape) + 2 * on_path
    scores = jnp.where(possible > 0, scores, -1.0)
    limit = jnp.sort(scores)[jnp.maximum(len(scores) - num_weights, 0)]
    kept = (scores >= limit) & (possible > 0) | (on_path > 0)
    values = jax.random.normal(keys[4], possible.shape) * kept
    factor = jnp.exp(jax.random.uniform(keys[5], minval=-0.5, maxval=1.0))
    return _scale_by_fan_in(unpack(values, family), factor)


def _draw_layers(
    key: Key,
    num_weights: Int[Array, ""],
    num_inputs: Int[Array, ""],
    spec: NetworkSpec,
) -> tuple[Float[Array, "L H"], Int[Array, ""]]:
    """Masks of the widest layers that dense weights within the limit allow."""
    depth_key, share_key = jax.random.split(key)
    depth = jax.random.randint(depth_key, (), 1, spec.max_depth + 1)
    shares = jax.random.uniform(share_key, (spec.max_depth,), minval=0.4)
    shares = shares / shares.max()
    scale = jnp.arange(1, spec.max_width + 1)[:, None]
    widths = jnp.clip(jnp.round(scale * shares[None]), 1, spec.max_width)
    widths = widths * (jnp.arange(spec.max_depth) < depth)[None]
    last = jnp.take(widths, depth - 1, axis=1)
    between = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
    biases = widths.sum(axis=1) + spec.num_outputs
    counts = num_inputs * widths[:, 0] + between + last * spec.num_outputs + biases
    chosen = widths[jnp.maximum((counts <= num_weights).sum() - 1, 0)]
    mask = jnp.arange(spec.max_width)[None] < chosen[:, None]
    return mask.astype(jnp.float32), depth


def _draw_activations(key: Key, spec: NetworkSpec) -> Float[Array, "L H A"]:
    mixed_key, own_key, coin_key = jax.random.split(key, 3)
    num_kinds = len(spec.activations)
    shape = (spec.max_depth, spec.max_width)
    own = jax.random.randint(own_key, shape, 0, num_kinds)
    shared = jax.random.randint(mixed_key, (), 0, num_kinds)
    kinds = jnp.where(jax.random.bernoulli(coin_key), own, shared)
    return jax.nn.one_hot(kinds, num_kinds)


def _scale_by_fan_in(network: Network, factor: Float[Array, ""]) -> Network:
    def scale(weights: Float[Array, "*L K J"]) -> Float[Array, "*L K J"]:
        fan_in = (weights != 0).sum(axis=-2, keepdims=True)
        return factor * weights * jnp.sqrt(2 / jnp.maximum(fan_in, 2))

    return network._replace(
        first=scale(network.first),
        hidden=scale(network.hidden),
        readout=scale(network.readout),
        bias=factor * network.bias,
    )
