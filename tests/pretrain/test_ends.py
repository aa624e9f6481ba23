"""Ends: walks down the sizes, shards, and the command that makes them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.io import runlog
from swajax.network import apply, make_dense
from swajax.pretrain.ends import command
from swajax.pretrain.ends.command import EndsCommand, choose_shape, main
from swajax.pretrain.ends.shards import (
    NUM_EACH,
    find_last,
    list_shards,
    load_shard,
    to_network,
)
from swajax.pretrain.ends.walk import SIZES, WalkConfig
from swajax.prior.tables import TableShape

SHAPE = TableShape(64, 2)
EFFORT = WalkConfig(num_walkers=3, num_racers=2, race_steps=2, start_steps=3)
CONFIG = EndsCommand(num_tables=4, block=2, max_width=3, max_depth=2)


@pytest.fixture
def tiny(monkeypatch):
    make = command.make_programs
    monkeypatch.setattr(command, "SHAPES", {SHAPE: 1})
    monkeypatch.setattr(
        command, "make_programs", functools.partial(make, effort=EFFORT)
    )


@pytest.fixture
def folder(tiny, tmp_path):
    main(dataclasses.replace(CONFIG, out=tmp_path / "ends"))
    return tmp_path / "ends"


def test_shards_hold_good_networks_of_many_sizes(folder):
    paths = list_shards(folder)
    assert len(paths) == 2
    shard, shape = load_shard(paths[0])
    assert shape == SHAPE and shard.num_weights.shape == (2, NUM_EACH * len(SIZES))
    spec = command._make_spec(SHAPE, CONFIG)
    like = make_dense(spec)
    exists = shard.num_weights > 0
    assert len(np.unique(shard.num_weights[exists])) > 4
    table = 0
    for end in np.flatnonzero(exists[table])[::3]:
        network = to_network(
            shard.weights[table, end],
            shard.kinds[table, end],
            shard.depth[table, end],
            like=like,
            num_kinds=4,
        )
        num_rows = shard.num_rows[table]
        x, y = (jnp.float32(leaf[table, :num_rows]) for leaf in (shard.x, shard.y))
        out = apply(network, x, activations=spec.activations)
        error = np.square(out - y).mean()
        np.testing.assert_allclose(error, shard.loss[table, end], rtol=0.05, atol=1e-3)
        assert np.count_nonzero(shard.weights[table, end]) == shard.num_weights[0, end]


def test_a_resumed_run_makes_the_missing_shards_only(folder):
    first, second = list_shards(folder)
    before, wanted = first.stat().st_mtime_ns, second.read_bytes()
    second.unlink()
    main(EndsCommand(resume=folder))
    assert second.read_bytes() == wanted and first.stat().st_mtime_ns == before
    lines = runlog.read_metrics(folder)
    assert [line["shard"] for line in lines] == [0, 1, 1]
    assert lines[-1]["tables_per_hour"] > 0 and lines[-1]["num_left"] == 0


def test_a_file_of_another_kind_is_refused(folder):
    path = list_shards(folder)[0]
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(ValueError, match=path.name):
        load_shard(path)


def test_only_the_last_stage_of_a_size_counts():
    num_weights = np.array([[[9, 4], [5, 4], [5, 3]]])
    wanted = [[[True, False], [False, True], [True, True]]]
    np.testing.assert_array_equal(find_last(num_weights), wanted)


def test_all_shapes_have_their_share():
    total = sum(command.SHAPES.values())
    drawn = [choose_shape(index) for index in range(total)]
    assert {shape: drawn.count(shape) for shape in drawn} == command.SHAPES


@pytest.mark.parametrize("options", [{"num_tables": 0}, {"seed": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EndsCommand(**options)


def test_networks_are_walked_down(tiny):
    shard = command.make_block(
        jax.random.key(0), 0, spec=command._make_spec(SHAPE, CONFIG), config=CONFIG
    )
    small = np.where(shard.num_weights == 3, shard.true_loss, np.inf).min(axis=1)
    assert (small < 1.3).all()
