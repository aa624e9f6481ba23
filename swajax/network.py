"""Networks as data: evaluate, pack, flatten to a matrix, simplify and count.

Every function takes ONE network; `jax.vmap` makes it a batch. The fast evaluation of
many networks at once is `swajax.batched`.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.types import Network, NetworkSpec

LEAKY_SLOPE = 0.1  # arXiv:2410.08339, the networks that are embedded

ACTIVATION_FNS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, LEAKY_SLOPE),
    "linear": lambda x: x,
}


def apply(
    network: Network,
    x: Float[Array, "N I"],
    *,
    activations: tuple[str, ...],
    depth: int | None = None,
) -> Float[Array, "N O"]:
    """Outputs of one network at N points; the plain form and the reference.

    Args:
      network: the network, unbatched.
      x: the points.
      activations: names of the A kinds that `network.activation` mixes.
      depth: number of hidden layers when it is known at compile time, so that only
        these are computed; by default `network.depth` decides at run time.
    """
    chex.assert_axis_dimension(network.activation, -1, len(activations))
    hidden = x
    for layer in range(network.mask.shape[0] if depth is None else depth):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = hidden @ weights + network.bias[layer][None]
        out = _mix(pre, network.activation[layer], activations)
        out = out * network.mask[layer][None]
        is_used = layer == 0 or depth is not None or layer < network.depth
        hidden = out if is_used is True else jnp.where(is_used, out, hidden)
    return hidden @ network.readout + network.readout_bias[None]


def pack(network: Network) -> Float[Array, " P"]:
    """All weights and biases of one network as a vector (see `unpack`)."""
    return jnp.concatenate([leaf.ravel() for leaf in _numbers(network)])


def unpack(vector: Float[Array, " P"], network: Network) -> Network:
    """The network with its weights and biases replaced: `unpack(pack(n), n) == n`."""
    leaves = _numbers(network)
    chex.assert_shape(vector, (sum(leaf.size for leaf in leaves),))
    parts, start = [], 0
    for leaf in leaves:
        parts.append(vector[start : start + leaf.size].reshape(leaf.shape))
        start += leaf.size
    first, hidden, readout, bias, readout_bias = parts
    return network._replace(
        first=first,
        hidden=hidden,
        readout=readout,
        bias=bias,
        readout_bias=readout_bias,
    )


def to_matrix(network: Network, *, depth: int) -> Float[Array, "H C"]:
    """The flattened form of a network without biases, C = H d + 1 + d columns.

    From left to right: d blocks of weights [fan in, fan out] with the inputs in the
    middle rows of the first, the readout column, d columns of neuron masks
    (arXiv:2410.08339, multi-scale representation; spec section 3).
    """
    clean = mask_weights(network)
    width = network.mask.shape[-1]
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    chex.assert_equal(num_outputs, 1)
    above = (width - num_inputs) // 2
    first = jnp.pad(clean.first, ((above, width - num_inputs - above), (0, 0)))
    blocks = [first, *clean.hidden[: depth - 1], clean.readout, clean.mask[:depth].T]
    return jnp.concatenate(blocks, axis=1)


def from_matrix(
    matrix: Float[Array, "H C"], *, depth: int, spec: NetworkSpec
) -> Network:
    """Inverse of `to_matrix`: mask columns are taken as they are, biases are zero.

    Weights of absent neurons stay as well: they are ignored, but by them a gradient can
    bring a neuron back. `mask_weights` clears them.
    """
    width = spec.max_width
    chex.assert_shape(matrix, (width, width * depth + 1 + depth))
    above = (width - spec.num_inputs) // 2
    blocks = matrix[:, : width * depth].reshape(width, depth, width).swapaxes(0, 1)
    hidden = jnp.zeros((spec.max_depth - 1, width, width), matrix.dtype)
    mask = jnp.zeros((spec.max_depth, width), matrix.dtype)
    return Network(
        first=blocks[0, above : above + spec.num_inputs],
        hidden=hidden.at[: depth - 1].set(blocks[1:]),
        readout=matrix[:, width * depth, None],
        bias=jnp.zeros_like(mask),
        readout_bias=jnp.zeros((spec.num_outputs,), matrix.dtype),
        mask=mask.at[:depth].set(matrix[:, width * depth + 1 :].T),
        activation=uniform_activation(spec, matrix.dtype),
        depth=jnp.asarray(depth, jnp.int32),
    )


def uniform_activation(
    spec: NetworkSpec, dtype: jnp.dtype = jnp.float32
) -> Float[Array, "L H A"]:
    """Every neuron with the first activation of the specification."""
    shape = (spec.max_depth, spec.max_width, len(spec.activations))
    return jnp.zeros(shape, dtype).at[..., 0].set(1.0)


def make_dense(spec: NetworkSpec) -> Network:
    """The network of all layers and neurons, every weight and bias 1.

    Neurons have the first activation of the specification.
    """
    num_layers, width = spec.max_depth, spec.max_width
    return Network(
        first=jnp.ones((spec.num_inputs, width)),
        hidden=jnp.ones((num_layers - 1, width, width)),
        readout=jnp.ones((width, spec.num_outputs)),
        bias=jnp.ones((num_layers, width)),
        readout_bias=jnp.ones(spec.num_outputs),
        mask=jnp.ones((num_layers, width)),
        activation=uniform_activation(spec),
        depth=jnp.asarray(num_layers, jnp.int32),
    )


def mask_weights(network: Network) -> Network:
    """Zero whatever absent neurons and unused layers hold.

    Outputs do not change where masks are hard (0 or 1). The gradient of the mask does:
    an absent neuron has no weights left that could call it back, so its own is zero.
    """
    used = jnp.arange(network.mask.shape[0]) < network.depth
    mask = network.mask * used[:, None].astype(network.mask.dtype)
    last = mask[network.depth - 1]
    return network._replace(
        first=network.first * mask[0][None],
        hidden=network.hidden * mask[:-1, :, None] * mask[1:, None, :],
        readout=network.readout * last[:, None],
        bias=network.bias * mask,
        mask=mask,
    )


def permute(network: Network, order: Int[Array, "L H"]) -> Network:
    """The same function with the neurons of each layer in another order."""
    take = jax.vmap(lambda rows, index: rows[index])
    last = order[network.depth - 1]
    hidden = take(network.hidden, order[:-1])
    hidden = take(hidden.swapaxes(1, 2), order[1:]).swapaxes(1, 2)
    return network._replace(
        first=network.first[:, order[0]],
        hidden=hidden,
        readout=network.readout[last],
        bias=take(network.bias, order),
        mask=take(network.mask, order),
        activation=take(network.activation, order),
    )


def simplify(network: Network, *, activations: tuple[str, ...]) -> Network:
    """The same function without dead parts, for hard masks (0 or 1).

    A neuron that no input reaches is a constant: it is folded into the biases of what
    it feeds. A neuron that reaches no output is removed. What is left are weights on a
    path from an input to an output, and the biases of neurons on such paths.
    """
    network = mask_weights(network)
    bias, readout_bias, reached = _fold_constants(network, activations)
    live = reached * _needed(network, reached)
    folded = network._replace(bias=bias, readout_bias=readout_bias, mask=live)
    return mask_weights(folded)


def remove_dead_ends(network: Network) -> Network:
    """The same function without the neurons from which no weight leads to an output."""
    live = network.mask * _needed(network, jnp.ones_like(network.mask))
    return mask_weights(network._replace(mask=live))


def count_weights(network: Network) -> Int[Array, ""]:
    """Raw count: non-zero weights and biases of present neurons.

    The effective count, of what can reach an output from an input, is that of
    `simplify(network)`.
    """
    return jnp.count_nonzero(pack(mask_weights(network)))


def count_neurons(network: Network) -> Int[Array, ""]:
    """Number of present hidden neurons."""
    return jnp.count_nonzero(mask_weights(network).mask)


def _numbers(network: Network) -> tuple[Array, ...]:
    return (
        network.first,
        network.hidden,
        network.readout,
        network.bias,
        network.readout_bias,
    )


def _mix(
    pre: Float[Array, "N H"],
    activation: Float[Array, "H A"],
    activations: tuple[str, ...],
) -> Float[Array, "N H"]:
    kinds = (ACTIVATION_FNS[name](pre) for name in activations)
    return sum(kind * activation[None, :, index] for index, kind in enumerate(kinds))


def _fold_constants(
    network: Network, activations: tuple[str, ...]
) -> tuple[Float[Array, "L H"], Float[Array, " O"], Float[Array, "L H"]]:
    """Biases with the constants of unreached neurons folded in, and who is reached."""
    reached, biases = [], []
    first = network.first
    source, constant = jnp.ones(first.shape[0], first.dtype), 0.0
    for layer in range(network.mask.shape[0]):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        is_used = layer < network.depth
        bias = network.bias[layer] + (constant * (1 - source)) @ weights
        value = _mix(bias[None], network.activation[layer], activations)[0]
        is_reached = ((weights != 0) & (source[:, None] > 0)).any(axis=0)
        reached.append(is_reached * network.mask[layer])
        biases.append(bias)
        if layer == 0:
            source, constant = reached[0], value * network.mask[0]
        else:
            source = jnp.where(is_used, reached[layer], source)
            constant = jnp.where(is_used, value * network.mask[layer], constant)
    readout_bias = network.readout_bias + (constant * (1 - source)) @ network.readout
    return jnp.stack(biases), readout_bias, jnp.stack(reached)


def _needed(network: Network, reached: Float[Array, "L H"]) -> Bool[Array, "L H"]:
    """Which neurons have a path of non-zero weights over reached neurons to an output.

    The activation is not asked: a weight counts as a connection whatever its size.
    """
    num_layers = network.mask.shape[0]
    at_output = (network.readout != 0).any(axis=1)
    needed = [jnp.zeros_like(at_output)] * num_layers
    for layer in reversed(range(num_layers)):
        if layer + 1 < num_layers:
            is_target = needed[layer + 1] & (reached[layer + 1] > 0)
            feeds = ((network.hidden[layer] != 0) & is_target[None]).any(axis=1)
        else:
            feeds = jnp.zeros_like(at_output)
        needed[layer] = jnp.where(layer == network.depth - 1, at_output, feeds)
    return jnp.stack(needed)
