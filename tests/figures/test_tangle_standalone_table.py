"""The table of standalone networks and its command."""

import functools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.tangle import standalone_table
from swajax.tangle.choices import extreme, num_options, to_architecture
from swajax.tangle.data import digits
from swajax.tangle.spaces import make_space
from swajax.tangle.spaces.base import count_weights
from swajax.tangle.train import standalone

TABLE = {
    "rows": [
        {"indices": {"a": [0], "b": [1]}, "test_loss": [0.1, 0.3]},
        {"indices": {"a": [1], "b": [0]}, "test_loss": [0.5, 0.7]},
        {"indices": {"a": [1], "b": [1]}, "test_loss": [0.3, 0.3]},
    ]
}


def test_masks_train_a_network_as_its_slices_do():
    command = standalone_table.TableCommand(num_seeds=2, num_steps=3)
    space = make_space("digits-macro")
    architecture = to_architecture([1, 0, 2, 1, 0], space.choices)
    splits = [digits.load_digits(seed) for seed in range(2)]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *splits)
    row = standalone_table._score(stacked, architecture, space=space, config=command)
    train = functools.partial(
        standalone.train_and_evaluate,
        space=space,
        architecture=architecture,
        objective="softmax",
        config=command.search_config(),
    )
    for seed, split in enumerate(splits):
        held = split.architecture, split.test
        valid, test = jax.jit(train)(jax.random.key(seed), split.weights, held)
        np.testing.assert_allclose(row["valid_loss"][seed], valid.loss, rtol=1e-4)
        np.testing.assert_allclose(row["test_loss"][seed], test.loss, rtol=1e-4)
        np.testing.assert_allclose(row["test_accuracy"][seed], test.accuracy, rtol=1e-2)


def test_the_rank_of_a_network_by_hand():
    found = standalone_table.find_rank(TABLE, {"a": (1,), "b": (1,)})
    np.testing.assert_allclose(found, [0.3, 0.1, 50.0])
    best = standalone_table.find_rank(TABLE, {"b": (1,), "a": (0,)})
    np.testing.assert_allclose(best, [0.2, 0.0, 100.0])
    with pytest.raises(ValueError, match="no such network in the table"):
        standalone_table.find_rank(TABLE, {"a": (0,), "b": (0,)})


def test_the_committed_table_has_every_network_once():
    table, space = standalone_table.read_table(), make_space("digits-macro")
    assert table["config"] == {"num_seeds": 3, "num_steps": 360, "learning_rate": 0.01}
    assert len(table["rows"]) == 243
    for index in (0, 100, 242):
        row = table["rows"][index]
        genes = np.unravel_index(index, num_options(space.choices))
        architecture = to_architecture(np.array(genes), space.choices)
        assert row["indices"] == {k: list(v) for k, v in architecture.items()}
        assert row["num_weights"] == count_weights(space, architecture)
    scores = np.array([[r["test_loss"], r["test_accuracy"]] for r in table["rows"]])
    assert np.isfinite(scores).all()
    # A few small networks stay at chance; no large network does.
    at_chance = [
        r["num_weights"] for r in table["rows"] if min(r["test_accuracy"]) < 0.12
    ]
    assert max(at_chance) < 500
    large = extreme(space.choices, is_largest=True)
    assert standalone_table.find_rank(table, large).percentile > 80


def cut_to_depth(network):
    """Drop the options of absent layers, for `digits-vit`."""
    depth = (2, 3, 4)[network["depth"][0]]
    return {name: rows[:depth] for name, rows in network.items()}


def test_some_networks_of_a_large_space_are_different_and_the_same_each_time():
    space = make_space("digits-vit")
    found = standalone_table.list_networks(space, 60)
    assert len({json.dumps(network) for network in found}) == 60
    assert found == standalone_table.list_networks(space, 60)
    # A sample of all networks has no repeats, up to options of absent layers.
    many = standalone_table.list_networks(space, 22_113)
    networks = {json.dumps(cut_to_depth(network)) for network in many}
    assert len(many) == len(networks) == 22_113
    assert len({network["embed"] for network in found}) == 3
    with pytest.raises(ValueError, match="give --num-networks"):
        standalone_table.TableCommand(space="digits-vit")
    with pytest.raises(ValueError, match=re.escape("num_networks must be 1..4,096")):
        standalone_table.TableCommand(space="digits-cell", num_networks=5000)


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no table; python -m"):
        standalone_table.read_table(tmp_path / "no.json")


def test_the_table_is_made_row_by_row_and_goes_on_where_it_was(tmp_path, monkeypatch):
    scored = []

    def score(splits, architecture, *, space, config):
        del splits, space, config
        scored.append(architecture)
        if len(scored) == 5:
            raise KeyboardInterrupt
        return {"indices": architecture, "test_loss": [float(len(scored))]}

    monkeypatch.setattr(standalone_table, "_score", score)
    monkeypatch.chdir(tmp_path)
    config = standalone_table.TableCommand(num_seeds=1)
    with pytest.raises(KeyboardInterrupt):
        standalone_table.main(config)
    standalone_table.main(config)
    out = tmp_path / "runs" / "digits-macro-table"
    table = standalone_table.read_table(out / "table.json")
    assert len(table["rows"]) == 243
    assert len(scored) == 244
    different = {json.dumps(row["indices"]) for row in table["rows"]}
    assert len(different) == 243
    other = standalone_table.TableCommand(num_seeds=2, out=out)
    with pytest.raises(ValueError, match="made with other options"):
        standalone_table.main(other)
