"""Data sets by the name of a space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.__main__ import TangleCommand, make_task
from swajax.tangle.choices import extreme, one_hot
from swajax.tangle.data import chars, digits, loaders
from swajax.tangle.train.supernet import make_loss_fn


def test_data_go_by_the_name_of_the_space():
    split = loaders.load_split("digits-vit", 3)
    assert split.test.x.shape == (1197, 8, 8, 1)
    assert loaders.load_split("chars-gpt", 0).test.x.shape[1:] == (64,)
    with pytest.raises(ValueError, match=r"space must be one of .*got 'mlp'"):
        loaders.load_split("mlp", 0)


@pytest.mark.parametrize("name", loaders.LOADERS)
def test_the_command_makes_a_search_of_every_space_that_brings_its_data(name):
    masking = "input" if name == "digits-cell" else "both"
    space, split, objective = make_task(TangleCommand(space=name, masking=masking))
    assert space.name == name
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    params = jax.eval_shape(space.init, jax.random.key(0))
    batch = jax.tree.map(lambda part: jnp.asarray(part[:2]), tuple(split.weights))
    loss = jax.eval_shape(make_loss_fn(space, objective), params, p, batch)
    assert loss.shape == ()


def test_results_name_the_text_but_no_data_that_are_the_same_everywhere():
    assert loaders.read_provenance("digits-vit") == {}
    assert loaders.read_provenance("chars-gpt")["sha256"] == chars.hash_text(
        chars.read_text()
    )


def test_digits_are_split_by_class_without_overlap():
    split = digits.load_digits(0)
    assert [len(part.y) for part in split] == [300, 300, 1197]
    images = np.concatenate([part.x.reshape(-1, 64) for part in split])
    assert len(np.unique(images, axis=0)) == 1797
    for part in split:
        share = part.y.mean(axis=0)
        assert 0.09 < share.min() and share.max() < 0.11
    assert split.weights.x.std() == pytest.approx(1, rel=1e-4)
    other = digits.load_digits(1)
    assert (other.weights.x != split.weights.x).any()
