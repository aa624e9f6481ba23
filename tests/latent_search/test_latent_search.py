import dataclasses
import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from swajax import autoencoder, latent_search, network
from swajax.latent_search import Data, DescentConfig, Point, Space
from swajax.latent_search.candidates import over_depths
from swajax.network.gates import binarize
from swajax.types import Network, NetworkSpec

SPEC = NetworkSpec(num_inputs=3, max_width=4, max_depth=2)
SIZE = 6
CONFIG = DescentConfig(
    num_steps=6,
    num_starts=3,
    num_screened=1,
    sparsity_weights=(1e-3, 1e-2),
    chunk_steps=3,
)


def decode(params, z, depth):
    """A linear decoder, biases included."""
    own = params[depth - 1]
    zeros = jax.tree.map(jnp.zeros_like, _template(z.dtype))
    filled = network.unpack(z @ own["weights"], zeros)
    mask = binarize(jax.nn.sigmoid(z @ own["mask"] + 1.0)).reshape(2, 4)
    activation = network.uniform_activation(SPEC, z.dtype)
    depth = jnp.asarray(depth, jnp.int32)
    # Absent neurons and unused layers keep weights, which nothing may count.
    return filled._replace(mask=mask, activation=activation, depth=depth)


def _template(dtype=jnp.float32):
    return Network(
        first=jnp.zeros((3, 4), dtype),
        hidden=jnp.zeros((1, 4, 4), dtype),
        readout=jnp.zeros((4, 1), dtype),
        bias=jnp.zeros((2, 4), dtype),
        readout_bias=jnp.zeros(1, dtype),
        mask=jnp.ones((2, 4), dtype),
        activation=jnp.ones((2, 4, 1), dtype),
        depth=jnp.asarray(2, jnp.int32),
    )


SPACE = Space(decode, SPEC)
STATIC = {"space": SPACE, "config": CONFIG}


@pytest.fixture
def params(key):
    num = network.pack(_template()).size
    return [
        {
            "weights": 2
            * jax.random.normal(jax.random.fold_in(key, depth), (SIZE, num)),
            "mask": jax.random.normal(jax.random.fold_in(key, 9 + depth), (SIZE, 8)),
        }
        for depth in range(2)
    ]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (30, 3)).astype(np.float32)
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:]
    return Data(*map(jnp.asarray, (x[:20], y[:20], x[20:], y[20:])))


@pytest.fixture
def starts(key):
    return jax.random.normal(jax.random.fold_in(key, 5), (3, SIZE))


def leaves_of(*trees):
    return zip(*map(jax.tree.leaves, trees), strict=True)


@functools.cache
def jitted(fn, **static):
    return jax.jit(functools.partial(fn, **(STATIC | static)))


@pytest.mark.parametrize("depth", [1, 2])
def test_batched_loss_equals_that_of_each_candidate(params, data, starts, depth):
    points = Point(starts, jnp.asarray([0.0, 0.3, 2.0]))
    weight = jnp.asarray([1e-3, 1e-2, 0.1])
    args = (points, weight, params, data.x, data.y)
    together = jitted(latent_search.loss_fn, depth=depth)(*args)
    one_fn = jitted(latent_search.candidate_loss, depth=depth)
    for index in range(3):
        point = jax.tree.map(operator.itemgetter(index), points)
        one = one_fn(point, weight[index], params, data.x, data.y)
        np.testing.assert_allclose(together[index], one, rtol=1e-5)


