"""What all methods share."""

import dataclasses

from swajax.latent_search import SearchConfig
from swajax.pipeline import PipelineConfig


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all methods share; recorded with each run."""

    seconds: float = 20.0
    """of work for each run, compilation not counted"""
    explore_share: float = 0.4
    """share of the seconds that the descent of explore-... has"""
    candidate_steps: int = 50_000
    """of the descent of explore-...-steps"""
    paper: str | None = None
    """checkpoint files of the autoencoders `paper`; {activation} in it is replaced"""
    pipeline: PipelineConfig = dataclasses.field(
        default_factory=lambda: PipelineConfig(max_weights=80)
    )
    """limits of the networks, and the pipeline of those methods that run it"""
    search: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(num_starts=8, chunk_steps=25)
    )
    """descent of explore-..."""

    def __post_init__(self) -> None:
        """Reject budgets that cannot be."""
        if not self.seconds > 0:
            raise ValueError(f"seconds must be > 0, got {self.seconds}")
        if not 0 < self.explore_share < 1:
            raise ValueError(
                f"explore_share must be in (0, 1), got {self.explore_share}"
            )
        if self.candidate_steps < 1:
            raise ValueError(
                f"candidate_steps must be >= 1, got {self.candidate_steps}"
            )
