"""Estimators: scikit-learn's own checks and tools, sizes on request, learning."""

import functools
import inspect
import itertools
import math
import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from swajax.data import arrays
from swajax.estimators import SparseMLPClassifier, SparseMLPRegressor, base
from swajax.model.fitted import evaluate
from swajax.network import apply
from swajax.search import last_polish, programs, sources, stages, starts
from swajax.types import DEFAULT_ACTIVATIONS, Network

# Small, and of few different programs, each of which takes seconds to compile.
SMALL = {
    "num_starts": 8,
    "num_rounds": 0,
    "max_weights": 20,
    "max_perturbed": 0,
    "max_width": 4,
    "max_depth": 1,
}


@pytest.fixture(autouse=True)
def every_check(monkeypatch):
    """Without it one of scikit-learn's checks is skipped."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) * [1.0, 100.0, 1e-3] + [0.0, 1e4, 5.0]
    return x, 3 * x[:, 0] - 0.05 * x[:, 1] + 7


@pytest.fixture(scope="module")
def regressor(table):
    return SparseMLPRegressor(**SMALL).fit(*table)


@pytest.fixture(scope="module")
def corners():
    """Two classes that no straight line tells apart."""
    x = np.random.default_rng(1).uniform(-1, 1, size=(60, 3))
    return x, np.where(x[:, 0] * x[:, 1] > 0, "same", "other")


def _size(model):
    """Of a simplified network absent weights are zero."""
    weights = model.network_._replace(mask=0, activation=0, depth=0)
    return sum(np.count_nonzero(leaf) for leaf in weights)


# One validation part: a cross-validation takes six times as many fits.
@parametrize_with_checks(
    [
        kind(**SMALL, valid_share=0.25)
        for kind in (SparseMLPRegressor, SparseMLPClassifier)
    ]
)
def test_scikit_learn_check(estimator, check, monkeypatch):
    # Fewer steps of the same programs.
    race = [heat._replace(num_steps=10) for heat in stages.RACE]
    monkeypatch.setattr(stages, "RACE", race)
    monkeypatch.setattr(last_polish, "LAST_STEPS", 20)
    check(estimator)


def test_learns_a_linear_function_in_the_units_of_the_table(regressor, table):
    x, y = table
    assert regressor.score(x, y) > 0.9999
    front = regressor.front_
    assert [row.num_weights for row in front] == sorted({r.num_weights for r in front})
    best = [r.valid_loss for r in front if not (r.is_dominated or r.is_picked)]
    assert (np.diff(best) < 0).all() and len(best) < len(front)
    assert all(row.valid_low < row.valid_high for row in front)
    (picked,) = (row for row in front if row.is_picked)
    assert picked.num_weights == _size(regressor)
    # The smallest that is right reads not the input that does not matter; larger ones
    # may fit rounding by it.
    models = [regressor.at(row.num_weights) for row in front]
    right = next(model for model in models if model.score(x, y) > 0.9999)
    assert not right.network_.first[2].any()


def test_learns_a_problem_that_is_not_linear(corners):
    # Of few starts all may end in the same trough.
    model = SparseMLPClassifier(**SMALL | {"num_starts": 32}).fit(*corners)
    assert model.score(*corners) > 0.85
    assert list(model.classes_) == ["other", "same"]
    probability = model.predict_proba(corners[0])
    np.testing.assert_allclose(probability.sum(axis=1), 1)


def test_at_gives_the_best_network_of_a_size(regressor, table):
    x, y = table
    best = [row for row in regressor.front_ if not row.is_dominated]
    for row, after in itertools.pairwise(best):
        small = regressor.at(after.num_weights - 1)
        assert isinstance(small, SparseMLPRegressor)
        assert _size(small) == row.num_weights
        assert [r for r in small.front_ if r.is_picked] == [
            row._replace(is_picked=True)
        ]
    scores = [regressor.at(row.num_weights).score(x, y) for row in regressor.front_]
    assert scores[0] < 0.9 and scores[-1] > 0.9999
    smallest = regressor.front_[0].num_weights
    with pytest.raises(ValueError, match=f"must be >= {smallest}"):
        regressor.at(smallest - 1)
    at = inspect.unwrap(type(regressor).at)  # without the hook of the tests
    with pytest.raises(ValueError, match="max_weights must be a number, got '9'"):
        at(regressor, "9")


def test_whole_floats_and_single_names_are_taken():
    other = {
        "max_weights": 20.0,
        "max_depth": np.float64(1),
        "sources": "random",
        "activations": list(DEFAULT_ACTIVATIONS),
    }
    wanted = SparseMLPRegressor(**SMALL | {"sources": ("random",)})
    assert SparseMLPRegressor(**SMALL | other)._config() == wanted._config()
    assert SparseMLPRegressor(activations="tanh")._config().activations == ("tanh",)


@pytest.fixture
def searched(monkeypatch):
    """Training and validation rows of each search; no network is searched."""
    found = []

    def record(key, train, valid, **options):
        found.append((train, valid))
        raise InterruptedError

    monkeypatch.setattr(base, "find_front", record)

    def fit(model, *args, **options):
        with pytest.raises(InterruptedError):
            model.fit(*args, **options)
        train, valid = found[-1]
        scales = model.input_range_, model.input_center_
        return [part.x * scales[0] + scales[1] for part in (train, valid)]

    return fit


@pytest.mark.parametrize("kind", [SparseMLPRegressor, SparseMLPClassifier])
def test_the_last_rows_validate(searched, kind):
    x, y = np.arange(50.0)[::-1, None], np.arange(50) % 2
    train, valid = searched(kind(split="last"), x, y)
    np.testing.assert_allclose(np.sort(valid[:, 0]), np.arange(10), atol=1e-9)
    assert len(train) == 40 and train.min() > 9.5
    weight = np.where(x[:, 0] < 5, 0.0, 1.0)
    _, valid = searched(kind(split="last"), x, y, weight)
    np.testing.assert_allclose(np.sort(valid[:, 0]), np.arange(5, 14), atol=1e-9)
    train, valid = searched(kind(split="last"), x[:4], y[:4])
    np.testing.assert_array_equal(train, valid)


@pytest.mark.parametrize("kind", [SparseMLPRegressor, SparseMLPClassifier])
def test_groups_are_not_divided(searched, kind):
    x = np.repeat(np.arange(25.0), 2)[:, None]  # equal rows of two groups stay apart
    y, names = np.arange(50) // 2 % 2, np.array(list("abcde"))
    groups = names[np.arange(50) % 5]
    train, valid = searched(kind(valid_share=0.2), x, y, groups=groups)
    assert len(train) == 40 and len(valid) == 10
    (only,) = set.intersection(
        *(set(groups[x[:, 0] == value]) for value in valid[:, 0])
    )
    np.testing.assert_allclose(np.sort(valid[:, 0]), x[groups == only, 0], atol=1e-9)
    searched(
        kind(valid_share=0.2), x, y, np.where(groups == "a", 0.0, 1.0), groups=groups
    )
    for wrong, message in (
        (["a"] * 50, "1 groups cannot be divided"),
        (["a"] * 49, "groups must have 50 values, got 49"),
        ([None, *groups[1:]], "groups has no value in row 0"),
    ):
        with pytest.raises(ValueError, match=message):
            kind(valid_share=0.2).fit(x, y, groups=wrong)
    with pytest.raises(ValueError, match="split last"):
        kind(split="last").fit(x, y, groups=groups)


@pytest.mark.parametrize("share", [None, 0.2])
def test_a_teacher_predicts_rows_that_it_has_not_seen(monkeypatch, share):
    def record(key, train, valid, **options):
        found[:] = train, valid
        raise InterruptedError

    found, x = [], np.arange(100.0)[:, None]
    monkeypatch.setattr(base, "find_front", record)
    model, nearest = SparseMLPRegressor(valid_share=share), KNeighborsRegressor(1)
    y = np.random.default_rng(0).normal(size=100)
    with pytest.raises(InterruptedError):
        model.fit(x, y, teacher=nearest)
    row = np.rint(found[0].x[:, 0] * model.input_range_ + model.input_center_)
    own = y[row.astype(int)]
    taught = found[0].y[:, 0] * model.target_scale_ + model.target_offset_
    other = 2 * taught - own
    assert not np.isclose(other, own).any()
    assert np.isclose(other[:, None], y[None]).any(axis=1).all()
    model, nearest = SparseMLPClassifier(valid_share=share), KNeighborsClassifier(9)
    with pytest.raises(InterruptedError):
        model.fit(x, y > 0, teacher=nearest)
    assert (2 * found[0].y * 9 % 1).round(6).max() in (0, 1)
    if share:  # the labels choose
        assert set(np.unique(found[1].y)) == {0, 1}


def test_what_cannot_teach_is_refused(table):
    x, y = table
    with pytest.raises(ValueError, match=r"with predict, got Standard"):
        SparseMLPRegressor(**SMALL).fit(x, y, teacher=StandardScaler())
    with pytest.raises(ValueError, match="with predict_proba"):
        SparseMLPClassifier().fit(x, x[:, 0] > 0, teacher=KNeighborsRegressor())


def test_a_class_that_cannot_be_learned_is_refused():
    x, y = np.arange(50.0)[:, None], np.repeat([0, 1], [45, 5])
    with pytest.raises(ValueError, match="class has no row to fit"):
        SparseMLPClassifier(split="last").fit(x, y)


def test_same_random_state_same_predictions(regressor, table):
    x, y = table
    expected = regressor.predict(x)
    np.testing.assert_array_equal(clone(regressor).fit(x, y).predict(x), expected)
    # The order of the rows is not part of the data.
    again = clone(regressor).fit(x[::-1], y[::-1])
    np.testing.assert_array_equal(again.predict(x), expected)
    other = clone(regressor).set_params(random_state=np.random.RandomState(5))
    assert (other.fit(x, y).predict(x) != expected).any()
    loaded = pickle.loads(pickle.dumps(regressor))  # noqa: S301
    np.testing.assert_array_equal(loaded.at(20).predict(x), regressor.at(20).predict(x))


def test_searches_start_from_the_sources_given(monkeypatch, table):
    found = []
    find_starts = sources.find_starts

    def spy(*args):
        found.append(list(find_starts(*args)))
        return iter(found[-1])

    monkeypatch.setattr(starts, "find_starts", spy)
    monkeypatch.setattr(sources, "SLACK", np.inf)  # wait for `tangle`
    monkeypatch.setattr(programs, "is_ready", lambda key, **_: True)
    limits = SMALL | {"max_depth": 2, "time_budget": 1e-9, "valid_share": 0.2}
    models = [
        SparseMLPRegressor(**limits, sources=names).fit(*table)
        for names in (("random",), ("tangle",), None)
    ]
    (random,), (tangle,), (few, linear, same) = found
    assert random.num_steps == 0 and tangle.num_steps == same.num_steps > 0
    assert len(random.networks.depth) == 2 * SMALL["num_starts"]
    assert len(few.networks.depth) == 2 * math.ceil(SMALL["num_starts"] / 2)
    # Linear models of one to three inputs take no share.
    assert len(linear.networks.depth) == 3
    np.testing.assert_array_equal(same.networks.first, tangle.networks.first)
    errors = [np.square(m.predict(table[0]) - table[1]).mean() for m in models]
    assert errors[0] != errors[1]
    with pytest.raises(ValueError, match="max-width 3"):
        SparseMLPRegressor(**SMALL, sources=("tangle",)).fit(*table)


@pytest.mark.parametrize("num", [0, 1.5, "2"])
def test_numbers_of_jobs_that_mean_nothing_are_refused(table, num):
    with pytest.raises(ValueError, match=f"n_jobs must be a whole .* got {num!r}"):
        SparseMLPRegressor(**SMALL, n_jobs=num).fit(*table)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_within_a_pool_there_is_one_job(monkeypatch, backend):
    # A worker of the pool imports this package, not this file.
    count = functools.partial(base.count_jobs, -1)
    assert Parallel(2, backend=backend)(delayed(count)() for _ in range(2)) == [1, 1]
    monkeypatch.setattr(base, "effective_n_jobs", lambda num: {None: 1, -1: 3}[num])
    assert (base.count_jobs(None), base.count_jobs(-1)) == (1, 3)


JOBS = """
import sys, warnings
import jax, numpy as np
from swajax import estimators
from swajax.estimators import base
from swajax.io import devices
devices.count_cores = lambda: 3
base.effective_n_jobs = lambda num: 3 if num == -1 else num
if "late" in sys.argv:
    jax.devices()
