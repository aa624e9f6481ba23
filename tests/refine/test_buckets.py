"""Buckets by weight count."""

import jax.numpy as jnp
import pytest

from swajax.data.problem import Problem
from swajax.refine.buckets import BUCKETS, MAX_BLOCK, block_size, bucket_of
from swajax.refine.quadratic import Fit


def test_the_smallest_bucket_with_a_larger_capacity_is_taken():
    assert [bucket_of(size) for size in (1, 31, 32, 95, 96, 255)] == [
        32,
        32,
        64,
        96,
        128,
        256,
    ]


def test_networks_that_no_bucket_holds_are_refused():
    with pytest.raises(ValueError, match="must have < 256 weights, one has 256"):
        bucket_of(BUCKETS[-1])


@pytest.mark.parametrize(
    ("num_rows", "num_outputs", "size", "wanted"),
    [(40, 1, 10, MAX_BLOCK), (8192, 1, 10, 8), (8192, 3, 10, 2), (10**6, 1, 10, 1)],
)
def test_blocks_are_powers_of_two_that_bound_memory(
    num_rows, num_outputs, size, wanted
):
    x, y = jnp.zeros((num_rows, 4)), jnp.zeros((num_rows, num_outputs))
    problem = Problem(x, y, jnp.zeros(num_rows))
    assert block_size(size, problem, fit=Fit()) == wanted
