"""Fast evaluation of many networks at many points: values and gradients.

The plain form, `jax.vmap` of `swajax.network.apply`, spends its time on matrix products
with few rows. The fast form does the same arithmetic in long vector loops of XLA's CPU
compiler:

* every large array is [B, H, N], with the points on the contiguous axis;
* the product of a layer is an unrolled sum over the few neurons that it reads, which
  XLA fuses with bias and activation into one loop;
* a hand-written gradient has one such loop per layer and one batched product for the
  weights. It stores the outputs of the activations, and pre-activations only where a
  slope needs them (`ActivationRecord.needs_pre`);
* masks are folded into the weights beforehand, where arrays are small.

For 1024 networks (depth 4, width 7) at 128 points, the plain form took 3.1 to 4.4 times
as long for values and gradients, the upper end on two cores; `figures.speed` measures
these ratios. Wider networks gain less: 1.6 times at width 16 and 64 inputs.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from swajax.network.activations import RECORDS
from swajax.network.forward import apply, check_shapes
from swajax.types import Network

FORMS = ("auto", "plain", "fast")

# Sums over more neurons than this use XLA's matrix products: unrolled sums would read
# every input from memory once per output.
MAX_WRITTEN_OUT = 12


def apply_batch(
    networks: Network,
    x: Float[Array, "*B N I"],
    *,
    activations: tuple[str, ...],
    depth: int | None = None,
    form: str = "auto",
) -> Float[Array, "B N O"]:
    """Compute the outputs of B networks at N points, as `jax.vmap` of `apply` does.

    The points and all floating-point leaves of the networks are differentiable in
    reverse mode; forward-mode differentiation needs form="plain".

    Args:
      networks: B networks; every leaf has a leading axis B.
      x: points, [N, I] if shared by all networks, else [B, N, I].
      activations: names of the A activations that `networks.activation` mixes.
      depth: number of hidden layers of all networks, 1..L, if it is known at compile
        time; by default the `depth` of each network applies at run time.
      form: "plain" or "fast", which give the same numbers; "auto" selects the fast form
        on CPUs and the plain form elsewhere.

    Returns:
      The outputs.

    Raises:
      ValueError: `form` is unknown, or the arguments do not fit together (see `apply`).

    Example:
      >>> from swajax.network import make_dense
      >>> from swajax.types import NetworkSpec
      >>> one = make_dense(NetworkSpec(max_width=2, max_depth=1))
      >>> two = jax.tree.map(lambda leaf: jnp.stack([leaf, 0 * leaf]), one)
      >>> out = apply_batch(two, jnp.zeros((5, 3)), activations=("sigmoid",), depth=1)
      >>> out.shape
      (2, 5, 1)
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}, got {form!r}")
    check_shapes(networks, x, activations=activations, depth=depth)
    if form == "auto":
        form = "fast" if jax.default_backend() == "cpu" else "plain"
    if form == "fast":
        return _apply_fast(networks, x, activations, depth)
    one = functools.partial(apply, activations=activations, depth=depth)
    return jax.vmap(one, in_axes=(0, None if x.ndim == 2 else 0))(networks, x)


def _apply_fast(
    networks: Network,
    x: Float[Array, "*B N I"],
    activations: tuple[str, ...],
    depth: int | None,
) -> Float[Array, "B N O"]:
    """Fold masks and single activations into the weights, then evaluate."""
    num_layers = networks.mask.shape[1] if depth is None else depth
    # Factors of an output (the mask, and the weight of a single activation) move into
    # the outgoing weights.
    scale, mixture = networks.mask, None
    if len(activations) == 1:
        scale = scale * networks.activation[..., 0]
    else:
        mixture = networks.activation[:, :num_layers, :, :, None]
    is_used = None
    if depth is None:
        layers = jnp.arange(num_layers)[None]
        is_used = (layers < networks.depth[:, None])[:, :, None, None]
    weights, last = [networks.first], scale[:, 0]
    for layer in range(1, num_layers):
        weights.append(networks.hidden[:, layer - 1] * last[:, :, None])
        this = scale[:, layer]
        last = this if is_used is None else jnp.where(is_used[:, layer, 0], this, last)
    weights.append(networks.readout * last[:, :, None])
    points = (x if x.ndim == 3 else x[None]).mT
    bias = networks.bias[:, :num_layers, :, None]
    out = _core(activations, tuple(weights), bias, mixture, is_used, points)
    return out.mT + networks.readout_bias[:, None]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _core(
    activations: tuple[str, ...],
    weights: tuple[Float[Array, "B _ _"], ...],
    bias: Float[Array, "B L H 1"],
    mixture: Float[Array, "B L H A 1"] | None,
    is_used: Bool[Array, "B L 1 1"] | None,
    points: Float[Array, "_ I N"],
) -> Float[Array, "B O N"]:
    """Compute outputs; shared points have a first axis of length 1."""
    return _core_fwd(activations, weights, bias, mixture, is_used, points)[0]


