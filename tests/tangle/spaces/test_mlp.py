"""Perceptrons: keep probabilities, and conversion to a network record."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import SMALL, TOLERANCE, all_genes, make_case

from swajax import network
from swajax.tangle.choices import extreme, one_hot, to_architecture
from swajax.tangle.spaces import mlp
from swajax.tangle.spaces.base import count_weights


@pytest.mark.parametrize(("masking", "power"), [("input", 1), ("both", 2)])
def test_the_keep_probability_of_a_neuron_enters_once_by_readers(masking, power):
    config = mlp.MlpConfig(
        num_inputs=2,
        widths=(2, 3),
        depths=(1, 2),
        activations=("linear", "tanh"),
        masking=masking,
    )
    space = mlp.make_mlp(config)
    params = space.init(jax.random.key(0))
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    p["depth"] = jnp.asarray([[1.0, 0.0]])

    @jax.jit
    def path(share):
        """Gradients along the path through the last neuron of the first layer."""
        width = p["width"].at[0].set(jnp.stack([1 - share, share]))
        out = lambda w: space.apply(w, p | {"width": width}, jnp.ones((1, 2)))  # noqa: E731
        slope = jax.grad(lambda w: out(w).sum())(params)
        return slope.first[0, 2]

    np.testing.assert_allclose(path(0.4), 0.4**power * path(1.0), rtol=1e-5)


def test_a_perceptron_becomes_the_record_of_a_network():
    config = mlp.MlpConfig(**SMALL["mlp"])
    space, params, x = make_case("mlp")

    @jax.jit
    def convert(params, hard):
        taken = mlp.to_network(params, hard, config=config)
        found = network.apply(taken, x, activations=config.activations)
        return found, space.apply(params, hard, x), network.count_weights(taken)

    for row in np.random.default_rng(2).permutation(all_genes(space))[:4]:
        architecture = to_architecture(row, space.choices)
        found, wanted, num = convert(params, one_hot(architecture, space.choices))
        np.testing.assert_allclose(found, wanted, **TOLERANCE)
        assert int(num) == count_weights(space, architecture)