def test_candidate_loss_against_numpy(params, data, starts):
    params[0]["mask"] = jnp.zeros((SIZE, 8))
    point = Point(starts[0], jnp.asarray(0.5))
    static = STATIC | {"depth": 1}
    loss = latent_search.candidate_loss(
        point, jnp.asarray(0.01), params, data.x, data.y, **static
    )
    sigmoid = lambda value: 1 / (1 + np.exp(-np.float64(value)))  # noqa: E731
    net = jax.tree.map(np.float64, decode(params, starts[0], 1))
    soft = [w * sigmoid(100 * (abs(w) - 0.5)) for w in net[:5]]
    first, _, readout, bias, readout_bias = soft
    x, y = np.asarray(data.x), np.asarray(data.y)
    out = sigmoid(x @ first + bias[0]) @ readout + readout_bias
    used = (net.first, net.readout, net.bias[0], net.readout_bias)
    size = np.concatenate([abs(w).ravel() for w in used])
    cost = (0.5 * sigmoid(10 * (size - 0.5)) + 0.1 * size).sum()
    expected = np.mean((out - y) ** 2) + 0.01 * cost
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_gradient_against_finite_differences():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        num = network.pack(_template()).size
        weights = jnp.asarray(rng.normal(size=(SIZE, num)))
        # Constant masks: their declared gradient is not that of the forward rule.
        own = {"weights": weights, "mask": jnp.zeros((SIZE, 8))}
        x, y = (
            jnp.asarray(rng.normal(size=(5, 3))),
            jnp.asarray(rng.normal(size=(5, 1))),
        )
        config = dataclasses.replace(CONFIG, gate_sharpness=5.0)

        def loss(z, threshold):
            point, weight = Point(z, threshold), jnp.asarray(0.01)
            static = {"space": SPACE, "config": config, "depth": 2}
            args = (point, weight, [own, own], x, y)
            return latent_search.candidate_loss(*args, **static)

        args = (jnp.asarray(rng.normal(size=SIZE)), jnp.asarray(0.4))
        check_grads(jax.jit(loss), args, order=1, modes=["rev"], rtol=1e-5)


def test_penalty_has_nothing_for_absent_neurons_and_a_gradient_by_masks():
    net = _template()._replace(
        first=jnp.ones((3, 4)), readout=jnp.ones((4, 1)), depth=jnp.asarray(1)
    )

    def cost(mask):
        own = net._replace(mask=mask)
        return latent_search.penalty(own, jnp.asarray(0.0), config=CONFIG)

    one_off = jnp.ones((2, 4)).at[0, 1].set(0.0)
    weight = 0.5 / (1 + np.exp(-10)) + 0.1
    np.testing.assert_allclose(cost(one_off), 3 * 4 * weight, rtol=1e-5)
    gradient = jax.grad(cost)(one_off)
    # A neuron that is there is worth its three weights in and its one weight out.
    slope = 0.5 * 10 * np.exp(-10)
    np.testing.assert_allclose(gradient[0, 0], 4 * (weight + slope), rtol=1e-3)
    np.testing.assert_array_equal(gradient[0, 1], 0.0)


def test_a_step_that_is_not_finite_is_not_taken(params, data, starts):
    state = jitted(latent_search.init)(starts, params, data)
    state = jitted(latent_search.step)(state, params, data)
    is_first = jnp.arange(3) == 0
    bad = jnp.where(is_first[None, None, :, None], jnp.nan, state.gradient.z)
    poisoned = state._replace(gradient=state.gradient._replace(z=bad))
    after = jitted(latent_search.step)(poisoned, params, data)
    normal = jitted(latent_search.step)(state, params, data)
    np.testing.assert_array_equal(after.point.z[:, :, 0], state.point.z[:, :, 0])
    np.testing.assert_array_equal(after.best_loss[:, :, 0], state.best_loss[:, :, 0])
    np.testing.assert_array_equal(after.point.z[:, :, 1:], normal.point.z[:, :, 1:])


def test_the_state_keeps_its_structure_and_dtypes(params, data, starts):
    state = jax.eval_shape(jitted(latent_search.init), starts, params, data)
    for fn in (latent_search.step, latent_search.validate, latent_search.chunk):
        after = jax.eval_shape(jitted(fn), state, params, data)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
            assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, False)


def test_result_is_the_best_hard_network_and_its_numbers(params, data, starts):
    result, state = latent_search.run(starts, params, data, **STATIC)
    np.testing.assert_array_equal(result.objective, state.picked_objective.min(-1))
    kinds = {"activations": SPEC.activations}
    for d, s in np.ndindex(2, 2):
        net = jax.tree.map(lambda leaf: leaf[d, s], result.network)  # noqa: B023
        numbers = network.pack(net)
        kept = np.abs(numbers[numbers != 0])
        assert (kept >= result.point.threshold[d, s]).all()
        train = network.apply(net, data.x, **kinds) - data.y
        valid = network.apply(net, data.x_valid, **kinds) - data.y_valid
        np.testing.assert_allclose(result.train_mse[d, s], (train**2).mean(), rtol=1e-4)
        np.testing.assert_allclose(result.valid_mse[d, s], (valid**2).mean(), rtol=1e-4)
        cost = 0.5 * kept.size + 0.1 * kept.sum()
        objective = (valid**2).mean() + state.penalty_weight[d, s, 0] * cost
        np.testing.assert_allclose(result.objective[d, s], objective, rtol=1e-4)
        live = network.simplify(net, **kinds)
        assert result.num_weights_raw[d, s] == kept.size
        assert result.num_weights[d, s] == network.count_weights(live)
        assert result.num_neurons[d, s] == network.count_neurons(live)


