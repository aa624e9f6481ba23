"""Atomic files: the old content or the new, and errors that name the file."""

import pytest

from swajax.io import files


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=r"No space left.*result\.json"):
        files.write_bytes(tmp_path / "result.json", b"{}")
    with pytest.raises(OSError, match=r"No space left.*x\.csv"):
        with files.naming_full_disk(tmp_path / "x.csv"):
            fail()
    assert not list(tmp_path.iterdir())


def test_a_failed_block_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="enough"):
        with files.replacing(path) as file:
            file.write(b"new")
            raise ValueError("enough")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with files.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_a_place_for_a_result_is_checked_before(tmp_path, monkeypatch):
    files.check_new(tmp_path / "new")
    with pytest.raises(FileExistsError, match="choose another --out"):
        files.check_new(tmp_path)
    with pytest.raises(NotADirectoryError, match="there is no folder"):
        files.check_new(tmp_path / "absent" / "new")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="new"):
        files.check_new(tmp_path / "new")
