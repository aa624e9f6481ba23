"""Random networks, to pretrain on and to start a search with."""

from swajax.prior.paper import SPARSITIES, WEIGHT_BOUND, sample, sample_batch
from swajax.prior.tabular import (
    MIN_FAN_IN,
    MIN_STD,
    make_family,
    sample_small,
    sample_starts,
    sample_varied,
    standardise,
)

__all__ = [
    "MIN_FAN_IN",
    "MIN_STD",
    "SPARSITIES",
    "WEIGHT_BOUND",
    "make_family",
    "sample",
    "sample_batch",
    "sample_small",
    "sample_starts",
    "sample_varied",
    "standardise",
]
