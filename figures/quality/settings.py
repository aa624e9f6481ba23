"""What all methods share."""

import dataclasses

from swajax.latent_search import DescentConfig
from swajax.search.config import SearchConfig


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all methods share; recorded with each run."""

    seconds: float = 20.0
    """of work for each run, compilation not counted"""
    explore_share: float = 0.4
    """share of the seconds that the descent of explore-... has"""
    mixed_share: float = 0.2
    """share of the seconds that the descent of explore-...-mixed has"""
    candidate_steps: int = 50_000
    """of the descent of explore-...-steps"""
    paper: str | None = None
    """checkpoint files of the autoencoders `paper`; {activation} in it is replaced"""
    pipeline: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(max_weights=80)
    )
    """limits of the networks, and the pipeline of those methods that run it"""
    search: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(num_starts=8, chunk_steps=25)
    )
    """descent of explore-..."""

    def __post_init__(self) -> None:
        """Reject budgets that cannot be."""
        if not self.seconds > 0:
            raise ValueError(f"seconds must be > 0, got {self.seconds}")
        for name in ("explore_share", "mixed_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be in (0, 1), got {getattr(self, name)}")
        if self.candidate_steps < 1:
            raise ValueError(
                f"candidate_steps must be >= 1, got {self.candidate_steps}"
            )
