"""Random architecture search: dense shapes, several starts each, pruning of the best.

Random search is a strong baseline where each candidate can be trained to convergence
(Li and Talwalkar, arXiv:1902.07638). Here each shape is polished from several starts by
Levenberg-Marquardt; the shapes with the lowest validation losses are pruned weight by
weight, and all networks on the way are kept.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from figures.quality.rivals import training
from figures.quality.rivals.common import RestartsConfig, Search, take
from swajax import prior
from swajax.refine import batches
from swajax.search.sources.random_networks import sampling_weights
from swajax.search.stages import PRUNE_STEPS
from swajax.types import Key, Network


@dataclasses.dataclass(frozen=True)
class Config(RestartsConfig):
    """Numbers of shapes, starts and steps."""

    # In trials on Himmelblau's function and a planted teacher, 32 shapes with 60 steps
    # were better than 16 shapes or 100 steps at equal time.
    num_shapes: int = 32
    """number of shapes per run"""
    num_starts: int = 4
    """number of starts per shape"""
    lm_steps: int = 60
    """number of Levenberg-Marquardt steps per start"""
    num_paths: int = 16
    """number of networks per run that are pruned, the best of their shape"""
    max_share: float = 1.0
    """largest number of weights of a shape, relative to the largest network"""


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Polish random shapes and prune the best of them."""
    starts = draw_starts(key, search, config=config)
    best = choose(starts, search, config=config)
    prune(best, search)


def draw_starts(key: Key, search: Search, *, config: Config) -> Network:
    """Draw networks of random shapes; starts of one shape are consecutive."""
    job = search.job
    shape_key, weight_key = jax.random.split(key)
    weights = sampling_weights(search.train)
    more = job.train.x.shape[1] - job.spec.num_inputs
    shapes = prior.sample_starts(
        shape_key,
        num=config.num_shapes,
        spec=dataclasses.replace(job.spec, num_inputs=job.train.x.shape[1]),
        max_weights=max(4.0, config.max_share * job.config.max_weights),
        num_inputs=job.spec.num_inputs,
        sampling_weights=np.pad(weights, (0, more), constant_values=1.0),
    )
    repeated = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, config.num_starts, axis=0), shapes
    )
    return training.redraw(weight_key, repeated)


def choose(starts: Network, search: Search, *, config: Config) -> Network:
    """Return the best start of the best shapes, by validation loss."""
    networks = search.refit(starts, num_steps=config.lm_steps)
    job = search.job
    loss, _ = batches.validation_scores(networks, job.valid, fit=job.fit)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    loss = loss.reshape(-1, config.num_starts)
    best = np.argsort(loss.min(axis=1), kind="stable")[: config.num_paths]
    return take(networks, best * config.num_starts + loss[best].argmin(axis=1))


def prune(networks: Network, search: Search) -> None:
    """Remove one weight at a time from all networks together; keep all networks."""
    job, sizes = search.job, batches.count(networks)
    while (sizes > 1).any() and not job.is_over():
        networks, sizes = take(networks, sizes > 1), sizes[sizes > 1]
        every, largest = np.arange(len(sizes)), int(sizes.max())
        networks = batches.remove(networks, every, largest, job.train, fit=job.fit)
        networks = search.polish(networks, num_steps=PRUNE_STEPS)
        search.keep(networks)
        sizes = batches.count(networks)
