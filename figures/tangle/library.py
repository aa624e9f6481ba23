"""Costs of the supernets of the package, which `catalogue` simplifies."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from figures.tangle import costs
from figures.tangle.full_size import FULL_SIZE
from swajax.tangle.choices import extreme
from swajax.tangle.spaces import SPACES
from swajax.tangle.spaces.base import SearchSpace

IMAGE = (8, 8, 1)
BATCHES: dict[str, tuple[int, tuple[int, ...]]] = {
    "mlp": (64, (8,)),
    "digits-macro": (50, IMAGE),
    "digits-cell": (50, IMAGE),
    "digits-vit": (50, IMAGE),
    "chars-gpt": (16, (64,)),
    **{name: (full.batch_size, full.input_shape) for name, full in FULL_SIZE.items()},
}
"""Batch size and shape of an example of each space."""
TEXTS = ("chars-gpt", "small-lm")  # spaces whose inputs and targets are tokens


def count(name: str) -> dict[str, dict[str, Any]]:
    """Count bytes and operations of a gradient step of a space.

    Args:
      name: key of `BATCHES`.

    Returns:
      Costs from `costs.count_step`, for the superposition ("sup") and for the slice of
      the largest network ("single").
    """
    space, unrolled = _make(name, is_unrolled=False), _make(name, is_unrolled=True)
    params = jax.eval_shape(space.init, jax.random.key(0))
    largest = extreme(space.choices, is_largest=True)
    single = jax.eval_shape(lambda sliced: space.take(sliced, largest), params)
    alphas = {
        choice.name: jax.ShapeDtypeStruct(
            (choice.num_rows, len(choice.options)), jnp.float32
        )
        for choice in space.choices
    }
    batch = _find_shapes(name)

    def step_single(sliced: Any, x: Array, y: Array) -> Any:
        return jax.value_and_grad(
            lambda w: _find_loss(space.apply_standalone(w, largest, x), y)
        )(sliced)

    steps = _make_step(space), _make_step(unrolled)
    return {
        "sup": costs.count_step(*steps, (params, alphas, *batch)),
        "single": costs.count_step(step_single, step_single, (single, *batch)),
    }


def _make(name: str, *, is_unrolled: bool) -> SearchSpace:
    if name in FULL_SIZE:
        make, config, *_ = FULL_SIZE[name]
    else:
        config_class, make = SPACES[name]
        config = config_class(num_inputs=8) if name == "mlp" else config_class()
    if hasattr(config, "is_unrolled"):
        config = dataclasses.replace(config, is_unrolled=is_unrolled)
    return make(config)


def _make_step(space: SearchSpace) -> Any:
    def loss_fn(params: Any, alphas: Any, x: Array, y: Array) -> Float[Array, ""]:
        p = jax.tree.map(jax.nn.softmax, alphas)
        return _find_loss(space.apply(params, p, x), y)

    return jax.value_and_grad(loss_fn, (0, 1))


def _find_loss(out: Float[Array, "M O"], y: Array) -> Float[Array, ""]:
    if out.shape[1] == 1:
        return jnp.square(out[:, 0] - y.ravel()).mean()
    return optax.losses.softmax_cross_entropy_with_integer_labels(out, y.ravel()).mean()


def _find_shapes(name: str) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
    num, shape = BATCHES[name]
    is_text = name in TEXTS
    x = jax.ShapeDtypeStruct((num, *shape), jnp.int32 if is_text else jnp.float32)
    return x, jax.ShapeDtypeStruct(x.shape if is_text else (num,), jnp.int32)
