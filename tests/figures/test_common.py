"""Files of runs, the work clock, teachers and tables."""

import json
import multiprocessing
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.common import checks, results, tables, teachers
from figures.common.clock import WorkClock
from figures.common.results import RunFile
from swajax.network import apply, count_weights, simplify
from swajax.types import NetworkSpec

SPEC = NetworkSpec()
RUN = {"seed": 0, "settings": {"seconds": 20.0, "limits": {"depth": 3}}, "loss": 0.1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.jsonl"


# Runs.


def test_runs_are_read_as_they_were_added_in_order_of_their_names(path):
    runs = RunFile(path)
    added = {name: RUN | {"seed": n} for n, name in enumerate(("b.1", "a", "b.1-x"))}
    for name, run in added.items():
        runs.add(name, run)
    for found in (runs, RunFile(path)):
        assert dict(found) == added
        assert list(found) == ["a", "b.1-x", "b.1"]
    assert results.load(path.parent) == list(runs.values())


def test_values_are_stored_as_json(path):
    numbers = np.float32([0.1, np.nan])
    RunFile(path).add("a", {"loss": numbers, "size": np.int64(3), "by": ("x",)})
    run = RunFile(path)["a"]
    assert run == {"loss": [float(np.float32(0.1)), None], "size": 3, "by": ["x"]}


def test_settings_are_stored_once(path):
    runs = RunFile(path)
    for n in range(3):
        runs.add(f"{n}", RUN | {"seed": n})
    RunFile(path).add("3", RUN)  # another process that has read the file
    RunFile(path).add("4", RUN | {"settings": {"seconds": 1.0}})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["shared"] for line in lines if "shared" in line] == [
        RUN["settings"],
        {"seconds": 1.0},
    ]
    assert RunFile(path)["3"] == RUN


def test_the_later_of_two_runs_of_one_name_counts(path):
    RunFile(path).add("a", RUN)
    RunFile(path).add("a", RUN | {"loss": 0.2})
    assert len(RunFile(path)) == 1 and RunFile(path)["a"]["loss"] == 0.2


def test_a_killed_write_loses_one_run_and_is_told(path, capsys):
    runs = RunFile(path)
    runs.add("a", RUN)
    whole = path.read_bytes()
    runs.add("b", RUN)
    size = path.stat().st_size
    for length in range(len(whole) + 1, size):
        path.write_bytes((whole + path.read_bytes()[len(whole) :])[:length])
        assert list(RunFile(path)) == ["a"]
        assert "dropped a damaged last line" in capsys.readouterr().err
        again = RunFile(path)
        again.add("b", RUN)
        assert path.stat().st_size == size
        capsys.readouterr()
        assert dict(RunFile(path)) == {"a": RUN, "b": RUN}
        assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["[1]", '{"seed": 1}', '{"run": "a", "settings": "x"}']
)
def test_damage_elsewhere_names_file_and_line(path, line):
    RunFile(path).add("a", RUN)
    path.write_text(f"{line}\n{path.read_text()}")
    with pytest.raises(ValueError, match=r"runs.jsonl:1: not a run"):
        RunFile(path)


def _add_runs(path, part):
    runs = RunFile(path)
    for n in range(50):
        runs.add(f"{part}.{n}", RUN | {"seed": n, "text": "x" * 5000})


def test_processes_share_a_file(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_runs, args=(path, n)) for n in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(RunFile(path)) == 150


def test_runs_of_other_settings_are_refused(path):
    runs = RunFile(path)
    runs.add("a", RUN)
    assert runs.has("a", {"seconds": 20.0}) and not runs.has("b", {})
    assert runs.has("a", {"seed": 0}, field=None)
    with pytest.raises(ValueError, match=r"a was made with seconds = 20.0, not 5.0"):
        runs.has("a", {"seconds": 5.0})
    with pytest.raises(ValueError, match=r"limits.width = None, not 2: remove"):
        runs.has("a", {"limits": {"width": 2}})


