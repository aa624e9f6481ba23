"""Weight sharing as a search space."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import SMALL, draw_probabilities, make_case

from figures.tangle import cellnets, entangling, layers, methods, sharing
from figures.tangle.methods import Settings
from figures.tangle.sharing import share_weights
from swajax.tangle import experiment
from swajax.tangle.data.examples import Rows, Split
from swajax.tangle.experiment import SupernetTask
from swajax.tangle.spaces.digits_cell import DigitsCellConfig
from swajax.tangle.spaces.digits_macro import DigitsMacroConfig

CONFIG = DigitsMacroConfig(**SMALL["digits-macro"])
CELL_CONFIG = DigitsCellConfig(**SMALL["digits-cell"])


def slice_for_all(params):
    """For every option its slice of the entangled weights."""
    widths = (CONFIG.image_channels, *map(max, CONFIG.channels))
    shared = []
    for place, weights in enumerate(zip(*params.trunk, strict=True)):
        outs, sizes = CONFIG.channels[place], CONFIG.kernels[place]
        layer = layers.make_conv(widths[place], outs, sizes)
        options = itertools.product(*map(range, layer.num_options))
        shared.append(tuple(layer.take(weights, option) for option in options))
    return shared, (params.readout, params.readout_bias)


def test_options_that_are_equal_slices_are_the_superposition():
    space, params, x = make_case("digits-macro")
    sharing, p = share_weights(space, CONFIG), draw_probabilities(space)
    found = jax.jit(sharing.apply)(slice_for_all(params), p, x)
    wanted = jax.jit(space.apply)(params, p, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_options_have_weights_of_their_own():
    space, *_ = make_case("digits-macro")
    sharing = share_weights(space, CONFIG)
    assert sharing.choices == space.choices
    convolutions, _ = sharing.init(jax.random.key(0))
    sizes = [
        len(outs) * len(kernels)
        for outs, kernels in zip(CONFIG.channels, CONFIG.kernels, strict=True)
    ]
    assert [len(options) for options in convolutions] == sizes
    (narrow, _), (wide, _), *_ = convolutions[1]  # of one kernel size
    assert narrow.shape[-1] < wide.shape[-1]
    assert not np.isclose(wide[..., : narrow.shape[-1]], narrow).any()


def slice_edges(params):
    """For every operation of an edge its slice of the entangled weights."""

    def slice_cell(cell):
        names = CELL_CONFIG.operations
        edges = [
            tuple(cellnets.take_edge(edge, names, n) for n in range(len(names)))
            for edge in cell.edges
        ]
        return cell._replace(edges=tuple(edges))

    return params._replace(cells=tuple(map(slice_cell, params.cells)))


def test_operations_that_are_equal_slices_are_the_entangled_ones():
    space, params, x = make_case("digits-cell")
    p = draw_probabilities(space)
    own = share_weights(space, CELL_CONFIG)
    found = jax.jit(own.apply)(slice_edges(params), p, x)
    wanted = jax.jit(entangling.mix_outputs(space, CELL_CONFIG).apply)(params, p, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_operations_of_an_edge_have_weights_of_their_own():
    space, *_ = make_case("digits-cell")
    own = share_weights(space, CELL_CONFIG)
    params = own.init(jax.random.key(0))
    assert {len(edge) for cell in params.cells for edge in cell.edges} == {3}
    small, large = (jax.tree.leaves(op)[0] for op in params.cells[0].edges[0][:2])
    assert small.shape[0] == 3 and large.shape[0] == 5
    assert not np.isclose(large[1:4, 1:4], small).any()
    p = draw_probabilities(space)
    masks, shapes = own.masks(p), jax.tree.map(jnp.shape, params)
    assert jax.tree.map(jnp.shape, masks) == shapes
    assert all((mask == 1).all() for mask in jax.tree.leaves(masks))


@pytest.mark.parametrize("name", sharing.CONFIGS)
def test_a_search_with_weights_of_their_own_runs_to_its_end(monkeypatch, name):
    config = {"digits-macro": CONFIG, "digits-cell": CELL_CONFIG}[name]
    space, _, x = make_case(name)
    y = jnp.eye(config.num_classes)[jnp.arange(len(x)) % config.num_classes]
    rows = Rows(np.asarray(x), np.asarray(y))
    split = Split(weights=rows, architecture=rows, test=rows)
    monkeypatch.setitem(sharing.CONFIGS, name, lambda: config)
    searched, search = [], experiment.search

    def note(key, task, **how):
        for last in search(key, task, **how):
            searched.append(jax.tree.structure(last.state.params))
            yield last

    monkeypatch.setattr(experiment, "search", note)
    found = methods.find_network(
        jax.random.key(0),
        "drnas-sharing",
        methods.METHODS["drnas-sharing"],
        SupernetTask(space, split, "softmax"),
        Settings(passes=4, batch_size=2),
    )
    assert found.num_passes == 4 and found.params is None
    own = jax.tree.structure(share_weights(space, config).init(jax.random.key(0)))
    assert set(searched) == {own}
    assert set(found.architecture) == {choice.name for choice in space.choices}
