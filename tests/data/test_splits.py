"""Splits of a table: reproducible, stratified, scaled by the training part only."""

import numpy as np
import pandas as pd
import pytest

from swajax.data import encoding, splits, tables

NUM_ROWS = 100
ROWS = np.arange(NUM_ROWS)


def _numbered(**changes):
    """A table whose column `row` holds the row number."""
    values = {
        "frame": pd.DataFrame({"row": ROWS * 1.0, "mod": ROWS % 7 * 1.0}),
        "target": 3.0 * ROWS + 5,
        "task": "regression",
        "classes": (),
        "weight": None,
        "target_name": "y",
        "source": "numbered",
        "notes": (),
    }
    return tables.Table(**(values | changes))


def _labelled(codes, **changes):
    codes = np.asarray(codes, dtype=np.int64)
    frame = pd.DataFrame({"row": np.arange(len(codes)) * 1.0})
    classes = tuple(f"class {code}" for code in range(codes.max() + 1))
    return _numbered(
        frame=frame, target=codes, task="classification", classes=classes, **changes
    )


def _rows_of(part, scaling):
    row = scaling.encoder.columns[0]
    assert row.name == "row"
    return np.rint((part.x[:, 0] - row.offset) / row.scale).astype(int)


def _parts(dataset):
    return [part for part in dataset if part is not None]


def test_split_is_a_reproducible_partition_in_table_units():
    dataset, scaling, notes = splits.split_table(_numbered(), seed=4)
    rows = [_rows_of(part, scaling) for part in dataset]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), ROWS)
    for part, numbers, size in zip(dataset, rows, (60, 20, 20), strict=True):
        assert part.x.shape == (size, 2) and part.y.shape == (size, 1)
        assert {array.dtype for array in part} == {np.dtype(np.float32)}
        y = part.y[:, 0] * scaling.target_scale + scaling.target_offset
        np.testing.assert_allclose(y, 3 * numbers + 5, atol=1e-3)
        np.testing.assert_array_equal(part.weight, np.ones(size))
    assert notes == () and scaling.classes == ()
    again = splits.split_table(_numbered(), seed=4)[0]
    other = splits.split_table(_numbered(), seed=5)[0]
    np.testing.assert_array_equal(again.test.x, dataset.test.x)
    assert (other.test.x != dataset.test.x).any()


@pytest.mark.parametrize("num_classes", [None, 2, 3])
def test_no_test_part(num_classes):
    table = _labelled(ROWS % num_classes) if num_classes else _numbered()
    dataset, scaling, _ = splits.split_table(table, seed=0, test_share=0)
    assert dataset.test is None
    rows = [_rows_of(part, scaling) for part in _parts(dataset)]
    assert [len(part) for part in rows] == [80, 20]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), ROWS)


