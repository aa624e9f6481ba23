"""Fast evaluation of many networks at many points, values and gradients."""

import functools

import chex
import jax
import jax.numpy as jnp
from jax.lax import optimization_barrier
from jaxtyping import Array, Float

from swajax import network as network_lib
from swajax.types import Network

FORMS = ("auto", "plain", "fast")

# Derivative of each activation, given its OUTPUT: pre-activations are not kept.
SLOPE_FNS = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "leaky_relu": lambda y: jnp.where(y >= 0, 1, network_lib.LEAKY_SLOPE).astype(
        y.dtype
    ),
    "linear": jnp.ones_like,
}


def apply_batch(
    networks: Network,
    x: Float[Array, "*B N I"],
    *,
    activations: tuple[str, ...],
    depth: int | None = None,
    form: str = "auto",
) -> Float[Array, "B N O"]:
    """Outputs of B networks at N points; `jax.vmap` of `swajax.network.apply`.

    Args:
      networks: B networks, every leaf with a leading axis B.
      x: points [N, I] shared by all networks, or [B, N, I] of each network.
      activations: names of the A kinds that `networks.activation` mixes.
      depth: number of hidden layers of all networks when it is known at compile time;
        by default each network's own `depth` decides at run time.
      form: "plain" or "fast", the same numbers; "auto" is fast on CPUs.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    if form == "auto":
        form = "fast" if jax.default_backend() == "cpu" else "plain"
    if form == "plain":
        one = functools.partial(network_lib.apply, activations=activations, depth=depth)
        return jax.vmap(one, in_axes=(0, None if x.ndim == 2 else 0))(networks, x)
    return _apply_fast(networks, x, activations, depth)


def _apply_fast(
    networks: Network,
    x: Float[Array, "*B N I"],
    activations: tuple[str, ...],
    depth: int | None,
) -> Float[Array, "B N O"]:
    """Folds what autodiff handles well into the weights, then runs the core."""
    chex.assert_axis_dimension(networks.activation, -1, len(activations))
    # A neuron's mask, and its mixture weight when there is only one kind, scale its
    # outgoing weights here, on small arrays: ordinary autodiff has their gradients.
    num_layers = networks.mask.shape[1] if depth is None else depth
    scale, mixture = networks.mask, None
    if len(activations) == 1:
        scale = scale * networks.activation[..., 0]
    else:
        mixture = networks.activation[:, :num_layers, ..., None]
    is_used = None
    if depth is None:
        is_used = (jnp.arange(num_layers)[None] < networks.depth[:, None])[
            ..., None, None
        ]
    weights, last = [networks.first], scale[:, 0]
    for layer in range(1, num_layers):
        weights.append(networks.hidden[:, layer - 1] * last[:, :, None])
        here = scale[:, layer]
        last = here if is_used is None else jnp.where(is_used[:, layer, 0], here, last)
    readout = networks.readout * last[:, :, None]
    points = jnp.broadcast_to(x.mT, (readout.shape[0], *x.mT.shape[-2:]))
    bias = networks.bias[:, :num_layers, :, None]
    out = _core(activations, (*weights, readout), bias, mixture, is_used, points)
    return out.mT + networks.readout_bias[:, None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _core(activations, weights, bias, mixture, is_used, points):
    """Outputs [B, O, N]; points are the last axis of every large array."""
    return _core_fwd(activations, weights, bias, mixture, is_used, points)[0]


def _core_fwd(activations, weights, bias, mixture, is_used, points):
    hidden, layers, kinds = points, [points], []
    for layer, weight in enumerate(weights[:-1]):
        pre = _product(weight, hidden) + bias[:, layer]
        kinds.append([network_lib.ACTIVATION_FNS[name](pre) for name in activations])
        if mixture is None:
            out = kinds[-1][0]
        else:
            out = sum(k * mixture[:, layer, :, i] for i, k in enumerate(kinds[-1]))
        if is_used is not None and layer > 0:
            out = jnp.where(is_used[:, layer], out, hidden)
        # Without the barrier XLA recomputes this layer in each of its readers.
        hidden, kinds[-1] = optimization_barrier((out, kinds[-1]))
        layers.append(hidden)
    out = _product(weights[-1], hidden)
    return out, (weights, mixture, is_used, layers, kinds)


def _core_bwd(activations, saved, cotangent):
    weights, mixture, is_used, layers, kinds = saved
    num_layers = len(kinds)
    to_weights, to_bias, to_mixture = [], [], []
    to_weights.append(_outer(layers[-1], cotangent))
    to_hidden = _product(weights[-1].mT, cotangent)
    for layer in reversed(range(num_layers)):
        skipped = 0.0
        if is_used is not None and layer > 0:
            skipped = jnp.where(is_used[:, layer], 0.0, to_hidden)
            to_hidden = jnp.where(is_used[:, layer], to_hidden, 0.0)
        slopes = [
            SLOPE_FNS[n](k) for n, k in zip(activations, kinds[layer], strict=True)
        ]
        if mixture is None:
            to_pre = to_hidden * slopes[0]
        else:
            to_pre = to_hidden * sum(
                s * mixture[:, layer, :, i] for i, s in enumerate(slopes)
            )
            to_mixture.append(
                jnp.stack([(to_hidden * k).sum(-1) for k in kinds[layer]], -1)[
                    ..., None
                ]
            )
        to_pre = optimization_barrier(to_pre)
        to_weights.append(_outer(layers[layer], to_pre))
        to_bias.append(to_pre.sum(-1, keepdims=True))
        to_hidden = _product(weights[layer].mT, to_pre) + skipped
    return (
        tuple(reversed(to_weights)),
        jnp.stack(to_bias[::-1], axis=1),
        None if mixture is None else jnp.stack(to_mixture[::-1], axis=1),
        None,
        to_hidden,
    )


_core.defvjp(_core_fwd, _core_bwd)


def _product(weight, hidden):
    """Sums [B, J, N] over K of weight [B, K, J] times hidden [B, K, N], written out."""
    return sum(
        weight[:, k, :, None] * hidden[:, k, None, :] for k in range(weight.shape[1])
    )


def _outer(hidden, cotangent):
    """Gradient [B, K, J] of the weights: products summed over the points."""
    return jnp.einsum("bkn,bjn->bkj", hidden, cotangent)
