"""The search command, in process, on small tables."""

import contextlib
import dataclasses
import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from tqdm import tqdm

import swajax
from swajax.data import large
from swajax.data.splits import split_into_folds
from swajax.data.tables import load_table
from swajax.io import checkpoints, commands
from swajax.model.front import Front
from swajax.model.results import read_rows
from swajax.network import apply, count_weights
from swajax.search import __main__ as search_command
from swajax.search.config import (
    DescentSourceConfig,
    SearchConfig,
    SupernetSourceConfig,
)
from swajax.search.display import make_callback
from swajax.search.pool import Pool, make_pool
from swajax.search.run import SearchProgress
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Network

TARGET = "cost $US$ (ü)"  # nothing in a column's name may be interpreted
# One configuration, so that all runs share their compiled programs.
SEARCH = SearchConfig(
    max_weights=9,
    num_starts=8,
    num_rounds=0,
    num_kept=4,
    max_width=7,
    max_depth=2,
    activations=("tanh", "sigmoid"),
    supernet=SupernetSourceConfig(
        num_supernets=2,
        num_drawn=3,
        training=SupernetConfig(num_steps=2, batch_size=8),
    ),
)

pytestmark = pytest.mark.filterwarnings("ignore:the time budget did not")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of two features, a target of numbers and one of classes."""
    folder = tmp_path_factory.mktemp("search")
    x = np.random.default_rng(0).uniform(-3, 3, size=(40, 2))
    y = 100 + 20 * np.tanh(x[:, 0] - x[:, 1])
    kinds = np.where(y > 100, "<b>high</b>", "low")
    cells = zip(x, y, kinds, strict=True)
    rows = [f"{a},{b},{c},{k},day {i // 4}" for i, ((a, b), c, k) in enumerate(cells)]
    text = "\n".join([f"u,v,{TARGET},kind,day", *rows]) + "\n"
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", autouse=True)
def no_cache():
    """Tests leave the user's cache folder alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commands, "use_compilation_cache", lambda: None)
        yield


@pytest.fixture(scope="module")
def command(folder):
    return search_command.SearchCommand(
        data=str(folder / "table.csv"),
        target=TARGET,
        features=("u", "v"),
        search=SEARCH,
    )


@pytest.fixture(scope="module")
def finished(folder, command):
    """The folder of a complete run, its results and what it printed."""
    return _run(command, folder / "finished")


def _run(command, out):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        search_command.main(dataclasses.replace(command, out=out))
    return out, json.loads((out / "results.json").read_text()), printed.getvalue()


def test_all_results_are_written(finished):
    out, results, printed = finished
    assert {path.name for path in out.iterdir()} == {
        "config.json",
        "diagram.png",
        "front.png",
        "metrics.jsonl",
        "networks.safetensors",
        "predictions.png",
        "report.html",
        "responses.png",
        "results.json",
        "rows.safetensors",
        "surface.png",
    }
    assert results["num_rows"] == {"train": 32, "test": 8}
    assert (out / "front.png").read_bytes().startswith(b"\x89PNG")
    assert str(out) in printed
    assert TARGET in printed
    sizes = [row["num_weights"] for row in results["front"]]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] <= SEARCH.max_weights
    best = np.minimum.accumulate([row["valid_loss"] for row in results["front"]])
    for row, before in zip(results["front"][1:], best, strict=False):
        assert row["is_picked"] or row["is_dominated"] == (row["valid_loss"] >= before)
    assert [row["is_picked"] for row in results["front"]].count(True) == 1


def test_a_single_neuron_is_found(finished):
    _, results, _ = finished
    assert results["front"][-1]["r2_test"] > 0.99


def test_written_networks_have_the_reported_errors(finished, folder):
    out, results, _ = finished
    arrays, header = checkpoints.load(out / "networks.safetensors")
    networks = Network(**arrays)
    table = load_table(str(folder / "table.csv"), target=TARGET, features=("u", "v"))
    dataset, _, scaling, _ = split_into_folds(table, seed=0)
    assert header["target_scale"] == scaling.target_scale
    for index, row in enumerate(results["front"]):
        network = jax.tree.map(lambda leaf, i=index: jnp.asarray(leaf[i]), networks)
        outputs = apply(
            network,
            jnp.asarray(dataset.test.x),
            activations=tuple(header["activations"]),
        )
        rmse = np.sqrt(np.mean(np.square(outputs - dataset.test.y)))
        # Of an output's own size float32 keeps 1e-7.
        np.testing.assert_allclose(
            rmse * scaling.target_scale,
            row["rmse_test"],
            rtol=1e-3,
            atol=1e-6 * scaling.target_scale,
        )
        assert count_weights(network) == row["num_weights"]


