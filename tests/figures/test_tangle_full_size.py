"""Shapes of the spaces at the dimensions of the paper."""

import jax
import jax.numpy as jnp
import pytest

from figures.tangle.full_size import FULL_SIZE, make_full_size
from swajax.tangle.choices import count_architectures, extreme
from swajax.tangle.spaces.base import count_weights

NUM_NETWORKS = {
    "nb201": 5**6,
    "darts": 8**28,
    "conv-macro": 3**8,
    "autoformer-t": 3 * sum(4**depth for depth in (12, 13, 14)),
    "small-lm": 3 * sum(9**depth for depth in (5, 6, 7)),
}
# Millions of weights of the largest network. The language model has 38.6 in the table
# of 50,257 tokens, 7.09 in each of 7 layers.
LARGEST = {
    "nb201": 1.52,
    "darts": 0.77,
    "conv-macro": 7.73,
    "autoformer-t": 10.41,
    "small-lm": 88.39,
}


@pytest.mark.parametrize("name", FULL_SIZE)
def test_spaces_of_the_papers_dimensions_have_its_networks(name):
    space, (x, y) = make_full_size(name, batch_size=2)
    assert count_architectures(space.choices) == NUM_NETWORKS[name]
    large = extreme(space.choices, is_largest=True)
    assert round(count_weights(space, large) / 1e6, 2) == LARGEST[name]
    assert x.shape[0] == y.shape[0] == 2


@pytest.mark.parametrize("name", sorted(set(FULL_SIZE) - {"darts"}))
def test_supernets_of_the_papers_dimensions_fit_together(name):
    space, (x, y) = make_full_size(name, batch_size=2)
    p = {c.name: jnp.zeros((c.num_rows, len(c.options))) for c in space.choices}
    params = jax.eval_shape(space.init, jax.random.key(0))
    out = jax.eval_shape(space.apply, params, p, x)
    assert len(out.shape) == 2
    assert out.shape[0] == y.size
    masks = jax.eval_shape(space.masks, p)
    same = jax.tree.map(lambda mask, leaf: mask.shape == leaf.shape, masks, params)
    assert all(jax.tree.leaves(same))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {}, "space must be one of .*'imagenet'"),
        ("nb201", {"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ],
)
def test_bad_studies_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_full_size(name, **options)
