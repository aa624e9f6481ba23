"""Axes of charts."""

import numpy as np
import pytest

from swajax.report import charts


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([0.0, 0.0], False),
        ([5.0, 5.0], False),
        ([-1e9, 1e-9], False),
        ([1.0, 40.0], True),
        ([1e-7, 3e-2, 10.0], True),
    ],
)
def test_an_axis_holds_all_values(values, is_log):
    axis = charts.make_axis(np.array(values), is_log=is_log)
    share = axis.share(np.array(values))
    assert (share > 0).all()
    assert (share < 1).all()
    assert len(axis.ticks) >= 2
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize(
    ("ticks", "more", "texts"),
    [
        ([1e-7, 1.0], "", ["1e-07", "1"]),
        ([-1e8 - 0.5, -1e8], " + 1e+08", ["-0.5", "0"]),
        ([1.7e18, 1.7e18 + 5e8], " - 1.7e+18", ["0", "5e+08"]),
    ],
)
def test_ticks_differ(ticks, more, texts):
    assert charts.format_ticks(ticks) == (more, texts)
