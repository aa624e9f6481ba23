"""What the brain surgeon removes and adds, against arithmetic over all candidates."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import apply, count_neurons, count_weights, pack, simplify, unpack
from swajax.network.packing import endpoints
from swajax.refine import growth, pruning, quadratic
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import RIDGES, Fit, evaluate, expand_loss, find_places
from swajax.types import Network, NetworkSpec

KINDS = ("tanh", "linear")
SPEC = NetworkSpec(num_inputs=2, max_width=4, max_depth=2, activations=KINDS)
FIT = Fit(activations=KINDS, weight_decay=0.0)
NUM, PLACES = 30, 32
static = {"static_argnames": ("fit", "num_places")}
remove = functools.partial(
    jax.jit(pruning.remove, **static), fit=FIT, num_places=PLACES
)
fit_steps = functools.partial(
    jax.jit(polish, **static), fit=FIT, num_places=PLACES, num_steps=60
)
grow = functools.partial(jax.jit(growth.grow, static_argnames="fit"), fit=FIT)
tidy = jax.jit(functools.partial(simplify, activations=KINDS))
score = jax.jit(lambda *args: evaluate(*args, fit=FIT)[0])


def make_problem(x=None, y=None):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, NUM)) if x is None else x
    y = np.sin(3 * x[:1] + x[1:]) + 0.3 * x[1:] if y is None else y
    return Problem(jnp.asarray(x), jnp.asarray(y), jnp.full(NUM, 1 / NUM))


def one_layer(neurons, readout_bias=0.0):
    """Neurons as (weight of x0, weight of x1, bias, readout), all tanh."""
    columns = np.zeros((4, 4))
    columns[:, : len(neurons)] = np.transpose(neurons)
    there = np.arange(4) < len(neurons)
    double = functools.partial(jnp.asarray, dtype=float)
    return Network(
        first=double(columns[:2]),
        hidden=jnp.zeros((1, 4, 4)),
        readout=double(columns[3][:, None]),
        bias=double([columns[2], np.zeros(4)]),
        readout_bias=double([readout_bias]),
        mask=double([there, np.zeros(4)]),
        activation=jnp.zeros((2, 4, 2)).at[..., 0].set(1.0),
        depth=jnp.asarray(1, jnp.int32),
    )


def outputs(network, problem):
    return apply(network, problem.x.T, activations=KINDS).T


@pytest.fixture
def networks(x64, draw_network):
    """Networks of both depths, tidy and with few weights; not all are polished."""
    found = []
    for seed, depth in itertools.product(range(10), (1, 2)):
        network = tidy(draw_network(seed, spec=SPEC, depth=depth, density=0.8))
        num_weights = int(count_weights(network))
        if 4 <= num_weights <= PLACES:
            found.append(fit_steps(network, make_problem(), num_steps=seed)[0])
    assert len(found) > 8 and {int(n.depth) for n in found} == {1, 2}
    return found


def test_a_useless_weight_is_removed_first_however_large(x64):
    # x1 is 0 at all points, so that its weight of 7 does nothing.
    x = np.stack([np.linspace(-1, 1, NUM), np.zeros(NUM)])
    problem = make_problem(x, 1.5 * np.tanh(2 * x[:1] + 0.5) + 0.3)
    network = one_layer([(2.0, 7.0, 0.5, 1.5)], readout_bias=0.3)
    left = remove(network, problem)
    assert left.first[1, 0] == 0 and count_weights(left) == 4
    np.testing.assert_allclose(outputs(left, problem), problem.y, atol=1e-4)


def test_what_remains_takes_over_the_part_of_what_is_removed(x64):
    # x1 is 1 at all points: its weight and the bias do the same.
    x = np.stack([np.linspace(-1, 1, NUM), np.ones(NUM)])
    problem = make_problem(x, 1.5 * np.tanh(2 * x[:1] + 0.9) + 0.3)
    network = one_layer([(2.0, 0.5, 0.4, 1.5)], readout_bias=0.3)
    left = remove(network, problem)
    assert count_weights(left) == 4 and (left.first[1, 0] == 0) != (
        left.bias[0, 0] == 0
    )
    np.testing.assert_allclose(left.first[1, 0] + left.bias[0, 0], 0.9, rtol=1e-3)
    plain = unpack(pack(network) * (pack(left) != 0), network)
    assert score(left, problem) < 1e-6 < 1e-2 < score(plain, problem)


def test_correction_beats_plain_deletion(networks):
    problem, rises = make_problem(), []
    for network in networks:
        network, before = fit_steps(network, problem)
        left = remove(network, problem)
        plain = unpack(pack(network) * (pack(left) != 0), network)
        rises.append([score(other, problem) - before for other in (left, plain)])
    own, plain = np.transpose(rises)
    assert np.mean(own < plain) > 0.7 and own.sum() < 0.3 * plain.sum()


@jax.jit
def candidates(network):
    """Structures after removal of each number and of each neuron, dead parts too."""
    vector, (source, target) = pack(network), endpoints(network)
    nodes = 1 + SPEC.num_inputs + jnp.arange(SPEC.max_width * SPEC.max_depth)[:, None]
    of_node = (source[None] == nodes) | (target[None] == nodes)
    goes = jnp.concatenate([jnp.eye(len(vector), dtype=bool), of_node])
    smaller = jnp.where(goes, 0.0, vector[None])
    return jax.vmap(lambda own: pack(tidy(unpack(own, network))) != 0)(smaller)


def test_one_weight_or_neuron_fewer_and_no_dead_parts(networks):
    problem = make_problem()
    for network in networks:
        left = remove(network, problem)
        assert 0 < count_weights(left) < count_weights(network)
        np.testing.assert_array_equal(pack(tidy(left)), pack(left))
        structure = np.asarray(pack(left) != 0)
        assert (np.asarray(candidates(network)) == structure).all(axis=1).any()
        np.testing.assert_array_equal(left.activation, network.activation)


def surgeon(network, problem, ridge):
    """In NumPy: weights that go, and all weights afterwards."""
    vector = np.array(pack(network))
    places, is_open = find_places(network, PLACES)
    form = expand_loss(network, places, is_open, problem, fit=FIT)
    num = int(is_open.sum())
    places, curvature = np.asarray(places)[:num], np.array(form.curvature)[:num, :num]
    inverse = np.linalg.inv(curvature + ridge * np.diag(curvature).max() * np.eye(num))
    source, target = (np.asarray(nodes)[places] for nodes in endpoints(network))
    groups = [np.array([index]) for index in range(num)]
    for node in 1 + SPEC.num_inputs + np.arange(SPEC.max_width * SPEC.max_depth):
        own = np.flatnonzero((source == node) | (target == node))
        if 0 < len(own) <= pruning.MAX_GROUP:
            groups.append(own)
    weights = vector[places]
    forces = [np.linalg.solve(inverse[np.ix_(g, g)], weights[g]) for g in groups]
    costs = [weights[g] @ f / len(g) for g, f in zip(groups, forces, strict=True)]
    best = int(np.argmin(costs))
    weights = weights - inverse[:, groups[best]] @ forces[best]
    weights[groups[best]] = 0.0
    vector[places] = weights
    return len(groups[best]), unpack(jnp.asarray(vector), network)


def make_faint():
    """A steep neuron that does little, though each of its weights has a part in it."""
    network = one_layer([(2.0, 0.0, 0.3, 1.0), (0.0, 5.62, 5.91, 0.0142)])
    problem = make_problem()
    return network, problem._replace(y=outputs(network, problem))


def test_removed_is_what_costs_least_a_weight(networks):
    problem = make_problem()
    for network in networks:
        options = [surgeon(network, problem, ridge) for ridge in RIDGES]
        best = np.argmin([score(other, problem) for _, other in options])
        left = remove(network, problem)
        wanted = pack(tidy(options[best][1]))
        np.testing.assert_allclose(pack(left), wanted, rtol=1e-5, atol=1e-7)


def test_a_neuron_goes_as_a_whole_where_that_is_cheaper_a_weight(x64, monkeypatch):
    # One ridge only: of several proposals the best may be that of a single weight.
    monkeypatch.setattr(quadratic, "RIDGES", RIDGES[:1])
    network, problem = make_faint()
    num_removed, wanted = surgeon(network, problem, RIDGES[0])
    assert num_removed == 3
    fn = functools.partial(pruning.remove, fit=FIT, num_places=PLACES)
    left = jax.jit(lambda *args: fn(*args))(network, problem)
    np.testing.assert_allclose(pack(left), pack(tidy(wanted)), rtol=1e-5, atol=1e-7)
    assert count_neurons(left) == 1 and count_weights(left) == 3


def test_duplicate_neurons_become_one(x64):
    problem = make_problem(y=2 * np.tanh(make_problem().x[:1] + 0.4))
    network = one_layer([(1.0, 0.0, 0.4, 0.7), (1.0, 0.0, 0.4, 1.3)])
    while count_weights(network) > 3:
        network, loss = fit_steps(remove(network, problem), problem)
    assert count_neurons(network) == 1 and count_weights(network) == 3
    assert loss < 1e-6


def test_all_at_once_are_one_by_one(networks):
    problem = make_problem()
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks[:4])
    fn = functools.partial(pruning.remove, fit=FIT, num_places=PLACES)
    together = jax.jit(jax.vmap(fn, in_axes=(0, None)))(batch, problem)
    for index, network in enumerate(networks[:4]):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], together)
        alone = pack(remove(network, problem))
        np.testing.assert_allclose(pack(own), alone, rtol=1e-6, atol=1e-9)


def is_possible(network):
    """Numbers between parts that are there, by the record."""
    depth = int(network.depth)
    there = np.asarray(network.mask) > 0
    hidden = there[:-1, :, None] & there[1:, None, :]
    hidden[depth - 1 :] = False
    parts = (
        np.broadcast_to(there[0], network.first.shape),
        hidden,
        np.broadcast_to(there[depth - 1][:, None], network.readout.shape),
        there,
        np.ones(1, bool),
    )
    return np.concatenate([part.ravel() for part in parts])


def test_the_weight_that_gains_most_is_added(networks):
    problem, num_better = make_problem(), 0
    for network in networks:
        larger = grow(network, problem)
        before, after = np.asarray(pack(network)), np.asarray(pack(larger))
        (place,) = np.flatnonzero(before != after)
        assert before[place] == 0
        gradient, curvature = derivatives(pack(network), network, problem)
        is_free = (before == 0) & is_possible(network)
        gains = np.where(is_free, gradient**2 / curvature, -1.0)
        assert place == np.argmax(gains)
        np.testing.assert_allclose(
            after[place], -gradient[place] / curvature[place], rtol=1e-6
        )
        num_better += score(larger, problem) < score(network, problem)
        assert count_weights(larger) == count_weights(network) + 1
    assert num_better > 0.8 * len(networks)


@jax.jit
def derivatives(vector, network, problem):
    """Gradient and Gauss-Newton diagonal, with the ridge, of the squared error."""

    def out(vector):
        return outputs(unpack(vector, network), problem)[0]

    jacobian, residual = jax.jacobian(out)(vector), out(vector) - problem.y[0]
    curvature = 2 * problem.weight @ jacobian**2
    gradient = 2 * (residual * problem.weight) @ jacobian
    return gradient, curvature + RIDGES[0] * curvature.max() + 1e-14


def test_a_barred_weight_is_not_added(networks):
    problem = make_problem()
    for network in networks:
        vector = np.asarray(pack(network))
        first = np.flatnonzero(pack(grow(network, problem)) != vector)
        is_barred = jnp.zeros(len(vector), bool).at[first].set(True)
        second = np.flatnonzero(
            pack(grow(network, problem, is_barred=is_barred)) != vector
        )
        num_free = np.count_nonzero(is_possible(network) & (vector == 0))
        assert len(second) == (num_free > 1) and set(second).isdisjoint(first)


@pytest.fixture
def variants(networks):
    """Some networks, their variants and which kind each is."""
    problem, num = make_problem(), 150
    fn = functools.partial(growth.perturb, fit=FIT)
    fn = jax.jit(jax.vmap(fn, in_axes=(0, None, None)))
    found = []
    roomy = [
        n for n in networks if np.count_nonzero(is_possible(n)) - 1 > count_weights(n)
    ]
    for index, network in enumerate(roomy[:4]):
        varied = fn(jax.random.split(jax.random.key(index), num), network, problem)
        varied = jax.device_get(varied)
        changed = (varied.activation != np.asarray(network.activation)).any(-1)
        flips = changed.sum((1, 2))
        vectors = np.asarray(jax.vmap(pack)(varied))
        moved = ((vectors != 0) != (np.asarray(pack(network)) != 0)).sum(1)
        kinds = np.select([flips > 0, moved > 0], ["activation", "weight"], "values")
        assert set(flips) == {0, 1} and set(moved) == {0, 2}
        found.append((network, vectors, kinds, varied))
    return found


def test_a_third_of_the_variants_is_of_each_kind(variants):
    kinds = np.concatenate([kinds for _, _, kinds, _ in variants])
    for kind in ("activation", "weight", "values"):
        assert abs((kinds == kind).mean() - 1 / 3) < 0.08, kind


def test_a_variant_has_another_activation_at_a_neuron_that_is_there(variants):
    for network, _, kinds, varied in variants:
        own = varied.activation[kinds == "activation"]
        changed = (own != np.asarray(network.activation)).any(-1)
        there = np.asarray(network.mask) > 0
        there[int(network.depth) :] = False
        # Every neuron has its turn, and the mixture stays one-hot.
        np.testing.assert_array_equal(changed.any(0), there)
        assert (own.sum(-1) == 1).all() and set(own.ravel()) == {0, 1}


def test_a_variant_has_another_weight_in_the_place_of_one(variants):
    for network, vectors, kinds, _ in variants:
        before = np.asarray(pack(network)) != 0
        after = vectors[kinds == "weight"] != 0
        gone, new = before & ~after, after & ~before
        assert (gone.sum(1) == 1).all() and (new.sum(1) == 1).all()
        assert (gone.any(0) == before).mean() > 0.8  # nearly all have had their turn
        assert not (new.any(0) & ~is_possible(network)).any()


def test_values_of_a_variant_are_near_or_far(variants):
    for network, vectors, kinds, _ in variants:
        before = np.asarray(pack(network))
        factor = vectors[:, before != 0] / before[before != 0]
        own = factor[kinds == "values"] - 1
        np.testing.assert_allclose(own.std(), growth.LARGE_NOISE, rtol=0.25)
        own = factor[kinds == "activation"] - 1
        np.testing.assert_allclose(own.std(), growth.SMALL_NOISE, rtol=0.25)


def test_on_a_quadratic_problem_the_new_weight_is_the_best_one(x64):
    network = one_layer([(1.0, 0.0, 0.0, 1.0)])
    network = network._replace(activation=jnp.zeros((2, 4, 2)).at[..., 1].set(1.0))
    problem = make_problem(y=make_problem().x[:1] + 0.5 * make_problem().x[1:] + 0.01)
    larger = grow(network, problem)
    assert larger.first[1, 0] != 0 and count_weights(larger) == 3
    x, rest = np.asarray(problem.x[1]), np.asarray(problem.y - problem.x[:1])[0]
    np.testing.assert_allclose(larger.first[1, 0], rest @ x / (x @ x), rtol=1e-4)
    np.testing.assert_allclose(
        score(larger, problem),
        np.mean((rest - x * (rest @ x) / (x @ x)) ** 2),
        rtol=1e-6,
    )


def test_a_network_with_all_its_weights_stays(x64):
    network = one_layer([(1.0, 2.0, 0.3, 1.0), (0.5, -1.0, 0.1, -2.0)], 0.2)
    np.testing.assert_array_equal(pack(grow(network, make_problem())), pack(network))


def test_single_precision_stays_single(x64):
    def single(leaf):
        return leaf.astype(jnp.float32) if leaf.dtype == jnp.float64 else leaf

    args = one_layer([(1.0, 2.0, 0.3, 1.0), (0.5, -1.0, 0.0, -2.0)]), make_problem()
    args = jax.tree.map(single, args)
    left = jax.eval_shape(
        functools.partial(pruning.remove, fit=FIT, num_places=PLACES), *args
    )
    more = jax.eval_shape(functools.partial(growth.grow, fit=FIT), *args)
    key = jax.random.key(0)
    other = jax.eval_shape(functools.partial(growth.perturb, fit=FIT), key, *args)
    for network in (left, more, other):
        assert {leaf.dtype for leaf in network[:-1]} == {np.dtype("float32")}
