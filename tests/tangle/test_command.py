"""The command: complete short searches, killed, interrupted and resumed."""

import functools
import json
import signal

import jax
import numpy as np
import pytest

import swajax
from swajax.export import agreement
from swajax.export.formats import export
from swajax.io import checkpoints, commands, interrupts, runlog
from swajax.model.results import read_rows
from swajax.report import run_folder
from swajax.tangle import __main__ as tangle
from swajax.tangle import found, journal, plots
from swajax.tangle.__main__ import NAME, TangleCommand, main
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.train import standalone

FEW = (
    "--space mlp --data iris --num-starts 1 --train-steps 3 --search.num-steps 4 "
    "--search.batch-size 8"
).split()
SPOS = (
    "--sampler spos --evolution.num-rounds 1 --evolution.num-mutated 2 "
    "--evolution.num-crossed 2 --evolution.num-kept 2 --evolution.batch-size 2"
).split()

SEARCH = [*FEW, "--sampler", "darts"]
DRAW_SEARCH = plots.draw_search


def run(*arguments):
    return commands.run_command(main, TangleCommand, name=NAME, arguments=arguments)


@functools.cache  # equal spaces and samplers share compiled programs
def make_tiny(name, **options):
    """The space with the given name, with small perceptrons."""
    if name == "mlp":
        options |= {"widths": (1, 2), "depths": (1, 2)}
        options["activations"] = ("sigmoid", "tanh")
    return make_space(name, **options)


make_cached_sampler = functools.cache(make_sampler)


def lighten(patch):
    patch.setattr(commands, "use_compilation_cache", lambda: None)
    patch.setattr(tangle, "make_space", make_tiny)
    patch.setattr(tangle, "make_sampler", make_cached_sampler)
    patch.setattr(plots, "draw_search", lambda *args, **options: None)


@pytest.fixture(autouse=True)
def light(monkeypatch):
    lighten(monkeypatch)


