"""The search command, in process, on a small table and an untrained autoencoder."""

import contextlib
import dataclasses
import io
import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import autoencoder, checkpoints, commands, configs, runlog, search
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.latent_search import SearchConfig
from swajax.network import apply, count_weights
from swajax.report import candidates
from swajax.types import Network

TARGET = "cost $US$ (ü)"  # nothing in a column's name may be interpreted
# One configuration, so that all runs share their compiled programs.
SEARCH = SearchConfig(
    num_steps=2, chunk_steps=1, num_starts=2, sparsity_weights=(1e-4, 1e-2)
)
MAKE_SPACE = search.make_space


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of two features and the checkpoint of an untrained autoencoder."""
    folder = tmp_path_factory.mktemp("search")
    x = np.random.default_rng(0).uniform(-3, 3, size=(40, 2))
    y = 100 + 20 * np.sin(x[:, 0]) * x[:, 1]
    rows = [f"{a},{b},{c}" for (a, b), c in zip(x, y, strict=True)]
    text = "\n".join([f"u,v,{TARGET}", *rows]) + "\n"
    (folder / "table.csv").write_text(text, encoding="utf-8")
    config = autoencoder.AutoencoderConfig()
    params = autoencoder.init(jax.random.key(0), config=config)
    header = {"autoencoder": configs.to_dict(config)}
    checkpoints.save(folder / "random.safetensors", params, header=header)
    (folder / "damaged.safetensors").write_bytes(b"\x00" * 99)
    return folder


@pytest.fixture(scope="module")
def command(folder):
    return search.SearchCommand(
        data=str(folder / "table.csv"),
        target=TARGET,
        preset=str(folder / "random.safetensors"),
        search=SEARCH,
    )


@pytest.fixture(scope="module", autouse=True)
def shallow():
    """Two of the four decoders: compiling them all takes most of a run this short."""

    def make_space(config, *, num_inputs):
        space = MAKE_SPACE(config, num_inputs=num_inputs)
        spec = dataclasses.replace(space.spec, max_depth=2)
        return dataclasses.replace(space, spec=spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "make_space", make_space)
        yield


@pytest.fixture(scope="module")
def finished(folder, command):
    """The folder of a complete run, its results and what it printed."""
    out = folder / "finished"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        search.main(dataclasses.replace(command, out=out))
    return out, json.loads((out / "results.json").read_text()), printed.getvalue()


def test_run_folder_holds_configuration_metrics_and_results(finished, command):
    out, results, _ = finished
    config = runlog.read_config(out, search.SearchCommand)
    assert config == dataclasses.replace(command, out=out)
    assert [line["step"] for line in runlog.read_metrics(out)] == [1, 2]
    assert results["features"] == ["u", "v"] and results["target"] == TARGET
    assert results["num_rows"] == [24, 8, 8]
    assert results["step"] == 2
    assert [row["depth"] for row in results["candidates"]] == [1, 1, 2, 2]
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")


def test_table_marks_the_lowest_validation_error(finished):
    _, results, printed = finished
    errors = [row["rmse_valid"] for row in results["candidates"]]
    assert results["best"] == int(np.argmin(errors))
    rows = [line for line in printed.splitlines() if line[:2] in ("  ", "* ")][1:]
    assert len(rows) == 4
    assert [line[0] for line in rows].index("*") == results["best"]
    assert repr(TARGET) in printed and "results.json" in printed


def test_saved_network_predicts_what_the_table_says(finished, command):
    out, results, _ = finished
    network, header = checkpoints.load(out / "best.safetensors")
    network = Network(**{name: jnp.asarray(leaf) for name, leaf in network.items()})
    assert network.first.shape == (2, 7)  # the third input of the family is gone
    row = results["candidates"][results["best"]]
    assert count_weights(network) == row["num_weights"]

    table = load_table(command.data, target=TARGET)
    dataset, scalers = split_table(table, seed=0)
    for part in ("valid", "test"):
        x = scalers.inputs.inverse_transform(getattr(dataset, f"x_{part}"))
        y = scalers.target.inverse_transform(getattr(dataset, f"y_{part}"))
        scaled = x * np.array(header["input_scale"]) + np.array(header["input_offset"])
        activations = tuple(header["spec"]["activations"])
        out = apply(network, jnp.asarray(scaled, jnp.float32), activations=activations)
        found = np.asarray(out) * header["target_scale"][0] + header["target_offset"][0]
        rmse = np.sqrt(np.mean((found - y) ** 2))
        np.testing.assert_allclose(rmse, row[f"rmse_{part}"], rtol=1e-4)
        r2 = 1 - np.mean((found - y) ** 2) / np.var(y)
        np.testing.assert_allclose(r2, row[f"r2_{part}"], rtol=1e-3, atol=1e-4)


def test_test_part_has_no_influence(finished, command, folder):
    """Other test targets: the same networks, the same choice, other test errors."""
    _, results, _ = finished
    lines = Path(command.data).read_text(encoding="utf-8").splitlines()
    table = load_table(command.data, target=TARGET)
    dataset, scalers = split_table(table, seed=0)
    in_test = scalers.inputs.inverse_transform(dataset.x_test)[:, 0]
    for number, u in enumerate(table.x[:, 0], start=1):
        if np.abs(in_test - u).min() < 1e-5:
            lines[number] = lines[number].rpartition(",")[0] + ",1000"
    changed = folder / "changed.csv"
    changed.write_text("\n".join(lines), encoding="utf-8")
    out = folder / "changed"
    with contextlib.redirect_stdout(io.StringIO()):
        search.main(dataclasses.replace(command, data=str(changed), out=out))
    again = json.loads((out / "results.json").read_text())
    assert again["best"] == results["best"]
    for one, other in zip(again["candidates"], results["candidates"], strict=True):
        assert one["rmse_test"] > 500 > other["rmse_test"]
        for name in ("rmse_valid", "r2_valid", "num_weights", "num_neurons"):
            assert one[name] == other[name]


def test_ctrl_c_writes_the_best_so_far(command, folder, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(search.runlog, "log_metrics", interrupt)
    out = folder / "interrupted"
    search.main(dataclasses.replace(command, out=out))
    assert json.loads((out / "results.json").read_text())["step"] == 1
    assert (out / "best.safetensors").is_file()
    assert "1 steps" in capsys.readouterr().out


def test_time_budget_ends_with_the_best_so_far(command, folder):
    out = folder / "budget"
    search.main(dataclasses.replace(command, out=out, time_budget=1e-9))
    assert json.loads((out / "results.json").read_text())["step"] == 1
    assert (out / "results.png").is_file()


def test_pick_ignores_test_errors_and_nan():
    row = candidates.Candidate(1, 0.1, 2, 3, 4, 5.0, 0.5, 5.0, 0.5)
    rows = [
        row._replace(rmse_valid=float("nan")),
        row._replace(rmse_test=0.0),
        row._replace(rmse_valid=4.0, rmse_test=9.0),
    ]
    assert candidates.pick(rows) == 2


def test_networks_read_only_the_features_there_are(folder):
    params, config = search.load_pretrained(str(folder / "random.safetensors"))
    space = MAKE_SPACE(config, num_inputs=2)
    assert space is MAKE_SPACE(config, num_inputs=2)  # or it would recompile
    z = jax.random.normal(jax.random.key(1), (config.embedding_size,))
    whole = autoencoder.decode(params, z, config=config, depth=2)
    narrow = space.decode_fn(params, z, 2)
    x = jax.random.normal(jax.random.key(2), (5, 2))
    padded = jnp.pad(x, ((0, 0), (0, 1)))
    np.testing.assert_allclose(
        apply(narrow, x, activations=space.spec.activations),
        apply(whole, padded, activations=space.spec.activations),
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match=r"1\.\.3"):
        MAKE_SPACE(config, num_inputs=4)


BAD_ARGUMENTS = {
    "no data": ([], "--data"),
    "missing file": (["--data", "no/such.csv"], "no such file: 'no/such.csv'"),
    "no column": (["--data", "diabetes", "--target", "bmy"], "did you mean 'bmi'"),
    "features": (["--data", "diabetes", "--target", "bmi"], "--features"),
    "activation": (["--data", "iris", "--activation", "swish"], "swish"),
    "preset": (["--data", "iris", "--preset", "huge"], "no pretrained autoencoder"),
    "no such option": (["--data", "iris", "--colour", "red"], "--colour"),
    "seed": (["--data", "iris", "--seed", "-1"], "seed"),
    "budget": (["--data", "iris", "--time-budget", "nan"], "time_budget"),
    "steps": (["--data", "iris", "--num-steps", "0"], "num_steps"),
    "foreign": (["--data", "iris", "--preset", "{}/damaged.safetensors"], "damaged"),
    "wrong kind": (
        ["--data", "iris", "--preset", "{}/random.safetensors", "--activation", "tanh"],
        "sigmoid networks, not of tanh",
    ),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_input_is_one_line_and_code_2(case, folder, tmp_path, capsys, monkeypatch):
    arguments, words = BAD_ARGUMENTS[case]
    monkeypatch.chdir(tmp_path)
    code, error = _run([part.format(folder) for part in arguments], capsys)
    assert code == 2
    assert error.count("\n") == 1 and words in error
    assert not any(tmp_path.iterdir())  # no empty run folder stays behind


def test_run_folder_that_exists_is_not_touched(command, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    arguments = ["--data", command.data, "--target", TARGET, "--preset", command.preset]
    code, error = _run([*arguments, "--out", str(tmp_path)], capsys)
    assert code == 2 and "exists" in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def _run(arguments, capsys):
    code = commands.run_command(
        search.main, search.SearchCommand, name="search", arguments=arguments
    )
    return code, capsys.readouterr().err


def test_module_is_a_command():
    process = subprocess.run(
        [sys.executable, "-m", "swajax.search", "--data", "diabetis"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr.startswith("python -m swajax.search: error: no such file")
    assert process.stderr.count("\n") == 1


def test_help_describes_every_option(capsys):
    with pytest.raises(SystemExit) as caught:
        commands.parse(search.SearchCommand, name="search", arguments=["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    options = dataclasses.fields(search.SearchCommand) + dataclasses.fields(SEARCH)
    for field in options:
        assert field.name == "search" or f"--{field.name.replace('_', '-')}" in text
