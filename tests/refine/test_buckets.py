"""Buckets by weight count."""

import jax
import jax.numpy as jnp
import pytest

from swajax.data.problem import Problem
from swajax.refine import buckets
from swajax.refine.buckets import BUCKETS, MAX_BLOCK, block_size, bucket_of
from swajax.refine.quadratic import Fit


def test_the_smallest_bucket_with_a_larger_capacity_is_taken():
    sizes = (1, 31, 32, 33, 64, 65, 128, 129, 256)
    assert list(map(bucket_of, sizes)) == [32, 32, 32, 64, 64, 128, 128, 256, 256]


def test_networks_that_no_bucket_holds_are_refused():
    with pytest.raises(ValueError, match="must have <= 256 weights, one has 257"):
        bucket_of(BUCKETS[-1] + 1)


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


@pytest.mark.parametrize(
    ("num", "num_rows", "wanted"),
    [(1, 40, 16), (2, 40, 32), (3, 40, 24), (8, 40, 32), (64, 40, 64), (2, 8192, 16)],
)
def test_devices_share_a_block_evenly(monkeypatch, num, num_rows, wanted):
    own = tuple(jax.local_devices()) * num
    monkeypatch.setattr(buckets, "all_devices", lambda devices: tuple(devices))
    problem = Problem(
        jnp.zeros((num_rows, 4)), jnp.zeros((num_rows, 1)), jnp.zeros(num_rows)
    )
    assert block_size(10, problem, fit=Fit(), devices=own) == wanted


@pytest.mark.parametrize(
    ("num_networks", "num_rows", "wanted"),
    [(3, 2048, 32), (33, 2048, 512), (10**5, 2048, 1024), (10**5, 64, 4096)],
)
def test_blocks_of_accelerators_follow_networks_and_memory(
    monkeypatch, num_networks, num_rows, wanted
):
    monkeypatch.setattr(buckets, "is_accelerated", lambda devices: True)
    monkeypatch.setattr(buckets, "_memory", lambda device: 2**33)
    problem = Problem(
        jnp.zeros((num_rows, 4)), jnp.zeros((num_rows, 1)), jnp.zeros(num_rows)
    )
    how = {"devices": jax.local_devices()[:1], "num_networks": num_networks}
    assert block_size(10, problem, fit=Fit(), **how) == wanted
