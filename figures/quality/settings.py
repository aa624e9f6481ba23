"""Settings that all methods share."""

import dataclasses
from typing import Any

from figures.common.checks import check_above_zero, check_at_least
from swajax.io import configs
from swajax.latent_search import DescentConfig
from swajax.search.config import SearchConfig


@dataclasses.dataclass(frozen=True)
class Settings:
    """Budgets and limits of all methods, stored with each run."""

    seconds: float = 20.0
    """seconds of work per run, without compilation"""
    explore_share: float = 0.4
    """share of the seconds for the descent of explore-..."""
    mixed_share: float = 0.2
    """share of the seconds for the descent of explore-...-mixed"""
    network_steps: int = 50_000
    """number of network steps of the descent of explore-...-steps"""
    paper: str | None = None
    """checkpoint files of the autoencoders `paper`; {activation} is replaced"""
    pipeline: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(max_weights=80)
    )
    """limits of the networks; settings of the methods that run the pipeline"""
    descent: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(num_starts=8, chunk_steps=25)
    )
    """gradient descent of explore-..."""

    def __post_init__(self) -> None:
        """Check budgets."""
        check_above_zero(self, "seconds")
        for name in ("explore_share", "mixed_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be in (0, 1), got {getattr(self, name)}")
        check_at_least(1, self, "network_steps")

    def describe(self) -> dict[str, Any]:
        """Return the settings for a run, without the options of the sources.

        Runs record the options of the sources that they use with their method.
        """
        values = configs.to_dict(self)
        for name in ("sources", "source_share", "descent", "supernet", "learned"):
            del values["pipeline"][name]
        return values