def find_front(*args, devices, **options):
    used.append(len(devices))
    raise KeyboardInterrupt
used, base.find_front = [], find_front
x = np.random.default_rng(0).normal(size=(20, 2))
for num in (1, 2, -1):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            estimators.SparseMLPRegressor(n_jobs=num).fit(x, x[:, 0])
        except KeyboardInterrupt:
            pass
    print(used[-1], *[f"{w.filename}: {w.message}" for w in found])
"""


@pytest.mark.parametrize("is_late", [False, True])
def test_jobs_are_devices_unless_jax_was_started_before(is_late):
    env = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    out = subprocess.check_output(
        [sys.executable, "-c", JOBS, *["late"] * is_late], env=env, text=True
    )
    advice = "set JAX_NUM_CPU_DEVICES={0} for all, or n_jobs=1"
    message = "<string>: 1 of {0} cores: JAX was started before with one CPU device; "
    late = ["1", *[("1 " + message + advice).format(num) for num in (2, 3)]]
    assert out.splitlines() == (late if is_late else ["1", "2", "3"])


def test_feature_names_are_kept_and_checked(table):
    frame = pd.DataFrame(table[0], columns=["a", "b", "c"])
    model = SparseMLPRegressor(**SMALL).fit(frame, table[1])
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])


def test_models_predict_the_same(regressor, table, corners):
    x, y = table
    frame = pd.DataFrame(x, columns=["x1", "x2", "x3"])
    for estimator in (regressor, regressor.at(2)):
        model = estimator.to_model("price")
        assert model.target == "price" and model.num_weights == _size(estimator)
        got = model.predict(frame[["x3", "x1", "x2"]])
        np.testing.assert_allclose(got, estimator.predict(x), rtol=1e-5, atol=1e-5)
    still = frame.assign(x2=1 / 3).rename(columns={"x1": "a"})
    with pytest.warns(ConvergenceWarning, match=r"left out, constant .* 'x2'$"):
        estimator = SparseMLPRegressor(**SMALL).fit(still, y)
    model = estimator.to_model()
    assert model.feature_names == ("a", "x2", "x3")
    np.testing.assert_allclose(
        model.predict(still), estimator.predict(still), rtol=1e-5, atol=1e-5
    )
    with pytest.warns(ConvergenceWarning, match="y is constant"):
        constant = SparseMLPRegressor(**SMALL).fit(x, np.full(60, 0.1)).to_model()
    np.testing.assert_array_equal(constant.predict(frame), 0.1)
    classifier = SparseMLPClassifier(**SMALL).fit(*corners)
    frame = pd.DataFrame(corners[0], columns=["x1", "x2", "x3"])
    model = classifier.to_model()
    assert (model.predict(frame) == classifier.predict(corners[0])).all()
    probability = classifier.predict_proba(corners[0])
    np.testing.assert_allclose(model.predict_proba(frame), probability, atol=1e-4)


def test_works_in_pipelines_and_searches(table):
    steps = make_pipeline(StandardScaler(), SparseMLPRegressor(**SMALL))
    assert cross_val_score(steps, *table, cv=2).min() > 0.99
    grid = {"sparsemlpregressor__max_weights": [3, 20]}
    search = GridSearchCV(steps, grid, cv=2).fit(*table)
    assert search.best_params_ == {"sparsemlpregressor__max_weights": 20}


def test_sample_weights_choose_between_two_truths(table):
    x, y = table[0], table[1] - table[1].mean()
    both = np.concatenate([x, x]), np.concatenate([y, -y])
    weight = np.repeat([1.0, 1e-6], 60)
    model = SparseMLPRegressor(**SMALL).fit(*both, sample_weight=weight)
    assert model.score(x, y) > 0.999
    with pytest.raises(ValueError, match="too large"):
        model.fit(*both, sample_weight=np.full(120, 1e308))


def test_class_weights_move_the_border(corners):
    x, _ = corners
    y = np.random.default_rng(2).permutation(np.arange(60) < 12)  # nothing to learn
    model = SparseMLPClassifier(**SMALL)
    assert model.fit(x, y).predict(x).mean() < 0.2
    assert model.set_params(class_weight={1: 100.0}).fit(x, y).predict(x).mean() > 0.8
    balanced = clone(model).set_params(class_weight="balanced").fit(x, y)
    model.set_params(class_weight={0: 60 / 96, 1: 60 / 24}).fit(x, y)
    np.testing.assert_array_equal(balanced.predict_proba(x), model.predict_proba(x))
    with pytest.raises(ValueError, match="above 0"):
        model.set_params(class_weight={1: -1.0}).fit(x, y)


def test_constant_target_and_constant_inputs(table, corners):
    x, y = table
    with pytest.warns(ConvergenceWarning, match="y is constant"):
        model = SparseMLPRegressor(**SMALL).fit(x, np.full(60, 0.1))
    np.testing.assert_array_equal(model.predict(x), 0.1)
    assert model.front_[0].num_weights == 0 and model.at(0).network_.depth == 1
    still = x.copy()
    still[:, 1] = 1 / 3
    with pytest.warns(ConvergenceWarning, match=r"constant .*: 'X\[:, 1\]'$"):
        model = SparseMLPRegressor(**SMALL).fit(still, y)
    assert not model.network_.first[1].any()
    np.testing.assert_array_equal(model.predict(x), model.predict(still))
    with pytest.warns(ConvergenceWarning, match=r"0\]', 'X\[:, 1\]', 'X\[:, 2\]'"):
        model = SparseMLPClassifier(**SMALL).fit(np.ones((60, 3)), corners[1])
    share = (corners[1] == "same").mean()
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], share, atol=0.02)


def test_refuses_what_cannot_be_learned(table):
    x, y = table
    for values in ([0, 1e300], [1e200, -1e200]):
        with pytest.raises(ValueError, match="y is too large"):
            SparseMLPRegressor(**SMALL).fit(x, np.resize(values, 60))
    with pytest.raises(ValueError, match="1d array"):
        SparseMLPRegressor(**SMALL).fit(x, np.stack([y, y], axis=1))
    with pytest.raises(ValueError, match="only one class"):
        SparseMLPClassifier(**SMALL).fit(x, np.ones(60))
    for wrong in (
        {"valid_share": 1.0},
        {"max_weights": 0},
        {"num_starts": 0},
        {"sources": ("random", "random")},
        {"max_weights": 8.5},
        {"max_width": "4"},
        {"activations": 3},
        {"weight_decay": "none"},
        {"valid_share": "0.2"},
        {"time_budget": 0},
        {"time_budget": "60"},
        {"split": "first"},
    ):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must "):
            SparseMLPRegressor(**SMALL | wrong).fit(x, y)


def test_split_leaves_rows_of_every_class_to_train_on():
    codes = np.repeat([0.0, 1.0, 2.0], [80, 19, 1])
    parts = arrays.split(codes, 0.2, 3)
    everything = np.sort(np.concatenate([parts.train, parts.valid]))
    np.testing.assert_array_equal(everything, np.arange(100))
    np.testing.assert_array_equal(np.bincount(codes[parts.valid].astype(int)), [16, 4])
    few = arrays.split(codes[:9], 0.2, 3)
    np.testing.assert_array_equal(few.train, few.valid)


def test_merge_adds_up_equal_rows():
    x = np.array([[2.0, 1.0], [1.0, 5.0], [2.0, 1.0], [0.0, 0.0]])
    merged = arrays.merge(x, np.array([1.0, 2.0, 1.0, 3.0]), np.array([1.0, 3, 2, 0]))
    np.testing.assert_array_equal(merged.x, [[1, 5], [2, 1]])
    np.testing.assert_array_equal(merged.y, [[2], [1]])
    np.testing.assert_array_equal(merged.weight, [0.5, 0.5])


def test_numpy_evaluation_is_that_of_jax():
    rng = np.random.default_rng(0)
    shapes = (2, 4), (2, 4, 4), (4, 2), (3, 4), (2,)
    one = Network(
        *(rng.normal(size=shape) for shape in shapes),
        mask=np.array([[1.0, 1, 0, 1], [1, 1, 1, 0], [1, 1, 1, 1]]),
        activation=np.eye(4)[rng.integers(4, size=(3, 4))],
        depth=np.int32(2),
    )
    x = rng.normal(size=(5, 2))
    np.testing.assert_allclose(
        evaluate(one, x, activations=DEFAULT_ACTIVATIONS),
        apply(*jax.tree.map(jnp.asarray, (one, x)), activations=DEFAULT_ACTIVATIONS),
        rtol=1e-4,
    )
