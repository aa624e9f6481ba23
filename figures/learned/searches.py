"""Whole searches with and without the source `learned`."""

import dataclasses
from typing import Any

from figures.common.clock import WorkClock
from figures.quality import ablation, runs, scores
from figures.quality.outcomes import Evaluator
from figures.quality.tasks import QualityTask
from swajax.search.config import SearchConfig
from swajax.search.sources.learned import LearnedSourceConfig
from swajax.types import Key

# Sources of each mix; None: those of the default search.
MIXES: dict[str, tuple[str, ...] | None] = {
    "default": None,
    "learned first": ("learned", "random", "linear", "tangle"),
    "learned for supernets": ("learned", "random", "linear"),
    "direct": ("direct",),
}
MAX_WEIGHTS = 80


def search(
    key: Key, task: QualityTask, mix: str, seconds: float, file: str | None
) -> dict[str, Any]:
    """Search for some seconds of work; return errors at sizes and the hypervolume."""
    config = SearchConfig(max_weights=MAX_WEIGHTS, sources=MIXES[mix])
    config = dataclasses.replace(config, learned=LearnedSourceConfig(file))
    with WorkClock() as clock:
        own = task._replace(test=None)
        evaluator = Evaluator(own, config.activations, clock, clock())
        outcome = ablation.run_search(key, own, config, seconds, evaluator)
        with clock.paused():
            found = runs.evaluate(outcome, task)
    found |= {"status": "ok", "teacher": None}
    scored = scores.score_run(found)
    return {
        "errors": {str(size): error for size, error in scored.errors.items()},
        "hypervolume": scored.hypervolume,
        "curve": found["curve"],
        "scale": found["scale"],
    }
