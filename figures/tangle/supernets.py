"""Supernets in every form of `forms`: stacks of layers, convolutions, perceptrons."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from figures.tangle import forms, layers
from figures.tangle.forms import Form, Layer
from swajax.tangle.layers.affine import draw_affine, mix_depths
from swajax.tangle.spaces import macro
from swajax.tangle.spaces.macro import MacroConfig
from swajax.types import Key


class Supernet(NamedTuple):
    """Shapes and functions of a supernet."""

    shapes: dict[str, tuple[int, int]]  # shape [R, K] of the vectors per choice
    init: Callable[[Key, Form], Any]  # weights
    apply: Callable[..., Array]  # (weights, probabilities, x, form, unroll) to outputs
    input_shape: tuple[int, ...]  # shape of one example
    num_tokens: int | None = None  # size of the vocabulary, if examples are texts


def make_step(net: Supernet, form: Form, *, unroll: bool = False) -> Callable[..., Any]:
    """Return a function that maps weights, vectors, x and y to loss and gradient.

    The gradient is w.r.t. weights and vectors; for a single path, weights only.

    Args:
      net: supernet.
      form: one of `forms.FORMS`.
      unroll: unroll loops, so that operations can be counted.
    """

    def loss_fn(params: Any, alphas: Any, x: Array, y: Array) -> Float[Array, ""]:
        p = {name: jax.nn.softmax(vector) for name, vector in alphas.items()}
        out = net.apply(params, p, x, form, unroll=unroll)
        rows = out.reshape(-1, out.shape[-1])
        return optax.losses.softmax_cross_entropy_with_integer_labels(
            rows, y.ravel()
        ).mean()

    return jax.value_and_grad(loss_fn, 0 if form == "single" else (0, 1))


def draw_arguments(
    key: Key, net: Supernet, form: Form, *, batch_size: int
) -> tuple[Any, dict[str, Array], Array, Array]:
    """Draw the arguments of a step."""
    alphas = {name: jnp.zeros(shape) for name, shape in net.shapes.items()}
    params_key, key = jax.random.split(key)
    params, shape = net.init(params_key, form), (batch_size, *net.input_shape)
    if net.num_tokens is not None:
        x = jax.random.randint(key, shape, 0, net.num_tokens)
        return params, alphas, x, x
    return params, alphas, jax.random.normal(key, shape), jnp.zeros(batch_size, int)


def make_linear_stack(
    num_options: int, *, width: int = 256, depth: int = 4, num_inputs: int = 256
) -> Supernet:
    """Make hidden layers with a choice of the width in equal steps."""
    widths = spread(width, num_options)
    first = layers.make_linear(num_inputs, widths)
    rest = [layers.make_linear(width, widths) for _ in range(depth - 1)]
    return _make_chain([first, *rest], ["width"], width, (num_inputs,))


def make_conv_stack(
    num_options: int, *, width: int = 32, depth: int = 4, size: int = 16
) -> Supernet:
    """Make convolutions with a choice of the channels in equal steps."""
    widths = spread(width, num_options)
    sizes = [3, *[width] * (depth - 1)]
    chain = [layers.make_conv(num, widths, (3,)) for num in sizes]
    return _make_chain(chain, ["kernel", "width"], width, (size, size, 3))


def make_attention_stack(
    num_options: int, *, size: int = 64, head_size: int = 8, num_tokens: int = 64
) -> Supernet:
    """Make four blocks of attention with a choice of up to 8 heads in equal steps."""
    heads = spread(8, num_options)
    layer = layers.make_attention((size,), heads, head_size=head_size)
    chain = [layer] * 4
    shape = (num_tokens, size)
    return _make_chain(chain, ["heads", "embed"], size, shape, is_residual=True)


def spread(largest: int, num: int) -> tuple[int, ...]:
    """Return `num` sizes in equal steps up to the largest."""
    return tuple(round(largest * n / num) for n in range(1, num + 1))


def make_macro(
    config: MacroConfig, input_shape: tuple[int, ...], *, is_product: bool = False
) -> Supernet:
    """Make convolutions with choices of kernel and output channels.

    Args:
      config: options of each convolution.
      input_shape: shape of an image.
      is_product: weight sharing has options for the input channels too.
    """
    chain, shapes = [], {}
    ins: tuple[int, ...] | None = None
    num_in = config.image_channels
    pairs = zip(config.channels, config.kernels, strict=True)
    for index, (outs, sizes) in enumerate(pairs):
        chain.append(layers.make_conv(num_in, outs, sizes, ins=ins))
        shapes |= {f"kernel{index}": (1, len(sizes)), f"out{index}": (1, len(outs))}
        num_in, ins = max(outs), outs if is_product else None

    def pick(p: Any, index: int) -> list[Array]:
        vectors = [p[f"kernel{index}"][0], p[f"out{index}"][0]]
        read = len(chain[index].num_options) == 3
        return [*vectors, p[f"out{index - 1}"][0]] if read else vectors

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll
        for index, layer in enumerate(chain):
            x = forms.apply(layer, form, params[0][index], pick(p, index), x)
            x = macro.activate(config, x, index)
        return read_out(x.mean(axis=(1, 2)), params[1])

    return Supernet(
        shapes, _make_init(chain, num_in, config.num_classes), apply, input_shape
    )


def make_perceptron(num_inputs: int = 8) -> Supernet:
    """Make the space mlp with choices of inputs, widths, activations and depth."""
    widths, depth = (2, 4, 6, 8), 3
    kinds = (jax.nn.sigmoid, jnp.tanh, jax.nn.leaky_relu, lambda x: x)
    sizes = [num_inputs, *[max(widths)] * (depth - 1)]
    chain = [layers.make_linear(num, widths) for num in sizes]
    shapes = {
        "depth": (1, depth),
        "width": (depth, len(widths)),
        "activation": (depth, len(kinds)),
        "input": (num_inputs, 2),
    }

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll
        states = []
        if form == "single":
            for layer, weights in zip(chain, params[0], strict=True):
                x = jnp.tanh(layer.apply(weights, x))
            return read_out(x, params[1])
        x = x * p["input"][None, :, 1]
        for index, layer in enumerate(chain):
            layer_weights = params[0][index]
            x = forms.apply(layer, form, layer_weights, [p["width"][index]], x)
            shares = p["activation"][index]
            x = sum(s * kind(x) for s, kind in zip(shares, kinds, strict=True))
            states.append(x)
        x = mix_depths(jnp.stack(states), p["depth"][0], range(1, depth + 1))
        return read_out(x, params[1])

    init = _make_init(chain, max(widths), 2)
    return Supernet(shapes, init, apply, (num_inputs,))


def _make_chain(
    chain: Sequence[Layer],
    names: Sequence[str],
    width: int,
    input_shape: tuple[int, ...],
    *,
    is_residual: bool = False,
) -> Supernet:
    """Make a chain of layers, rectified or with residual connections."""
    shapes = {
        f"{name}{index}": (1, num)
        for index, layer in enumerate(chain)
        for name, num in zip(names, layer.num_options, strict=True)
    }

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        del unroll
        for index, layer in enumerate(chain):
            vectors = [p[f"{name}{index}"][0] for name in names]
            out = forms.apply(layer, form, params[0][index], vectors, x)
            x = x + out if is_residual else jax.nn.relu(out)
        return read_out(x.mean(axis=tuple(range(1, x.ndim - 1))), params[1])

    return Supernet(shapes, _make_init(chain, width, 10), apply, input_shape)


def _make_init(chain: Sequence[Layer], width: int, num_outputs: int) -> Any:
    def init(key: Key, form: Form) -> Any:
        *keys, last = jax.random.split(key, len(chain) + 1)
        pairs = zip(chain, keys, strict=True)
        drawn = [forms.draw(layer, form, subkey) for layer, subkey in pairs]
        return drawn, draw_affine(last, (width, num_outputs))

    return init


def read_out(x: Array, weights: Any) -> Array:
    """Apply an affine map to the last axis."""
    bias = weights[1].reshape((1,) * (x.ndim - 1) + (-1,))
    return x @ weights[0] + bias
