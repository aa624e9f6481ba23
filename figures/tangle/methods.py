"""Methods of architecture search at equal numbers of gradient passes.

A gradient pass is the forward and backward pass of one batch. A search with vectors
takes two passes per step, or four with second-order gradients; a single-path search
takes one and therefore more steps. Random search trains the number of standalone
networks that the passes allow. Forward passes of second stages are additional and are
reported.
"""

import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from figures.common.checks import check_at_least
from figures.tangle import entangling, sharing
from figures.tangle.forms import Form
from swajax.tangle import experiment, selection
from swajax.tangle.choices import (
    Architecture,
    discretise,
    extreme,
    from_genes,
    one_hot,
    to_architecture,
    to_options,
)
from swajax.tangle.data.examples import Rows, divide, mean_over_blocks
from swajax.tangle.data.loaders import load_split
from swajax.tangle.experiment import SupernetTask
from swajax.tangle.samplers import make_sampler
from swajax.tangle.selection import EvolutionConfig
from swajax.tangle.spaces import make_space
from swajax.tangle.train import standalone, supernet
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Key


class Method(NamedTuple):
    """Settings of a search method."""

    sampler: str | None = None  # None for no supernet
    sampler_options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    search: dict[str, Any] = {}  # noqa: RUF012 - fields of `SupernetConfig`
    select_by: experiment.SelectBy = "evolution"
    space: dict[str, Any] = {}  # noqa: RUF012 - fields of the space's configuration
    spaces: tuple[str, ...] | None = None  # supported spaces; None for all
    weight_share: float = 0.5  # share of the rows that train the weights
    form: Form = "sup"  # form of the supernet


METHODS: dict[str, Method] = {
    "drnas": Method("drnas"),
    "darts": Method("darts"),
    "darts-second": Method("darts", search={"order": "second"}),
    "gdas": Method("gdas"),
    "drnas-sharing": Method("drnas", spaces=tuple(sharing.CONFIGS), form="ws"),
    "darts-sharing": Method("darts", spaces=tuple(sharing.CONFIGS), form="ws"),
    "spos-random": Method("spos", select_by="random"),
    "spos-evolution": Method("spos"),
    "random": Method(),
    "largest": Method(),
    "smallest": Method(),
}

VIT, CELL = ("digits-vit", "chars-gpt"), ("digits-cell",)
ABLATIONS: dict[str, Method] = {
    "darts-sparsemax": Method("darts", {"projection": "sparsemax"}),
    "drnas-divergence": Method(
        "drnas", {"divergence_weight": 1e-3}, {"alpha_weight_decay": 0.0}
    ),
    "drnas-both-sides": Method(
        "drnas", space={"masking": "both"}, spaces=("digits-macro", *VIT)
    ),
    "drnas-outputs": Method("drnas", spaces=tuple(entangling.CONFIGS), form="weo"),
    "drnas-80": Method("drnas", weight_share=0.8),
    "darts-80": Method("darts", weight_share=0.8),
    "gdas-80": Method("gdas", weight_share=0.8),
    "spos-80": Method("spos", weight_share=0.8),
    "drnas-paper-rate": Method("drnas", search={"alpha_learning_rate": 3e-4}),
    "drnas-paper-norm": Method("drnas", space={"is_paper_norm": True}, spaces=VIT),
    "drnas-paper-group": Method("drnas", space={"is_paper_form": True}, spaces=CELL),
}

