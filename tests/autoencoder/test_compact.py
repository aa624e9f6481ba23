"""The preset `compact`: canonical order, probes, masks and readout."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoder_cases import TINY, make_params, take

from swajax import autoencoder, prior
from swajax import network as network_lib
from swajax import pretrain as pretraining
from swajax.autoencoder import AutoencoderConfig, compact
from swajax.autoencoder.canonical import canonical_order
from swajax.network.batched import apply_batch
from swajax.pretrain.geometry import shuffle_neurons

CONFIG = TINY["compact"]
SPEC = CONFIG.spec
KINDS = {"activations": SPEC.activations}
NUM = 6

encode = functools.partial(autoencoder.encode, config=CONFIG)
decode = functools.partial(autoencoder.decode, config=CONFIG)


@pytest.fixture(scope="module")
def params():
    """Random parameters that mask some neurons; fresh decoders mask none."""
    leaves, structure = jax.tree.flatten(make_params("compact"))
    rng = np.random.default_rng(0)
    noisy = [leaf + 0.2 * rng.normal(size=leaf.shape) for leaf in leaves]
    return jax.tree.unflatten(structure, [jnp.float32(leaf) for leaf in noisy])


@pytest.fixture(scope="module")
def networks():
    sample = functools.partial(prior.sample_batch, num=NUM, spec=SPEC)
    return jax.jit(sample)(jax.random.key(1))


@pytest.fixture(scope="module")
def encode_all(params):
    return jax.jit(jax.vmap(functools.partial(encode, params)))


@pytest.fixture(scope="module")
def z(encode_all, networks):
    return encode_all(networks)


@pytest.fixture(scope="module")
def decoded(params, z):
    """A batch of decoded networks per depth."""

    def decode_both(z):
        return tuple(decode(params, z, depth=depth) for depth in (1, 2))

    return jax.jit(jax.vmap(decode_both))(z)


def assert_close(a, b, **tolerance):
    for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, **tolerance)


def test_compact_has_at_most_two_million_parameters():
    init = functools.partial(autoencoder.init, config=AutoencoderConfig())
    params = jax.eval_shape(init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) <= 2_000_000


def test_the_encoder_reads_the_outputs(params, networks, z):
    blind = encode(params, take(networks, 0), probes=jnp.zeros((4, 1)))
    assert np.abs(blind - z[0]).max() > 0.1


def test_groups_have_the_same_embeddings_and_outputs(key, params, decoded, encode_all):
    x = jax.random.uniform(key, (5, 3), minval=-1.0)
    encode_groups = functools.partial(pretraining.encode_groups, config=CONFIG)
    z, y = jax.jit(encode_groups)(params, decoded, x)
    for index, networks in enumerate(decoded):
        mine = slice(index * NUM, (index + 1) * NUM)
        plain = apply_batch(networks, x, form="plain", **KINDS)
        np.testing.assert_allclose(y[mine], plain, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(z[mine], encode_all(networks), rtol=1e-3, atol=1e-3)


def test_permuting_neurons_leaves_the_embedding(key, networks, encode_all, z):
    shuffled = shuffle_neurons(key, networks)
    assert np.abs(shuffled.first - networks.first).max() > 1
    np.testing.assert_allclose(encode_all(shuffled), z, rtol=1e-3, atol=1e-4)


def test_dead_ends_leave_the_embedding(networks, encode_all, z):
    """The encoder ignores a neuron that feeds nothing."""
    extra = networks._replace(
        mask=networks.mask.at[:, 0, 3].set(1.0),
        first=networks.first.at[:, :, 3].set(7.0),
        hidden=networks.hidden.at[:, 0, 3].set(0.0),
        readout=jnp.where(
            (networks.depth == 1)[:, None, None] & (jnp.arange(4) == 3)[None, :, None],
            0.0,
            networks.readout,
        ),
    )
    was_absent = networks.mask[:, 0, 3] == 0
    assert was_absent.any()
    np.testing.assert_allclose(
        encode_all(extra)[was_absent], z[was_absent], rtol=1e-3, atol=1e-4
    )


def test_canonical_order_keeps_the_function_and_is_idempotent(key, networks):
    order = jax.jit(jax.vmap(canonical_order))
    ordered = order(networks)
    x = jax.random.uniform(key, (9, 3), minval=-1.0)
    before, after = (apply_batch(n, x, **KINDS) for n in (networks, ordered))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
    assert_close(order(ordered), ordered, rtol=0)
    assert_close(order(shuffle_neurons(key, networks)), ordered, rtol=0)
    # Present neurons come first.
    assert (np.diff(ordered.mask, axis=2) <= 0).all()


def test_probe_points_fill_the_cube():
    points = autoencoder.probe_points(AutoencoderConfig())
    assert points.shape == (64, 3) and np.abs(points).max() <= 1
    octants = (points > 0) @ np.array([1, 2, 4])
    assert (np.bincount(octants, minlength=8) >= 4).all()
    assert np.abs(points.mean(axis=0)).max() < 0.05
    few = autoencoder.probe_points(CONFIG)
    np.testing.assert_array_equal(few, points[:4])


def test_masks_are_hard_and_an_absent_neuron_can_come_back(key, params, decoded):
    x = jax.random.uniform(key, (5, 3), minval=-1.0)

    def total(networks):
        return jnp.square(apply_batch(networks, x, **KINDS)).sum()

    for depth, networks in enumerate(decoded, start=1):
        masks = np.asarray(networks.mask)
        assert set(np.unique(masks[:, :depth])) == {0.0, 1.0}
        slopes = np.abs(jax.jit(jax.grad(total, allow_int=True))(networks).mask)
        assert (slopes[:, :depth][masks[:, :depth] == 0] > 0).all()
        assert not masks[:, depth:].any() and not slopes[:, depth:].any()


def test_masks_move_with_the_embedding(params, z):
    def total(z):
        return sum(decode(params, z, depth=depth).mask.sum() for depth in (1, 2))

    gradient = jax.jit(jax.grad(total))(z[0])
    assert np.abs(gradient).max() > 1e-3


def test_what_is_not_there_has_no_gradient(key, decoded):
    x = jax.random.uniform(key, (5, 3), minval=-1.0)

    def total(networks):
        return jnp.square(apply_batch(networks, x, form="plain", **KINDS)).sum()

    for depth, networks in enumerate(decoded, start=1):
        gradient = jax.jit(jax.grad(total, allow_int=True))(networks)
        absent = np.asarray(networks.mask) == 0
        assert absent[:, :depth].any() and np.abs(gradient.first).max() > 0
        assert not gradient.first.mT[absent[:, 0]].any()
        assert not gradient.hidden[absent[:, :-1]].any()
        assert not gradient.hidden.mT[absent[:, 1:]].any()
        assert not gradient.readout[absent[:, depth - 1]].any()
        assert not gradient.bias[absent].any()
        assert not gradient.hidden[:, depth - 1 :].any()


def test_the_readout_is_corrected_by_ridge_regression(key, networks):
    """The correction equals NumPy's, and is zero for the outputs of the network."""
    network = take(networks, int(np.argmax(networks.depth == 2)))
    points = autoencoder.probe_points(CONFIG)
    first, second = np.float64(network.first), np.float64(network.hidden[0])
    mask = np.float64(network.mask)
    hidden = mask[0] / (1 + np.exp(-points @ first))
    hidden = mask[1] / (1 + np.exp(-hidden @ second))
    wanted = np.float32([3.0, -1.0, 2.0, 0.5])
    rest = wanted - hidden @ np.float64(network.readout[:, 0])
    gram = hidden.T @ hidden / 4
    ridge = 1e-4 * np.trace(gram) * np.eye(4)
    change = np.linalg.solve(gram + ridge, hidden.T @ rest / 4)
    correct = functools.partial(compact.correct_readout, activation="sigmoid", depth=2)
    found = correct(network, jnp.asarray(wanted)).readout - network.readout
    np.testing.assert_allclose(found[:, 0], change, rtol=0.02, atol=1e-3)
    outputs = autoencoder.probe(network, config=CONFIG)[:, 0]
    same = correct(network, outputs)
    np.testing.assert_allclose(same.readout, network.readout, atol=1e-2)


