"""Eighteen benchmark functions of two inputs, as in the CORNN suite (arXiv:2109.05606).

They are standard test functions of global optimisation, used for regression. Comments
mark the three whose formulas differ from the usual ones; only their minima differ.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, "..."]


class BenchmarkFunction(NamedTuple):
    """A function of two inputs and the box from which its points are drawn."""

    fn: Callable[[Values, Values], Values]
    low: tuple[float, float]
    high: tuple[float, float]


def sample_points(
    name: str, *, seed: int, num_points: int
) -> tuple[Float[np.ndarray, "N I"], Float[np.ndarray, " N"]]:
    """Draw points uniformly from the domain of a function and evaluate it, unscaled.

    >>> points, values = sample_points("sphere", seed=0, num_points=5)
    >>> points.shape, values.shape
    ((5, 2), (5,))

    Args:
      name: one of `FUNCTIONS`; case, blanks, dots and dashes are ignored.
      seed: seed of the points; larger samples begin with the same points.
      num_points: number of points N.

    Raises:
      ValueError: the function is unknown.
    """
    key = canonical_name(name)
    if key is None:
        raise ValueError(f"no function {name!r}; there are: {', '.join(FUNCTIONS)}")
    function = FUNCTIONS[key]
    rng = np.random.default_rng(seed)
    points = rng.uniform(function.low, function.high, size=(num_points, 2))
    return points, function.fn(points[:, 0], points[:, 1])


def canonical_name(name: str) -> str | None:
    """Return the key in `FUNCTIONS` (`ackley-n2` for `Ackley N.2`), or None."""
    return {_letters(key): key for key in FUNCTIONS}.get(_letters(name))


def _letters(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _ackley_n2(x1: Values, x2: Values) -> Values:
    # Usually 0.02.
    return -200.0 * np.exp(-0.2 * np.hypot(x1, x2))


def _alpine_n2(x1: Values, x2: Values) -> Values:
    return np.sqrt(x1) * np.sin(x1) * np.sqrt(x2) * np.sin(x2)


def _booth(x1: Values, x2: Values) -> Values:
    return (x1 + 2 * x2 - 7) ** 2 + (2 * x1 + x2 - 5) ** 2


def _brent(x1: Values, x2: Values) -> Values:
    return (x1 + 10) ** 2 + (x2 + 10) ** 2 + np.exp(-(x1**2) - x2**2)


def _cross_in_tray(x1: Values, x2: Values) -> Values:
    growth = np.exp(np.abs(100 - np.hypot(x1, x2) / np.pi))
    return -1e-4 * (np.abs(np.sin(x1) * np.sin(x2) * growth) + 1) ** 0.1


def _deckkers_aarts(x1: Values, x2: Values) -> Values:
    # Usually 1e5 x1^2 + x2^2 comes first.
    square = x1**2 + x2**2
    return 1e5 * square - square**2 + 1e-5 * square**4


def _drop_wave(x1: Values, x2: Values) -> Values:
    return -(1 + np.cos(12 * np.hypot(x1, x2))) / (0.5 * (x1**2 + x2**2) + 2)


def _easom(x1: Values, x2: Values) -> Values:
    bump = np.exp(-((x1 - np.pi) ** 2) - (x2 - np.pi) ** 2)
    return -np.cos(x1) * np.cos(x2) * bump


def _goldstein_price(x1: Values, x2: Values) -> Values:
    left = 19 - 14 * x1 + 3 * x1**2 - 14 * x2 + 6 * x1 * x2 + 3 * x2**2
    # Usually 48 x2.
    right = 18 - 32 * x1 + 12 * x1**2 + 4 * x2 - 36 * x1 * x2 + 27 * x2**2
    return (1 + (x1 + x2 + 1) ** 2 * left) * (30 + (2 * x1 - 3 * x2) ** 2 * right)


def _himmelblau(x1: Values, x2: Values) -> Values:
    return (x1**2 + x2 - 11) ** 2 + (x1 + x2**2 - 7) ** 2


def _mccormick(x1: Values, x2: Values) -> Values:
    return np.sin(x1 + x2) + (x1 - x2) ** 2 - 1.5 * x1 + 2.5 * x2 + 1


def _rosenbrock(x1: Values, x2: Values) -> Values:
    return 100 * (x2 - x1**2) ** 2 + (1 - x1) ** 2


def _schaffer_n2(x1: Values, x2: Values) -> Values:
    wave = np.sin(x1**2 - x2**2) ** 2 - 0.5
    return 0.5 + wave / (1 + 0.001 * (x1**2 + x2**2)) ** 2


def _schwefel_222(x1: Values, x2: Values) -> Values:
    return np.abs(x1) + np.abs(x2) + np.abs(x1 * x2)


def _shubert_3(x1: Values, x2: Values) -> Values:
    return sum(
        j * (np.sin((j + 1) * x1 + j) + np.sin((j + 1) * x2 + j)) for j in range(1, 6)
    )


def _sphere(x1: Values, x2: Values) -> Values:
    return x1**2 + x2**2


def _sum_squares(x1: Values, x2: Values) -> Values:
    return x1**2 + 2 * x2**2


def _xin_she_yang_n4(x1: Values, x2: Values) -> Values:
    bowl = np.sin(x1) ** 2 + np.sin(x2) ** 2 - np.exp(-(x1**2) - x2**2)
    roots = np.sin(np.sqrt(np.abs(x1))) ** 2 + np.sin(np.sqrt(np.abs(x2))) ** 2
    return bowl * np.exp(-roots)


def _square_box(fn: Callable, low: float, high: float) -> BenchmarkFunction:
    return BenchmarkFunction(fn, (low, low), (high, high))


FUNCTIONS: dict[str, BenchmarkFunction] = {
    "ackley-n2": _square_box(_ackley_n2, -32.0, 32.0),
    "alpine-n2": _square_box(_alpine_n2, 0.0, 10.0),
    "booth": _square_box(_booth, -10.0, 10.0),
    "brent": _square_box(_brent, -20.0, 0.0),
    "cross-in-tray": _square_box(_cross_in_tray, -10.0, 10.0),
    "deckkers-aarts": _square_box(_deckkers_aarts, -20.0, 20.0),
    "drop-wave": _square_box(_drop_wave, -5.2, 5.2),
    "easom": _square_box(_easom, -50.0, 50.0),
    "goldstein-price": _square_box(_goldstein_price, -2.0, 2.0),
    "himmelblau": _square_box(_himmelblau, -6.0, 6.0),
    "mccormick": BenchmarkFunction(_mccormick, (-1.5, -3.0), (4.0, 3.0)),
    "rosenbrock": _square_box(_rosenbrock, -5.0, 10.0),
    "schaffer-n2": _square_box(_schaffer_n2, -100.0, 100.0),
    "schwefel-2.22": _square_box(_schwefel_222, -100.0, 100.0),
    "shubert-3": _square_box(_shubert_3, -10.0, 10.0),
    "sphere": _square_box(_sphere, -5.12, 5.12),
    "sum-squares": _square_box(_sum_squares, -10.0, 10.0),
    "xin-she-yang-n4": _square_box(_xin_she_yang_n4, -10.0, 10.0),
}
