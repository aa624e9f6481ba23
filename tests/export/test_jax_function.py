"""The JAX function: outputs of the model, and further training with optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from export_cases import (
    HARD,
    make_frame,
    make_model,
    make_scaled,
    make_scaled_frame,
    reference,
)

from swajax.export.jax_function import read_cells, to_jax, with_params


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def _cells(model, frame):
    numbers, codes = read_cells(model, frame)
    return jnp.asarray(numbers), jnp.asarray(codes)


@pytest.mark.parametrize(("depth", "num_classes"), [(1, 0), (2, 2), (3, 3)])
def test_outputs_are_those_of_the_model(
    draw_network, frame, maybe_jit, depth, num_classes
):
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    function = to_jax(model)
    assert function.params.shape == (model.num_weights,)
    out = maybe_jit(function.apply)(function.params, *_cells(model, frame))
    np.testing.assert_allclose(
        out, reference(model, frame), rtol=0, atol=1e-5 * model.scaling.target_scale
    )


def test_rows_can_be_mapped(draw_network, frame):
    model = make_model(draw_network, depth=2)
    function = to_jax(model)
    numbers, codes = _cells(model, frame[:5])
    each = jax.vmap(
        lambda number, code: function.apply(function.params, number[None], code[None])
    )(numbers, codes)[:, 0]
    want = function.apply(function.params, numbers, codes)
    np.testing.assert_allclose(each, want, rtol=1e-5)


def test_training_goes_on_and_comes_back(draw_network, frame):
    model = make_model(draw_network, depth=2)
    function, cells = to_jax(model), _cells(model, frame[:50])
    target = 100 * jnp.sin(jnp.arange(50.0))[:, None]

    def loss(params):
        return jnp.square(function.apply(params, *cells) - target).mean()

    optimizer = optax.adam(1e-2)
    state = (function.params, optimizer.init(function.params))

    @jax.jit
    def step(state):
        gradient = jax.grad(loss)(state[0])
        updates, rest = optimizer.update(gradient, state[1])
        return optax.apply_updates(state[0], updates), rest

    for _ in range(30):
        state = step(state)
    assert loss(state[0]) < 0.9 * loss(function.params)
    trained = with_params(model, state[0])
    want = function.apply(state[0], *cells)
    np.testing.assert_allclose(
        trained.predict(frame[:50]), want[:, 0], rtol=1e-4, atol=1e-2
    )
    same = with_params(model, function.params)
    for leaf, before in zip(same.network, model.network, strict=True):
        np.testing.assert_allclose(leaf, before, rtol=1e-6)


def test_gradients_by_cells_stop_where_they_are_missing(draw_network, frame):
    model = make_model(draw_network, depth=1)
    function, (numbers, codes) = to_jax(model), _cells(model, frame)
    slopes = jax.grad(lambda n: function.apply(function.params, n, codes).sum())(
        numbers
    )
    assert (np.asarray(slopes)[np.isnan(numbers)] == 0).all()
    assert (np.asarray(slopes)[~np.isnan(numbers)] != 0).mean() > 0.5


def test_a_network_that_reads_nothing(models, frame):
    model = models["constant three classes"]
    function = to_jax(model)
    out = function.apply(function.params, *_cells(model, frame))
    np.testing.assert_allclose(out, reference(model, frame), rtol=1e-6)


@pytest.mark.parametrize("case", ["offset target", "seconds since 1970"])
def test_what_float32_loses_needs_float64(case):
    model, frame = make_scaled(HARD[case]), make_scaled_frame(HARD[case])
    with pytest.raises(ValueError, match="JAX without x64 cannot represent"):
        to_jax(model)
    with jax.enable_x64(True):
        function = to_jax(model)
        out = function.apply(function.params, *_cells(model, frame))
    atol = 1e-5 * HARD[case].deviation
    np.testing.assert_allclose(out[:, 0], model.predict(frame), rtol=0, atol=atol)
