"""Sources of a search: random networks, gradient descents and supernets.

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
from swajax.search import hosts
from swajax.search.sources import descent, random_networks, supernets
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Key, NetworkSpec

SOURCES: dict[str, Source] = {
    "random": random_networks.SOURCE,
    "direct": descent.DIRECT,
    "latent": descent.LATENT,
    "tangle": supernets.SOURCE,
}
SourceName = Literal[tuple(SOURCES)]


def choose_sources(names: Sequence[str] | None, limits: NetworkSpec) -> tuple[str, ...]:
    """Return the names given, or else the best on average.

    Supernets find large networks that random starts miss, above all with many inputs
    and classes; they need limits that leave a choice.
    """
    if names is not None:
        return tuple(names)
    return ("random", "tangle") if supernets.has_choices(limits) else ("random",)


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
    request = dataclasses.replace(
        request,
        num_starts=math.ceil(request.num_starts / len(names)),
        seconds=request.seconds / max(num_timed, 1),
    )
    parts = []
    for name in names:
        if interrupts.should_end(has_results=False) and parts:
            break
        source = SOURCES[name]
        own_key = jax.random.fold_in(key, list(SOURCES).index(name))
        own = dataclasses.replace(request, options=options.get(source.options_field))
        parts.append(_find_share(source, own_key, own))
    networks = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *(part.networks for part in parts)
    )
    return Starts(networks, sum(part.num_steps for part in parts))


def _find_share(source: Source, key: Key, request: StartRequest) -> Starts:
    """Find the share of this host: of the same starts as on one host, if that is fast.

    Otherwise each host finds starts of its own.
    """
    if source.is_timed:
        num = hosts.own_number(request.num_starts)
        own = dataclasses.replace(request, num_starts=num)
        return source.find(hosts.own_key(key), own)
    found = source.find(key, request)
    return found._replace(networks=hosts.own_networks(found.networks))
