"""Memory and accuracy studies: agreement of forms, counts by hand, commands."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tangle_cases

from figures.common import results
from figures.common.results import RunFile
from figures.tangle import (
    accuracy,
    accuracy_tables,
    catalogue,
    cellnets,
    costs,
    forms,
    layers,
    library,
    memory,
    memory_tables,
    methods,
    resident,
    standalone_table,
    supernets,
)
from figures.tangle.full_size import DARTS, FULL_SIZE, NB201
from figures.tangle.transformers import make_transformer
from swajax.io import commands, configs
from swajax.tangle import choices, experiment, spaces
from swajax.tangle.data import digits
from swajax.tangle.data.examples import Rows
from swajax.tangle.spaces import SPACES, make_space
from swajax.tangle.spaces.base import count_weights
from swajax.tangle.spaces.macro import MacroConfig
from swajax.tangle.spaces.transformer import TransformerConfig
from swajax.tangle.train import standalone

LAYERS = {
    "linear": (layers.make_linear(3, (2, 4)), (5, 3)),
    "conv": (layers.make_conv(2, (1, 3), (1, 3)), (2, 4, 4, 2)),
    "conv-product": (layers.make_conv(2, (1, 3), (1, 3), ins=(1, 2)), (2, 4, 4, 2)),
}
WIDE = {
    "attention": (layers.make_attention((4,), (1, 3), head_size=2), (2, 5, 4)),
    "feed-forward": (layers.make_feed_forward((4,), (1, 2)), (2, 5, 4)),
}


def make_case(layer, shape):
    rng = np.random.default_rng(0)
    weights = jax.eval_shape(layer.draw, jax.random.key(0))
    weights = jax.tree.map(
        lambda a: jnp.asarray(rng.normal(size=a.shape), float), weights
    )
    vectors = [
        jnp.asarray(rng.dirichlet(np.ones(num)), float) for num in layer.num_options
    ]
    return weights, vectors, jnp.asarray(rng.normal(size=shape), float)


def slice_all(layer, weights):
    options = np.ndindex(*layer.num_options)
    return tuple(layer.take(weights, option) for option in options)


def compare(trees, **tolerance):
    for a, b in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.parametrize("name", LAYERS)
def test_superposition_is_entangled_outputs_for_affine_layers(name):
    layer, shape = LAYERS[name]
    weights, vectors, x = make_case(layer, shape)

    def total(form, weights, vectors):
        # A bias is not masked by the kernel: equal where probabilities sum to 1.
        vectors = [v / v.sum() for v in vectors]
        return jnp.sin(forms.apply(layer, form, weights, vectors, x)).sum()

    slopes = [
        jax.jit(jax.grad(functools.partial(total, form), (0, 1)))(weights, vectors)
        for form in ("sup", "weo")
    ]
    compare(slopes, rtol=1e-4, atol=1e-5)
    assert np.abs(slopes[0][1][0]).min() > 1e-6


@pytest.mark.parametrize("name", LAYERS | WIDE)
def test_weight_sharing_with_equal_slices_is_entangled_outputs(name):
    layer, shape = (LAYERS | WIDE)[name]
    weights, vectors, x = make_case(layer, shape)
    own = slice_all(layer, weights)
    drawn = jax.eval_shape(
        functools.partial(forms.draw, layer, "ws"), jax.random.key(0)
    )
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, drawn)
    pair = [
        forms.apply(layer, form, w, vectors, x)
        for form, w in (("ws", own), ("weo", weights))
    ]
    compare(pair, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS | WIDE)
def test_one_option_alone_is_the_same_in_all_forms(name):
    layer, shape = (LAYERS | WIDE)[name]
    weights, _, x = make_case(layer, shape)
    for last in (0, -1):
        one = [jnp.eye(num)[last] for num in layer.num_options]
        pair = [forms.apply(layer, f, weights, one, x) for f in ("sup", "weo")]
        compare(pair, rtol=1e-4, atol=1e-4)
    alone = forms.apply(layer, "single", weights, one, x)
    compare((pair[0], alone), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("operations", [NB201.operations, DARTS.operations])
def test_an_edge_with_one_operation_is_the_same_in_all_forms(operations):
    draw = functools.partial(cellnets.draw_edge, num_channels=2, stride=2)
    shared = draw(jax.random.key(0), operations, "weo")
    largest = operations.index(cellnets.find_largest(operations))
    p, x = (
        jnp.eye(len(operations))[largest],
        jax.random.normal(jax.random.key(1), (2, 6, 6, 2)),
    )
    how = {"stride": 2, "operations": operations}
    found = {
        f: cellnets.apply_edge(shared, x, p, form=f, **how) for f in ("sup", "weo")
    }
    alone = {k: v for k, v in shared.items() if k in ("conv", "sep")}
    found["single"] = cellnets.apply_edge(alone, x, p, form="single", **how)
    own = draw(jax.random.key(2), operations, "ws")
    own = tuple(alone if n == largest else w for n, w in enumerate(own))
    found["ws"] = cellnets.apply_edge(own, x, p, form="ws", **how)
    for out in found.values():
        np.testing.assert_allclose(out, found["single"], rtol=1e-3, atol=1e-4)


TINY = {
    "linear": supernets.make_linear_stack(3, width=6, depth=2, num_inputs=4),
    "conv": supernets.make_conv_stack(3, width=6, depth=2, size=4),
    "attention": supernets.make_attention_stack(3, size=8, num_tokens=4),
    "mlp": supernets.make_perceptron(3),
    "macro": supernets.make_macro(
        MacroConfig(((1, 2), (2, 3)), ((3,), (1, 3)), pools=(1,)), (4, 4, 1)
    ),
    "text": make_transformer(
        TransformerConfig((2, 4), (1, 2), (1, 2), (1, 2), head_size=2),
        num_positions=3,
        num_tokens=5,
    ),
    "nb201": cellnets.make_nb201(
        dataclasses.replace(
            NB201, channels=2, stem=2, layout="normal-residual-normal-residual-normal"
        ),
        (32, 32, 3),
    ),
    "darts": cellnets.make_cells(
        dataclasses.replace(
            DARTS, channels=2, stem=6, num_nodes=1, layout="normal-reduce"
        ),
        (8, 8, 3),
    ),
}


@pytest.mark.parametrize("form", forms.FORMS)
@pytest.mark.parametrize("name", TINY)
def test_every_supernet_has_a_gradient_in_every_form(name, form):
    net = TINY[name]
    args = functools.partial(supernets.draw_arguments, net=net, form=form, batch_size=2)
    shapes = jax.eval_shape(args, jax.random.key(0))
    loss, slopes = jax.eval_shape(supernets.make_step(net, form), *shapes)
    assert loss.shape == ()
    wanted = shapes[0] if form == "single" else shapes[:2]
    assert jax.tree.map(jnp.shape, slopes) == jax.tree.map(jnp.shape, wanted)


@pytest.mark.parametrize(
    ("name", "form"),
    [("mlp", "ws"), ("mlp", "weo"), ("mlp", "sup"), ("text", "ws"), ("text", "sup")],
)
def test_vectors_and_weights_move_the_loss(name, form):
    net = TINY[name]
    args = supernets.draw_arguments(jax.random.key(0), net, form, batch_size=2)
    _, slopes = jax.jit(supernets.make_step(net, form))(*args)
    for leaf in jax.tree.leaves(slopes):
        assert np.isfinite(leaf).all()
    assert all(np.abs(leaf).max() > 0 for leaf in slopes[1].values())


def test_bytes_and_operations_of_a_linear_stack():
    """Four options in equal steps have 1 + 2 + 3 + 4 quarters of the weights."""
    net = supernets.make_linear_stack(4, width=64, depth=2, num_inputs=64)
    found = {f: costs.count(net, f, batch_size=256) for f in forms.FORMS}
    single = 4 * (2 * 64 * 65 + 65 * 10)
    assert found["single"]["parameter_bytes"] == single
    assert found["sup"]["parameter_bytes"] == single
    assert found["weo"]["parameter_bytes"] == single
    assert found["ws"]["parameter_bytes"] == 4 * (2 * 160 * 65 + 65 * 10)
    ratio = found["ws"]["flops"] / found["sup"]["flops"]
    assert 2 < ratio < 3
    assert found["ws"]["bytes"] > 1.5 * found["sup"]["bytes"]
    assert found["weo"]["bytes"] > 1.2 * found["sup"]["bytes"]


def test_operations_in_loops_are_counted_as_often_as_they_run():
    sizes = {"embed": (4, 8), "heads": (1, 2), "ratios": (1, 2), "head_size": 4}
    places = {"num_positions": 6, "num_pixels": 3}
    configs = [TransformerConfig(depths=n, **sizes) for n in ((1, 2), (3, 4))]
    flops = [
        costs.count(make_transformer(own, **places), "sup", batch_size=4)["flops"]
        for own in configs
    ]
    assert 1.7 < flops[1] / flops[0] < 2.3


@pytest.mark.parametrize("name", ["mlp", "chars-gpt"])
def test_bytes_of_the_supernets_of_the_package(monkeypatch, name):
    small = tangle_cases.SMALL[name]
    config_class, make = spaces.SPACES[name]
    own = lambda **_: config_class(**small)  # noqa: E731 - stands for a class
    monkeypatch.setitem(spaces.SPACES, name, (own, make))
    monkeypatch.setitem(library.BATCHES, name, (4, tangle_cases.SHAPES[name][1:]))
    found = library.count(name)
    space = tangle_cases.make_small(name)
    params = jax.eval_shape(space.init, jax.random.key(0))
    num = sum(leaf.size for leaf in jax.tree.leaves(params))
    largest = choices.extreme(space.choices, is_largest=True)
    assert found["sup"]["parameter_bytes"] == 4 * num
    assert found["single"]["parameter_bytes"] == 4 * count_weights(space, largest)
    assert found["sup"]["bytes"] > found["single"]["bytes"] > 4 * num
    assert found["sup"]["flops"] > found["single"]["flops"] > 4 * num
    table = memory_tables.format_library([{"name": name, "forms": found}])
    assert table.splitlines()[-1].startswith(f"| {name} |")


def test_the_library_compiles_every_space_and_those_of_the_paper():
    assert set(library.BATCHES) == set(SPACES) - {"conv-macro"} | set(FULL_SIZE)
    for name in library.BATCHES:
        space = library._make(name, is_unrolled=True)
        params = jax.eval_shape(space.init, jax.random.key(0))
        p = {c.name: jnp.ones((c.num_rows, len(c.options))) for c in space.choices}
        x, y = library._find_shapes(name)
        out = jax.eval_shape(space.apply, params, p, x)
        assert len(out) == y.size


def test_times_are_taken_in_turns():
    calls = []
    found = costs.time_in_turns(
        {name: functools.partial(calls.append, name) for name in "ab"}, 0.0
    )
    assert all(own["num"] == 3 for own in found.values())
    assert all(own["low"] <= own["median"] <= own["high"] for own in found.values())
    assert calls.index("b") < len(calls) - 1 - calls[::-1].index("a")


def test_the_saving_by_hand():
    names = {"ws": 200, "weo": 150, "sup": 50, "single": 40}
    own = {f: {"bytes": n, "flops": n, "parameter_bytes": n} for f, n in names.items()}
    case = {"name": "nb201", "batch_size": 64, "forms": own}
    assert memory_tables.saving(case) == pytest.approx(75)
    text = memory_tables.format_spaces([case])
    assert "75.0 %" in text and "25.28 %" in text and "4.00" in text


def run_memory(*arguments):
    return commands.run_command(
        memory.main, memory.MemoryCommand, name="memory", arguments=arguments
    )


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr(commands, "use_compilation_cache", lambda: None)


def test_the_memory_command_measures_once_and_draws(monkeypatch, tmp_path, capsys):
    arguments = ("--quick", "--spaces", "mlp", "--out", str(tmp_path))
    assert run_memory(*arguments) == 0
    shown = capsys.readouterr().out
    assert "mlp" in shown and "speed sup/ws" in shown
    runs = RunFile(tmp_path / "memory.jsonl")
    case = runs["space.mlp.64"]
    for kind in ("options", "batch"):
        for num in (1, 2):
            changed = case | {"kind": kind, "num_options": num, "batch_size": num}
            runs.add(f"{kind}.mlp.{num}", changed)
    assert runs["library.mlp"]["forms"]
    monkeypatch.setattr(costs, "measure_forms", None)
    monkeypatch.setattr(library, "count", None)
    assert run_memory(*arguments) == 0
    assert {p.name for p in tmp_path.glob("*.png")} == {"options.png", "batch.png"}


def test_the_catalogue_has_the_cases_of_the_plan():
    labels = [planned.label for planned in memory.plan(memory.MemoryCommand())]
    assert len(set(labels)) == len(labels)
    assert {"space.darts.64", "options.conv.8.32", "batch.linear.4.1"} <= set(labels)
    assert supernets.spread(32, 4) == (8, 16, 24, 32)
    for name in ("conv-macro", "autoformer-t", "small-lm"):
        net = catalogue.SPACES[name].make()
        args = functools.partial(
            supernets.draw_arguments, net=net, form="sup", batch_size=2
        )
        shapes = jax.eval_shape(args, jax.random.key(0))
        jax.eval_shape(supernets.make_step(net, "sup"), *shapes)


def run_accuracy(*arguments):
    return commands.run_command(
        accuracy.main, accuracy.AccuracyCommand, name="accuracy", arguments=arguments
    )


@pytest.mark.parametrize(
    ("run_fn", "arguments", "message"),
    [
        (run_memory, ["--spaces", "nb20"], "did you mean 'nb201'"),
        (run_memory, ["--summarize", "--out", "absent"], "no runs to summarize"),
        (run_accuracy, ["--methods", "drna"], "did you mean 'drnas'"),
        (run_accuracy, ["--seeds", "0"], "seeds must be >= 1"),
        (run_accuracy, ["--passes", "0"], "passes must be >= 1"),
        (run_accuracy, ["--summarize", "--out", "absent"], "no runs to summarize"),
    ],
)
def test_bad_options_are_one_line(
    run_fn, arguments, message, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run_fn(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def evaluate_quickly(key, params, task, architecture, *, config):
    """Return scores without training."""
    del key, params, config
    stages = ("inherited", "finetuned", "retrained")
    scores = {stage: {"loss": 0.5, "accuracy": 0.5} for stage in stages}
    return scores | {"num_weights": count_weights(task.space, architecture)}


def test_the_accuracy_command_runs_once_and_compares(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiment, "evaluate_architecture", evaluate_quickly)
    names = ("darts", "spos-random", "random", "largest")
    arguments = ("--quick", "--seeds", "1", "--out", str(tmp_path))
    arguments += ("--methods", *names)
    assert run_accuracy(*arguments) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in names)
    folder = tmp_path / "digits-macro"
    found = {run["method"]: run for run in results.load(folder)}
    assert len(found["darts"]["inherited_losses"]) == 243
    assert [found[name]["num_passes"] for name in names] == [4, 4, 4, 0]
    assert [found[name]["num_evaluated"] for name in names] == [0, 8, 0, 0]
    assert "inherited" not in found["largest"]
    assert found["largest"]["num_weights"] == 14810
    assert {path.name for path in folder.glob("*.png")} == {"sizes.png", "anytime.png"}
    for name, run in found.items():
        assert bool(run["curve"]) == (name in ("darts", "spos-random")), name
    for name in ("darts", "spos-random"):
        last = found[name]["curve"][-1]
        assert last["num_passes"] == 4 and np.isfinite(last["loss"])
    assert found["darts"]["curve"][-1]["indices"] == found["darts"]["indices"]
    monkeypatch.setattr(methods, "run_method", None)
    assert run_accuracy(*arguments) == 0
    other = ("--passes", "9", "--out", str(tmp_path), "--seeds", "1")
    assert run_accuracy(*other) == 2
    assert "was made with batch_size = 8, not 50" in capsys.readouterr().err


def test_a_table_of_another_text_is_refused(monkeypatch, tmp_path, capsys):
    table = {"data": {"text": "another"}, "rows": []}
    monkeypatch.setattr(accuracy_tables, "find_table", lambda *args: table)
    arguments = ("--quick", "--space", "chars-gpt", "--out", str(tmp_path))
    assert run_accuracy(*arguments) == 2
    assert "the table has other data" in capsys.readouterr().err


def test_runs_on_another_text_are_refused(monkeypatch, tmp_path, capsys):
    arguments = ("--quick", "--space", "chars-gpt", "--methods", "largest")
    arguments += ("--seeds", "1", "--out", str(tmp_path))
    (tmp_path / "chars-gpt").mkdir()
    made = {"settings": configs.to_dict(accuracy.QUICK), "data": {"sha256": "00"}}
    name = results.make_name("chars-gpt", 0, "largest")
    RunFile(tmp_path / "chars-gpt" / "runs.jsonl").add(name, made)
    assert run_accuracy(*arguments) == 2
    assert "was made with sha256 = 00, not" in capsys.readouterr().err


def test_resident_memory_that_cannot_be_measured_says_why():
    with pytest.raises(ValueError, match="resident memory of none, sup: KeyError"):
        resident.run_in_process("none", 2, "sup")


def test_inherited_losses_are_those_of_the_networks_in_the_order_of_the_table():
    space = make_space("digits-macro")
    task = experiment.SupernetTask(space, digits.load_digits(0), "softmax")
    params = space.init(jax.random.key(0))
    networks = standalone_table.list_networks(space)[::100]
    judged = methods.evaluate_inherited(params, task, networks)
    x, y = task.split.architecture
    for network, loss in zip(networks, judged, strict=True):
        out = space.apply_standalone(
            space.take(params, network), network, jnp.asarray(x)
        )
        own = standalone.score_outputs(out, Rows(x, y), objective="softmax").loss
        np.testing.assert_allclose(loss, own, rtol=1e-5)


def test_ablations_are_of_spaces_that_have_them():
    plan = accuracy.AccuracyCommand(ablations=True, seeds=1)
    names = [name for name, _ in accuracy.plan(plan)]
    assert "drnas-both-sides" in names and "drnas-paper-norm" not in names
    for method in (methods.METHODS | methods.ABLATIONS).values():
        for space in method.spaces or ("digits-macro",):
            make_space(space, **method.space)


def test_among_some_networks_there_is_a_rank_correlation_only():
    rows = [{"indices": {"a": [n]}, "test_loss": [0.1 * n]} for n in range(1, 5)]
    table = {"config": {"num_networks": 4}, "rows": rows}
    runs = [{"seed": s, "retrained": {"loss": 0.25}, "indices": {}} for s in (0, 1)]
    runs = [run | {"inherited_losses": [1.0, 2.0, 4.0, 3.0]} for run in runs]
    found = accuracy_tables._format_ranks(runs, table)
    assert found == ["", "", "0.667 ± 0.000"]
    text = accuracy_tables.describe_sample(table)
    assert "among 4 random networks" in text and "standalone once." in text


def test_of_one_seed_no_spread_is_told():
    rows = [{"indices": {}, "test_loss": [loss]} for loss in (0.1, 0.2, 0.4)]
    table, right, wrong = {"rows": rows}, [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]

    def make(loss, judged):
        return {"retrained": {"loss": loss}, "inherited_losses": judged}

    one = {"drnas": {0: make(0.5, right)}, "gdas": {0: make(0.25, wrong)}}
    row = accuracy_tables.format_pairs(one, table).splitlines()[-1]
    assert row == "| gdas | -0.2500 | 1 of 1 | -0.6667 |"
    two = {"drnas": one["drnas"] | {1: make(0.5, right)}}
    two["gdas"] = {0: make(0.3, wrong), 1: make(0.2, wrong)}
    row = accuracy_tables.format_pairs(two, table).splitlines()[-1]
    # Student's factor of two values is 12.706, the standard error 0.05.
    losses, taus = "-0.2500 [-0.8853, +0.3853]", "-0.6667 [-0.6667, -0.6667]"
    assert row == f"| gdas | {losses} | 2 of 2 | {taus} |"
    two["gdas"][1]["inherited_losses"] = None  # its weights are in no supernet
    row = accuracy_tables.format_pairs(two, table).splitlines()[-1]
    assert row == f"| gdas | {losses} | 2 of 2 |  |"


def test_standings_and_pairs_by_hand():
    indices = [{"a": [n]} for n in range(3)]
    rows = [
        {"indices": own, "test_loss": [loss]}
        for own, loss in zip(indices, (0.1, 0.2, 0.4), strict=True)
    ]
    run = {"inherited_losses": [1.0, 3.0, 2.0]}
    assert accuracy_tables.correlate(run, {"rows": rows}) == pytest.approx(1 / 3)
    own = {0: {"retrained": {"loss": 0.5}}, 2: {"retrained": {"loss": 0.7}}}
    other = {0: {"retrained": {"loss": 0.4}}, 2: {"retrained": {"loss": 0.8}}}
    gaps = accuracy_tables.loss_differences(own, other, [0, 2])
    np.testing.assert_allclose(gaps, [0.1, -0.1])
