"""Distributions of random networks.

`sample` draws the sparse networks of arXiv:2410.08339, `sample_varied` the networks
that `tabular` is pretrained on, and `sample_small` the starts of a search.
"""

from swajax.network.structure import make_family
from swajax.prior.small import MIN_FAN_IN, sample_small, sample_starts
from swajax.prior.sparse import SPARSITIES, WEIGHT_BOUND, sample, sample_batch
from swajax.prior.varied import MIN_STD, sample_varied, standardise

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