def _core_fwd(activations, weights, bias, mixture, is_used, points):
    is_pre_kept = any(RECORDS[name].needs_pre for name in activations)
    hidden, inputs, pres, kinds = points, [], [], []
    for layer, weight in enumerate(weights[:-1]):
        inputs.append(hidden)
        pre = _product(weight, hidden) + bias[:, layer]
        pres.append(pre if is_pre_kept else None)
        kinds.append([RECORDS[name].fn(pre) for name in activations])
        out = _weighted(kinds[-1], mixture, layer)
        if is_used is not None and layer > 0:
            out = jnp.where(is_used[:, layer], out, hidden)
        hidden = out
    inputs.append(hidden)
    saved = (weights, mixture, is_used, inputs, pres, kinds)
    return _product(weights[-1], hidden), saved


def _core_bwd(activations, saved, to_out):
    weights, mixture, is_used, inputs, pres, kinds = saved
    to_weights, to_bias, to_mixture = [_outer(inputs[-1], to_out)], [], []
    to_hidden = _product(weights[-1].mT, to_out)
    for layer in reversed(range(len(kinds))):
        skipped = None
        if is_used is not None and layer > 0:
            skipped = jnp.where(is_used[:, layer], 0, to_hidden)
            to_hidden = jnp.where(is_used[:, layer], to_hidden, 0)
        if mixture is not None:
            to_kinds = [(to_hidden * kind).sum(-1) for kind in kinds[layer]]
            to_mixture.append(jnp.stack(to_kinds, axis=-1)[..., None])
        slopes = [
            RECORDS[name].slope_fn(pres[layer], kind)
            for name, kind in zip(activations, kinds[layer], strict=True)
        ]
        to_pre = to_hidden * _weighted(slopes, mixture, layer)
        to_weights.append(_outer(inputs[layer], to_pre))
        to_bias.append(to_pre.sum(-1, keepdims=True))
        if layer > 0:
            to_hidden = _product(weights[layer].mT, to_pre)
            to_hidden = to_hidden if skipped is None else to_hidden + skipped
    to_points = _product(weights[0].mT, to_pre)
    if inputs[0].shape[0] == 1:
        to_points = jnp.einsum("bij,bjn->in", weights[0], to_pre)[None]
    return (
        tuple(to_weights[::-1]),
        jnp.stack(to_bias[::-1], axis=1),
        jnp.stack(to_mixture[::-1], axis=1) if mixture is not None else None,
        None,
        to_points,
    )


_core.defvjp(_core_fwd, _core_bwd)


def _weighted(
    kinds: list[Float[Array, "B H N"]],
    mixture: Float[Array, "B L H A 1"] | None,
    layer: int,
) -> Float[Array, "B H N"]:
    """Mix the activations of a layer; the weight of a single one is already folded."""
    if mixture is None:
        return kinds[0]
    return sum(kind * mixture[:, layer, :, i] for i, kind in enumerate(kinds))


def _product(
    weight: Float[Array, "B K J"], hidden: Float[Array, "_ K N"]
) -> Float[Array, "B J N"]:
    """Sum over K, the neurons or inputs that are read."""
    num_read = weight.shape[1]
    if num_read > MAX_WRITTEN_OUT:
        if hidden.shape[0] == 1:
            return jnp.einsum("bkj,kn->bjn", weight, hidden[0])
        return jnp.einsum("bkj,bkn->bjn", weight, hidden)
    return sum(weight[:, k, :, None] * hidden[:, k, None, :] for k in range(num_read))


def _outer(
    hidden: Float[Array, "_ K N"], to_out: Float[Array, "B J N"]
) -> Float[Array, "B K J"]:
    """Compute the gradient of the weights, a sum over the points."""
    if hidden.shape[0] == 1:
        return jnp.einsum("kn,bjn->bkj", hidden[0], to_out)
    return jnp.einsum("bkn,bjn->bkj", hidden, to_out)