def test_uniform_starts_are_those_of_the_paper(key):
    config = dataclasses.replace(CONFIG, starts="uniform", num_starts=50)
    model = autoencoder.AutoencoderConfig()
    starts = latent_search.make_starts(
        key, None, config=config, autoencoder_config=model
    )
    assert starts.shape == (50, 128)
    assert starts.min() >= 0 and starts.max() < 1
    assert abs(starts.mean() - 0.5) < 0.02
    fewer = dataclasses.replace(config, num_starts=2)
    first = latent_search.make_starts(key, None, config=fewer, autoencoder_config=model)
    np.testing.assert_array_equal(first, starts[:2])


def test_nothing_finite_is_an_error(params, data, starts):
    with pytest.raises(ValueError, match="no candidate has a finite error"):
        latent_search.run(jnp.full_like(starts, jnp.nan), params, data, **STATIC)


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_steps", 0), ("block_size", 0), ("sparsity_weights", (-1.0,))],
)
def test_bad_configuration_names_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        DescentConfig(**{field: value})


def test_best_never_rises_and_counts_every_point_and_the_last(params, data, starts):
    state = jitted(latent_search.init)(starts, params, data)
    losses, bests = [state.loss], [state.best_loss]
    for _ in range(CONFIG.num_steps):
        state = jitted(latent_search.step)(state, params, data)
        losses.append(state.loss)
        bests.append(state.best_loss)
    np.testing.assert_array_equal(bests, np.minimum.accumulate(losses))
    assert np.isfinite(losses[1]).all(), "the first step evaluates the starts"
    is_last_best = np.argmin(losses, axis=0) == CONFIG.num_steps
    assert is_last_best.any(), "no candidate where the last step could be missed"
    for depth in (1, 2):
        best = jax.tree.map(lambda leaf: leaf[depth - 1, 1], state.best)  # noqa: B023
        args = (best, state.penalty_weight[depth - 1, 1], params, data.x, data.y)
        again = jitted(latent_search.loss_fn, depth=depth)(*args)
        np.testing.assert_allclose(again, state.best_loss[depth - 1, 1], rtol=1e-5)
    _, end = latent_search.run(starts, params, data, **STATIC)
    np.testing.assert_allclose(end.best_loss, state.best_loss, rtol=1e-4)
    np.testing.assert_allclose(end.point.z, state.point.z, rtol=1e-3, atol=1e-5)


