"""Made-up rows lie between near rows of the table."""

import numpy as np
import pandas as pd

from swajax.data.made_rows import make_rows


def make_frame(num=200):
    """Two distant groups of rows, with columns of all kinds."""
    rng = np.random.default_rng(0)
    group = rng.integers(2, size=num)
    return pd.DataFrame(
        {
            "real": rng.uniform(size=num) + 10 * group,
            "whole": rng.integers(100, size=num),
            "few": rng.integers(3, size=num) * 0.5,
            "kind": pd.Categorical(np.where(group, "b", "a")),
            "flag": rng.integers(2, size=num) > 0,
        }
    )


def make(frame, num=500):
    return make_rows(frame, frame[["real"]].to_numpy(), num, seed=0)


def test_cells_stay_within_their_column():
    frame = make_frame()
    made = make(frame)
    assert len(made) == 500
    assert (
        made.dtypes[["few", "kind", "flag"]] == frame.dtypes[["few", "kind", "flag"]]
    ).all()
    assert set(made["few"]) == set(frame["few"])
    assert (made["whole"] == made["whole"].round()).all()
    for name in ("real", "whole"):
        assert made[name].between(frame[name].min(), frame[name].max()).all()
    assert len(set(made["real"]) - set(frame["real"])) > 400


def test_only_near_rows_are_mixed():
    made = make(make_frame())
    is_second = made["real"] > 5
    assert ((made["real"] < 1) | (made["real"] > 10)).all()
    assert (made["kind"] == np.where(is_second, "b", "a")).all()


def test_rows_follow_from_the_seed():
    frame = make_frame()
    pd.testing.assert_frame_equal(make(frame), make(frame))
    assert not len(make(frame, 0))
