"""Reading of columns in chunks of rows."""

import gzip

import numpy as np
import pandas as pd
import pytest

from swajax.data import streaming
from swajax.data.readers import read_source


def _write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(frame[name].tolist()) for name in frame})
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"PAR1 and no more", "not a readable Parquet file"),
        (b"PK and no more", "not a readable NPZ file"),
        (b"\x89HDF\r\n", "an HDF5 file, expected"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9], "not a readable gzip file"),
        (b"a,b\n1,\xff\n", "not UTF-8 text"),
        (b"a,b\n", "no data rows"),
        (b"a,a,b\n1,2,3\n", "'a' appears more than once"),
    ],
)
def test_damaged_files(tmp_path, raw, message):
    path = tmp_path / "data.csv"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=message):
        if not list(streaming.read_chunks(str(path), ["a", "b"])):
            raise ValueError("no data rows")


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_pieces_are_the_whole_table(tmp_path, kind):
    frame = pd.DataFrame({"a": range(7), "b": list("uvwxyzé"), "c": 1.5})
    data = str(_write(frame, tmp_path / f"data.{kind}"))
    whole = read_source(data).frame[["c", "a"]]
    pieces = list(streaming.read_chunks(data, ["c", "a"], num_rows=3))
    assert [len(piece) for piece in pieces] == [3, 3, 1]
    pd.testing.assert_frame_equal(pd.concat(pieces), whole, check_index_type=False)


def test_pieces_of_a_table_with_an_index(tmp_path):
    frame = pd.DataFrame({"a": [3, 1, 2, 0], "b": 1.5}).set_index("a")
    frame.to_parquet(tmp_path / "data.parquet")
    pieces = streaming.read_chunks(
        str(tmp_path / "data.parquet"), ["b", "a"], num_rows=3
    )
    assert pd.concat(pieces)["a"].tolist() == [3, 1, 2, 0]


def test_pieces_are_read_one_by_one(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a\n1\n2\n3\n4,5\n")
    pieces = streaming.read_chunks(str(path), ["a"], num_rows=2)
    assert next(pieces)["a"].tolist() == ["1", "2"]
    with pytest.raises(ValueError, match="line 5 has 2 cells"):
        next(pieces)
