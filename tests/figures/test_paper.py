"""The experiments of the paper at tiny sizes, and all pictures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from figures.common import teachers
from figures.common.results import RunFile
from figures.paper import __main__ as reproduction
from figures.paper import describe, draw_recovery
from swajax import autoencoder
from swajax.io import checkpoints, commands, configs
from swajax.network import apply
from swajax.pretrain.validation_by_depth import Fidelity, summarise
from swajax.types import NetworkSpec

# Compiling the decoders takes most of such a short run.
CONFIG = autoencoder.AutoencoderConfig(max_depth=2)
SPEC = NetworkSpec()


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Quick run of one untrained autoencoder that represents both presets."""
    folder = tmp_path_factory.mktemp("reproduction")
    path = folder / "random.safetensors"
    params = autoencoder.init(jax.random.key(0), config=CONFIG)
    header = {"autoencoder": configs.to_dict(CONFIG)}
    checkpoints.save(path, params, header=header)
    return reproduction.ReproductionCommand(
        out=folder / "runs", checkpoints=(path,), mean_checkpoint=path, quick=True
    )


def summarise_by_hand(params, key, *, config, num_networks, num_geometry):
    """Return the metrics of `validate` without its compilation."""
    row = np.linspace(1.0, 2.0, num_networks, dtype=np.float32)
    depth = np.arange(num_networks) % 2 + 1
    fidelity = Fidelity(np.stack([row, 0.5 * row]), np.stack([row, row]), row, depth)
    return summarise(fidelity) | {"spearman": 0.5, "recall_at_1": 1.0}


@pytest.fixture(scope="module", autouse=True)
def small():
    """Omit slow parts: shipped autoencoders, and a further compiled depth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduction, "list_pretrained", list)
        patch.setattr(reproduction, "validate", summarise_by_hand)
        patch.setattr(reproduction, "TEACHERS", {"deep": (2, 20), "shallow": (2, 14)})
        yield


@pytest.fixture(scope="module")
def runs(command):
    """The runs of the finished command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw_recovery, "DECODER", 2)
        reproduction.main(command)
    return RunFile(command.out / "runs.jsonl")


def test_run_writes_every_experiment(runs):
    names = set(runs)
    models = ("compact_sigmoid", "compact-mean_sigmoid")
    wanted = {
        f"{kind}_{m}" for kind in ("validation", "reconstruction") for m in models
    }
    wanted |= {
        f"search_{teacher}_sigmoid_{seed}"
        for teacher in ("deep", "shallow")
        for seed in (0, 1)
    }
    assert names == wanted


def test_search_reports_every_decoder_and_sparsity_weight(runs):
    results = runs["search_deep_sigmoid_0"]
    assert (results["teacher"]["depth"], results["teacher"]["num_weights"]) == (2, 20)
    found = results["networks"]
    weights = reproduction.SPARSITY_WEIGHTS
    assert [(one["depth"], one["sparsity_weight"]) for one in found] == [
        (depth, weight) for depth in (1, 2) for weight in weights
    ]
    for one in found:
        assert one["num_weights"] <= one["num_weights_raw"]
        assert np.isfinite([one["mse_ratio"], one["mpe_percent"]]).all()
        assert np.shape(one["surface"]) == (7, 7)


def test_reconstructions_are_ordered_by_their_quantiles(runs):
    pairs = runs["reconstruction_compact_sigmoid"]["networks"]
    assert [pair["quantile"] for pair in pairs] == list(reproduction.QUANTILES)
    explained = [pair["explained_variance"] for pair in pairs]
    assert explained == sorted(explained, reverse=True)
    for pair in pairs:
        assert pair["mse_ratio"] == pytest.approx(
            1 - pair["explained_variance"], rel=1e-3
        )


def test_second_run_keeps_what_is_there(command, runs, monkeypatch, capsys):
    monkeypatch.setattr(reproduction.Experiment, "make", None)
    reproduction.run_missing(command, runs)
    assert "0 experiments run, 8 kept" in capsys.readouterr().out


def test_other_parameters_or_settings_are_run_again(command, runs):
    models = reproduction.load_models(command)
    other = {
        name: model._replace(fingerprint="another") for name, model in models.items()
    }
    sizes = dataclasses.replace(reproduction.QUICK, num_each=9)
    for made in (
        reproduction.make_experiments(other, reproduction.QUICK),
        reproduction.make_experiments(models, sizes)[2:],
    ):
        assert not any(reproduction.is_done(runs, one) for one in made)


def test_an_absent_checkpoint_is_one_line(tmp_path, capsys):
    arguments = ["--checkpoints", str(tmp_path / "absent.safetensors")]
    arguments += ["--out", str(tmp_path)]
    code = commands.run_command(
        reproduction.main,
        reproduction.ReproductionCommand,
        name="reproduction",
        arguments=arguments,
    )
    assert code == 2 and capsys.readouterr().err.count("\n") == 1


def test_measures_of_a_network_by_hand(key):
    network = teachers.plant(key, spec=SPEC, depth=2, num_weights=14)
    x = jax.random.uniform(key, (64, 3), minval=-1.0)
    out = apply(network, x, activations=SPEC.activations)
    errors = describe.measure_errors(network, x, out / 1.25, SPEC.activations)
    assert errors["mpe_percent"] == pytest.approx(25, rel=1e-4)
    ratio = float(jnp.mean(jnp.square(0.2 * out)) / jnp.var(0.8 * out))
    assert errors["mse_ratio"] == pytest.approx(ratio, rel=1e-4)
    drawn = describe.surface(network, SPEC.activations, 5)
    corner = jnp.array([[-1.0, 0.5, 0.5]])
    expected = apply(network, corner, activations=SPEC.activations)[0, 0]
    np.testing.assert_allclose(drawn[0, 3], expected, rtol=1e-5)


@pytest.mark.parametrize("number", range(1, 7))
def test_figures_are_drawn_with_their_numbers(command, runs, number):
    path = command.out / f"figure{number}.png"
    assert path.stat().st_size < 200_000
    with Image.open(path) as image:
        assert min(image.size) > 200
    if number > 1:
        numbers = pd.read_csv(command.out / f"figure{number}.csv")
        surfaces = pd.read_csv(command.out / f"figure{number}_surfaces.csv")
        assert list(surfaces.columns) == ["x1", "x2", *numbers["panel"]]
        assert len(numbers) == {2: 8, 3: 3, 4: 4, 5: 3, 6: 8}[number]
        assert np.isfinite(surfaces.to_numpy()).all()


def test_tables_hold_every_row(command, runs):
    for number, num_rows in ((1, 2), (2, 2), (3, 2)):
        text = (command.out / f"table{number}.md").read_text()
        assert sum(line.startswith("|") for line in text.splitlines()) == num_rows + 2
    assert len(pd.read_csv(command.out / "table2.csv")) == 2 * 2 * 3


def test_without_runs_only_the_diagram_is_drawn(tmp_path, capsys):
    reproduction.draw({}, tmp_path)
    err = capsys.readouterr().err
    for name in ("figure2.png", "figure3.png", "figure6.png", "table1.md", "table3.md"):
        assert name in err
    assert [path.name for path in tmp_path.iterdir()] == ["figure1.png"]
