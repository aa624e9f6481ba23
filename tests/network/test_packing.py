"""The graph of a packed network against one built number by number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.network import unpack
from swajax.network.packing import endpoints
from swajax.types import NetworkSpec

SPECS = [
    NetworkSpec(num_inputs=2, num_outputs=2, max_width=3, max_depth=3),
    NetworkSpec(num_inputs=3, num_outputs=1, max_width=2, max_depth=2),
    NetworkSpec(num_inputs=1, num_outputs=1, max_width=1, max_depth=1),
]
CASES = [(spec, depth) for spec in SPECS for depth in range(1, spec.max_depth + 1)]


def name_nodes(spec):
    """Numbers of the nodes in the order of the module's description."""
    names = ["one", *(("input", i) for i in range(spec.num_inputs))]
    for layer in range(spec.max_depth):
        names += [("neuron", layer, j) for j in range(spec.max_width)]
    names += [("output", o) for o in range(spec.num_outputs)]
    return {name: number for number, name in enumerate(names)}


def ends_of(leaf, place, depth):
    """Names of source and target of one number of the record."""
    if leaf == "first":
        return ("input", place[0]), ("neuron", 0, place[1])
    if leaf == "hidden":
        layer, source, target = place
        return ("neuron", layer, source), ("neuron", layer + 1, target)
    if leaf == "readout":
        return ("neuron", depth - 1, place[0]), ("output", place[1])
    if leaf == "bias":
        return "one", ("neuron", *place)
    return "one", ("output", *place)


@pytest.mark.parametrize(("spec", "depth"), CASES)
def test_each_number_starts_and_ends_where_it_should(
    draw_network, maybe_jit, spec, depth
):
    network = draw_network(0, spec=spec, depth=depth)
    source, target = map(np.asarray, maybe_jit(endpoints)(network))
    numbered = jax.device_get(unpack(jnp.arange(1.0 * len(source)), network))
    nodes, num_seen = name_nodes(spec), 0
    for leaf in ("first", "hidden", "readout", "bias", "readout_bias"):
        for place, index in np.ndenumerate(getattr(numbered, leaf)):
            ends = source[int(index)], target[int(index)]
            wanted = tuple(nodes[name] for name in ends_of(leaf, place, depth))
            assert ends == wanted, (leaf, place)
            num_seen += 1
    assert source.shape == target.shape == (num_seen,)


def test_networks_of_mixed_depth_in_one_batch(draw_network):
    networks = [draw_network(d, spec=SPECS[0], depth=d) for d in (1, 2, 3)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    source, target = jax.vmap(endpoints)(batch)
    for index, network in enumerate(networks):
        own = endpoints(network)
        np.testing.assert_array_equal(source[index], own[0])
        np.testing.assert_array_equal(target[index], own[1])
    assert len(np.unique(source, axis=0)) == 3
