"""Choices, architectures and probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.choices import (
    Choice,
    check_probabilities,
    discretise,
    extreme,
    from_genes,
    one_hot,
    to_architecture,
    to_options,
)

CHOICES = (
    Choice("width", (4, 2, 8), "size", num_rows=3),
    Choice("activation", ("tanh", "sigmoid"), "operation"),
)


def test_architectures_there_and_back():
    architecture = {"width": (2, 0, 1), "activation": (1,)}
    p = one_hot(architecture, CHOICES)
    assert discretise(p, CHOICES) == architecture
    assert to_architecture([2, 0, 1, 1], CHOICES) == architecture
    from_row = from_genes(jnp.asarray([2, 0, 1, 1]), CHOICES)
    jax.tree.map(np.testing.assert_array_equal, from_row, p)
    words = to_options(architecture, CHOICES)
    assert words == {"width": (8, 4, 2), "activation": ("sigmoid",)}
    largest = extreme(CHOICES, is_largest=True)
    assert to_options(largest, CHOICES)["width"] == (8, 8, 8)
    assert to_options(extreme(CHOICES, is_largest=False), CHOICES)["width"] == (2, 2, 2)


def spoil(name, values):
    p = one_hot({"width": (2, 0, 1), "activation": (1,)}, CHOICES)
    return p | {name: jnp.asarray(values)}


@pytest.mark.parametrize(
    ("check", "p", "message"),
    [
        (discretise, spoil("activation", [[0.0, np.nan]]), "'activation': not finite"),
        (discretise, spoil("activation", [[np.inf, 0.0]]), "'activation': not finite"),
        (discretise, spoil("activation", [[1.0]]), r"must be \(1, 2\), got \(1, 1\)"),
        (discretise, spoil("depth", [[1.0]]), r"choices must be \['activation'"),
        (check_probabilities, spoil("activation", [[0.5, 0.6]]), "sum to 1"),
        (check_probabilities, spoil("activation", [[1.5, -0.5]]), "be >= 0"),
    ],
)
def test_what_are_no_probabilities_is_refused(check, p, message):
    with pytest.raises(ValueError, match=message):
        check(p, CHOICES)


@pytest.mark.parametrize("index", [(3, 0, 0), (-1, 0, 0), (0, 0), (9,)])
def test_what_is_no_option_is_no_architecture(index):
    with pytest.raises(ValueError, match=r"'width': 3 indices in 0\.\.2 are needed"):
        one_hot({"width": index, "activation": (0,)}, CHOICES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", (3,)), "needs at least two options"),
        (("a", (3, 3)), "options must differ"),
        (("a", (1, 2), "kernel"), "do not nest: all must be odd, or all even"),
        (("a", (1, 3), "kernel", 0), "num_rows must be >= 1"),
        (("a", (0, 1), "depth"), "options of kind depth do not nest"),
        (("a", (-1, 1)), "options of kind size do not nest"),
        (("a", ("x", "y")), "options of kind size do not nest"),
    ],
)
def test_bad_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Choice(*arguments)
