"""Training of `flow`: pairs, loss, and the command."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.autoencoder import flow
from swajax.autoencoder.flow import FlowConfig
from swajax.autoencoder.flow.drafts import to_draft, to_network
from swajax.autoencoder.flow.files import load_flow
from swajax.io import checkpoints, runlog
from swajax.network import pack
from swajax.pretrain.ends.shards import ABSENT, NUM_EACH, Shard, save_shard
from swajax.pretrain.ends.walk import SIZES
from swajax.pretrain.flow_command import PARAMS_FILE, STATE_FILE, FlowCommand, main
from swajax.pretrain.flow_data import divide_paths, find_good, load_pairs
from swajax.pretrain.flow_loss import sort_neurons
from swajax.prior.tables import TableShape

SHAPE, FLOW = TableShape(20, 2), FlowConfig(max_width=3, num_steps=2)
SPEC = FLOW.make_spec(2, 1)
NUM_ENDS = NUM_EACH * len(SIZES)


def make_shard(seed):
    """Tables whose ends are one neuron on the first input."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (2, 20, 2))
    weights = np.zeros((2, NUM_ENDS, 6 + 9 + 3 + 6 + 1), np.float16)
    weights[..., 0], weights[..., 15] = 2.0, 1.0  # first, readout
    kinds = np.full((2, NUM_ENDS, 2, 3), ABSENT, np.uint8)
    kinds[..., 0, 0] = 1
    loss = np.ones((2, NUM_ENDS), np.float32)
    loss[:, 3:] = 9.0
    num_weights = np.full((2, NUM_ENDS), 2, np.uint8)
    num_weights[:, 5:] = 0
    return Shard(
        np.float16(x),
        np.float16(np.tanh(2 * x[..., :1])),
        np.full(2, 20, np.int32),
        np.ones((2, 2), np.uint8),
        weights,
        kinds,
        np.ones((2, NUM_ENDS), np.uint8),
        num_weights,
        loss,
        loss,
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    for seed in range(3):
        save_shard(folder, seed, make_shard(seed), SHAPE, SPEC)
    return folder


def test_good_ends_are_paired_with_their_tables(shards):
    assert find_good(make_shard(0)).sum(axis=1).tolist() == [3, 3]
    paths = sorted(shards.iterdir())
    (group, pairs), *more = load_pairs(paths).items()
    assert group == (2, 1, 1) and not more
    assert pairs.table[: pairs.num].tolist() == [t for t in range(6) for _ in range(3)]
    assert pairs.moments.single.shape[1:] == (2, 1, 8)


def test_shards_that_validate_stay_the_same_when_others_come():
    paths = [Path(f"{folder}/shard-{n:05d}.x") for folder in "ab" for n in range(22)]
    train, valid = divide_paths(paths)
    assert [path.name[6:11] for path in valid] == ["00000", "00020"] * 2
    assert len(train) == 40 and set(valid[:2]) == set(divide_paths(paths[:22])[1])


def test_sorted_neurons_are_the_same_network(draw_network):
    network = draw_network(0, spec=SPEC, depth=2)
    draft = sort_neurons(to_draft(network, depth=2))
    order = np.diff(draft.readout.sum(-1).mean(axis=1))
    assert (order <= 0).all()
    options = {"spec": SPEC, "present": flow.Present(jnp.ones(2), jnp.ones(1))}
    back = to_network(draft, 99, **options)
    again = to_network(to_draft(network, depth=2), 99, **options)
    x = jnp.linspace(-1, 1, 8).reshape(4, 2)
    outputs = [flow.apply(n, x, activations=SPEC.activations) for n in (back, again)]
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


def test_training_learns_and_resumes_to_the_same_numbers(shards, tmp_path):
    config = FlowCommand(
        (shards,), FLOW, num_steps=60, batch_size=16, chunk_steps=10, save_chunks=3
    )
    main(dataclasses.replace(config, out=tmp_path / "all"))
    lines = runlog.read_metrics(tmp_path / "all")
    assert [line["step"] for line in lines] == [30, 60]
    assert lines[1]["loss"] < 0.8 * lines[0]["loss"]
    main(dataclasses.replace(config, out=tmp_path / "cut", time_budget=1e-3))
    runlog.log_metrics(tmp_path / "cut", {"step": 20})  # killed before it was saved
    main(FlowCommand((shards,), resume=tmp_path / "cut"))
    steps = [line["step"] for line in runlog.read_metrics(tmp_path / "cut")]
    assert steps == [10, 30, 60]
    whole, cut = (
        checkpoints.load(tmp_path / name / STATE_FILE)[0] for name in ("all", "cut")
    )
    for name, leaf in whole.items():
        np.testing.assert_allclose(cut[name], leaf, rtol=1e-4, atol=1e-6)
    params, found = load_flow(tmp_path / "all" / PARAMS_FILE)
    assert found == FLOW
    z = flow.encode_rows(params, jnp.ones((5, 2)), jnp.ones((5, 1)))
    options = {"num": 2, "depth": 1, "num_weights": 2, "config": found}
    networks = flow.sample(jax.random.key(0), params, z, **options)
    assert np.isfinite(jax.vmap(pack)(networks)).all()


def test_a_folder_without_shards_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two shards"):
        main(FlowCommand((tmp_path,), out=tmp_path / "run"))
