"""Operations of cells: convolutions by patches and by XLA."""

import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import TOLERANCE

from swajax.tangle.layers import operations


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_convolutions_of_large_images_are_those_of_small_ones(
    size, dilation, stride, monkeypatch
):
    rng = np.random.default_rng(0)
    shapes = (2, 6, 6, 3), (size, size, 1, 3), (3, 4)
    x, depthwise, pointwise = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes
    )
    how = {"stride": stride, "dilation": dilation}
    small = operations.convolve_separably(x, depthwise, pointwise, **how)
    monkeypatch.setattr(operations, "MAX_PATCHED", 0)
    large = operations.convolve_separably(x, depthwise, pointwise, **how)
    assert small.shape == (2, 6 // stride, 6 // stride, 4)
    np.testing.assert_allclose(small, large, **TOLERANCE)
