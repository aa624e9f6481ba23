"""Starts of a search: spaces of weights and of embeddings, mini-batches of rows."""

import dataclasses
import functools
import math
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, flow
from swajax.autoencoder.flow import FlowConfig
from swajax.autoencoder.tabular import MAX_INPUTS
from swajax.data.problem import Problem
from swajax.io import checkpoints, configs, interrupts
from swajax.latent_search import DescentConfig
from swajax.network.batched import apply_batch
from swajax.search import sources
from swajax.search.config import (
    DescentSourceConfig,
    SearchConfig,
    SupernetSourceConfig,
)
from swajax.search.sources import descent as descent_source
from swajax.search.sources import supernets as supernet_source
from swajax.search.sources.base import StartRequest, Starts
from swajax.search.sources.learned import LearnedSourceConfig
from swajax.tangle.train.optimizers import SupernetConfig

LIMITS = SearchConfig(max_weights=20, max_width=4, max_depth=2)
MODEL = AutoencoderConfig(preset="tabular", max_width=4, max_depth=2)
SEARCH = DescentConfig(num_steps=4, chunk_steps=2, num_starts=2, num_screened=3)
SPEC = LIMITS.make_spec(3, 2)
NAMES = ("random", "linear", "direct", "latent", "tangle", "learned")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    init = jax.jit(functools.partial(autoencoder.init, config=MODEL))
    params = init(jax.random.key(0))
    path = tmp_path_factory.mktemp("model") / "tabular.safetensors"
    header = {"autoencoder": configs.to_dict(MODEL)}
    checkpoints.save(path, params, header=header)
    return path, params


def draw_part(num, seed=0, weight=None):
    rng = np.random.default_rng(seed)
    x = np.float32(rng.uniform(-1, 1, size=(num, 3)))
    y = np.stack([x[:, 0] * x[:, 1], np.sin(3 * x[:, 2])], axis=1)
    weight = np.ones(num) if weight is None else weight
    return Problem(x, np.float32(y), np.float32(weight))


def make_request(rows=None, **more):
    train, valid = rows or (draw_part(30), draw_part(20, seed=1))
    limits = LIMITS.make_spec(train.x.shape[1], train.y.shape[1])
    return StartRequest(
        train, valid, "squared", limits, LIMITS.max_weights, num_starts=8, **more
    )


def find(names, seconds=math.inf, rows=None, **options):
    request = make_request(rows, seconds=seconds)
    return list(sources.find_starts(jax.random.key(0), request, names, options))


@pytest.fixture(scope="module")
def options(checkpoint, tmp_path_factory):
    """Options of every source, as short as can be."""
    model = FlowConfig(max_width=4, num_steps=1)
    params = jax.jit(functools.partial(flow.init, config=model))(jax.random.key(0))
    path = tmp_path_factory.mktemp("flow") / "flow.safetensors"
    checkpoints.save(path, params, header={"flow": configs.to_dict(model)})
    training = SupernetConfig(num_steps=1, batch_size=16)
    return {
        "learned": LearnedSourceConfig(str(path)),
        "descent": DescentSourceConfig(preset=str(checkpoint[0]), descent=SEARCH),
        "supernet": SupernetSourceConfig(
            num_supernets=2, num_drawn=3, training=training
        ),
    }


NUM_DESCENTS = LIMITS.max_depth * len(SEARCH.sparsity_weights) * SEARCH.num_starts


@pytest.mark.parametrize(
    ("name", "num", "num_steps"),
    [
        ("random", 16, 0),
        ("direct", NUM_DESCENTS, SEARCH.num_steps * NUM_DESCENTS),
        ("latent", NUM_DESCENTS, SEARCH.num_steps * NUM_DESCENTS),
        ("tangle", 6, 2),
        ("learned", 8, 0),
    ],
)
def test_every_source_finds_networks_within_the_limits(name, num, num_steps, options):
    (found,) = find([name], **options)
    assert found.num_steps == num_steps and set(sources.SOURCES) == set(NAMES)
    networks = found.networks
    assert networks.first.shape == (num, 3, 4)
    assert networks.readout.shape == (num, 4, 2)
    (again,) = find([name], **options)
    for leaf, same in zip(networks, again.networks, strict=True):
        assert np.isfinite(leaf).all()
        np.testing.assert_array_equal(leaf, same)
    np.testing.assert_array_equal(networks.activation.sum(axis=-1), 1)
    assert set(np.asarray(networks.depth).tolist()) <= {1, 2}
    # A source draws the same networks beside others, but for the number of its share.
    if name not in ("random", "learned"):
        half, beside = find(["random", name], **options)
        for leaf, wanted in zip(beside.networks, networks, strict=True):
            np.testing.assert_array_equal(leaf, wanted)
        assert len(half.networks.depth) == 8