def test_missing_runs_are_made_one_after_another(path, capsys):
    runs, made = RunFile(path), []

    def make(name):
        assert len(RunFile(path)) == len(made)  # earlier ones are in the file
        made.append(name)
        return RUN

    planned = [(name, lambda name=name: make(name)) for name in "ab"]
    results.make_missing(runs, planned, lambda run: f"loss {run['loss']}")
    assert made == ["a", "b"] and "[2/2] b: loss 0.1; 0 s\n" in capsys.readouterr().out


def test_ctrl_c_leaves_no_half_run(path):
    def make():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as a search does, which returns its best result
            return RUN

    with pytest.raises(KeyboardInterrupt):
        results.make_missing(RunFile(path), [("a", make)])
    assert not path.exists()


def test_what_hangs_is_ended():
    with pytest.raises(TimeoutError), results.interrupting(0.01):
        time.sleep(10)


def test_quick_runs_have_a_folder_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert results.choose_folder(tmp_path / "x", "s", is_quick=True) == tmp_path / "x"
    quick = results.choose_folder(None, "s/t", is_quick=True)
    assert quick.is_dir() and not (tmp_path / "figures").exists()
    assert str(results.choose_folder(None, "s", is_quick=False)) == "figures/s"


# The clock.


def test_compilation_counts_once_however_it_is_nested(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    clock = WorkClock()
    for span in ((1.0, 2.0), (2.5, 2.75), (0.0, 3.0), (5.0, 6.0), (5.5, 7.0)):
        clock.add_span(*span)
    assert clock.compile_seconds == 3.0 + 2.0
    assert clock() == 95.0


def test_the_clock_stops_in_a_pause(monkeypatch):
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = WorkClock()
    with clock.paused():
        clock.add_span(10.0, 13.0)  # in the pause: must not be subtracted twice
        now = 13.0
        with clock.paused():
            now = 14.0
        assert clock() == 10.0
    now = 15.0
    assert clock() == pytest.approx(11.0)
    assert clock.compile_seconds == 3.0


def test_the_clock_hears_jax_compile_while_it_is_on():
    def compile_one():
        jax.block_until_ready(jax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(3)))

    with WorkClock() as clock:
        compile_one()
        heard = clock.compile_seconds
        assert heard > 0
    compile_one()
    assert clock.compile_seconds == heard


# Teachers, tables and checks.


def test_a_teacher_is_live_and_has_its_number_of_weights(key):
    teacher = teachers.plant(key, spec=SPEC, depth=2, num_weights=14)
    live = jax.jit(simplify, static_argnames="activations")(
        teacher, activations=SPEC.activations
    )
    assert int(count_weights(teacher)) == int(count_weights(live)) == 14
    assert int(teacher.depth) == 2
    assert not np.any(teacher.bias) and not np.any(teacher.readout_bias)
    points = jax.random.uniform(key, (2000, 3), minval=-1.0)
    out = apply(teacher, points, activations=SPEC.activations)
    assert out.var() > 0.8 * teachers.MIN_VARIANCE
    unit = teachers.plant(
        key, spec=SPEC, depth=2, num_weights=14, is_unit_variance=True
    )
    out = apply(unit, points, activations=SPEC.activations)
    np.testing.assert_allclose(out.var(), 1, rtol=0.2)


def test_an_impossible_teacher_is_refused(key):
    with pytest.raises(ValueError, match="1 weights"):
        teachers.plant(key, spec=SPEC, depth=2, num_weights=1)


def test_tables_end_with_one_line_feed(tmp_path):
    tables.write(tmp_path / "a.md", "\n| a |\n\n")
    assert (tmp_path / "a.md").read_bytes() == b"| a |\n"
    table = tables.format_rows(["a", "b"], [["1|2", "3"]], alignment=["--:", ":--"])
    assert table == "| a | b |\n| --: | :-- |\n| 1/2 | 3 |"


def test_checks_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"no task 'iriss' \(did you mean 'iris'\?\)"):
        checks.check_names("task", ["iris", "iriss"], ["iris", "wine"])
