"""Networks as data: evaluate, pack, flatten to a matrix, simplify and count.

Every function takes ONE network; `jax.vmap` makes it a batch. The fast evaluation of
many networks at once is `swajax.network.batched`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.network.activations import mix_activations
from swajax.network.packing import pack
from swajax.types import Network, NetworkSpec


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
        value = mix_activations(bias[None], network.activation[layer], activations)[0]
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


def make_family(
    mask: Float[Array, "L H"],
    activation: Float[Array, "L H A"],
    depth: Int[Array, ""],
    is_input: Float[Array, " I"],
    is_output: Float[Array, " O"],
) -> Network:
    """The network with weight 1 wherever these neurons, inputs and outputs allow."""
    num_layers, width = mask.shape
    ones = Network(
        first=jnp.tile(is_input[:, None], (1, width)),
        hidden=jnp.ones((num_layers - 1, width, width)),
        readout=jnp.tile(is_output[None], (width, 1)),
        bias=jnp.ones((num_layers, width)),
        readout_bias=is_output,
        mask=mask,
        activation=activation,
        depth=depth,
    )
    return mask_weights(ones)