def test_a_network_is_loaded_with_its_table(finished, folder):
    out, results, _ = finished
    rows = read_rows(out)
    table = load_table(str(folder / "table.csv"), target=TARGET, features=("u", "v"))
    for row in results["front"]:
        model = swajax.load(out, row["num_weights"])
        assert model.num_weights == row["num_weights"]
        assert model.target == TARGET
        for part in ("test",):  # the errors of held-out rows are of other networks
            kept = rows[part]
            truth = kept.y * model.scaling.target_scale + model.scaling.target_offset
            rmse = np.sqrt(np.mean(np.square(model.outputs(kept.x) - truth)))
            want = row[f"rmse_{part}"]
            np.testing.assert_allclose(rmse, want, rtol=1e-3, atol=1e-4)
    assert model.predict(table.frame).shape == (40,)
    (picked,) = (row for row in results["front"] if row["is_picked"])
    assert swajax.load(out).num_weights == picked["num_weights"]


def test_a_large_table_is_evaluated_on_all_test_rows(folder, command, monkeypatch):
    path = folder / "large.csv"
    header, *lines = (folder / "table.csv").read_text().splitlines()
    path.write_text("\n".join([header, *lines * 5]) + "\n")
    monkeypatch.setattr(large, "MAX_BYTES", 0)
    monkeypatch.setattr(large, "MAX_ROWS", 24)
    monkeypatch.setattr(large, "NUM_EACH", 0)
    own = dataclasses.replace(command, data=str(path), split="last")
    out, results, printed = _run(own, folder / "large")
    assert results["num_rows"] == {"train": 120, "valid": 40, "test": 40}
    assert "of 200 rows, 24/24/24 random ones are kept" in printed
    assert [len(part.x) for part in read_rows(out).values()] == [24, 24]
    table = load_table(str(folder / "table.csv"), target=TARGET, features=("u", "v"))
    smallest = results["front"][0]
    model = swajax.load(out, smallest["num_weights"])
    # The last 40 rows, which test, are the small table.
    rmse = np.sqrt(np.mean(np.square(model.predict(table.frame) - table.target)))
    np.testing.assert_allclose(smallest["rmse_test"], rmse, rtol=1e-3)
    monkeypatch.setattr(large.LargeTestRows, "read", _fail)
    with pytest.warns(UserWarning, match="those of 24 rows, .* gone"):
        _run(own, folder / "gone")


def _fail(self):
    raise ValueError("gone")


def test_the_same_seed_gives_the_same_front(finished, folder, command):
    _, again, _ = _run(command, folder / "again")
    assert again["front"] == finished[1]["front"]


def test_classes(folder, command):
    command = dataclasses.replace(command, target="kind")
    _, results, printed = _run(command, folder / "classes")
    assert results["classes"] == ["<b>high</b>", "low"]
    assert results["front"][-1]["accuracy_test"] >= 0.75
    assert "log loss" in printed


def test_a_time_budget_ends_early_with_a_front(folder, command):
    command = dataclasses.replace(command, time_budget=1e-3)
    _, results, _ = _run(command, folder / "budget")
    assert len((folder / "budget" / "metrics.jsonl").read_text().splitlines()) == 2
    assert results["front"]


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"split": "last"}, "order of the rows: the last 8 test, the 8 before them"),
        ({"group": "day"}, "by group 'day': 8/2 groups to train/test"),
    ],
)
def test_other_splits_are_told_and_recorded(folder, command, options, note):
    command = dataclasses.replace(command, **options, time_budget=1e-3)
    (name,) = options
    out, results, printed = _run(command, folder / f"by-{name}")
    assert f"note: split {note}" in printed.replace("split in the ", "split ")
    assert any(note in line for line in results["notes"])
    assert results["config"][name] == options[name]
    counts = {"train": 24, "valid": 8} if name == "split" else {"train": 32}
    assert results["num_rows"] == counts | {"test": 8}
    if name == "split":
        table = pd.read_csv(folder / "table.csv")
        test = read_rows(out)["test"].y[:, 0] * results["target_scale"]
        wanted = table[TARGET].to_numpy()[-8:] - results["target_offset"]
        np.testing.assert_allclose(np.sort(test), np.sort(wanted), atol=1e-3)


def test_a_split_in_order_has_no_groups(folder, command):
    command = dataclasses.replace(command, split="last", group="day")
    with pytest.raises(
        ValueError, match=r"split last .* either the split or the group"
    ):
        search_command.main(dataclasses.replace(command, out=folder / "both"))
    assert not (folder / "both").exists()