@pytest.mark.parametrize("sampler", ["spos", "drnas"])
def test_the_command_searches_trains_and_writes(sampler, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(plots, "draw_search", DRAW_SEARCH)
    folder = tmp_path / "run"
    own = SPOS if sampler == "spos" else ("--sampler", sampler)
    assert run(*FEW, *own, "--out", str(folder)) == 0
    results = json.loads((folder / "results.json").read_text())
    names = [row["name"] for row in results["rows"]]
    assert names == [sampler, "largest", "smallest"]
    for row in results["rows"]:
        for how in ("inherited", "finetuned", "retrained"):
            assert np.isfinite(row[how]["loss"])
            assert 0 <= row[how]["accuracy"] <= 1
        assert row["options"]["depth"][0] in (1, 2, 3)
    sizes = [row["num_weights"] for row in results["rows"]]
    assert sizes[2] <= sizes[0] <= sizes[1]
    lines = runlog.read_metrics(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["num_passes"] == results["num_passes"]
    assert results["num_passes"] == (4 if sampler == "spos" else 8)
    drawn = {path.name for path in folder.glob("*.png")}
    pictures = {"curve.png", "front.png", "diagram.png", "predictions.png"}
    assert drawn - {"probabilities.png"} == pictures | {"responses.png"}
    assert ("probabilities.png" in drawn) == (sampler == "drnas")
    assert "retrained" in capsys.readouterr().out
    check_model(folder, results)
    assert run(*FEW, "--out", str(folder)) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"split": "last"}, "order of the rows: the last 20 test, the 16 before"),
        ({"group": "day"}, "by group 'day': 16/4/5 groups"),
    ],
)
def test_a_table_is_split_in_order_or_by_group(options, note, tmp_path):
    rows = [f"{i},{i * i},{i // 4}" for i in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y,day", *rows]))
    data = {"data": str(tmp_path / "t.csv"), "target": "y"}
    config = TangleCommand(space="mlp", **data, **options)
    table, dataset, scaling = tangle._split_table(config)
    assert note in table.notes[-1]
    (a, *others) = scaling.encoder.columns
    assert a.name == "a" and bool(others) == ("group" not in options)
    days = [set(np.rint((p.x[:, 0] - a.offset) / a.scale) // 4) for p in dataset]
    assert len(set.union(*days)) == sum(map(len, days))


def check_model(folder, results):
    """Check that the run loads, predicts and exports as a search does, with a page."""
    model = swajax.load(folder)
    (best,) = [row for row in results["front"] if row["is_picked"]]
    assert best["num_weights"] == model.num_weights
    assert best["num_weights"] <= results["rows"][0]["num_weights"]
    for part, (x, y, _) in read_rows(folder).items():
        logits = model.outputs(x)
        loss = np.log(np.exp(logits).sum(axis=1)) - (y * logits).sum(axis=1)
        want = best[f"log_loss_{part}"]
        np.testing.assert_allclose(loss.mean(), want, rtol=1e-4)
    exported = export(model, "c", rows=agreement.find_rows(folder, model))
    assert exported.agreement.rows.endswith("validation and test rows")
    page = (folder / "report.html").read_text("utf-8")
    assert f"{model.num_weights} weights" in page and "supernet" in page
    check_forms(folder, results)


def check_forms(folder, results):
    """Check that the stored weights of each form have the scores of the run."""
    rows = tangle.make_task(runlog.read_config(folder, TangleCommand)).split.test
    (one,) = found.load_networks(folder)
    assert tuple(one.weights) == found.FORMS
    assert results["rows"][0]["options"] == runlog.to_plain(one.options)
    for form in found.FORMS:
        assert one.scores[form] == results["rows"][0][form]
        is_right = one.apply(rows.x, form).argmax(axis=1) == rows.y.argmax(axis=1)
        accuracy = one.scores[form]["accuracy"]
        np.testing.assert_allclose(is_right.mean(), accuracy, rtol=1e-6)
    with pytest.raises(ValueError, match="form must be one of"):
        one.apply(rows.x, "found")


def read(folder):
    """Return log and results without fields that differ between runs."""
    lines = runlog.read_metrics(folder)
    results = json.loads((folder / "results.json").read_text())
    kept = {name: results[name] for name in ("step", "num_passes", "rows")}
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines], kept


def train_quickly(key, params, rows, *, space, architecture, objective, config):
    """Return weights that depend on all arguments, without training."""
    del objective, config
    shift = float(jax.random.normal(key)) + len(rows.x)
    taken = jax.tree.map(lambda leaf: leaf + shift, space.take(params, architecture))
    return dict.fromkeys(("inherited", "finetuned", "retrained"), taken)


def score_quickly(candidates, rows, **how):
    del rows, how
    return {
        name: {"loss": sum(float(w.sum()) for w in jax.tree.leaves(own)), "accuracy": 0}
        for name, own in candidates.items()
    }


def quicken(patch):
    """Skip the training of the networks found."""
    patch.setattr(standalone, "train_candidates", train_quickly)
    patch.setattr(standalone, "score_candidates", score_quickly)
    patch.setattr(found, "save_network", lambda *args, **options: None)
    patch.setattr(tangle, "_write_front", run_folder.write_results)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        lighten(patch)
        quicken(patch)
        assert run(*SEARCH, "--out", str(folder)) == 0
    return folder


@pytest.fixture
def whole(whole_run, monkeypatch):
    """The same run, with the same stubs as the runs compared with it."""
    quicken(monkeypatch)
    return whole_run


def test_a_run_ends_with_its_budget_and_goes_on_to_the_same_numbers(whole, tmp_path):
    folder = tmp_path / "run"
    assert run(*SEARCH, "--time-budget", "1e-9", "--out", str(folder)) == 0
    lines, results = read(folder)
    assert [line["step"] for line in lines] == [1]
    assert results["step"] == 1
    assert len(results["rows"]) == 3
    assert run("--resume", str(folder)) == 0
    assert read(folder) == read(whole)


class Killed(BaseException):
    """An exception that nothing catches, like kill -9."""


def stop_at(monkeypatch, num, error, name):
    """Raise an error instead of the nth save of a state or of scores."""
    module = checkpoints if name == "save" else journal
    calls, save = [], getattr(module, name)

    def stop(*args, **options):
        calls.append(args)
        if len(calls) == num:
            raise error
        return save(*args, **options)

    monkeypatch.setattr(module, name, stop)


@pytest.mark.parametrize(
    ("name", "step", "saved"),
    [("save", 1, 0), ("save", 3, 2), ("save_evaluated", 2, 4)],
)
def test_a_kill_loses_a_report_at_most(monkeypatch, whole, tmp_path, name, step, saved):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, step, Killed, name)
        with pytest.raises(Killed):
            run(*SEARCH, "--out", str(folder))
    path = folder / journal.STATE_FILE
    assert (checkpoints.load(path)[1]["step"] if saved else 0) == saved
    assert len(journal.read_evaluated(folder, 4)) == (1 if saved == 4 else 0)
    assert run("--resume", str(folder)) == 0
    assert read(folder) == read(whole)


def test_ctrl_c_keeps_what_is_found(monkeypatch, whole, tmp_path, capsys):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 3, KeyboardInterrupt, "save")
        assert run(*SEARCH, "--out", str(folder)) == 0
    assert "search stopped" in capsys.readouterr().err
    assert read(folder)[1]["step"] == 2
    assert run("--resume", str(folder)) == 0
    assert read(folder) == read(whole)


