"""Methods of the comparison: the default search, its rivals, and the ablations."""

import functools
import importlib.metadata
from collections.abc import Sequence
from typing import Any

import jax

from figures.common.checksum import checksum
from figures.common.clock import WorkClock
from figures.quality import ablation, rivals, tasks
from figures.quality.ablation import ABLATIONS
from figures.quality.outcomes import Evaluator, ForeignLevel, Level, Outcome
from figures.quality.rivals import extras
from figures.quality.rivals.extras import EXTRAS
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax.autoencoder.pretrained import load_pretrained
from swajax.io import configs
from swajax.search.sources import choose_sources
from swajax.search.sources.supernets import SupernetSourceConfig
from swajax.types import Key

NAMES = ("default", *rivals.RIVALS, *EXTRAS, *ABLATIONS)
# Without methods that need the autoencoder `paper`, which is not shipped, or packages.
DEFAULTS = tuple(
    name
    for name in NAMES
    if not name.startswith("explore-paper") and name not in EXTRAS
)


def is_applicable(name: str, task: str) -> bool:
    """Return whether a method supports a task.

    The networks of `compact` and `paper` have at most three inputs and one numeric
    output.
    """
    found = ABLATIONS.get(name)
    is_any = found is None or found.space not in ablation.SINGLE
    return is_any or tasks.find_group(task) != "tables"


def check(names: Sequence[str], settings: Settings) -> None:
    """Check that packages and autoencoders of methods exist.

    Args:
      names: names of methods.
      settings: settings with the files of the autoencoders.

    Raises:
      ValueError: a package or a pretrained autoencoder is missing.
      FileNotFoundError: a checkpoint file is missing.
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
    """Return all settings that a run of a method depends on."""
    shared = settings.describe()
    if name in rivals.RIVALS and not rivals.RIVALS[name].is_pipelined:
        for unused in ("num_starts", "num_rounds", "max_perturbed"):
            del shared["pipeline"][unused]
    if name in EXTRAS:
        details = {"version": importlib.metadata.version(name)}
    elif name in rivals.RIVALS:
        details = configs.to_dict(rivals.RIVALS[name].config_class())
    elif name == "default":
        config = settings.pipeline
        names = choose_sources(config.sources, config.make_spec(1, 1))
        details = {"sources": list(names)}
        if names != ("random",):  # random networks have no further settings
            supernet = configs.to_dict(config.supernet)
            details |= {"source_share": config.source_share, "supernet": supernet}
    else:
        details = ABLATIONS[name]._asdict()
        if details["space"] == "tangle":
            details["supernet"] = configs.to_dict(SupernetSourceConfig())
        if details["space"] in ablation.LEARNED:
            file = ablation.choose_file(
                ABLATIONS[name], tasks.find_activation(task), settings
            )
            details["checksum"] = _checksum(*file)
    return shared | {"method": details}


@functools.cache
def _checksum(preset: str, activation: str | None) -> str:
    """Return a checksum of the parameters of an autoencoder."""
    return checksum(load_pretrained(preset, activation)[0])


def run_method(
    name: str, key: Key, task: QualityTask, *, settings: Settings, clock: WorkClock
) -> Outcome:
    """Run a method on training and validation rows.

    Args:
      name: one of `NAMES`.
      key: consumed.
      task: data without a test part.
      settings: budgets and limits.
      clock: clock of the budget.

    Returns:
      Fronts and curve.
    """
    if name == "default":
        return _run_default(key, task, settings, clock)
    if name in EXTRAS:
        return _run_extra(name, key, task, settings, clock)
    if name in rivals.RIVALS:
        return run_rival(name, key, task, settings, clock)
    return ablation.run_ablation(ABLATIONS[name], key, task, settings, clock)


def _run_default(
    key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """Run the search with its default options."""
    evaluator = Evaluator(task, settings.pipeline.activations, clock, clock())
    config, seconds = settings.pipeline, settings.seconds
    return ablation.run_search(key, task, config, seconds, evaluator)


def run_rival(
    name: str,
    key: Key,
    task: QualityTask,
    settings: Settings,
    clock: WorkClock,
    config: Any = None,
) -> Outcome:
    """Run a rival, by default with its default settings."""
    begin = clock()
    found = rivals.run_rival(
        name,
        key,
        task.train,
        task.valid,
        objective=task.objective,
        config=config,
        limits=settings.pipeline,
        time_budget=settings.seconds,
        clock=clock,
    )
    spent = clock() - begin
    level = Level(
        found.front, settings.pipeline.activations, spent, found.network_steps
    )
    return Outcome({"full": level}, [])


def _run_extra(
    name: str, key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """Run a rival from another package."""
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
        raise ValueError(f"no model of at most {settings.pipeline.max_weights} weights")
    return Outcome({"full": ForeignLevel(front, clock() - begin)}, [])
