"""Random architecture search: dense shapes, many starts each, the best shrunk.

Random search over small dense networks is hard to beat where each candidate can be
trained to the end (Li and Talwalkar, arXiv:1902.07638). Here a shape is tried from
several starts by Levenberg-Marquardt; the shapes best on validation data are shrunk,
and all networks on the way down are kept.
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
from swajax.search.stages import SHRINK_STEPS
from swajax.types import Key, Network


@dataclasses.dataclass(frozen=True)
class Config(RestartsConfig):
    """How many shapes are tried, and how long."""

    # In trials on Himmelblau's function and a planted teacher 32 shapes with 60 steps
    # each were better than 16 shapes, and than 100 steps, at equal time.
    num_shapes: int = 32
    """shapes of a run"""
    num_starts: int = 4
    """starts of each shape"""
    lm_steps: int = 60
    """Levenberg-Marquardt steps of each start"""
    num_paths: int = 16
    """networks of a run that are shrunk, the best of their shape and size"""
    max_share: float = 1.0
    """weights of the largest shape, relative to those of the largest network"""


def find(key: Key, search: Search, *, config: Config) -> None:
    """Try some shapes, and shrink the best of them."""
    starts = draw_starts(key, search, config=config)
    best = choose(starts, search, config=config)
    shrink(best, search)


def draw_starts(key: Key, search: Search, *, config: Config) -> Network:
    """Networks of random shapes, those of one shape after another."""
    job = search.job
    shape_key, weight_key = jax.random.split(key)
    shapes = prior.sample_starts(
        shape_key,
        num=config.num_shapes,
        spec=dataclasses.replace(job.spec, num_inputs=job.train.x.shape[1]),
        max_weights=max(4.0, config.max_share * job.config.max_weights),
        num_inputs=job.spec.num_inputs,
        sampling_weights=sampling_weights(job.train, job.spec.num_inputs),
    )
    repeated = jax.tree.map(
        lambda leaf: jnp.repeat(leaf, config.num_starts, axis=0), shapes
    )
    return training.redraw(weight_key, repeated)


def choose(starts: Network, search: Search, *, config: Config) -> Network:
    """The best start of each shape, and the best shapes, by validation loss."""
    networks = search.refit(starts, num_steps=config.lm_steps)
    job = search.job
    loss, _ = batches.validation_scores(networks, job.valid, fit=job.fit)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    loss = loss.reshape(-1, config.num_starts)
    best = np.argsort(loss.min(axis=1), kind="stable")[: config.num_paths]
    return take(networks, best * config.num_starts + loss[best].argmin(axis=1))


def shrink(networks: Network, search: Search) -> None:
    """Take weight after weight away from all networks together, and keep them all."""
    job, sizes = search.job, batches.count(networks)
    while (sizes > 1).any() and not job.is_over():
        networks, sizes = take(networks, sizes > 1), sizes[sizes > 1]
        every, largest = np.arange(len(sizes)), int(sizes.max())
        networks = batches.remove(networks, every, largest, job.train, fit=job.fit)
        networks = search.polish(networks, num_steps=SHRINK_STEPS)
        search.keep(networks)
        sizes = batches.count(networks)