class FakeSource:
    """Sources of which those in threads wait."""

    def __init__(self, monkeypatch):
        self.own = self.later = self.thread = None
        self.released, self.has_begun = threading.Event(), threading.Event()
        for name in ("random", "direct", "tangle"):
            fake = sources.SOURCES[name]._replace(find=self.find, is_timed=True)
            monkeypatch.setitem(sources.SOURCES, name, fake)

    def find(self, key, request):
        if threading.current_thread() is threading.main_thread():
            self.own = request
        else:
            self.later, self.thread = request, threading.current_thread()
            self.has_begun.set()
            while not self.released.wait(0.01) and request.clock() < np.inf:
                pass
        return Starts(jax.random.key_data(key), jnp.zeros(1).dtype.itemsize)

    def wait(self):
        """Wait for the beginning of the source in a thread."""
        assert self.has_begun.wait(60)


@pytest.fixture
def fakes(monkeypatch):
    return FakeSource(monkeypatch)


def test_later_sources_work_while_the_first_starts_are_used(fakes):
    request = make_request(watch=lambda *_: None)
    with jax.enable_x64(True):
        found = sources.find_starts(
            jax.random.key(0), request, ("random", "tangle"), {}
        )
        first = next(found)
        fakes.wait()
        fakes.released.set()
        (second,) = found
    assert fakes.own.watch is request.watch and fakes.later.watch is None
    assert fakes.own.num_starts == fakes.later.num_starts == 4
    assert first.num_steps == second.num_steps == 8  # bytes: both use float64


def test_a_source_that_is_late_is_left_out_and_ended(fakes):
    now = [0.0]
    request = make_request(seconds=4.0, clock=lambda: now[0])
    found = sources.find_starts(jax.random.key(0), request, ("direct", "tangle"), {})
    assert next(found) is not None
    now[0] = 4 * sources.SLACK
    assert next(found) is None and next(found, "end") == "end"
    assert fakes.later.seconds == 2.0 and fakes.later.clock() == np.inf


def test_starts_that_nobody_asks_for_end_the_sources(fakes):
    found = sources.find_starts(
        jax.random.key(0), make_request(), ("random", "tangle"), {}
    )
    next(found)
    fakes.wait()
    found.close()
    fakes.thread.join(timeout=60)
    assert not fakes.thread.is_alive()


def test_a_descent_without_a_budget_ends_when_its_source_is_closed(options):
    find = sources.SOURCES["direct"].find
    own = options["descent"]
    longer = dataclasses.replace(own.descent, num_steps=10**9)
    own = dataclasses.replace(own, descent=longer)
    readings = iter([0.0, 1.0])
    request = make_request(options=own, clock=lambda: next(readings, math.inf))
    assert find(jax.random.key(0), request).num_steps < 100 * NUM_DESCENTS


def test_supernets_join_random_networks_where_limits_leave_a_choice():
    assert sources.choose_sources(None, SPEC) == ("random", "linear", "tangle")
    narrow = {"max_width": 2}, {"max_depth": 1}, {"activations": ("tanh",)}
    for limits in narrow:
        dataclasses.replace(LIMITS, **limits).check(3, "squared")
        spec = dataclasses.replace(SPEC, **limits)
        assert sources.choose_sources(None, spec) == ("random", "linear")
    assert sources.choose_sources(("direct",), SPEC) == ("direct",)


def test_supernets_give_networks_with_the_weights_they_have_learnt(monkeypatch):
    train, valid = draw_part(60), draw_part(40, seed=1)
    supernet = SupernetSourceConfig(
        num_supernets=2,
        num_drawn=3,
        training=SupernetConfig(num_steps=120, batch_size=16, learning_rate=0.05),
    )
    (found,) = find(["tangle"], rows=(train, valid), supernet=supernet)
    assert found.num_steps == 240
    networks = jax.tree.map(jnp.asarray, found.networks)
    out = apply_batch(networks, jnp.asarray(train.x), activations=SPEC.activations)
    errors = np.square(out - train.y[None]).mean(axis=(1, 2))
    assert errors.min() < 0.8 * train.y.var(axis=0).mean()
    # The clock ends it; a chunk is always taken.
    (found,) = find(["tangle"], 0.0, rows=(train, valid), supernet=supernet)
    assert found.num_steps == 100
    # So does Ctrl-C.
    press = lambda *_: signal.raise_signal(signal.SIGINT)  # noqa: E731
    monkeypatch.setattr(supernet_source.supernet, "check_losses", press)
    with interrupts.deferred():
        (found,) = find(["tangle"], rows=(train, valid), supernet=supernet)
    assert found.num_steps == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": ()}, "sources must be one or more of"),
        ({"sources": ("direct", "direct")}, "each once"),
        ({"source_share": 1.0}, r"source_share must be in \(0, 1\), got 1.0"),
    ],
)
def test_bad_sources_and_shares_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SearchConfig(**options)


