"""Find tiny neural networks, architecture and weights together, by gradient descent.

The public names are imported on first use, so that `import swajax` alone stays quick.

Example:
  >>> import swajax
  >>> spec = swajax.NetworkSpec(num_inputs=2, max_width=4, max_depth=1)
  >>> spec.activations
  ('sigmoid',)
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swajax.data.problem import Problem as Problem
    from swajax.estimators import SparseMLPClassifier as SparseMLPClassifier
    from swajax.estimators import SparseMLPRegressor as SparseMLPRegressor
    from swajax.model.results import load as load
    from swajax.search.config import SearchConfig as SearchConfig
    from swajax.search.imitation import compress as compress
    from swajax.search.run import find_front as find_front
    from swajax.types import Network as Network
    from swajax.types import NetworkSpec as NetworkSpec

_HOMES = {
    "Network": "swajax.types",
    "NetworkSpec": "swajax.types",
    "Problem": "swajax.data.problem",
    "SearchConfig": "swajax.search.config",
    "SparseMLPClassifier": "swajax.estimators",
    "SparseMLPRegressor": "swajax.estimators",
    "compress": "swajax.search.imitation",
    "find_front": "swajax.search.run",
    "load": "swajax.model.results",
}
__all__ = list(_HOMES)


if sys.argv[:1] == ["-m"]:  # Python locates a command, `python -m swajax.search`
    from swajax.io import interrupts

    interrupts.end_imports_on_interrupt()


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'swajax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted({*globals(), *_HOMES})