def test_training_part_is_standardised():
    dataset, _, _ = splits.split_table(_numbered(), seed=4)
    np.testing.assert_allclose(dataset.train.x.min(axis=0), -1, atol=1e-6)
    np.testing.assert_allclose(dataset.train.x.max(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(dataset.train.y.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.train.y.std(), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["valid", "test"])
def test_nothing_leaks_out_of_the_other_parts(name):
    color = np.array(["red", "blue", "green"], dtype=object)[ROWS % 3]
    table = _numbered(frame=pd.DataFrame({"row": ROWS * 1.0, "color": color}))
    dataset, scaling, _ = splits.split_table(table, seed=4)
    changed = _rows_of(getattr(dataset, name), scaling)
    frame, target = table.frame.copy(), table.target.copy()
    frame.loc[changed, "row"] += 1000.0
    frame.loc[changed, "color"] = "purple"
    target[changed] += 1000.0
    table = table._replace(frame=frame, target=target)
    other, other_scaling, _ = splits.split_table(table, seed=4)
    assert other_scaling == scaling
    for kept in {"train", "valid", "test"} - {name}:
        np.testing.assert_array_equal(getattr(other, kept).x, getattr(dataset, kept).x)
        np.testing.assert_array_equal(getattr(other, kept).y, getattr(dataset, kept).y)
    assert (getattr(other, name).y > getattr(dataset, name).y + 1).all()
    assert (getattr(other, name).x[:, 1:] == 0).all()


@pytest.mark.parametrize("unit", [1e-30, 1e-19, 1.0, 1e30])
def test_scaling_does_not_depend_on_units(unit):
    table = _numbered()
    expected = splits.split_table(table, seed=0)[0]
    scaled = splits.split_table(
        table._replace(frame=table.frame * unit, target=table.target * unit), seed=0
    )[0]
    for one, other in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(one.x, other.x, atol=1e-5)
        np.testing.assert_allclose(one.y, other.y, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_classes_are_stratified(seed):
    codes = np.repeat([0, 1, 2], [60, 30, 10])
    dataset, scaling, notes = splits.split_table(_labelled(codes), seed=seed)
    for part, counts in zip(
        dataset, ([36, 18, 6], [12, 6, 2], [12, 6, 2]), strict=True
    ):
        np.testing.assert_array_equal(part.y.sum(axis=0), counts)
        one_hot = np.eye(3)[codes[_rows_of(part, scaling)]]
        np.testing.assert_array_equal(part.y, one_hot)
    assert notes == ()
    assert (scaling.target_scale, scaling.target_offset) == (1.0, 0.0)
    assert scaling.classes == ("class 0", "class 1", "class 2")


def test_two_classes_are_one_output():
    dataset, scaling, _ = splits.split_table(_labelled(ROWS % 2), seed=0)
    for part in dataset:
        np.testing.assert_array_equal(part.y[:, 0], _rows_of(part, scaling) % 2)


SMALL_CLASSES = {
    "one row": [0] * 50 + [1] * 49 + [2],
    "two rows": [0] * 50 + [1] * 48 + [2] * 2,
    "more classes than test rows": [*range(5)] * 3,
    "as many as training rows": [0] * 5 + [1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("case", SMALL_CLASSES)
def test_every_class_has_a_training_row(case, seed):
    table = _labelled(SMALL_CLASSES[case])
    dataset, scaling, notes = splits.split_table(table, seed=seed)
    labels = [table.target[_rows_of(part, scaling)] for part in dataset]
    assert set(labels[0]) == set(table.target)
    whole = np.concatenate([_rows_of(part, scaling) for part in dataset])
    np.testing.assert_array_equal(np.sort(whole), np.arange(len(table.target)))
    is_everywhere = all(set(part) == set(table.target) for part in labels)
    assert len(notes) == (not is_everywhere)
    again = splits.split_table(table, seed=seed)[0]
    np.testing.assert_array_equal(again.train.x, dataset.train.x)


@pytest.mark.parametrize("seed", range(5))
def test_small_training_part_has_every_class(seed):
    table = _labelled([0] * 60 + [1] * 38 + [2] * 2)
    dataset, _, _ = splits.split_table(
        table, seed=seed, valid_share=0.9, test_share=0.0
    )
    assert (dataset.train.y.sum(axis=0) > 0).all() and len(dataset.train.y) == 10


def test_weights_have_mean_one_and_count_in_the_scaling():
    weight = np.where(ROWS < 50, 1e-3, 3e-3)
    dataset, scaling, _ = splits.split_table(_numbered(weight=weight), seed=0)
    for part in dataset:
        expected = weight[_rows_of(part, scaling)]
        np.testing.assert_allclose(part.weight, expected / expected.mean(), rtol=1e-6)
    mean = np.average(dataset.train.y, weights=dataset.train.weight[:, None])
    square = np.average(dataset.train.y**2, weights=dataset.train.weight[:, None])
    np.testing.assert_allclose([mean, square], [0, 1], atol=1e-6)


@pytest.mark.parametrize("has_weights", [False, True])
def test_balanced_classes(has_weights):
    codes = np.repeat([0, 1], [83, 17])
    weight = 1.0 + ROWS if has_weights else None
    table = _labelled(codes, weight=weight)
    dataset, scaling, _ = splits.split_table(table, seed=0, class_weight="balanced")
    counts = np.bincount(codes[_rows_of(dataset.train, scaling)])
    assert counts.sum() == 60 and counts[0] / counts[1] != 83 / 17
    for part in dataset:
        rows = _rows_of(part, scaling)
        factors = 60 / (2 * counts[codes[rows]])
        expected = factors if weight is None else factors * weight[rows]
        np.testing.assert_allclose(part.weight, expected / expected.mean(), rtol=1e-6)


def test_notes_of_the_encoder_are_passed_on():
    frame = pd.DataFrame({"row": ROWS * 1.0, "gaps": np.where(ROWS % 2, np.nan, ROWS)})
    _, scaling, notes = splits.split_table(_numbered(frame=frame), seed=0)
    assert len(notes) == 1 and "'gaps'" in notes[0]
    assert encoding.input_names(scaling.encoder) == ("row", "gaps")


def test_column_constant_in_training_is_left_out():
    dataset, scaling, _ = splits.split_table(_numbered(), seed=4)
    rare = np.zeros(NUM_ROWS)
    rare[_rows_of(dataset.test, scaling)[0]] = 1.0
    frame = pd.DataFrame({"row": ROWS * 1.0, "rare": rare})
    _, scaling, notes = splits.split_table(_numbered(frame=frame), seed=4)
    assert encoding.input_names(scaling.encoder) == ("row",)
    assert "'rare'" in notes[0]
    with pytest.raises(ValueError, match=r"numbered: no feature varies .* seed 4"):
        splits.split_table(_numbered(frame=frame[["rare"]]), seed=4)
    with pytest.raises(ValueError, match="numbered: target 'y' is constant in the tra"):
        splits.split_table(_numbered(target=rare), seed=4)
    with pytest.raises(ValueError, match="target 'y' holds numbers beyond all bounds"):
        splits.split_table(_numbered(target=ROWS + rare * 1e90), seed=4)


def test_nanoseconds_since_1970_are_a_feature_and_a_target():
    ns = 1_700_000_000_000_000_000.0 + np.sort(
        np.random.default_rng(2).integers(0, 1_500_000_000, NUM_ROWS)
    )
    table = _numbered(frame=pd.DataFrame({"row": ROWS * 1.0, "ns": ns}), target=ns)
    dataset, scaling, notes = splits.split_table(table, seed=0)
    assert encoding.input_names(scaling.encoder) == ("row", "ns") and notes == ()
    ends = dataset.train.x[:, 1].min(), dataset.train.x[:, 1].max()
    np.testing.assert_allclose(ends, [-1, 1], atol=1e-6)
    got = (
        dataset.valid.y[:, 0].astype(float) * scaling.target_scale
        + scaling.target_offset
    )
    wanted = ns[_rows_of(dataset.valid, scaling)]
    np.testing.assert_allclose(got - ns[0], wanted - ns[0], atol=1e3)


def test_targets_are_scaled_by_one_rule_at_any_offset():
    wave = np.sin(ROWS)
    for offset in (0.0, 1e9, 1e12):
        scale, center = splits.fit_target(offset + wave)
        np.testing.assert_allclose(scale, wave.std(), rtol=1e-3)
        np.testing.assert_allclose(center, offset + wave.mean(), rtol=1e-12)
    assert splits.fit_target(1e16 + wave)[0] == 0
    assert splits.fit_target(np.full(3, 0.1)) == (0.0, 0.1)
    assert not np.isfinite(splits.fit_target(1e200 * wave)[0])


@pytest.mark.parametrize("shares", [(0.6, 0.4), (0.0, 0.2), (0.2, -0.1), (1.0, 0.0)])
def test_bad_shares(shares):
    with pytest.raises(ValueError, match="valid_share"):
        splits.split_table(
            _numbered(), seed=0, valid_share=shares[0], test_share=shares[1]
        )


def test_refusals_of_classes():
    with pytest.raises(ValueError, match="10 rows leave 2 to train on, fewer than 3"):
        splits.split_table(
            _labelled([0, 1, 2, *[0] * 7]), seed=0, valid_share=0.4, test_share=0.4
        )
    with pytest.raises(ValueError, match="class_weight must be None, or balanced"):
        splits.split_table(_numbered(), seed=0, class_weight="balanced")


def test_a_file_from_end_to_end(tmp_path):
    lines = [f"{i},{['red', 'blue', ''][i % 3]},{i % 2 * 'yes' or 'no'}" for i in ROWS]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["age,color,label", *lines]))
    table = tables.load_table(str(path), target="label")
    dataset, scaling, notes = splits.split_table(table, seed=1)
    assert encoding.input_names(scaling.encoder) == ("age", "color=red")
    assert set(np.unique(dataset.train.x[:, 1])) == {-1.0, 0.0, 1.0}
    assert table.notes == (
        "classification, as 'label' is text",
        "text columns read as categories: 'color' (2 values)",
        "features that number the rows: 'age' (see --features)",
    )
    assert len(notes) == 1 and scaling.classes == ("no", "yes")


def test_the_last_rows_test_and_those_before_validate():
    dataset, scaling, notes = splits.split_table(_numbered(), seed=4, split="last")
    rows = [_rows_of(part, scaling) for part in dataset]
    assert [set(part) for part in rows] == [
        {*range(60)},
        {*range(60, 80)},
        {*range(80, 100)},
    ]
    # The first rows of a part stand for all of it: they must not be the oldest.
    assert (np.diff(rows[1]) < 0).any() and (np.diff(rows[2]) < 0).any()
    (note,) = notes
    assert note == (
        "split in the order of the rows: the last 20 test, the 20 before them validate"
    )
    dataset, scaling, notes = splits.split_table(
        _numbered(), seed=4, split="last", test_share=0
    )
    assert dataset.test is None
    assert set(_rows_of(dataset.valid, scaling)) == {*range(80, 100)}
    assert notes == ("split in the order of the rows: the last 20 validate",)


def test_a_class_that_comes_late_is_refused():
    codes = np.where(ROWS < 70, ROWS % 2, 2)
    with pytest.raises(ValueError, match=r"numbered: no training row .* 'class 2' \("):
        splits.split_table(_labelled(codes), seed=0, split="last")
    codes = np.where(ROWS < 60, ROWS % 3, ROWS % 2)
    _, _, notes = splits.split_table(_labelled(codes), seed=0, split="last")
    assert notes[1] == "classes that are not in every part of the split: 'class 2'"


@pytest.mark.parametrize("seed", range(3))
def test_a_group_is_in_one_part(seed):
    group = np.random.default_rng(1).integers(12, size=NUM_ROWS)
    table = _numbered(group=group, group_name="who")
    dataset, scaling, notes = splits.split_table(table, seed=seed)
    rows = [_rows_of(part, scaling) for part in dataset]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), ROWS)
    np.testing.assert_allclose([len(part) for part in rows], [60, 20, 20], atol=6)
    groups = [set(group[part]) for part in rows]
    assert sum(map(len, groups)) == 12 == len(set.union(*groups))
    numbers = "/".join(str(len(part)) for part in groups)
    assert notes == (f"split by group 'who': {numbers} groups to train/validate/test",)
    again = splits.split_table(table, seed=seed)[0]
    np.testing.assert_array_equal(again.test.x, dataset.test.x)


def test_refusals_of_splits():
    table = _numbered(group=ROWS % 2, group_name="who")
    with pytest.raises(ValueError, match=r"numbered: 2 groups cannot .* into 3 parts"):
        splits.split_table(table, seed=0)
    dataset, _, _ = splits.split_table(table, seed=0, test_share=0)
    assert len(dataset.train.x) == 50
    with pytest.raises(ValueError, match=r"numbered: split last .* either the split"):
        splits.split_table(table, seed=0, split="last")
    table = _labelled(ROWS % 5, group=ROWS % 5, group_name="who")
    with pytest.raises(ValueError, match=r"no training row of the classes .* by group"):
        splits.split_table(table, seed=0)