@pytest.mark.parametrize(
    ("preset", "activation", "message"),
    [
        ("compact", "sigmoid", "--sources random, direct or tangle"),
        ("tabular", None, "--max-width"),
    ],
)
def test_a_learned_space_refuses_what_it_has_no_networks_for(
    folder, command, preset, activation, message
):
    source = DescentSourceConfig(preset=preset, activation=activation)
    search = dataclasses.replace(SEARCH, sources=("latent",), descent=source)
    if preset == "compact":
        search = dataclasses.replace(
            search, max_width=8, max_depth=4, activations=("sigmoid",)
        )
    command = dataclasses.replace(command, target="kind", search=search)
    with pytest.raises(ValueError, match=message):
        search_command.main(dataclasses.replace(command, out=folder / "refused"))
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    ("max_error", "wanted"),
    [
        (None, "smallest within one standard error of the best"),
        (0.3, "smallest with a validation loss of at most 0.3"),
        (0.2, "the best; none has a validation loss of at most 0.2"),
    ],
)
def test_the_pick_is_explained(max_error, wanted):
    losses = np.array([0.5, 0.25])
    front = Front(None, np.array([3, 5]), losses, losses, losses, pick=1)
    assert search_command._explain_pick(front, max_error) == wanted


def test_the_first_answer_has_no_network_above_the_limit(folder, capsys):
    losses = np.array([3.0, 2.0, 1.0])
    one = (3, 1, 1)
    shapes = one, (3, 0, 1, 1), one, one, (3, 1), one, (*one, 1)
    network = Network(*map(np.zeros, shapes), depth=np.ones(3, int))
    flags = np.zeros(3, bool)
    pool = Pool(network, np.array([19, 20, 22]), losses, np.arange(3), flags, flags)
    with tqdm(disable=True) as bar:
        callback = make_callback(bar, folder, max_weights=20)
        large = pool.take(pool.num_weights > 20)
        for seconds, found in (1.0, large), (2.0, pool), (3.0, pool):
            callback(SearchProgress("polish", seconds, found, 1, 9))
    out = capsys.readouterr().out
    assert out.startswith("after 2 s") and out.endswith("\n  19: 3, 20: 2\n")


@pytest.mark.filterwarnings("default")
def test_a_full_disk_is_named_below_the_table_of_the_front(
    folder, command, monkeypatch
):
    command = dataclasses.replace(command, valid_share=0.2)
    out, results, printed = _run(command, folder / "before")
    arrays, header = checkpoints.load(out / "networks.safetensors")
    names = "num_weights", "valid_loss", "valid_loss", "valid_loss_diff_se"
    rows = [np.array([row[name] for row in results["front"]]) for name in names]
    front = Front(Network(**arrays), *rows, header["pick"])
    progress = SearchProgress("polish", 1.0, make_pool(*front[:3]), 1, 9)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)

    def find(*args, callback, **options):
        # From now on files end at 500 bytes, as those on a full disk do.
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, old[1]))
        for _ in range(20):
            callback(progress)
        return front

    monkeypatch.setattr(search_command, "find_front", find)
    command = dataclasses.replace(command, out=folder / "full")
    with (
        contextlib.redirect_stdout(io.StringIO()) as shown,
        contextlib.redirect_stderr(io.StringIO()) as errors,
    ):
        try:
            code = commands.run_command(
                lambda _: search_command.main(command),
                search_command.SearchCommand,
                name="c",
                arguments=["--data", "x"],
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
    table = printed[printed.index("RMSE") : printed.index("report.html")]
    assert shown.getvalue().endswith(table)
    full = folder / "full"
    assert errors.getvalue() == (
        f"c: note: the log ends: {full}/metrics.jsonl: File too large\n"
        f"c: error: {full}/rows.safetensors: File too large\n"
    )
    assert code == 2


def test_long_names_are_cut_in_what_is_printed(folder, command):
    frame = pd.DataFrame({"x" * 5000: np.arange(60.0) % 7, "y": np.arange(60.0)})
    frame.to_csv(folder / "long.csv", index=False)
    command = dataclasses.replace(
        command,
        data=str(folder / "long.csv"),
        target="y",
        features=None,
        time_budget=1e-3,
    )
    _, _, printed = _run(command, folder / "long")
    assert max(map(len, printed.splitlines())) < 300


def test_nothing_is_overwritten(finished, command):
    out, _, _ = finished
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(FileExistsError, match="choose another --out"):
        search_command.main(dataclasses.replace(command, out=out))
    assert before == {path: path.read_bytes() for path in out.iterdir()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"time_budget": 0.0}, "time_budget"),
        ({"time_budget": float("nan")}, "time_budget"),
        ({"devices": 0}, "devices must be >= 1, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        search_command.SearchCommand(data="diabetes", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--data diabetis", "diabetis"),
        ("--data diabetes --devices 9999", "devices must be <= "),
        ("--data diabetes --devices 0", "devices must be >= 1, got 0"),
    ],
)
def test_what_a_command_cannot_use_is_one_line_and_exit_code_2(
    tmp_path, options, message
):
    process = subprocess.run(
        [sys.executable, "-m", "swajax.search", *options.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
    )
    assert process.returncode == 2
    assert process.stderr.startswith("python -m swajax.search: error: ")
    assert process.stderr.count("\n") == 1 and message in process.stderr
    assert not list(tmp_path.iterdir())
