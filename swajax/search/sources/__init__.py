"""Sources of a search: random networks, linear models, descents and supernets.

A source finds networks, of whatever size, that are then polished and pruned alike;
several sources compete in one race. A new source is a file with a
`swajax.search.sources.base.Source` and a line in `SOURCES`.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np

from swajax.io import interrupts
from swajax.search.sources import descent, linear, random_networks, supernets
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Key, NetworkSpec

SOURCES: dict[str, Source] = {
    "random": random_networks.SOURCE,
    "linear": linear.SOURCE,
    "direct": descent.DIRECT,
    "latent": descent.LATENT,
    "tangle": supernets.SOURCE,
}
KEYS = ("random", "direct", "latent", "tangle", "linear")  # numbers of their keys
SourceName = Literal[tuple(SOURCES)]


def choose_sources(names: Sequence[str] | None, limits: NetworkSpec) -> tuple[str, ...]:
    """Return the names given, or else the best on average.

    Supernets find large networks that random starts miss, above all with many inputs
    and classes; they need limits that leave a choice. Linear models cost little and are
    often best on few rows.
    """
    if names is not None:
        return tuple(names)
    default = ("random", "linear")
    return (*default, "tangle") if supernets.has_choices(limits) else default


def find_starts(
    key: Key,
    request: StartRequest,
    names: Sequence[str],
    options: dict[str, object],
) -> Starts:
    """Find starts with each of the named sources.

    Args:
      key: consumed; a source gets the same key whatever other sources there are.
      request: data, limits and budget. `num_starts` is divided among the sources,
        `seconds` among the timed ones.
      names: keys of `SOURCES`.
      options: settings by `Source.options_field`.

    Raises:
      ValueError: the limits are too narrow for a source, or a supernet diverged.
      KeyboardInterrupt: Ctrl-C came before a descent or a supernet had networks. Later
        it ends that source, and the remaining ones are left out.
    """
    num_timed = sum(SOURCES[name].is_timed for name in names)
    num_random = sum(SOURCES[name].is_random for name in names)
    request = dataclasses.replace(
        request,
        num_starts=math.ceil(request.num_starts / max(num_random, 1)),
        seconds=request.seconds / max(num_timed, 1),
    )
    parts = []
    for name in names:
        if interrupts.should_end(has_results=False) and parts:
            break
        source = SOURCES[name]
        own_key = jax.random.fold_in(key, KEYS.index(name))
        own = dataclasses.replace(request, options=options.get(source.options_field))
        parts.append(source.find(own_key, own))
    networks = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *(part.networks for part in parts)
    )
    return Starts(networks, sum(part.num_steps for part in parts))
