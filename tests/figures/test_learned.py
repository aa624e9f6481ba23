"""The study of the space `flow`: estimates, intervals and tables."""

import itertools

import numpy as np
import pytest

from figures.learned import summary
from figures.learned.__main__ import LearnedCommand, plan
from figures.learned.searches import MIXES
from figures.learned.starts import SOURCES, expect_best
from swajax.search.config import SearchConfig


@pytest.mark.parametrize("num", [1, 2, 4, 5])
def test_the_best_of_n_is_the_mean_over_all_subsets(num):
    rng = np.random.default_rng(0)
    train, errors = rng.normal(size=5), rng.normal(size=5)
    subsets = itertools.combinations(range(5), num)
    best = [errors[min(subset, key=lambda i: train[i])] for subset in subsets]
    np.testing.assert_allclose(expect_best(train, errors, num), np.mean(best))


def test_starts_without_a_finite_loss_are_never_the_best_of_all():
    train, errors = np.array([np.nan, 2.0, np.inf]), np.array([9.0, 1.0, 8.0])
    assert expect_best(train, errors, 3) == 1.0


def test_the_interval_of_equal_ratios_is_that_ratio():
    assert summary.format_ratio(np.log([0.5, 0.5])) == "0.50 (0.50-0.50)"
    assert summary.format_quotient([2.0, 4.0], [1.0, 2.0]) == "2.00 (2.00-2.00)"
    low, high = summary.format_ratio(np.log([0.5, 2.0]))[6:-1].split("-")
    assert float(low) < 1 < float(high)


def test_tables_compare_sources_with_random_starts_and_mixes_with_the_default():
    def one(factor):
        errors = (factor * np.array([0.4, 0.1, 0.2])).tolist()
        times = {"seconds_before": 0.5, "seconds_polish": 3.0}
        return {"train": errors, "errors": errors} | times

    found = {f"{s}.12": one(0.5 if s == "learned" else 1.0) for s in SOURCES}
    text = summary.format_starts([{"starts": found}])
    assert "| 1 | 1.00e-01 | 2.00e-01 |" in text and "0.50 (0.50-0.50)" in text
    assert len(summary.draw_starts([{"starts": found}]).axes) == 2

    def search(mix, volume):
        errors = {str(size): 0.1 / volume for size in (10, 20, 40)}
        facts = {"task": "t", "seed": 0, "seconds": 2.0, "mix": mix}
        return facts | {"errors": errors, "hypervolume": volume}

    text = summary.format_searches([search("default", 2.0), search("learned", 3.0)])
    assert "| 2 | learned | 1 | 3.000 | 1.50 (1.50-1.50) |" in text
    assert "0.67 (0.67-0.67)" in text


def test_the_plan_has_every_task_part_and_budget():
    config = LearnedCommand(tasks=("diabetes",), budgets=(2.0, 5.0))
    names = [name for name, _ in plan(config)]
    assert len(names) == 2 + 2 * len(config.mixes) == len(set(names))
    assert names[:2] == ["geometry", "starts.diabetes.0"]


def test_mixes_and_names_are_checked():
    for mix in MIXES.values():
        SearchConfig(sources=mix)
    with pytest.raises(ValueError, match="no mix 'none'"):
        LearnedCommand(mixes=("none",))
    with pytest.raises(ValueError, match="no task 'none'"):
        LearnedCommand(tasks=("none",))
