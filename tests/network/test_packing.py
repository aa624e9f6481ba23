"""Round trip of the packed vector, and its graph against an independent one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import make_network

from swajax.network import pack, unpack
from swajax.network.packing import endpoints
from swajax.types import NetworkSpec

SPECS = [
    NetworkSpec(num_inputs=2, num_outputs=2, max_width=3, max_depth=3),
    NetworkSpec(num_inputs=3, num_outputs=1, max_width=2, max_depth=2),
    NetworkSpec(num_inputs=1, num_outputs=1, max_width=1, max_depth=1),
]
CASES = [(spec, depth) for spec in SPECS for depth in range(1, spec.max_depth + 1)]


def number_nodes(spec):
    """Number the nodes in the order of the module docstring."""
    names = ["one", *(("input", i) for i in range(spec.num_inputs))]
    for layer in range(spec.max_depth):
        names += [("neuron", layer, j) for j in range(spec.max_width)]
    names += [("output", o) for o in range(spec.num_outputs)]
    return {name: number for number, name in enumerate(names)}


def ends_of(leaf, place, depth):
    """Return the source and the target of one number of the record."""
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
def test_endpoints_of_each_number(draw_network, maybe_jit, spec, depth):
    network = draw_network(0, spec=spec, depth=depth)
    source, target = map(np.asarray, maybe_jit(endpoints)(network))
    numbered = jax.device_get(unpack(jnp.arange(1.0 * len(source)), network))
    nodes, num_seen = number_nodes(spec), 0
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


def test_unpack_inverts_pack(key, maybe_jit):
    network = make_network(key, depth=2)
    vector = maybe_jit(pack)(network)
    assert vector.shape == (3 * 4 + 2 * 16 + 4 * 2 + 3 * 4 + 2,)
    back = maybe_jit(unpack)(vector, network)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, network))
    doubled = unpack(2 * vector, network)
    np.testing.assert_array_equal(doubled.hidden, 2 * network.hidden)
    np.testing.assert_array_equal(doubled.mask, network.mask)


def test_unpack_refuses_a_vector_of_another_length(key):
    network = make_network(key, depth=2)
    with pytest.raises(ValueError, match=r"vector must have 66 numbers, got \(3,\)"):
        unpack(jnp.zeros(3), network)
