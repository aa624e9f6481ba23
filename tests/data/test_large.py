"""Tables read in chunks: as if read as a whole, or a fair sample of them."""

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from swajax.data import batches, large, loading, reservoirs
from swajax.data.splits import split_table
from swajax.data.tables import load_table

NUM_ROWS = 3000


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Every file is large, and chunks are small."""
    monkeypatch.setattr(large, "MAX_CELLS", 0)
    monkeypatch.setattr(large, "MAX_BYTES", 0)
    monkeypatch.setattr(batches, "BATCH_ROWS", 256)
    monkeypatch.setattr(batches, "BLOCK_BYTES", 2**14)
    monkeypatch.setattr(reservoirs, "MIN_BUFFER", 64)


@pytest.fixture
def few_rows(monkeypatch):
    """A sample is smaller than its part."""
    monkeypatch.setattr(large, "MAX_ROWS", 400)
    monkeypatch.setattr(large, "NUM_EACH", 20)


def make_frame(num_rows=NUM_ROWS):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, num_rows))
    kind = rng.choice(["red", "green", " blue"], num_rows).astype(object)
    kind[::7] = None
    frame = pd.DataFrame({"a": a, "b": np.round(b, 3), "kind": kind})
    frame["flag"] = rng.random(num_rows) > 0.5
    frame.loc[::11, "b"] = np.nan
    frame["y"] = np.tanh(a) + 0.1 * rng.normal(size=num_rows)
    label = np.where(a > 1, "up", np.where(a < -2.5, "rare", "down"))
    frame["label"], frame["w"] = label, rng.integers(0, 4, num_rows)
    frame["day"] = [f"day {i // 20}" for i in range(num_rows)]
    frame.loc[5::100, ["y", "label"]] = None
    return frame


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False, row_group_size=700)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(frame.to_csv(index=False).encode(), mtime=0))
    else:
        sep = ";" if path.suffix == ".txt" else ","
        frame.to_csv(path, index=False, sep=sep, decimal="," if sep == ";" else ".")
    return str(path)


def sort(part):
    order = np.lexsort(part.x.T)
    return [np.asarray(leaf)[order] for leaf in part]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.txt"])
@pytest.mark.parametrize(
    "options",
    [
        {"target": "y", "split": "last"},
        {"target": "label", "split": "last", "weight": "w"},
        {"target": "label", "group": "day", "class_weight": "balanced"},
    ],
    ids=["numbers", "weights", "groups"],
)
def test_a_sample_of_all_rows_is_the_table(tmp_path, name, options):
    data = write(make_frame(), tmp_path / name)
    options = {"features": ["a", "b", "kind", "flag"]} | options
    loaded = large.load_large(data, seed=3, **options)
    roles = ("target", "features", "weight", "group")
    own = {key: options[key] for key in roles if key in options}
    table = load_table(data, **own)
    others = {key: value for key, value in options.items() if key not in roles}
    dataset, scaling, _ = split_table(table, seed=3, **others)
    assert loaded.scaling.classes == scaling.classes
    for column, wanted in zip(
        loaded.scaling.encoder.columns, scaling.encoder.columns, strict=True
    ):
        assert column == wanted
    scales = (scaling.target_scale, scaling.target_offset)
    found = (loaded.scaling.target_scale, loaded.scaling.target_offset)
    np.testing.assert_allclose(found, scales, rtol=1e-12)
    for part, wanted in zip(loaded.dataset, dataset, strict=True):
        for leaf, wanted_leaf in zip(sort(part), sort(wanted), strict=True):
            np.testing.assert_allclose(leaf, wanted_leaf, rtol=1e-6)
    assert loaded.num_rows == dict(
        zip(("train", "valid", "test"), (len(p.x) for p in dataset), strict=True)
    )
    chunks = list(loaded.read_test())
    assert len(chunks) > 1
    streamed = [np.concatenate(leaves) for leaves in zip(*chunks, strict=True)]
    test = type(dataset.test)(*streamed)
    test = test._replace(weight=test.weight / test.weight.mean())
    for leaf, wanted_leaf in zip(sort(test), sort(dataset.test), strict=True):
        np.testing.assert_allclose(leaf, wanted_leaf, rtol=1e-5)


@pytest.mark.usefixtures("few_rows")
def test_each_class_is_there_and_weighs_as_much_as_in_the_table(tmp_path):
    frame = make_frame(20_000)
    frame["level"] = np.where(frame.index % 5, frame.index % 3, 7)
    frame.loc[np.arange(0, 20_000, 400), "level"] = 9  # 50 rows
    data = write(frame, tmp_path / "t.parquet")
    loaded = large.load_large(data, seed=0, target="level", features=["a", "b"])
    train = loaded.dataset.train
    counts = train.y.sum(axis=0)
    assert 350 <= len(train.x) <= 400 and counts[-1] >= 20
    shares = train.weight @ train.y / train.weight.sum()
    np.testing.assert_allclose(
        shares, loaded.class_counts / loaded.num_rows["train"], rtol=1e-5
    )
    assert sum(loaded.num_rows.values()) == 20_000
    assert loaded.num_rows["train"] == loaded.class_counts.sum()
    test = list(loaded.read_test())
    assert sum(len(chunk.x) for chunk in test) == loaded.num_rows["test"]
    assert all((chunk.weight == 1).all() for chunk in test)


@pytest.mark.usefixtures("few_rows")
def test_a_sample_depends_on_the_seed_only(tmp_path, monkeypatch):
    data = write(make_frame(), tmp_path / "t.parquet")
    load = lambda seed: large.load_large(  # noqa: E731
        data, seed=seed, target="y", features=["a", "b"]
    )
    first, other = load(0), load(1)
    monkeypatch.setattr(batches, "BATCH_ROWS", 99)
    again = load(0)
    assert len(first.dataset.train.x) == 400
    assert first.num_rows == again.num_rows != other.num_rows
    for part, same in zip(first.dataset, again.dataset, strict=True):
        for leaf, same_leaf in zip(part, same, strict=True):
            np.testing.assert_array_equal(leaf, same_leaf)


@pytest.mark.usefixtures("few_rows")
def test_ranges_are_those_of_all_training_rows(tmp_path):
    frame = make_frame()
    frame["a"] = np.arange(NUM_ROWS)
    frame.loc[NUM_ROWS // 2, "kind"] = "seldom"
    data = write(frame, tmp_path / "t.csv")
    options = {"target": "y", "features": ["a", "kind"], "split": "last"}
    encoder = large.load_large(data, seed=0, **options).scaling.encoder
    a, kind = encoder.columns
    used = frame[frame.y.notna()]
    last = used["a"].iloc[len(used) - 2 * int(np.ceil(0.2 * len(used))) - 1]
    np.testing.assert_allclose([a.scale * last + a.offset, a.offset], [1, -1])
    assert kind.categories == ("blue", "green", "red", "seldom")


def test_a_reservoir_is_a_uniform_sample():
    rng, counts = np.random.default_rng(0), np.zeros(200)
    for _ in range(150):
        drawn = reservoirs.Reservoir(50, 5)
        for start in range(0, 200, 40):
            rows = np.arange(start, start + 40)
            code = (rows >= 190).astype(int)
            chunk = reservoirs.Sample(
                pa.table({"row": rows}), rows, code, np.ones(40), np.zeros(40, int)
            )
            drawn.add(chunk, rng.random(40))
        found = drawn.find().rows
        assert len(found.row) == 50 and found.code.sum() >= 5
        np.testing.assert_array_equal(found.cells["row"], found.row)
        counts[found.row] += 1
    for rows in (counts[:190], counts[190:]):  # of a class, each as often
        assert abs(rows - rows.mean()).max() < 5 * np.sqrt(rows.mean())
        assert rows[: len(rows) // 2].mean() == pytest.approx(rows.mean(), rel=0.1)


def _late(frame, name, cell):
    frame[name] = frame[name].astype(object)
    frame.loc[len(frame) - 7, name] = cell


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: _late(f, "a", "oops"), {}, "row 2994, column 'a': 'oops' is not a"),
        (lambda f: _late(f, "y", "oops"), {}, "row 2994, column 'y': 'oops' is not a"),
        (lambda f: _late(f, "a", np.inf), {}, "row 2994, column 'a': inf is infinite"),
        (
            lambda f: _late(f, "w", -1),
            {"weight": "w"},
            "row 2994, column 'w': the weight is negative",
        ),
        (
            lambda f: _late(f, "w", 1e9),
            {"weight": "w"},
            "row 2994, column 'w': the weight exceeds",
        ),
        (
            lambda f: _late(f, "day", None),
            {"group": "day"},
            "row 2994, column 'day': the group is missing",
        ),
        (lambda f: None, {"features": ["a", "day"]}, "'day' holds text with"),
        (lambda f: None, {"target": "day"}, "classes, at most 50|more than 50 classes"),
        (lambda f: None, {"target": "no"}, "no column 'no'"),
        (lambda f: None, {"split": "last", "group": "day"}, "keep groups together"),
        (lambda f: f.insert(0, "y2", f.pop("y")), {}, "no column 'y'"),
        (lambda f: f.__setitem__("y", np.nan), {}, "0 data rows, at least 10"),
        (lambda f: f.__setitem__("y", 1.0), {}, "constant"),
    ],
)
def test_unusable_tables(tmp_path, change, options, message):
    frame = make_frame()
    change(frame)
    data = write(frame, tmp_path / "t.csv")
    options = {"target": "y", "features": ["a", "b"]} | options
    with pytest.raises(ValueError, match=message) as caught:
        loading.load_parts(data, seed=0, **options)
    assert "\n" not in str(caught.value) and data in str(caught.value)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz"])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_truncated_files(tmp_path, name, share):
    path = tmp_path / name
    write(make_frame(), path)
    raw = path.read_bytes()
    cut = raw[: int(share * len(raw))].rstrip(b"\n").rpartition(b",")[0]
    path.write_bytes(cut if name == "t.csv" else raw[: int(share * len(raw))])
    message = {"t.csv": "line [0-9]+ has [0-9]+ cells"}.get(name, "not a readable")
    with pytest.raises(ValueError, match=message) as caught:
        large.load_large(str(path), seed=0, target="y", features=["a"])
    assert "\n" not in str(caught.value)


def test_a_damaged_page_is_told(tmp_path):
    path = tmp_path / "t.parquet"
    write(make_frame(), path)
    raw = bytearray(path.read_bytes())
    half = len(raw) // 2
    raw[4:half] = b"\xff" * (half - 4)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="not a readable Parquet file"):
        large.load_large(str(path), seed=0, target="y", features=["a", "b"])


def test_dates_are_refused_at_once(tmp_path):
    frame = make_frame(50)
    frame["when"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(50), "D")
    data = write(frame, tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"'when' holds dates; choose .*--features"):
        large.load_large(data, seed=0, target="y", features=["a", "when"])


def test_small_files_are_read_as_a_whole(tmp_path, monkeypatch):
    data = write(make_frame(), tmp_path / "t.csv")
    assert large.is_large(data) and not large.is_large("iris")
    monkeypatch.undo()
    assert not large.is_large(data)
    loaded = loading.load_parts(data, seed=0, target="y", features=["a"])
    assert loaded.read_test is None and len(loaded.table.target) == 2970