def test_a_deferred_ctrl_c_ends_the_search(monkeypatch, whole, tmp_path, capsys):
    folder, log = tmp_path / "run", journal.log_progress

    def press(folder, progress, seconds):
        if progress.step == 2:
            signal.raise_signal(signal.SIGINT)
        return log(folder, progress, seconds)

    with monkeypatch.context() as patch, interrupts.deferred():
        patch.setattr(journal, "log_progress", press)
        assert run(*SEARCH, "--out", str(folder)) == 0
    assert "search stopped" in capsys.readouterr().err
    assert read(folder)[1]["step"] == 2
    assert run("--resume", str(folder)) == 0
    assert read(folder) == read(whole)


def test_ctrl_c_while_training_what_is_found(monkeypatch, whole, tmp_path, capsys):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 1, KeyboardInterrupt, "save_evaluated")
        assert run(*SEARCH, "--out", str(folder)) == 130
    assert f"resume with --resume {folder}" in capsys.readouterr().err
    assert not (folder / "results.json").exists()
    assert run("--resume", str(folder)) == 0
    assert read(folder) == read(whole)


def test_what_is_no_run_is_not_gone_on_with(whole, tmp_path, capsys):
    assert run("--resume", str(tmp_path)) == 2
    assert "no run to resume" in capsys.readouterr().err
    (whole / journal.STATE_FILE).rename(tmp_path / "state")
    (whole / journal.STATE_FILE).write_bytes(b"{}")
    assert run("--resume", str(whole)) == 2
    assert "damaged or no safetensors file" in capsys.readouterr().err
    (tmp_path / "state").rename(whole / journal.STATE_FILE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "nasbench"], "nasbench"),
        (["--sampler", "enas"], "enas"),
        (["--num-starts", "0"], "num_starts must be >= 1"),
        (["--search.num-steps", "0"], "num_steps must be > 0"),
        (["--space", "mlp", "--data", "no.csv"], "no.csv"),
        (["--divergence-weight", "-1"], "divergence_weight must be >= 0"),
        (["--time-budget", "0"], "time_budget must be > 0 s"),
        (["--weight-share", "1"], "weight_share must be in (0, 1)"),
        (["--weight-share", "0.9995"], "leaves nothing for architectures"),
        (["--weight-share", "0.0005"], "leaves nothing for weights"),
        (["--data", "my.csv"], "data does not apply to space digits-macro"),
        (["--split", "last"], "split does not apply to space digits-macro"),
        (["--group", "day"], "group does not apply to space digits-macro"),
        (["--projection", "sparsemax"], "projection does not apply to"),
        (
            ["--sampler", "gdas", "--divergence-weight", "0.1"],
            "divergence_weight does not apply to space digits-macro, sampler gdas",
        ),
        (
            ["--sampler", "spos", "--search.order", "second"],
            "search.order second does not apply to",
        ),
        (["--space", "digits-cell", "--masking", "both"], "masking does not apply to"),
        (["--select-by", "random"], "select_by does not apply to"),
        (["--evolution.num-rounds", "3"], "evolution does not apply to"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(arguments, message, capsys):
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