def test_limits_that_are_too_narrow_for_a_space_say_what_to_do(options):
    narrow = SearchConfig(
        max_weights=20,
        max_width=3,
        max_depth=2,
        sources=("latent",),
        descent=options["descent"],
    )
    with pytest.raises(ValueError, match="--max-width"):
        narrow.check(3, "squared")


@pytest.mark.parametrize(
    "limits", [{"max_width": 2}, {"max_depth": 1}, {"activations": ("tanh",)}]
)
def test_limits_without_a_choice_are_refused_for_supernets(limits):
    config = dataclasses.replace(LIMITS, sources=("random", "tangle"))
    config.check(3, "squared")
    with pytest.raises(ValueError, match="--max-width 3, --max-depth 2 and two"):
        dataclasses.replace(config, **limits).check(3, "squared")


def test_too_many_inputs_for_a_space_are_refused(options):
    config = dataclasses.replace(
        LIMITS, sources=("latent",), descent=options["descent"]
    )
    config.check(MAX_INPUTS, "squared")
    with pytest.raises(ValueError, match="random, direct or tangle"):
        config.check(MAX_INPUTS + 1, "squared")


def test_all_rows_are_taken_while_they_are_few_and_weigh_alike():
    train, valid = draw_part(30), draw_part(20, seed=1)
    data = descent_source.draw_rows(train, valid, 3)
    for leaf, wanted in zip(data, (*train[:2], *valid[:2]), strict=True):
        np.testing.assert_array_equal(leaf, wanted)


def test_rows_of_unequal_weight_are_drawn_as_often_as_they_weigh():
    weight = np.repeat([0.0, 0.5, 2.5], 1000)
    part = draw_part(3000, weight=weight)
    first, second = (descent_source.draw_rows(part, part, chunk) for chunk in (0, 1))
    assert first.x.shape == second.x.shape == (3000, 3)
    assert not np.array_equal(first.x, second.x)
    rows = {tuple(x): index for index, x in enumerate(part.x.tolist())}
    index = np.array([rows[tuple(x)] for x in np.asarray(first.x).tolist()])
    share = np.bincount(index // 1000, minlength=3) / 3000
    np.testing.assert_allclose(share, [0, 1 / 6, 5 / 6], atol=0.03)
    np.testing.assert_array_equal(first.y, part.y[index])


def test_many_rows_come_in_mini_batches(monkeypatch):
    monkeypatch.setattr(descent_source, "MAX_ROWS", 100)
    monkeypatch.setattr(descent_source, "BATCH_ROWS", 40)
    data = descent_source.draw_rows(draw_part(101), draw_part(100), 0)
    assert len(data.x) == 40 and len(data.x_valid) == 100


def test_rows_for_supernets_are_as_often_there_as_they_weigh(monkeypatch):
    monkeypatch.setattr(supernet_source, "MAX_ROWS", 120)
    part = draw_part(3, weight=np.array([0.0, 1.0, 5.0]))
    rows = supernet_source._resample(part)
    for leaf, wanted in zip(rows, part[:2], strict=True):
        expected = np.concatenate([np.tile(wanted[1], (20, 1)), [wanted[2]] * 100])
        np.testing.assert_array_equal(leaf, expected)


def test_tables_of_similar_size_share_the_programs_of_supernets():
    training = SupernetConfig(num_steps=3)
    supernet = SupernetSourceConfig(num_supernets=2, num_drawn=2, training=training)
    space = supernet_source.make_config(LIMITS.make_spec(4, 2))
    devices = tuple(jax.local_devices())
    trainer = supernet_source._make_trainer(space, "squared", training, devices)
    for num_rows, num_inputs in ((30, 3), (41, 2)):
        part = draw_part(num_rows)
        part = part._replace(x=part.x[:, :num_inputs])
        (found,) = find(["tangle"], rows=(part, part), supernet=supernet)
        assert found.networks.first.shape == (4, num_inputs, LIMITS.max_width)
    assert trainer.make_step(3)._cache_size() == 1


def test_padded_inputs_take_nothing_from_the_weights_of_others(monkeypatch):
    seen, scale = [], supernet_source._scale_first

    def spy(state, factor):
        seen.append(scale(state, factor))
        return seen[-1]

    monkeypatch.setattr(supernet_source, "_scale_first", spy)
    training = SupernetConfig(num_steps=1)
    supernet = SupernetSourceConfig(num_supernets=200, num_drawn=1, training=training)
    find(["tangle"], rows=[draw_part(30)] * 2, supernet=supernet)
    first = np.asarray(seen[0].params.first)
    assert first.shape == (200, 4, LIMITS.max_width)
    np.testing.assert_allclose(first[:, :3].var(), 1 / 3, rtol=0.15)