def test_a_start_alone_in_blocks_of_one_equals_it_among_others(params, data, starts):
    _, together = latent_search.run(starts, params, data, time_budget=1e-9, **STATIC)
    config = dataclasses.replace(CONFIG, block_size=1)
    state = jitted(latent_search.init, config=config)(starts[1:2], params, data)
    alone = jitted(latent_search.chunk, config=config)(state, params, data)
    for a, b in leaves_of(together, alone):
        np.testing.assert_allclose(a[:, :, 1:2], b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("max_block", [1, 4, 6, 100])
def test_blocks_hold_at_most_so_many_and_change_nothing(max_block):
    args = (jnp.arange(24.0).reshape(2, 2, 3, 2), jnp.arange(12.0).reshape(2, 2, 3))

    def fn(a, b, *, depth):
        assert b.shape[0] <= max_block
        return {"sum": depth * (a.sum(axis=1) + b), "same": a}

    out = over_depths(fn, args, num_depths=2, max_block=max_block)
    np.testing.assert_array_equal(out["same"], args[0])
    depth = np.array([1, 2])[:, None, None]
    np.testing.assert_array_equal(out["sum"], depth * (args[0].sum(-1) + args[1]))


def test_a_start_that_is_not_finite_harms_no_other(params, data, starts):
    _, clean = latent_search.run(starts, params, data, **STATIC)
    _, broken = latent_search.run(starts.at[0].set(jnp.nan), params, data, **STATIC)
    for a, b in leaves_of(clean, broken):
        np.testing.assert_array_equal(a[:, :, 1:], b[:, :, 1:])
    assert np.isinf(broken.best_loss[:, :, 0]).all()


def test_run_repeats_itself(params, data, starts):
    once = latent_search.run(starts, params, data, **STATIC)
    again = latent_search.run(starts, params, data, **STATIC)
    for a, b in leaves_of(once, again):
        np.testing.assert_array_equal(a, b)


def test_run_compiles_once_reports_each_chunk_and_learns(params, data, starts):
    num_traces, reports = 0, []

    def counting_decode(params, z, depth):
        nonlocal num_traces
        num_traces += 1
        return decode(params, z, depth)

    def callback(progress):
        reports.append((num_traces, progress))

    config = dataclasses.replace(CONFIG, num_steps=250, chunk_steps=100)
    static = {"space": Space(counting_decode, SPEC), "config": config}
    result, state = latent_search.run(starts, params, data, callback=callback, **static)
    assert [progress.step for _, progress in reports] == [100, 200, 300]
    assert len({traces for traces, _ in reports}) == 1
    after_one_run = num_traces
    latent_search.run(starts + 1, params, data, **static)
    assert num_traces == after_one_run
    start = jitted(latent_search.init)(starts, params, data)
    first = jitted(latent_search.step)(start, params, data).loss
    assert (state.best_loss < first).all()
    assert state.best_loss.mean() < 0.2 * first.mean()
    # More weight on the penalty: no more weights.
    assert (result.num_weights_raw[:, 1] <= result.num_weights_raw[:, 0]).all()


def test_ctrl_c_and_time_budget_return_the_best_so_far(params, data, starts):
    reports = []

    def interrupt(progress):
        reports.append(progress)
        raise KeyboardInterrupt

    stopped, _ = latent_search.run(starts, params, data, callback=interrupt, **STATIC)
    late, state = latent_search.run(starts, params, data, time_budget=1e-9, **STATIC)
    assert [progress.step for progress in reports] == [CONFIG.chunk_steps]
    np.testing.assert_array_equal(reports[0].objective, stopped.objective)
    np.testing.assert_array_equal(reports[0].best_loss, state.best_loss.min(-1))
    np.testing.assert_array_equal(stopped.objective, late.objective)


def test_screening_keeps_the_best_start_of_each_decoder(params, data, starts):
    config = dataclasses.replace(CONFIG, num_screened=3, penalty_scale="first_mse")
    starts = jnp.concatenate([starts, jnp.full((1, SIZE), jnp.nan), starts[:2] / 9])
    state = jitted(latent_search.init, config=config)(starts, params, data)
    assert state.point.z.shape == (2, 2, 2, SIZE)
    zeros = jnp.zeros(6)
    args = (Point(starts, zeros), zeros, params, data.x, data.y)
    for depth in (1, 2):
        errors = jitted(latent_search.loss_fn, depth=depth)(*args).reshape(2, 3)
        kept = np.nanargmin(errors, axis=1) + np.array([0, 3])
        for s, weight in enumerate(CONFIG.sparsity_weights):
            found = state.point.z[depth - 1, s], state.penalty_weight[depth - 1, s]
            np.testing.assert_array_equal(found[0], starts[kept])
            expected = weight * np.nanmin(errors, axis=1)
            np.testing.assert_allclose(found[1], expected, rtol=1e-5)


def test_in_another_program_over_three_data_sets(params, data, starts):
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, leaf + 1]), data)

    @jax.jit
    @jax.vmap
    def search(data):
        def body(state, _):
            return latent_search.chunk(state, params, data, **STATIC), None

        state = latent_search.init(starts, params, data, **STATIC)
        state, _ = jax.lax.scan(body, state, length=2)
        return latent_search.collect(state, params, data, **STATIC)

    together = search(many)
    one, _ = latent_search.run(starts, params, data, **STATIC)
    for a, b in leaves_of(together, one):
        assert a.shape == (3, *b.shape)
        np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-5)


def test_with_the_compact_autoencoder(key, data):
    model = autoencoder.AutoencoderConfig(preset="compact", num_probes=8)
    space = latent_search.make_space(model)
    assert space is latent_search.make_space(dataclasses.replace(model))
    params = jax.jit(functools.partial(autoencoder.init, config=model))(key)

    make_starts = functools.partial(
        latent_search.make_starts, config=CONFIG, autoencoder_config=model
    )
    starts = jax.jit(make_starts)(key, params)
    assert np.isfinite(starts).all()

    def search(starts):
        static = {"space": space, "config": CONFIG}
        state = latent_search.init(starts, params, data, **static)
        return latent_search.step(state, params, data, **static)

    # Shapes only: the command's tests compile and run it.
    state = jax.eval_shape(search, starts)
    assert state.point.z.shape == (4, 2, 3, 128)
