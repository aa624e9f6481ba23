"""The expansion of the loss against automatic derivatives."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import (
    MIXED,
    MIXED_CAPACITY,
    MIXED_FIT,
    NUM_MIXED,
    expand,
    find_active,
    make_mixed_problem,
    outputs,
    stack,
)

from swajax.network import apply, pack, unpack
from swajax.objectives import losses
from swajax.refine.quadratic import evaluate, trace, transpose
from swajax.types import DEFAULT_ACTIVATIONS as ACTIVATIONS


def make_classes(objective):
    """Replace the numbers by classes."""
    problem = make_mixed_problem()
    if objective == "logistic":
        return problem._replace(y=jnp.asarray(problem.y > 0, float))
    return problem._replace(y=jax.nn.one_hot(jnp.argmax(problem.y, axis=1), 2))


@pytest.mark.parametrize("num_inputs", [2, 14], ids=["written out", "products"])
def test_the_trace_ends_in_the_outputs(x64, draw_network, num_inputs):
    spec = dataclasses.replace(MIXED, num_inputs=num_inputs)
    networks = [
        draw_network(seed, spec=spec, depth=1 + seed % 3, density=0.7)
        for seed in range(6)
    ]
    x = make_mixed_problem(spec).x
    static = {"activations": ACTIVATIONS}
    fn = jax.jit(jax.vmap(functools.partial(trace, **static), in_axes=(0, None)))
    values, slopes, out = fn(stack(*networks), x)
    assert values.shape == (6, 1 + num_inputs + 9, NUM_MIXED)
    assert slopes.shape == (6, 3, 3, NUM_MIXED)
    fn = jax.jit(jax.vmap(functools.partial(apply, **static), in_axes=(0, None)))
    wanted = fn(stack(*networks), x)
    np.testing.assert_allclose(out.mT, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values[:, 0], 1.0)
    np.testing.assert_array_equal(values[:, 1 : 1 + num_inputs], [np.asarray(x).T] * 6)


def curvature_by_outputs(out, objective):
    """Hessian [N, O, O] of the row losses w.r.t. the outputs, in closed form."""
    eye = np.eye(out.shape[1])[None]
    if objective == "squared":
        return np.tile(2 / out.shape[1] * eye, (len(out), 1, 1))
    if objective == "logistic":
        p = 1 / (1 + np.exp(-out))
        return (p * (1 - p))[..., None] * eye
    p = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    return p[..., None] * eye - p[..., None] * p[:, None]


@pytest.mark.parametrize("objective", ["squared", "logistic", "softmax"])
def test_the_expansion_is_that_of_automatic_derivatives(x64, draw_network, objective):
    fit = dataclasses.replace(MIXED_FIT, objective=objective, weight_decay=0.1)
    is_squared = objective == "squared"
    problem = make_mixed_problem() if is_squared else make_classes(objective)

    @jax.jit
    def by_hand(network):
        def out(vector):
            return outputs(unpack(vector, network), problem)

        def loss(vector):
            each = losses(out(vector).T, problem.y.T, objective=objective)
            return (problem.weight * each).sum() + 0.05 * (vector**2).sum()

        vector = pack(network)
        value, gradient = jax.value_and_grad(loss)(vector)
        return value, gradient, jax.jacobian(out)(vector), out(vector)

    for depth in (1, 2, 3):
        network = draw_network(depth, spec=MIXED, depth=depth, density=0.8)
        indices, is_active = find_active(network, capacity=MIXED_CAPACITY)
        form = expand(network, indices, is_active, transpose(problem), fit=fit)
        value, gradient, jacobian, out = jax.device_get(by_hand(network))
        outer = curvature_by_outputs(out, objective)
        outer = outer * np.asarray(problem.weight)[:, None, None]
        curvature = np.einsum("nok,nop,npl->kl", jacobian, outer, jacobian)
        curvature += 0.1 * np.eye(len(gradient))
        own = np.asarray(indices)[np.asarray(is_active)]
        num = len(own)
        assert set(own) == set(np.flatnonzero(pack(network))) and num > 10
        np.testing.assert_allclose(form.loss, value, rtol=1e-12)
        np.testing.assert_allclose(form.gradient[:num], gradient[own], atol=1e-11)
        np.testing.assert_allclose(
            form.curvature[:num, :num], curvature[np.ix_(own, own)], atol=1e-11
        )
        assert not np.asarray(form.gradient)[num:].any()
        assert not np.asarray(form.curvature)[num:].any()


def test_active_indices_are_in_order_and_padded_with_absent_weights(x64, draw_network):
    network = draw_network(1, spec=MIXED, depth=2, density=0.8)
    network = unpack(pack(network).at[4].set(0.0), network)
    indices, is_active = find_active(network, capacity=MIXED_CAPACITY)
    present = np.flatnonzero(pack(network))
    np.testing.assert_array_equal(indices[: len(present)], present)
    np.testing.assert_array_equal(is_active, np.arange(MIXED_CAPACITY) < len(present))
    assert len(np.unique(indices)) == len(indices)


def test_the_loss_is_that_of_the_reference_pass_also_with_weights_of_absent_neurons(
    x64, draw_network
):
    problem = make_mixed_problem()
    network = draw_network(1, spec=MIXED, depth=2, density=0.8)
    garbage = unpack(pack(network) + (pack(network) == 0), network)
    fn = jax.jit(functools.partial(evaluate, fit=MIXED_FIT))
    loss, each = fn(garbage, problem)
    wanted = ((outputs(garbage, problem) - problem.y) ** 2).mean(axis=1)
    np.testing.assert_allclose(each, wanted, rtol=1e-10)
    np.testing.assert_allclose(loss, (problem.weight * wanted).sum(), rtol=1e-12)
