"""Structure of one network: build, mask, permute, simplify and count.

Every function takes ONE network; `jax.vmap` makes it a batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from swajax.network.activations import mix_activations
from swajax.network.packing import pack
from swajax.types import Network, NetworkSpec, check_kinds, check_single


def uniform_activation(
    spec: NetworkSpec, dtype: jnp.dtype = jnp.float32
) -> Float[Array, "L H A"]:
    """Give every neuron the first activation of the specification, one-hot."""
    shape = (spec.max_depth, spec.max_width, len(spec.activations))
    return jnp.zeros(shape, dtype).at[..., 0].set(1.0)


def make_dense(spec: NetworkSpec) -> Network:
    """Build the network with all layers and neurons; every weight and bias is 1.

    Neurons have the first activation of the specification.

    Example:
      >>> network = make_dense(NetworkSpec(num_inputs=2, max_width=3, max_depth=1))
      >>> int(count_weights(network)), int(count_neurons(network))
      (13, 3)
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


def make_family(
    mask: Float[Array, "L H"],
    activation: Float[Array, "L H A"],
    depth: Int[Array, ""],
    is_input: Float[Array, " I"],
    is_output: Float[Array, " O"],
) -> Network:
    """Build the fully connected network of the given neurons, inputs and outputs.

    Args:
      mask: 1 for present neurons, else 0.
      activation: activation of each neuron.
      depth: number of hidden layers in use.
      is_input: 1 for present inputs, else 0.
      is_output: 1 for present outputs, else 0.

    Returns:
      The network with 1 for each weight and bias that these can have, else 0.
    """
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


def mask_weights(network: Network) -> Network:
    """Set the weights, biases and masks of absent neurons and unused layers to 0.

    With hard masks (0 or 1) the outputs do not change, but the gradient of the mask
    does: an absent neuron loses its weights, so the gradient of its mask is 0.
    """
    check_single(network)
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
    """Reorder the neurons of each layer; the outputs do not change.

    Args:
      network: one network.
      order: per layer, the old index of each new neuron.

    Raises:
      ValueError: `order` has another shape than the masks or, where its values are
        known (outside jit and vmap), is no permutation of each layer.
    """
    check_single(network)
    _check_order(order, network.mask.shape)
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
    """Remove everything that lies on no path from an input to an output.

    A neuron that no input reaches is constant: it is folded into the biases of the
    neurons and outputs that read it. A neuron that reaches no output is removed. The
    outputs do not change, except by rounding.

    Args:
      network: one network with hard masks (0 or 1).
      activations: names of the A activations that `network.activation` mixes.

    Returns:
      The network with weights on paths from an input to an output only, the biases of
      the neurons on these paths, and the biases of the outputs.

    Raises:
      ValueError: the number or a name of the activations does not fit the network.

    Example:
      >>> network = make_dense(NetworkSpec(num_inputs=2, max_width=3, max_depth=1))
      >>> network = network._replace(first=network.first.at[:, 0].set(0.0))
      >>> small = simplify(network, activations=("sigmoid",))
      >>> small.mask.tolist(), round(small.readout_bias.item(), 4)  # 1 + sigmoid(1)
      ([[0.0, 1.0, 1.0]], 1.7311)
    """
    check_single(network)
    check_kinds(network, activations)
    network = mask_weights(network)
    bias, readout_bias, reached = _fold_constants(network, activations)
    live = reached * _needed(network, reached)
    folded = network._replace(bias=bias, readout_bias=readout_bias, mask=live)
    return mask_weights(folded)


def remove_dead_ends(network: Network) -> Network:
    """Remove the neurons from which no path of weights leads to an output."""
    check_single(network)
    live = network.mask * _needed(network, jnp.ones_like(network.mask))
    return mask_weights(network._replace(mask=live))


def count_weights(network: Network) -> Int[Array, ""]:
    """Count the non-zero weights and biases of present neurons (the raw count).

    For the effective count, which includes only weights on paths from an input to an
    output, count the weights of `simplify(network)`.
    """
    return jnp.count_nonzero(pack(mask_weights(network)))


def count_neurons(network: Network) -> Int[Array, ""]:
    """Count the present neurons of the hidden layers in use."""
    return jnp.count_nonzero(mask_weights(network).mask)


def _check_order(order: Int[Array, "..."], shape: tuple[int, ...]) -> None:
    """Check that the order is a permutation of the neurons of each layer."""
    if jnp.shape(order) != shape:
        raise ValueError(f"order must have the shape {shape}, got {jnp.shape(order)}")
    is_known = not isinstance(order, jax.core.Tracer)
    if is_known and not (np.sort(order, axis=1) == np.arange(shape[1])).all():
        raise ValueError(
            f"order must be a permutation of 0..{shape[1] - 1} per layer, got "
            f"{np.asarray(order).tolist()}"
        )


def _fold_constants(
    network: Network, activations: tuple[str, ...]
) -> tuple[Float[Array, "L H"], Float[Array, " O"], Float[Array, "L H"]]:
    """Fold neurons that no input reaches into biases.

    Returns:
      Biases of the hidden layers, biases of the outputs, and 1 for each neuron that an
      input reaches.
    """
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
    """Flag the neurons with a path of non-zero weights to an output.

    Paths lead through `reached` neurons only. Activations are not considered: a weight
    is a connection, however small.
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
