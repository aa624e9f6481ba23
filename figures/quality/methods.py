"""What is compared: the default search, its rivals, and the ablation."""

import functools
import importlib.metadata
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality import ablation, rivals, tasks
from figures.quality.ablation import ABLATIONS
from figures.quality.outcomes import ForeignLevel, Judge, Level, Outcome
from figures.quality.rivals import extras
from figures.quality.rivals.extras import EXTRAS
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax.autoencoder.pretrained import load_pretrained
from swajax.io import configs
from swajax.search import sources
from swajax.search.config import ExploreConfig, SupernetSourceConfig
from swajax.types import Key

NAMES = ("default", *rivals.METHODS, *EXTRAS, *ABLATIONS)
# No autoencoder `paper` is shipped, and the packages of the extras are large.
DEFAULTS = tuple(
    name
    for name in NAMES
    if not name.startswith("explore-paper") and name not in EXTRAS
)


def is_applicable(name: str, task: str) -> bool:
    """Whether a method can do a task at all; if not, it is no failure.

    `compact` and `paper` have networks with up to three inputs and a number as output.
    """
    way = ABLATIONS.get(name)
    is_any = way is None or way.space not in ablation.SINGLE
    return is_any or tasks.find_group(task) != "tables"


def check(names: Sequence[str], settings: Settings) -> None:
    """Refuse methods whose autoencoders are not there.

    Raises:
      ValueError: says which are.
      FileNotFoundError: there is no such file.
    """
    for name in names:
        if name in EXTRAS:
            try:
                extras.import_package(name)
            except ModuleNotFoundError as error:
                raise ValueError(str(error)) from error
        for activation in tasks.ACTIVATIONS if name in ABLATIONS else ():
            if ABLATIONS[name].space in ablation.LEARNED:
                load_pretrained(
                    *ablation.choose_file(ABLATIONS[name], activation, settings)
                )


def describe(name: str, task: str, settings: Settings) -> dict[str, Any]:
    """All that a run of the method depends on, besides its data."""
    shared = configs.to_dict(settings)
    if name in rivals.METHODS and name not in rivals.PIPELINED:
        for unused in ("num_starts", "num_rounds", "max_varied"):
            del shared["pipeline"][unused]
    if name in EXTRAS:
        own = {"version": importlib.metadata.version(name)}
    elif name in rivals.METHODS:
        own = configs.to_dict(rivals.METHODS[name].Config())
    elif name == "default":
        config = ExploreConfig()
        by = sources.choose_sources(config, settings.pipeline.make_spec(1, 1))
        own = {"by": list(by)}
        if by != ("random",):  # which nothing else matters to
            supernet = configs.to_dict(config.supernet)
            own |= {"share": config.share, "supernet": supernet}
    else:
        own = ABLATIONS[name]._asdict()
        if own["space"] == "tangle":
            own["supernet"] = configs.to_dict(SupernetSourceConfig())
        if own["space"] in ablation.LEARNED:
            file = ablation.choose_file(
                ABLATIONS[name], tasks.find_activation(task), settings
            )
            own["checksum"] = _checksum(*file)
    return shared | {"method": own}


@functools.cache
def _checksum(preset: str, activation: str | None) -> str:
    """Of the parameters of an autoencoder, whose file may change under its name."""
    total = 0
    for leaf in jax.tree.leaves(load_pretrained(preset, activation)[0]):
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
    return f"{total:08x}"


def run(
    name: str, key: Key, task: QualityTask, *, settings: Settings, clock: WorkClock
) -> Outcome:
    """One run of a method; the test part is not looked at.

    Args:
      name: one of `NAMES`.
      key: consumed.
      task: what to search.
      settings: budgets and limits.
      clock: of the seconds.
    """
    if name == "default":
        return _run_default(key, task, settings, clock)
    if name in EXTRAS:
        return _run_extra(name, key, task, settings, clock)
    if name in rivals.METHODS:
        return run_baseline(name, key, task, settings, clock)
    return ablation.run(ABLATIONS[name], key, task, settings, clock)


def _run_default(
    key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """What the search command does with its default options."""
    begin = clock()
    explore_key, key = jax.random.split(key)
    starts = sources.find_starts(
        explore_key,
        task.train,
        task.valid,
        objective=task.objective,
        config=ExploreConfig(),
        pipeline_config=settings.pipeline,
        seconds=ExploreConfig().share * settings.seconds,
        clock=clock,
    )
    judge = Judge(task, settings.pipeline.activations, clock, begin)
    return ablation.run_pipeline(
        key, task, settings.pipeline, settings.seconds, judge, *starts
    )


def run_baseline(
    name: str,
    key: Key,
    task: QualityTask,
    settings: Settings,
    clock: WorkClock,
    config: Any = None,
) -> Outcome:
    """One run of a rival, by default with its own settings."""
    begin = clock()
    found = rivals.run(
        name,
        key,
        task.train,
        task.valid,
        objective=task.objective,
        config=config,
        pipeline_config=settings.pipeline,
        time_budget=settings.seconds,
        clock=clock,
    )
    spent = clock() - begin
    level = Level(
        found.front, settings.pipeline.activations, spent, found.candidate_steps
    )
    return Outcome({"full": level}, [])


def _run_extra(
    name: str, key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    begin = clock()
    front = EXTRAS[name](
        int(jax.random.randint(key, (), 0, 2**31 - 1)),
        task.train,
        task.valid,
        objective=task.objective,
        max_weights=settings.pipeline.max_weights,
        time_budget=settings.seconds,
        clock=clock,
    )
    if not front:
        raise ValueError(f"no model of {settings.pipeline.max_weights} weights")
    return Outcome({"full": ForeignLevel(front, clock() - begin)}, [])
