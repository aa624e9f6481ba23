"""Rivals of the search, each with its interface: data in, front of networks out.

Each module has a `Config` and a `run`; all networks found are records of swajax, judged
by the same code. `METHODS` has them by name::

    method = METHODS["magnitude"]
    found = method.run(
        key,
        train,
        valid,
        objective="squared",
        config=method.Config(),
        pipeline_config=PipelineConfig(),
        time_budget=60.0,
    )
"""

from types import ModuleType

from swajax.baselines import (
    architectures,
    darts_admm,
    direct,
    l0,
    magnitude,
    random,
    scikit_learn,
)
from swajax.baselines.common import Found

METHODS: dict[str, ModuleType] = {
    "direct": direct,
    "random": random,
    "magnitude": magnitude,
    "l0": l0,
    "darts-admm": darts_admm,
    "architectures": architectures,
    "sklearn": scikit_learn,
}

__all__ = ["METHODS", "Found"]
