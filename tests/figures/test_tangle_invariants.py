"""The table of how exactly spaces keep their invariants."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from figures.tangle import invariants
from figures.tangle.invariants import InvariantsCommand
from swajax.tangle import spaces


@pytest.fixture
def mlp(monkeypatch):
    """The space `mlp`, small; gives a function that spoils it."""
    make_space = spaces.make_space

    def use(**changes):
        def make(name, **options):
            space = make_space(name, widths=(2, 3), depths=(1, 2), **options)
            return dataclasses.replace(space, **changes)

        monkeypatch.setattr(invariants, "make_space", make)
        return make("mlp", num_inputs=invariants.NUM_INPUTS)

    return use


def test_a_space_that_keeps_its_promises(mlp, tmp_path, capsys):
    mlp()
    invariants.main(InvariantsCommand(out=tmp_path, quick=True, num_networks=1))
    table = (tmp_path / "invariants.md").read_text()
    assert table in capsys.readouterr().out
    assert "| mlp |" in table and " | 3 | " in table
    found = invariants.measure_space("mlp", InvariantsCommand(num_networks=0))
    assert found["output_error"] < 1e-5 < found["largest_output"]
    assert found["mask_error"] == 0 and found["least_gradient"] > 0
    assert found["mixture_error"] < 1e-6 and found["change_outside"] == 0


def test_a_space_that_does_not(mlp):
    space = mlp()

    def apply(params, p, x):
        p = {name: jnp.full_like(row, 0.5) for name, row in p.items()}
        return space.apply(params, p, x)

    def masks(p):
        return jax.tree.map(lambda mask: 0.5 * mask, space.masks(p))

    mlp(apply=apply, masks=masks)
    found = invariants.measure_space("mlp", InvariantsCommand(num_networks=0))
    assert found["output_error"] > 1e-3
    assert found["mask_error"] == 0.5 and found["least_gradient"] == 0


def test_masks_that_are_no_probabilities(mlp):
    space = mlp()

    def square(p):
        return jax.tree.map(jnp.square, space.masks(p))

    mlp(masks=square)
    found = invariants.measure_space("mlp", InvariantsCommand(num_networks=0))
    assert found["mask_error"] == 0 and found["mixture_error"] > 0.01
    mlp(masks=lambda p: jax.tree.map(jnp.ones_like, space.masks(p)))
    found = invariants.measure_space("mlp", InvariantsCommand(num_networks=0))
    assert found["mixture_error"] < 1e-6 and found["change_outside"] > 1e-5
