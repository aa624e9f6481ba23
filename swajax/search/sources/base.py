"""The interface of a source: a request for starts, and the starts found."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from swajax.data.problem import Problem
from swajax.io.devices import Devices
from swajax.objectives import Objective
from swajax.types import Key, Network, NetworkSpec


@dataclasses.dataclass(frozen=True)
class StartRequest:
    """The data, limits and budget that a source gets."""

    train: Problem
    """rows to fit, not padded"""
    valid: Problem
    """rows to validate on"""
    objective: Objective
    limits: NetworkSpec
    """largest depth and width, activations, inputs and outputs"""
    max_weights: int
    """size of the largest network of the front"""
    num_starts: int
    """number of random networks, for sources that draw them"""
    options: Any = None
    """settings of the source, the field of `SearchConfig` that it names"""
    seconds: float = math.inf
    """time budget; a source does at least one unit of work"""
    clock: Callable[[], float] = time.monotonic
    devices: Devices | None = None
    """devices that share the work; all of this process by default"""
    watch: Callable[[int, Callable[[], Network]], None] | None = None
    """called with the network steps so far and a function that returns the networks"""


class Starts(NamedTuple):
    """Networks to polish, leaves [R, ...], and the network steps they cost."""

    networks: Network
    num_steps: int


class Source(NamedTuple):
    """One way to find starts: a row of `swajax.search.sources.SOURCES`."""

    find: Callable[[Key, StartRequest], Starts]
    """pure but for the clock; the key is consumed"""
    check: Callable[[NetworkSpec, Objective, Any], None] = lambda *_: None
    """(limits, objective, options): raises ValueError if the source does not apply"""
    options_field: str | None = None
    """field of `SearchConfig` that holds its options"""
    is_timed: bool = True
    """whether it takes a share of a time budget"""
    is_random: bool = True
    """whether it takes a share of the number of starts"""