def test_a_decoder_has_no_part_in_another(params, z):
    def total(params):
        network = decode(params, z[0], depth=1)
        return jnp.square(network.first).sum() + jnp.square(network.readout).sum()

    gradient = jax.jit(jax.grad(total))(params)["params"]
    for name, part in gradient.items():
        size = max(np.abs(leaf).max() for leaf in jax.tree.leaves(part))
        assert (size > 0) == (name in ("decoders_0", "function")), name


def test_input_gradient_of_a_decoded_network_in_another_program(params, networks):
    """Compare input gradients under jit with finite differences."""
    x = np.random.default_rng(0).uniform(-1, 1, size=(5, 3)).astype(np.float32)

    @jax.jit
    def slopes(params, network, x):
        found = decode(params, encode(params, network), depth=2)

        def output(point):
            return network_lib.apply(found, point[None], depth=2, **KINDS)[0, 0]

        return found, jax.vmap(jax.grad(output))(x)

    found, gradient = slopes(params, take(networks, 0), x)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), found)
        exact = exact._replace(depth=found.depth)

        @jax.jit
        def output(x):
            return network_lib.apply(exact, x, depth=2, **KINDS)[:, 0]

        x, step = jnp.asarray(x, jnp.float64), 1e-6
        moves = step * jnp.eye(3, dtype=jnp.float64)[:, None]
        sides = [np.asarray(output(x + e) - output(x - e)) for e in moves]
    difference = np.stack(sides, axis=1) / (2 * step)
    assert np.abs(difference).max() > 0.1
    np.testing.assert_allclose(
        gradient, difference, rtol=1e-3, atol=1e-4 * np.abs(difference).max()
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_probes", 0),
        ("max_depth", 0),
        ("max_width", 2),  # there are no rows for the three inputs
    ],
)
def test_unknown_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field}.*{value}"):
        AutoencoderConfig(**{field: value})


def test_an_unknown_preset_is_refused():
    # The type checks of the tests would reject it first.
    config = AutoencoderConfig(num_probes=5)
    object.__setattr__(config, "preset", "huge")
    with pytest.raises(ValueError, match=r"preset must be one of .* got 'huge'"):
        config.__post_init__()