OTHER_FORMS = {
    "ws": (sharing.share_weights, sharing.CONFIGS),
    "weo": (entangling.mix_outputs, entangling.CONFIGS),
}
"""Functions that make supernets other than superposition, by `Method.form`."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Budgets that all methods share."""

    passes: int = 3000
    """number of gradient passes per search"""
    train_steps: int = 360
    """number of training steps of a standalone network, as in the table of networks"""
    batch_size: int = 50
    """number of rows per batch"""
    learning_rate: float = 1e-2
    """learning rate of the weights, in searches and of standalone networks"""
    evolution: EvolutionConfig = dataclasses.field(default_factory=EvolutionConfig)
    """settings of second stages"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_at_least(1, self, "passes", "train_steps", "batch_size")


class Found(NamedTuple):
    """Result of a search."""

    architecture: Architecture
    params: Any  # weights of the supernet; None without supernet
    num_passes: int
    num_evaluated: int  # number of networks evaluated by forward passes
    seconds: float  # without evaluations for the curve
    curve: list[dict[str, Any]]  # network chosen so far, by gradient passes


def is_applicable(method: Method, space: str) -> bool:
    """Return whether a method supports a space."""
    return method.spaces is None or space in method.spaces


def run_method(
    name: str,
    space_name: str,
    seed: int,
    settings: Settings,
    ranked: Sequence[Architecture] = (),
) -> dict[str, Any]:
    """Search for a network and evaluate it.

    The networks of all methods are trained standalone from the same seed on the same
    rows, so that differences between methods are paired.

    Args:
      name: key of `METHODS` or `ABLATIONS`.
      space_name: name of the search space.
      seed: seed of the split and the start.
      settings: budgets.
      ranked: networks to evaluate with inherited weights after the search.

    Returns:
      Network found, cost, curve and scores.
    """
    method = (METHODS | ABLATIONS)[name]
    space = make_space(space_name, **method.space)
    split = load_split(space_name, seed)
    task = SupernetTask(space, divide(split, method.weight_share), "softmax")
    search_key, train_key = jax.random.split(jax.random.key(seed))
    found = find_network(search_key, name, method, task, settings)
    config = _make_config(settings, settings.train_steps)
    params = space.init(train_key) if found.params is None else found.params
    full_task = task._replace(split=split)
    scores = experiment.evaluate_architecture(
        train_key, params, full_task, found.architecture, config=config
    )
    if found.params is None:
        scores = {n: v for n, v in scores.items() if n in ("retrained", "num_weights")}
    losses = None
    if found.params is not None and ranked:
        losses = evaluate_inherited(found.params, task, ranked)
    return jax.device_get(
        {
            "indices": found.architecture,
            "options": to_options(found.architecture, space.choices),
            "num_passes": found.num_passes,
            "num_evaluated": found.num_evaluated,
            "seconds": found.seconds,
            "curve": found.curve,
            "inherited_losses": losses,
            **scores,
        }
    )


def find_network(
    key: Key, name: str, method: Method, task: SupernetTask, settings: Settings
) -> Found:
    """Search for a network with a method."""
    choices = task.space.choices
    if name in ("largest", "smallest"):
        is_largest = name == "largest"
        return Found(extreme(choices, is_largest=is_largest), None, 0, 0, 0.0, [])
    if method.sampler is None:
        return _search_randomly(key, task, settings)
    sampler = make_sampler(method.sampler, **method.sampler_options)
    config = _make_config(settings, settings.passes, **method.search)
    each = experiment.count_passes(sampler, config)
    config = dataclasses.replace(config, num_steps=max(1, settings.passes // each))
    search_key, choose_key = jax.random.split(key)
    options = {"sampler": sampler, "config": config, "num_starts": 1}
    searched = task
    if method.form in OTHER_FORMS:
        change, space_configs = OTHER_FORMS[method.form]
        space = change(task.space, space_configs[task.space.name]())
        searched = task._replace(space=space)
    curve = []
    for last in experiment.search(search_key, searched, **options):
        state = jax.tree.map(lambda leaf: leaf[0], last.state)
        point = {"num_passes": last.num_passes, "loss": last.score.loss[0]}
        if sampler.is_trained:
            point["indices"] = discretise(state.alphas, choices)
        curve.append(point)
    begin = time.monotonic()
    architecture = experiment.choose_architecture(
        choose_key,
        state,
        task,
        sampler=sampler,
        select_by=method.select_by,
        evolution=settings.evolution,
    )
    num = 0 if sampler.is_trained else settings.evolution.num_evaluated
    seconds = last.seconds + time.monotonic() - begin
    params = None if method.form == "ws" else state.params
    return Found(architecture, params, last.num_passes, num, seconds, curve)


def _search_randomly(key: Key, task: SupernetTask, settings: Settings) -> Found:
    """Train random standalone networks; choose the best on the architecture rows."""
    num, begin = max(1, settings.passes // settings.train_steps), time.monotonic()
    draw_key, key = jax.random.split(key)
    drawn = selection.draw_genes(draw_key, task.space.choices, num=num)
    config = _make_config(settings, settings.train_steps)

    @jax.jit
    def train(key: Key, p: Any, rows: Rows, held: Rows) -> Any:
        (score,) = standalone.train_and_evaluate(
            key,
            rows,
            (held,),
            space=standalone.by_masks(task.space, p),
            architecture={},
            objective=task.objective,
            config=config,
        )
        return score.loss

    rows, choices = (task.split.weights, task.split.architecture), task.space.choices
    losses = [
        train(jax.random.fold_in(key, index), from_genes(genes, choices), *rows)
        for index, genes in enumerate(drawn)
    ]
    best = np.asarray(drawn)[int(np.nanargmin(jax.device_get(losses)))]
    architecture = to_architecture(best, choices)
    seconds = time.monotonic() - begin
    return Found(architecture, None, num * settings.train_steps, 0, seconds, [])


def _make_config(settings: Settings, num_steps: int, **options: Any) -> SupernetConfig:
    return SupernetConfig(
        num_steps=num_steps,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        **options,
    )


def evaluate_inherited(
    params: Any, task: SupernetTask, networks: Sequence[Architecture]
) -> list[float]:
    """Return losses of networks with inherited weights on the architecture rows."""
    choices = task.space.choices
    loss_fn = supernet.make_loss_fn(task.space, task.objective)
    each = [one_hot(network, choices) for network in networks]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)

    @jax.jit
    def evaluate(params: Any, stacked: Any, rows: Rows) -> Any:
        def evaluate_one(p: Any) -> jax.Array:
            return mean_over_blocks(functools.partial(loss_fn, params, p), rows)

        return jax.lax.map(evaluate_one, stacked)

    return evaluate(params, stacked, task.split.architecture).tolist()
